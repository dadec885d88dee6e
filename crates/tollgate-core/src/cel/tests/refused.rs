//! What is refused, where, and with what words.

use super::*;

const NAMES: &str = "model, provider, request_type, headers, params, virtual_key_id, virtual_key_name, team_id, \
                     team_name, customer_id, customer_name, context_length, stream, now, budget_used, tokens_used, request";
const FUNCTIONS: &str = "startsWith, endsWith, contains, matches, size, has, int, double, string, timestamp, \
                         getFullYear, getMonth, getDayOfYear, getDayOfMonth, getDate, getDayOfWeek, getHours, \
                         getMinutes, getSeconds, getMilliseconds, all, exists, exists_one, map, filter";

#[test]
fn unknown_names() {
    let unknown = |name: &str| format!("unknown name `{name}`; the names are {NAMES}");
    for (source, place, name) in [
        ("modle == \"x\"", "line 1, column 1", "modle"),
        ("true && modle == \"x\"", "line 1, column 9", "modle"),
        ("true &&\n  // é\n  modle == \"x\"", "line 3, column 3", "modle"),
        ("\"é😀\" == modle", "line 1, column 9", "modle"),
        (".model == \"x\"", "line 1, column 2", ".model"),
        ("headers.x-team == \"x\"", "line 1, column 11", "team"),
        ("modle(1) == modle", "line 1, column 13", "modle"),
        ("[1].all(n, true) && n == 1", "line 1, column 21", "n"),
        ("google.protobuf.Duration == 1", "line 1, column 1", "google"),
        ("budget == 1", "line 1, column 1", "budget"),
    ] {
        assert_eq!(faults(source).last(), Some(&format!("{place}: {}", unknown(name))), "{source}");
    }
    // The element is a name as well.
    let all = faults("[1].all(n, m == 1)");
    assert_eq!(all, [format!("line 1, column 12: unknown name `m`; the names are n, {NAMES}")]);
}

#[test]
fn unknown_functions() {
    let place = "line 1, column 1";
    for (source, name) in [
        ("foo(model)", "foo"),
        ("duration(\"1s\")", "duration"),
        ("type(model)", "type"),
        ("dyn(model)", "dyn"),
        ("uint(1)", "uint"),
        ("bytes(model)", "bytes"),
        ("bool(model)", "bool"),
        (".size(model)", ".size"),
    ] {
        let message = format!("unknown function `{name}`; the functions are {FUNCTIONS}");
        assert_eq!(faults(source).first().map(|it| it.split_once(": ").unwrap().1), Some(message.as_str()));
    }
    assert_eq!(faults("foo ( 1 )")[0], format!("{place}: unknown function `foo`; the functions are {FUNCTIONS}"));
    let found = "line 1, column 7: unknown function `lowerAscii`";
    assert_eq!(faults("model.lowerAscii() == \"\"")[0], format!("{found}; the functions are {FUNCTIONS}"));
}

#[test]
fn messages() {
    for (source, expected) in [
        ("\"str\"", "1: the expression yields string, and it must yield bool: compare it with something"),
        ("headers", "1: the expression yields map(string, string), and it must yield bool: compare it with something"),
        ("model > 5", "7: `>` cannot compare string with int: convert one of them"),
        ("model == 5", "7: `==` cannot compare string with int: convert one of them"),
        ("headers < params", "9: `<` cannot compare map(string, string) with map(string, string): convert one of them"),
        ("[model] == [1]", "9: `==` cannot compare list(string) with list(int): convert one of them"),
        ("[[[1]]] < [1]", "9: `<` cannot compare list(list(list(…))) with list(int): convert one of them"),
        ("true == 1", "6: `==` cannot compare bool with int: convert one of them"),
        ("budget_used * 2 > 1", "13: `*` takes no int together with a double: write 1.0 for 1, or double(…)"),
        ("model + 1 == \"\"", "7: `+` takes no string together with a int: convert one, or compare"),
        ("budget_used % 2.0 == 1", "13: `%` takes no double together with a double: convert one, or compare"),
        ("model && true", "1: `&&` takes bool, not string: compare it with something"),
        ("true || 1", "9: `||` takes bool, not int: compare it with something"),
        ("!model", "2: `!` takes bool, not string: compare it with something"),
        ("-model == 1", "1: `-` takes a number, not string"),
        ("true ? 1 : \"a\"", "6: `? :` chooses between int and string: make them one type"),
        ("model ? true : false", "1: `?` takes bool, not string: compare it with something"),
        ("model[0] == \"a\"", "6: string has no elements: index headers, params or a list"),
        ("[1][\"a\"] == 1", "4: the index is string, and int is due"),
        ("headers[1] == \"\"", "8: the index is int, and string is due"),
        ("headers.a.b == \"\"", "11: string has no field `b`: only headers, params and maps have fields"),
        ("has(model.b)", "11: string has no field `b`: only headers, params and maps have fields"),
        ("has(headers[\"x\"])", "1: `has` takes a field, as in has(headers.team): write `\"x-team\" in headers`"),
        ("\"a\" in model", "5: `in` takes a list or a map: write text.contains(\"part\") for a part of a string"),
        ("1 in headers", "3: int is never in map(string, string): convert one of them"),
        ("\"a\" in [1]", "5: string is never in list(int): convert one of them"),
        ("1 in 1", "3: int is never in int: convert one of them"),
        ("size(1) == 1", "1: `size` takes a string, a list or a map, not int"),
        ("model.contains(1)", "16: `contains` takes string, not int"),
        ("headers.startsWith(\"a\")", "1: `startsWith` takes string, not map(string, string)"),
        ("startsWith(model, \"a\")", "1: `startsWith` is not called like that: write text.startsWith(\"part\")"),
        ("model.int() == 1", "7: `int` is not called like that: write int(it)"),
        ("string(true) == \"true\"", "1: `string` converts string, int and double, not bool"),
        ("int(headers) == 1", "1: `int` converts string, int and double, not map(string, string)"),
        ("model.matches(provider)", "15: the pattern of `matches` is a string literal, so that it is compiled once"),
        (
            "model.matches(\"a\" + \"b\")",
            "19: the pattern of `matches` is a string literal, so that it is compiled once",
        ),
        ("model.matches(\"(\")", "15: not a regular expression: unclosed group"),
        (
            "model.matches(\"(?=a)\")",
            "15: not a regular expression: look-around, including look-ahead and look-behind, is not supported",
        ),
        ("timestamp(model) < now", "11: `timestamp` takes a string literal, as \"2026-01-31T12:00:00Z\""),
        ("now < timestamp(\"today\")", "17: not a time: write one as \"2026-01-31T12:00:00Z\""),
        (
            "now.getHours(\"Mars\") == 1",
            "14: not a time zone: write its IANA name as a string literal, as \"Europe/Berlin\"",
        ),
        ("model.getHours() == 1", "1: `getHours` takes a timestamp, as now.getHours(), not string"),
        ("now > 5", "5: `>` cannot compare timestamp with int: convert one of them"),
        ("model.all(k, true)", "7: there is nothing to go through in string: take a list or a map"),
        ("headers.all(1, true)", "13: the first argument names the element, as in headers.exists(k, k == \"x\")"),
        ("headers.all(k, k)", "16: `all` takes bool, not string: compare it with something"),
        ("headers.filter(k, k) == []", "19: `filter` takes bool, not string: compare it with something"),
        ("headers.all(k, params.exists(j, j == k))", "23: comprehensions do not nest: write one expression for each"),
        ("[1].map(n, [n].map(m, m)) == []", "16: comprehensions do not nest: write one expression for each"),
        ("[1, \"a\"] == []", "5: the elements of a list have one type: this is string, and those before are int"),
        (
            "{\"a\": 1, \"b\": \"c\"} == {}",
            "15: the values of a map have one type: this is string, and those before are int",
        ),
        ("{1: 2} == {}", "2: the key of a map is a string, not int"),
        ("Foo{a: 1}", "4: there are no messages: write a string, a number, a list or a map"),
        ("null == model", "1: nothing is null: compare with \"\", or ask `\"key\" in headers`"),
        ("1u == 1", "1: there are no unsigned numbers: leave out the `u`"),
        ("b'a' == 'a'", "1: there are no bytes: write a string, without the prefix"),
        ("headers[?\"x\"] == \"\"", "8: there is no optional access: ask `\"key\" in headers` first"),
        ("headers.?x == \"\"", "8: there is no optional access: ask `\"key\" in headers` first"),
        ("model = \"a\"", "7: `=` is no operator: write `==` to compare"),
        ("true & true", "6: `&` is no operator: write `&&`"),
        ("true | true", "6: `|` is no operator: write `||`"),
        ("é == 1", "1: unexpected character 'é': text goes between double quotes"),
        ("model == “a”", "10: unexpected character '“': text goes between double quotes"),
        ("model == \"a", "10: the string is never closed: end it with \" on the same line"),
        ("model == 'a\n'", "10: the string is never closed: end it with ' on the same line"),
        ("model == \"\\d\"", "11: unknown escape: write `\\\\` for a backslash, or r\"…\" for text without escapes"),
        ("model == \"\\ud800\"", "11: \\u takes the 4 hexadecimal digits of a character"),
        ("model == \"\\U00110000\"", "11: \\U takes the 8 hexadecimal digits of a character"),
        ("model == \"\\x4\"", "11: \\x takes the 2 hexadecimal digits of a character"),
        ("model == \"\\08\"", "11: an octal escape has three digits, as in \\101"),
        ("(model == \"a\"", "1: `(` is never closed: write `)`"),
        ("model == \"a\")", "13: `)` closes nothing: leave it out"),
        ("[1)", "3: `)` where `]` is due"),
        ("model ==", "9: the expression ends too early: an operand or a bracket is missing"),
        ("a b c", "3: unexpected `b`: an operator is missing before it, or it is left over"),
        ("model \"a\"", "7: unexpected string: an operator is missing before it, or it is left over"),
        ("model and true", "7: `and` is no operator: write `&&`"),
        ("true or true", "6: `or` is no operator: write `||`"),
        ("== 1", "1: unexpected `==`: an operand is missing before it"),
        ("(true && )", "10: unexpected `)`: an operand is missing before it"),
        ("()", "2: unexpected `)`: an operand is missing before it"),
        ("size(model,) == 1", "12: unexpected `)`: an operand is missing before it"),
        ("1 in [1,,]", "9: unexpected `,`: an operand is missing before it"),
        ("1 in [1 2]", "9: unexpected `2`: an operator is missing before it, or it is left over"),
        ("{\"a\"} == {}", "5: unexpected `}`: `:` and a value are missing before it"),
        ("-!true", "2: unexpected `!`: an operand is missing before it"),
        ("model(1)(2)", "9: unexpected `(`: an operator is missing before it, or it is left over"),
        ("headers.[0]", "9: unexpected `[`: a name is missing before it"),
        ("headers.in == \"\"", "9: `in` is a reserved word: write [\"in\"] for a key of that name"),
        ("true ? false", "6: `?` is never closed: write `:`"),
        ("(true ? false)", "14: `)` where `:` is due"),
        (
            "true ? false ? true : false : true",
            "14: `?` between `?` and `:`: put the conditional that is inside in brackets",
        ),
        ("[?1] == []", "2: there is no optional access: ask `\"key\" in headers` first"),
        ("model == \"\\u+123\"", "11: \\u takes the 4 hexadecimal digits of a character"),
        ("for == 1", "1: `for` is a reserved word: use another name"),
        ("99999999999999999999 == 1", "1: the number is too large: integers have 64 bits; write 1e30 for a double"),
        ("1e999 == 1.0", "1: the number is too large: doubles end at 1.8e308"),
    ] {
        assert_eq!(faults(source).first(), Some(&format!("line 1, column {expected}")), "{source}");
    }
}

#[test]
fn all_faults_are_reported() {
    let all = faults("modle == 1 &&\nmodel > 5 &&\nfoo(2)");
    assert_eq!(all.len(), 3);
    assert!(all[0].starts_with("line 1, column 1: unknown name `modle`"));
    assert_eq!(all[1], "line 2, column 7: `>` cannot compare string with int: convert one of them");
    assert!(all[2].starts_with("line 3, column 1: unknown function `foo`"));

    let many = faults(&["modle == 1"; 30].join(" && "));
    assert_eq!(many.len(), MAX_FAULTS);
    assert!(many[19].starts_with("line 1, column 267: unknown name"), "{}", many[19]);
    assert_eq!(faults("1u == 2u").len(), 2);
    // What the parser refuses without losing its way, and what the checker refuses.
    let both = faults("for == 99999999999999999999 || modle == null");
    let columns: Vec<_> = both.iter().filter_map(|it| it.split_once(": ")).map(|(place, _)| place).collect();
    assert_eq!(columns, ["line 1, column 1", "line 1, column 8", "line 1, column 32", "line 1, column 41"]);
}

#[test]
fn positions() {
    let fault = Expression::compile("true &&\n 1").unwrap_err().remove(0);
    assert_eq!(fault.position, Position { line: 2, column: 2 });
    assert_eq!(fault.message, "`&&` takes bool, not int: compare it with something");
}
