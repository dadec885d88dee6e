//! The language as its specification has it, area by area: what is accepted here, and what that yields.

use super::*;

/// Each of the first has the value of the second.
fn yields(cases: &[(&str, &str)]) {
    for (source, value) in cases {
        assert_eq!(evaluate(&format!("({source}) == ({value})")), Ok(true), "{source} yields {value}");
    }
}

fn holds(cases: &[&str]) {
    for source in cases {
        assert_eq!(evaluate(source), Ok(true), "{source}");
    }
}

fn fails(cases: &[&str]) {
    for source in cases {
        assert!(evaluate(source).is_err(), "{source} has a value");
    }
}

#[test]
fn literals() {
    yields(&[
        ("007", "7"),
        ("0x2a", "42"),
        ("-0x2A", "-42"),
        ("9223372036854775807", "9223372036854775806 + 1"),
        ("-9223372036854775808", "-9223372036854775807 - 1"),
        ("-12.5e-1", "-1.25"),
        (".5", "0.5"),
        ("3E+2", "300.0"),
        ("''", "\"\""),
        ("r'\\n'", "\"\\\\n\""),
        ("R\"\\\"", "'\\\\'"),
        ("'\\u00dc\\U0001F43B'", "\"Ü🐻\""),
        ("'\\x5A\\X5a\\132'", "'ZZZ'"),
        ("'\\'\\\"\\`\\?\\\\'", "\"'\" + '\"' + '`?' + r'\\'"),
        ("size('\\a\\b\\f\\n\\r\\t\\v')", "7"),
        ("'''one\ntwo'''", "'one\\ntwo'"),
        ("'''one\r\ntwo\rthree'''", "'one\\ntwo\\nthree'"),
        ("\"\"\"it's \"so\" said\"\"\"", "'it\\'s \"so\" said'"),
        ("r'''a\\\nb'''", "'a\\\\\\nb'"),
        ("size('''''')", "0"),
        ("[1, 2,]", "[1, 2]"),
        ("[,]", "[]"),
        ("{'a': 1,}", "{'a': 1}"),
        ("{,}", "{}"),
    ]);
}

#[test]
fn white_space_and_comments() {
    holds(&[
        "\t\r\n\u{c} true // and so on\r\n",
        "1\n+\n2 // three\n==\r\n3",
        "//\ntrue",
        "'//' == \"/\" + '/'",
        "headers // of the request\n . foo == 'bar'",
        "!\n!\ntrue && - 1 == -1",
    ]);
}

/// Each as it is read, with the brackets that the language implies.
#[test]
fn precedence() {
    yields(&[
        ("2 + 3 * 4", "2 + (3 * 4)"),
        ("20 - 7 - 5", "(20 - 7) - 5"),
        ("100 / 5 / 2", "(100 / 5) / 2"),
        ("100 / 5 * 2 % 7", "((100 / 5) * 2) % 7"),
        ("-2 * 3 - -4", "((-2) * 3) - (-4)"),
        ("1 < 2 == true", "(1 < 2) == true"),
        ("2 in [1] == false", "(2 in [1]) == false"),
        ("1 + 1 in [2]", "(1 + 1) in [2]"),
        ("true || false && false", "true || (false && false)"),
        ("false && false || true", "(false && false) || true"),
        ("!true || true", "(!true) || true"),
        ("!has(headers.none) && true", "(!has(headers.none)) && true"),
        ("-[3, 4][1]", "-([3, 4][1])"),
        ("-{'a': 2}.a", "-({'a': 2}.a)"),
        ("true ? 1 : false ? 2 : 3", "true ? 1 : (false ? 2 : 3)"),
        ("false ? 1 : false ? 2 : 3", "3"),
        ("true || true ? 1 : 2", "(true || true) ? 1 : 2"),
        ("[[1, 2], [3]][0][1]", "2"),
    ]);
}

#[test]
fn comparisons() {
    holds(&[
        "1 == 1.0 && 1.5 > 1 && 2 >= 2.0 && 1 != 1.5",
        "'Zebra' < 'apple' && 'a' < 'aa' && '' < 'a' && 'é' > 'z'",
        "'\\u00E9' != 'e\\u0301'",
        "false < true && !(true < true) && true >= true",
        "[1, 2] == [1.0, 2.0] && [1, 2] != [2, 1] && ['a'] != []",
        "{'a': [1]} == {'a': [1.0]} && {'a': 1, 'b': 2} == {'b': 2, 'a': 1} && {'a': 1} != {}",
        "!(0.0 / 0.0 == 0.0 / 0.0) && 0.0 / 0.0 != 1 && -0.0 == 0.0",
    ]);
}

#[test]
fn logic() {
    holds(&[
        "true ? true : 1 / 0 == 0",
        "false ? 1 / 0 == 0 : true",
        "true || 1 / 0 == 0",
        "1 / 0 == 0 || true",
        "1 / 0 == 0 || false || true",
        "!(1 / 0 == 0 && true && false)",
        "!(false && (1 / 0 > 1 ? true : false))",
    ]);
    fails(&[
        "1 / 0 == 0 || false",
        "true && 1 / 0 == 0",
        "false || 1 / 0 == 0 || false",
        "1 / 0 == 0 ? true : true",
        "!(1 / 0 == 0)",
    ]);
}

#[test]
fn integers_and_doubles() {
    yields(&[
        ("7 / -2", "-3"),
        ("-7 % 2", "-1"),
        ("7 % -2", "1"),
        ("-(-(3))", "3"),
        ("6000000000 * 1000000000", "6000000000000000000"),
        ("0.25 + 0.5", "0.75"),
        ("7.0 / 2.0", "3.5"),
        ("-1.0 / 0.0", "-(1.0 / 0.0)"),
        ("1.0e308 * 10.0", "1.0 / 0.0"),
    ]);
    fails(&[
        "9223372036854775807 + 1 > 0",
        "-9223372036854775808 - 1 < 0",
        "4000000000 * 4000000000 > 0",
        "-(-9223372036854775808) > 0",
        "1 % 0 == 0",
    ]);
}

#[test]
fn strings() {
    yields(&[("size('naïve')", "5"), ("'🦀🦀'.size()", "2"), ("'tur' + '' + 'tle'", "'turtle'")]);
    holds(&[
        "'turtle'.startsWith('tur') && 'turtle'.startsWith('') && !''.startsWith('t')",
        "'turtle'.endsWith('tle') && ''.endsWith('') && !'tle'.endsWith('turtle')",
        "'turtle'.contains('urt') && 'tatatt'.contains('tatt') && !'turtle'.contains('tr')",
        "'turtle'.matches('rt') && 'turtle'.matches('^t.*e$') && ''.matches('') && !'a'.matches('^b')",
        "'größe'.matches('ö.e') && matches('x1', '^[a-z][0-9]$')",
    ]);
}

#[test]
fn lists_and_maps() {
    yields(&[
        ("[1] + [] + [2, 3]", "[1, 2, 3]"),
        ("['a', 'b'][1]", "'b'"),
        ("size([[], []])", "2"),
        ("{'a': 1, 'b': 2}['b']", "2"),
        ("{'a': {'b': 'c'}}.a.b", "'c'"),
        ("{'x-y': 1}['x-y']", "1"),
        ("size({'a': 1})", "1"),
    ]);
    holds(&[
        "2 in [1, 2] && !(3 in [1, 2]) && 1.0 in [1] && !('a' in [])",
        "'a' in {'a': 1} && !('b' in {'a': 1})",
        "has({'a': 1}.a) && !has({'a': 1}.b) && !has({}.a)",
        "[1, 2][2] == 0 || true",
        "!({'a': 1}.b == 1 && false)",
    ]);
    fails(&["[1, 2][2] == 0", "[1][-1] == 1", "{'a': 1}.b == 1", "{'a': 1}['b'] == 1", "{'a': 1, 'a': 2}.a == 1"]);
}

#[test]
fn macros() {
    yields(&[
        ("[4, 5, 6].map(n, n * n)", "[16, 25, 36]"),
        ("[4, 5, 6].map(n, n > 4, n + 1)", "[6, 7]"),
        ("[4, 5, 6].filter(n, n % 2 == 0)", "[4, 6]"),
        ("{'a': 1, 'b': 2}.map(k, k + k)", "['aa', 'bb']"),
        ("[].map(n, n)", "[]"),
    ]);
    holds(&[
        "[4, 5].all(n, n > 3) && ![4, 5].all(n, n > 4) && [].all(n, false)",
        "[4, 5].exists(n, n > 4) && ![4, 5].exists(n, n > 5) && ![].exists(n, true)",
        "[4, 5].exists_one(n, n > 4) && ![4, 5].exists_one(n, n > 3) && ![].exists_one(n, true)",
        "{'a': 1}.exists(k, k == 'a') && {'ab': 1, 'ac': 2}.all(k, k.startsWith('a'))",
        "![1, 0, 3].all(n, 6 / n == 7) && [0, 2].exists(n, 6 / n == 3)",
    ]);
    fails(&[
        "[0].all(n, 1 / n == 1)",
        "[0].exists(n, 1 / n == 1)",
        "[1, 0].exists_one(n, 1 / n == 1)",
        "[0].map(n, 1 / n) == []",
    ]);
}

#[test]
fn conversions() {
    yields(&[
        ("int('-12')", "-12"),
        ("int(-2.9)", "-2"),
        ("int(7)", "7"),
        ("double('1e3')", "1000.0"),
        ("double(3)", "3.0"),
        ("string(-5)", "'-5'"),
        ("string(2.5)", "'2.5'"),
        ("string('s')", "'s'"),
    ]);
    fails(&["int('1.5') == 1", "int('') == 0", "int(1e99) == 0", "double('ten') == 10.0"]);
}

#[test]
fn what_the_specification_refuses() {
    for source in [
        "1 +",
        "* 1",
        "1 1",
        "(1",
        "1)",
        "[1, 2",
        "{'a'}",
        "{'a': }",
        "a ? b",
        "true ? : false",
        "!",
        "-",
        "f(,)",
        "f(1,) == 1",
        "[1,,2] == []",
        "[,1] == []",
        "[,,] == []",
        "{,,} == {}",
        "1 .. 2",
        "a.1",
        "model.",
        "model.'x'",
        "model.in",
        "headers.true",
        "'a' 'b'",
        "'\\z'",
        "'a",
        "r'a",
        "'''a'",
        "1e",
        "0x",
        "1.x",
        "=",
        "===",
        "<>",
        "true &",
        "while",
        "as == 1",
        "!-true",
        "- - ",
        "()",
        "{1",
        "/* a */ true",
        "# a",
        "a; b",
        "$a",
        "@in",
        "_&&_(true, true)",
    ] {
        assert!(Expression::compile(source).is_err(), "{source}");
    }
    // Reserved words are names of fields.
    assert_eq!(evaluate("{'for': 1}.for == 1 && has({'while': 1}.while)"), Ok(true));
}
