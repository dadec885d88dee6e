//! Text that is meant to do harm: it is refused or evaluated, within bounds.

use super::*;

/// Compiles, and evaluates what compiles, over a request that is hostile as well.
fn survives(source: &str) -> Result<Result<bool, String>, Vec<String>> {
    let long = "a".repeat(60_000);
    let headers: BTreeMap<_, _> = (0..1000).map(|n| (format!("x-{n:04}"), long[..n % 100].to_owned())).collect();
    let inputs = Inputs { model: &long, headers: &headers, params: &headers, ..Inputs::default() };
    match Expression::compile(source) {
        Ok(expression) => Ok(expression.matches(&inputs)),
        Err(faults) => {
            assert!((1..=MAX_FAULTS).contains(&faults.len()), "{} faults of {source}", faults.len());
            Err(faults.iter().map(Fault::to_string).collect())
        }
    }
}

fn refused(source: &str, part: &str) {
    let faults = survives(source).expect_err(source);
    assert!(faults.iter().any(|it| it.contains(part)), "{faults:?} for {source}");
}

const TOO_DEEP: &str = "nested deeper than 32: split the expression into rules";
const TOO_MANY: &str = "more than 500 nodes: split the expression into rules";

/// `inner` in so many brackets.
fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    [open.repeat(times), inner.to_owned(), close.repeat(times)].concat()
}

#[test]
fn limits_are_exact() {
    let padded = |length: usize| format!("true{}", " ".repeat(length - 4));
    assert_eq!(survives(&padded(4096)), Ok(Ok(true)));
    let long = "line 1, column 1: the expression has 4097 bytes, and at most 4096 are allowed: split it into rules";
    assert_eq!(survives(&padded(4097)), Err(vec![long.to_owned()]));

    // One node for `in`, one for the number, one for the list.
    let wide = |elements: usize| format!("1 in [{}]", vec!["1"; elements].join(","));
    assert_eq!(survives(&wide(497)), Ok(Ok(true)));
    refused(&wide(498), TOO_MANY);
    refused(&wide(1900), TOO_MANY);

    assert_eq!(survives(&nested("(", "true", ")", 32)), Ok(Ok(true)));
    refused(&nested("(", "true", ")", 33), TOO_DEEP);
    // An operator and its operand are two.
    assert_eq!(survives(&format!("true || {}", "true && ".repeat(200) + "true")), Ok(Ok(true)));
    assert!(survives(&format!("{}1 == 31", "1 + ".repeat(30))).is_ok());
    refused(&format!("{}1 == 32", "1 + ".repeat(31)), TOO_DEEP);
    assert!(survives(&nested("!(", "true", ")", 31)).is_ok());
    refused(&nested("!(", "true", ")", 32), TOO_DEEP);
}

#[test]
fn nesting() {
    for times in [33, 40, 96, 97, 128, 500, 1300, 2000] {
        for (open, inner, close) in [
            ("(", "true", ")"),
            ("[", "", "]"),
            ("{\"a\":", "1", "}"),
            ("!(", "true", ")"),
            ("-(", "1", ")"),
            ("[1][", "0", "]"),
            ("size(", "model", ")"),
            ("f(", "", ")"),
            ("a{b:", "1", "}"),
            ("(true?", "true", ":true)"),
            ("(true?true:", "true", ")"),
            ("(true?true:true?true:true?true:", "true", ")"),
            ("[1].all(x,", "true", ")"),
            ("[", "1", "].all(x,true)"),
            ("(1+", "1", ")"),
        ] {
            for source in [nested(open, inner, close, times), open.repeat(times), close.repeat(times)] {
                assert!(survives(&source).is_err(), "{source}");
            }
        }
    }
}

/// Everything that costs the parser stack, as much of it as the lexer lets pass.
#[test]
fn the_stack_suffices() {
    for choices in 0..4 {
        for operators in 0..4 {
            let level = format!("({}{}", "true?true:".repeat(choices), "1-".repeat(operators));
            for levels in 20..=32 {
                _ = survives(&nested(&level, "1", ")", levels));
                _ = survives(&level.repeat(levels));
                _ = survives(&nested(&level.replace('(', "f("), "1", ")", levels));
                _ = survives(&nested(&level.replace('(', "["), "1", "]", levels));
                _ = survives(&nested(&level.replace('(', "{1:"), "1", "}", levels));
            }
        }
    }
}

#[test]
fn chains() {
    for times in [33, 127, 128, 250, 499, 500, 800, 1000, 1360, 2000, 4000] {
        for (first, link) in [
            ("1", "+1"),
            ("1", "-1"),
            ("1", "*1"),
            ("1", "<1"),
            ("1", " in []"),
            ("1", "==1"),
            ("[1]", "[0]"),
            ("headers", ".a"),
            ("model", ".size()"),
            ("model", "()"),
            ("true", "?true:true"),
            ("true", "?true"),
            ("1", ":1"),
            ("a", ".b{}"),
        ] {
            let chain = format!("{first}{}", link.repeat(times));
            assert!(survives(&chain).is_err(), "{chain}");
            assert!(survives(&link.repeat(times)).is_err(), "{chain}");
        }
        for unary in ["!", "-", "! ", "- "] {
            _ = survives(&format!("{}true", unary.repeat(times)));
            _ = survives(&format!("{}1 == 1", unary.repeat(times)));
        }
        for junk in
            ["(", ")", "[]", "{}", ",", ".", ":", "?", "&&", "||", "in ", "a ", "1 ", "''", "\"", "\\", "\n", "//"]
        {
            _ = survives(&junk.repeat(times));
        }
    }
    assert_eq!(survives(&["true"; 250].join("&&")), Ok(Ok(true)));
    assert_eq!(survives(&["false"; 250].join("||")), Ok(Ok(false)));
    refused(&["true"; 251].join("&&"), TOO_MANY);
    refused(&["true"; 501].join("&&"), TOO_MANY);
}

#[test]
fn literals() {
    for source in ["1e999", "-1e999 < 1.0", "99999999999999999999", "0xffffffffffffffffffff", "1e99999999999999999999"]
    {
        refused(source, "the number is too large");
    }
    refused(&format!("{} == 1", "9".repeat(4000)), "the number is too large");
    assert_eq!(survives("1e-999 == 0"), Ok(Ok(true)));
    assert_eq!(survives(&format!("0.{} == 0", "0".repeat(4000))), Ok(Ok(true)));
    assert_eq!(survives(&format!("size('{}') == 4000", "a".repeat(4000))), Ok(Ok(true)));
    assert_eq!(survives(&format!("size('{}') == 1000", "😀".repeat(1000))), Ok(Ok(true)));
    let map = (0..300).map(|n| format!("\"{n}\":{n}")).collect::<Vec<_>>().join(",");
    refused(&format!("{{{map}}} == {{}}"), TOO_MANY);
    for source in
        ["\0", "model == \0", "\u{feff}true", "true\u{a0}", "null", "\"\0\" == null", "\"a\" * 1000 == ''", "\u{202e}"]
    {
        assert!(survives(source).is_err(), "{source}");
    }
    assert_eq!(survives("size(\"a\0b\\000\") == 4"), Ok(Ok(true)));
    for source in [
        "'\\",
        "\"\\\"",
        "r'\\",
        "'''",
        "''''",
        "'''''",
        "\"\"\"\\\"\"\"",
        "'\\u12'",
        "'\\777'",
        "'\\é'",
        "rb'a'",
        "r",
        "b",
    ] {
        assert!(survives(source).is_err(), "{source}");
    }
}

#[test]
fn patterns() {
    for pattern in
        ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){20}b", "(?i)(x+x+)+y", "[a-z]*[a-z]*[a-z]*[a-z]*9", "(?s).*a.{60}b"]
    {
        let outcome = survives(&format!("model.matches(\"{pattern}\")"));
        assert!(outcome.is_ok(), "{pattern}: {outcome:?}");
    }
    for pattern in [
        "a{1000}{1000}",
        "((a{100}){100}){100}",
        "\\\\pL{2000}",
        "(?s).{9000}",
        "((((((((((a{9}){9}){9}){9}){9}){9}){9}){9}){9}){9})",
    ] {
        refused(&format!("model.matches(\"{pattern}\")"), "bytes of memory: repeat less in it");
    }
    refused(&format!("model.matches(\"{}\")", nested("(", "a", ")", 1000)), "not a regular expression");
    for pattern in ["(", "[", "*a", "\\\\1", "(?<=a)b", "\\\\p{Nope}", "a{2,1}", "(?P<n>a)(?P<n>b)"] {
        refused(&format!("model.matches(\"{pattern}\")"), "not a regular expression");
    }
    // Many patterns share the memory of one expression.
    let many = vec!["model.matches('\\\\pL{9}')"; 90].join("||");
    refused(&many, "more than 11650 bytes of memory");
    assert!(survives(&vec!["model.matches('^[a-z]+-[0-9]*$')"; 90].join("||")).is_ok());
}

#[test]
fn work_is_bounded() {
    let exhausted = Err("the evaluation takes more than 10000 steps".to_owned());
    let body = vec!["k + headers[k] == \"\""; 40].join(" || ");
    for source in [
        format!("headers.exists(k, {body})"),
        format!("headers.map(k, {body}) == []"),
        format!("headers.exists_one(k, {body})"),
        // No operator makes it good.
        format!("headers.exists(k, {body}) || true"),
        format!("true || false ? headers.exists(k, {body}) || true : true"),
        format!("!(headers.all(k, !({body})) && false)"),
        "headers.all(k, headers == params)".to_owned(),
        "headers.map(k, headers) == params.map(k, params)".to_owned(),
        "headers.all(k, model.contains(\"b\") || true)".to_owned(),
        "headers.all(k, model.matches(\"b\") || true)".to_owned(),
        "headers.all(k, size(model + model + model) > 0)".to_owned(),
    ] {
        assert_eq!(survives(&source), Ok(exhausted.clone()), "{source}");
    }
    // Each doubles the text.
    let doubling = format!("[model]{}.size() == 1", ".map(t, t + t)".repeat(12));
    assert_eq!(survives(&doubling), Ok(exhausted.clone()));
    // The same text, many times over, is not copied.
    assert_eq!(survives("[model + model].map(t, [t, t, t, t]).map(l, l + l + l)[0].size() == 12"), Ok(Ok(true)));
    // What requests look like is far from it.
    assert_eq!(survives("headers.exists(k, k == \"x-0999\" && headers[k].startsWith(\"a\"))"), Ok(Ok(true)));
    assert_eq!(survives("model.contains(\"b\") || model.matches(\"^a+$\")"), Ok(Ok(true)));
}

/// Stack of the threads that compile and evaluate hostile text: a small part of what a thread has as a rule, in a build
/// without optimisation, which takes several times the stack of a release.
const SMALL_STACK: usize = 256 << 10;

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(SMALL_STACK).spawn(work).unwrap().join().unwrap();
}

#[test]
fn a_small_stack_suffices_for_whatever_is_refused() {
    on_a_small_stack(|| {
        for unit in [
            "(",
            "[",
            "{",
            "!",
            "-",
            "!-",
            "!!--",
            "!(",
            "-(",
            "f(",
            "a.f(",
            "[0][",
            "{\"a\":",
            "a{b:",
            ")",
            "]",
            "'",
            "'a",
            "\"\"\"",
            "r'",
            "a.",
            ".a",
            "a.a",
            "[1]",
            "[0]",
            "()",
            "1+",
            "1+1",
            "1-",
            "1*",
            "1<",
            "a in ",
            "1 in [",
            "true&&",
            "true||",
            "true?",
            "true?true:",
            "true?true?",
            "a?b:",
            "true||(",
            "1+1*(",
            "1<1+1*-[",
            "true||true&&1<1+1*(",
            "true?true||true&&1<1+1*-f(",
            "true?true:(",
            "[1].all(x,",
            "[1].map(x,[",
            "has(a.",
            ",",
            ":",
            "?",
            "[?",
            ".?",
            "//",
            "\\",
            "in ",
        ] {
            let source = unit.repeat(MAX_BYTES / unit.len());
            assert!(source == "//".repeat(MAX_BYTES / 2) || Expression::compile(&source).is_err(), "{source}");
            _ = Expression::compile(&format!("{source}1"));
        }
    });
}

/// The deepest of each kind, and one level more.
#[test]
fn a_small_stack_suffices_for_the_deepest() {
    type Deep = (&'static str, usize, fn(usize) -> String);
    const DEEPEST: [Deep; 12] = [
        ("brackets", 32, |n| nested("(", "true", ")", n)),
        ("negations", 31, |n| nested("!(", if n.is_multiple_of(2) { "true" } else { "false" }, ")", n)),
        ("minus signs", 30, |n| format!("{} == 1", nested("-(", "1", ")", n))),
        ("lists", 29, |n| format!("size({}) == 1", nested("[", "1", "]", n))),
        ("maps", 29, |n| format!("size({}) == 1", nested("{'a':", "1", "}", n))),
        ("calls", 30, |n| format!("{} == 1", nested("int(", "1", ")", n))),
        ("sums on the left", 30, |n| format!("1{} == 31", "+1".repeat(n))),
        ("sums on the right", 30, |n| format!("{} == 31", nested("1+(", "1", ")", n))),
        ("conditionals on the right", 31, |n| format!("{}true", "false?false:".repeat(n))),
        ("conditionals in conditionals", 31, |n| nested("(true?", "true", ":false)", n)),
        ("comparisons", 31, |n| format!("true{}", "==true".repeat(n))),
        ("chains of both kinds", 31, |n| {
            let both = |level: usize| if level.is_multiple_of(2) { "true&&(" } else { "false||(" };
            format!("{}true{}", (0..n).map(both).collect::<String>(), ")".repeat(n))
        }),
    ];
    on_a_small_stack(|| {
        for (what, deepest, make) in DEEPEST {
            assert_eq!(survives(&make(deepest)), Ok(Ok(true)), "{what}");
            refused(&make(deepest + 1), TOO_DEEP);
        }
        // Every operator, in as many brackets as there may be: no more levels than terms in one another may be.
        let all = "true?true:false||true&&1<1+1*-(";
        for times in 1..=33 {
            refused(&nested(all, "true", ")", times), if times < 5 { "takes" } else { TOO_DEEP });
        }
    });
}
