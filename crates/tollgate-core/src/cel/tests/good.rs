//! What expressions mean.

use super::*;

#[test]
fn what_matches() {
    for source in [
        "",
        " \n\t",
        "// nothing but a comment",
        "true",
        "model == \"gpt-4o\"",
        "model == 'gpt-4o' && provider == r\"openai\" // a comment",
        "model == \"\"\"gpt-4o\"\"\"",
        "request_type == \"\\x63\\u0068\\141t\"",
        "customer_name == \"Größe\" && size(customer_name) == 5 && customer_name.size() == 5",
        "budget_used > 80",
        "budget_used > 80.0",
        "budget_used >= 80.5 && budget_used <= 80.5 && budget_used < 81 && !(budget_used < 80)",
        "request == 100 && tokens_used == 0 && tokens_used != 1",
        "80 < budget_used",
        "budget_used + 1.5 == 82.0 && budget_used / 2.0 == 40.25 && -budget_used < 0",
        "7 / 2 == 3 && -7 / 2 == -3 && 7 % 3 == 1 && -7 % 3 == -1 && 2 * 3 - 1 == 5 && 0x10 == 16",
        "1.0 / 0.0 > 1e308",
        "model in [\"gpt-4\", \"gpt-4o\"]",
        "!(model in [])",
        "budget_used in [80.5, 90]",
        "[1, 2.5][0] + 0.5 == 1.5",
        "2 in [1.0, 2.0] && [1] == [1.0] && [1] != [1, 2] && [] == [] && [[1], []] == [[1], []]",
        "model in ([provider] + [model, model + \"x\"])",
        "headers[\"x-team\"] == \"red\"",
        "headers[\"X-Team\"] == \"red\"",
        "headers[\"X-\" + \"Team\"] == \"red\"",
        "\"X-Team\" in headers && \"x-team\" in headers && !(\"x-other\" in headers)",
        "headers.foo == \"bar\" && headers.Foo == \"bar\" && has(headers.FOO) && !has(headers.bar) && has(headers.empty)",
        "params.stream == \"true\" && params[\"ÉTÉ\"] == \"chaud\"",
        "(true ? headers : params)[\"X-Team\"] == \"red\"",
        "int(headers[\"x-tier\"]) >= 3 && double(headers[\"x-tier\"]) == 3.0 && int(3.9) == 3 && int(-3.9) == -3",
        "string(3) == headers[\"x-tier\"] && string(80.5) == \"80.5\" && string(1.0) == \"1\" && int(3) == 3",
        "double(budget_used) == budget_used && string(model) == model && double(1) == 1",
        "model.startsWith(\"gpt-\") && model.endsWith(\"4o\") && model.contains(\"-\") && model.contains(\"\")",
        "model.matches(\"^gpt-[0-9]\") && model.matches(\"t\") && matches(model, \"o$\") && !model.matches(\"^$\")",
        "size(headers) == 4 && headers.size() == 4 && size([1, 2]) == 2 && size({\"a\": 1}) == 1 && size(\"\") == 0",
        "{\"a\": 1, \"b\": 2}[\"a\"] == 1 && {\"a\": 1}.a == 1 && \"a\" in {\"a\": 1} && has({\"a\": 1}.a)",
        // The maps that an expression makes have keys with case.
        "!(\"A\" in {\"a\": 1})",
        "{\"gpt-4o\": 80.0, \"o3\": 90.0}[model] < budget_used",
        "{\"a\": 1} == {\"a\": 1.0} && {\"a\": 1} != {\"b\": 1} && headers != params && headers == headers && {} == {}",
        "params == {\"stream\": \"true\", \"été\": \"chaud\"}",
        "model == \"o3\" ? false : provider == \"openai\"",
        "(true ? 1 : 2.5) + 0.5 == 1.5",
        "\"a\" < \"b\" && false < true && 1 < 2.5 && \"a\" <= \"a\" && \"b\" > \"a\"",
        // One side makes good the failure of the other.
        "headers.none == \"x\" || true",
        "true || headers.none == \"x\"",
        "!(headers.none == \"x\" && false)",
        "[1, 0].exists(n, 1 / n == 1) && [0, 1].exists(n, 1 / n == 1) && ![0, 2].all(n, 1 / n == 1)",
        "headers.exists(k, k.startsWith(\"x-\") && headers[k] == \"red\")",
        "headers.all(k, size(k) > 2) && headers.exists_one(k, k == \"foo\") && headers.existsOne(k, k == \"foo\")",
        "headers.filter(k, k.startsWith(\"x-\")) == [\"x-team\", \"x-tier\"]",
        "[1, 2, 3].map(n, n * 2) == [2, 4, 6] && [1, 2, 3].map(n, n > 1, n * 2) == [4, 6]",
        // One after the other is not one in the other.
        "headers.filter(k, k.startsWith(\"x-\")).map(k, headers[k]) == [\"red\", \"3\"]",
        "[1].all(n, n == 1) && [2].all(n, n == 2)",
        // The element hides the variable.
        "[1].all(model, model == 1) && model == \"gpt-4o\"",
        // A dot makes another name of it.
        "[1].all(.n, .n == 1) && [1].all(.model, .model == 1 && model == \"gpt-4o\")",
        "{\"a\": 1}.all(k, k == \"a\") && [].all(n, n == 1) && ![].exists(n, true)",
        "!!true && !!!false && --1 == 1",
        "-9223372036854775808 < 9223372036854775807",
    ] {
        assert_eq!(evaluate(source), Ok(true), "{source}");
    }
}

#[test]
fn what_has_no_value() {
    for (source, why) in [
        ("headers.none == \"x\"", "no key \"none\""),
        ("headers[\"X-None\"] == \"x\" || false", "no key \"X-None\""),
        ("headers[\"none\"] == \"x\" && true", "no key \"none\""),
        ("params[headers.foo] == \"\"", "no key \"bar\""),
        ("9223372036854775807 + 1 == 0", "a number overflows"),
        ("-9223372036854775807 - 2 == 0", "a number overflows"),
        ("9223372036854775807 * 2 == 0", "a number overflows"),
        ("-(-9223372036854775808) == 0", "a number overflows"),
        ("-9223372036854775808 / -1 == 0", "a number overflows"),
        ("-9223372036854775808 % -1 == 0", "a number overflows"),
        ("int(1e300) == 0", "a number overflows"),
        ("int(double(\"nan\")) == 0", "a number overflows"),
        ("double(\"nan\") < 1", "a comparison of what has no order"),
        ("1 / 0 == 0", "a division by zero"),
        ("1 % 0 == 0", "a division by zero"),
        ("int(model) == 0", "\"gpt-4o\" is no int"),
        ("int(\"99999999999999999999\") == 0", "\"99999999999999999999\" is no int"),
        ("double(model) == 0", "\"gpt-4o\" is no double"),
        ("[1, 2][2] == 0", "no element 2"),
        ("[1, 2][-1] == 0", "no element -1"),
        ("[][0] == 1", "no element 0"),
        ("[].map(n, n)[0].foo[1]", "no element 0"),
        ("{\"a\": 1, \"a\": 2} == {}", "a map has a key twice"),
        ("[0, 1].exists_one(n, 1 / n == 1)", "a division by zero"),
        ("[0, 1].all(n, 1 / n == 1)", "a division by zero"),
        ("[0, 2].exists(n, 1 / n == 1)", "a division by zero"),
        ("[0].map(n, 1 / n) == []", "a division by zero"),
    ] {
        assert_eq!(evaluate(source), Err(why.to_owned()), "{source}");
    }
}

#[test]
fn keys_in_messages_are_cut() {
    let expression = format!("headers[\"{}\"] == \"\"", "ä".repeat(500));
    assert_eq!(evaluate(&expression), Err(format!("no key \"{}\"…", "ä".repeat(64))));
}

#[test]
fn names_are_told() {
    let names = |source: &str| compile(source).names().iter().copied().collect::<Vec<&'static str>>();
    assert_eq!(names(""), [""; 0]);
    assert_eq!(names("headers.exists(model, model == provider) || has(params.x)"), ["headers", "params", "provider"]);
    let all = Variable::ALL.map(Variable::name);
    for name in all {
        assert_eq!(names(&format!("[{name}] != []")), [name]);
    }
    assert_eq!(all.len(), 17);
    let usage: Vec<_> = all.into_iter().filter(|name| compile(&format!("[{name}] != []")).reads_usage()).collect();
    assert_eq!(usage, ["budget_used", "tokens_used", "request"]);
}

#[test]
fn every_variable_is_read() {
    let sample = Sample::new();
    let expression = "model + provider + request_type + virtual_key_id + virtual_key_name + team_id + team_name + \
                      customer_id + customer_name == \"gpt-4oopenaichatvk-1Keyteam-1Redcustomer-1Größe\" && \
                      [budget_used, tokens_used, request] == [80.5, 0, 100]";
    assert_eq!(compile(expression).matches(&sample.inputs()), Ok(true));
    assert_eq!(compile("model == \"\" && request == 0 && size(headers) == 0").matches(&Inputs::default()), Ok(true));
}

#[test]
fn expressions_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + fmt::Debug>(it: T) -> String {
        format!("{it:?}")
    }
    let expression = compile("model == \"a\"");
    assert_eq!(expression.clone(), expression);
    assert_ne!(expression, compile("model == 'a'"));
    assert_eq!(shared(expression), "Expression(\"model == \\\"a\\\"\")");
}
