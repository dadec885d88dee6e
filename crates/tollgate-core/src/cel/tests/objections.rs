//! Faults for which a new expression is refused, though a stored one may have them.

use super::*;

fn objections(source: &str) -> Vec<String> {
    compile(source).objections().iter().map(Fault::to_string).collect()
}

#[test]
fn a_request_type_that_does_not_exist_is_named_with_the_nearest() {
    for (source, column, written, nearest) in [
        (r#"request_type == "chat""#, 17, "chat", "\"chat_completion\""),
        (r#"request_type == "chat_completions""#, 17, "chat_completions", "\"chat_completion\""),
        (r#"model == "m" || "embeddings" != request_type"#, 17, "embeddings", "\"embedding\""),
        (r#"request_type in ["rerank", "image_gen"]"#, 28, "image_gen", "\"image_generation\""),
        (r#"request_type == "" "#, 17, "", "\"rerank\""),
        (
            r#"request_type == "chat_completion_stream""#,
            17,
            "chat_completion_stream",
            "\"chat_completion\", which covers its streaming form, and ask `stream` where it matters",
        ),
    ] {
        let expected = format!("line 1, column {column}: there is no request type {written:?}: write {nearest}");
        assert_eq!(objections(source), [expected], "{source}");
    }
    for source in [r#"request_type == "embedding""#, r#"model == "chat""#, r#"headers["x"] in ["chat"]"#] {
        assert_eq!(objections(source), [""; 0], "{source}");
    }
}

#[test]
fn what_is_never_true_is_refused() {
    for source in [
        "false",
        "1 == 2",
        "1 / 0 == 1",
        "model == \"m\" && false",
        "!(true || model == \"m\")",
        "model == \"m\" ? 1 == 2 : \"a\" == \"b\"",
        "stream && !stream",
        "request_type == \"rerank\" && request_type == \"speech\"",
        "request_type.startsWith(\"audio\")",
        "[1, 2].exists(n, n > 2)",
    ] {
        let expected =
            "line 1, column 1: the expression is never true, whatever is asked: change it, or disable the rule";
        assert_eq!(objections(source), [expected], "{source}");
    }
    for source in [
        "",
        "true",
        "model == \"m\" || false",
        "model == \"m\" && stream",
        "!stream",
        "request_type != \"rerank\"",
        "request_type.contains(\"image\")",
        "headers[\"x\"] == \"y\"",
        "budget_used > 80 ? true : false",
    ] {
        assert_eq!(objections(source), [""; 0], "{source}");
    }
}

#[test]
fn patterns_mean_what_they_mean_to_re2() {
    for (text, pattern, matches) in [
        ("٣٤", r"^\d+$", false),
        ("34", r"^\d+$", true),
        ("ü", r"\w", false),
        ("ü", r"^\W$", true),
        ("\u{a0}", r"\s", false),
        ("a\u{b}", r"\s", false),
        ("a b", r"^[\w\s]+$", true),
        ("ü", r"^[^\w]$", true),
        ("üa", r"\ba", true),
        ("üa", r"\Ba", false),
        ("Ü", r"(?i)^ü$", true),
        ("ß", r"^.$", true),
        ("Ω", r"^\p{Greek}\z", true),
        ("a-b", r"^[\w-]+$", true),
        ("a\u{9}b", r"^a[\s]b$", true),
    ] {
        let expression = format!("headers[\"t\"].matches(r'{pattern}')");
        let headers = pairs(&[("t", text)]);
        let found = compile(&expression).matches(&Inputs { headers: &headers, ..Inputs::default() });
        assert_eq!(found, Ok(matches), "{pattern} and {text}");
        assert_eq!(objections(&expression), [""; 0], "{pattern}");
    }
}

#[test]
fn patterns_that_re2_does_not_take_are_refused() {
    for (pattern, written) in [
        (r"[a-z&&b]", "a-z&&b"),
        (r"[a[bc]]", "[bc]"),
        (r"\<a", r"\<"),
        (r"\b{start}a", r"\b{start}"),
        (r"\u0041", r"\u0041"),
        (r"(?x)a b", "x"),
        (r"(?u:a)", "u"),
        (r"a**", "*"),
        (r"a{1001}", "{1001}"),
        (r"\p{Letter}", r"\p{Letter}"),
        (r"\p{sc=Greek}", r"\p{sc=Greek}"),
        (r"\p{greek}", r"\p{greek}"),
    ] {
        let found = objections(&format!("model.matches(r'{pattern}')"));
        let expected = format!("line 1, column 15: RE2 does not take `{written}`: ");
        assert!(found.iter().any(|it| it.starts_with(&expected)), "{pattern}: {found:?}");
    }
}

#[test]
fn clocks_are_those_of_the_time_zone() {
    // 22:30:15.250 on Friday 31 July 2026 in UTC.
    for (source, value) in [
        ("now.getHours()", 22),
        ("now.getHours(\"Europe/Berlin\")", 0),
        ("now.getDate(\"Europe/Berlin\")", 1),
        ("now.getDayOfMonth(\"Europe/Berlin\")", 0),
        ("now.getMonth()", 6),
        ("now.getMonth(\"Europe/Berlin\")", 7),
        ("now.getFullYear()", 2026),
        ("now.getDayOfWeek()", 5),
        ("now.getDayOfYear()", 211),
        ("now.getMinutes(\"Asia/Kolkata\")", 0),
        ("now.getSeconds()", 15),
        ("now.getMilliseconds()", 250),
        ("timestamp(\"2026-01-15T12:00:00Z\").getHours(\"Europe/Berlin\")", 13),
        ("timestamp(\"2026-07-15T12:00:00Z\").getHours(\"Europe/Berlin\")", 14),
    ] {
        assert_eq!(evaluate(&format!("{source} == {value}")), Ok(true), "{source}");
    }
    assert_eq!(evaluate("now > timestamp(\"2026-07-31T22:30:15Z\")"), Ok(true));
    assert_eq!(evaluate("now < timestamp(\"2026-07-31T22:30:15Z\")"), Ok(false));
    assert_eq!(evaluate("context_length >= 4096 && context_length < 128000 && stream"), Ok(true));
}

#[test]
fn a_line_may_end_as_windows_ends_it() {
    assert_eq!(evaluate("model == \"gpt-4o\" // the model\r\n&& stream\r\n"), Ok(true));
}
