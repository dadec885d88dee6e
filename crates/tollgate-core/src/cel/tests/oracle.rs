//! Random text, and the evaluation held against that of the crate `cel`.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;

/// Symbols that make expressions often enough.
pub(super) const SYMBOLS: [&str; 62] = [
    "model",
    "provider",
    "headers",
    "params",
    "budget_used",
    "tokens_used",
    "team_id",
    "k",
    "modle",
    "true",
    "false",
    "null",
    "0",
    "1",
    "2",
    "-1",
    "2.5",
    "1e3",
    "9223372036854775807",
    "\"a\"",
    "'gpt-4o'",
    "\"X-Team\"",
    "''",
    "[]",
    "{}",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    ".",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "&&",
    "||",
    ".size()",
    "size(",
    ".startsWith(",
    ".contains(",
    ".matches('a+')",
    "has(headers.foo)",
    ".exists(k,",
    ".all(k,",
    ".map(k,",
    ".filter(k,",
    "int(",
    "string(",
];

/// Characters of the language.
const CHARACTERS: &str = "[a-zA-Z0-9_ \\t\\n\"'`\\\\()\\[\\]{}.,:?!=<>&|+*/%rbuxU#$;@~é😀\\x00-]{0,80}";

fn holds(source: &str) {
    match Expression::compile(source) {
        Ok(expression) => {
            _ = expression.matches(&Sample::new().inputs());
            _ = expression.matches(&Inputs::default());
        }
        Err(faults) => {
            assert!((1..=MAX_FAULTS).contains(&faults.len()));
            let lines = source.matches('\n').count() + 1;
            for fault in faults {
                let position = fault.position;
                assert!((1..=lines).contains(&position.line), "{fault} of {source:?}");
                assert!(position.column <= source.chars().count() + 1, "{fault} of {source:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_characters_do_no_harm(source in CHARACTERS) {
        holds(&source);
    }

    #[test]
    fn random_text_does_no_harm(source in any::<String>()) {
        holds(&source);
    }

    #[test]
    fn random_symbols_do_no_harm(symbols in prop::collection::vec(prop::sample::select(&SYMBOLS[..]), 0..40)) {
        holds(&symbols.join(" "));
        holds(&symbols.concat());
    }

    #[test]
    fn cut_expressions_do_no_harm(source in bool_expression(), from in 0_usize..200, to in 0_usize..200) {
        let characters: Vec<char> = source.chars().collect();
        holds(&characters.iter().skip(from).take(to).collect::<String>());
    }

    /// What is well typed compiles, and means what it means to `cel`.
    #[test]
    fn evaluation_is_that_of_the_crate(source in bool_expression()) {
        let expression = match Expression::compile(&source) {
            Ok(expression) => expression,
            Err(faults) => {
                let limits = ["nested deeper", "more than 500 nodes", "do not nest", "4096"];
                let limited = |fault: &Fault| limits.iter().any(|it| fault.message.contains(it));
                prop_assert!(faults.iter().all(limited), "{source}: {faults:?}");
                return Ok(());
            }
        };
        let ours = expression.matches(&Sample::new().inputs());
        let theirs = crate_evaluates(&source);
        prop_assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{}: {:?}, {:?}", source, ours, theirs);
    }
}

fn crate_evaluates(source: &str) -> Result<bool, String> {
    static ENV: LazyLock<Arc<cel::Env>> = LazyLock::new(|| Arc::new(cel::Env::stdlib()));
    let sample = Sample::new();
    let inputs = sample.inputs();
    let program = ENV.compile(source).map_err(|it| it.to_string())?;
    let mut context = cel::Context::with_env(Arc::clone(&ENV));
    for (name, value) in [
        ("model", inputs.model),
        ("provider", inputs.provider),
        ("team_id", inputs.team_id),
        ("customer_name", inputs.customer_name),
    ] {
        context.add_variable_from_value(name, value);
    }
    for (name, value) in
        [("budget_used", inputs.budget_used), ("tokens_used", inputs.tokens_used), ("request", inputs.request)]
    {
        context.add_variable_from_value(name, value);
    }
    for (name, value) in [("headers", &sample.headers), ("params", &sample.params)] {
        let map: std::collections::HashMap<String, String> = value.clone().into_iter().collect();
        context.add_variable_from_value(name, map);
    }
    match program.execute(&context) {
        Ok(cel::Value::Bool(it)) => Ok(it),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Expressions of the types, by depth. Keys are lower case, because keys have case to the crate.
fn expressions(depth: u32) -> [BoxedStrategy<String>; 5] {
    let pick = |texts: &'static [&'static str]| prop::sample::select(texts).prop_map(str::to_owned).boxed();
    let leaves = [
        pick(&["true", "false", "has(headers.foo)", "has(params.foo)", "\"x-team\" in headers", "\"none\" in params"]),
        pick(&["0", "1", "2", "-1", "3", "9223372036854775807", "-9223372036854775808", "0x1f"]),
        pick(&["0.0", "1.5", "80.5", "1e308", "-2.0", "budget_used", "tokens_used", "request"]),
        pick(&[
            "''",
            "\"gpt-4o\"",
            "\"3\"",
            "\"2.5\"",
            "'é😀'",
            "model",
            "provider",
            "team_id",
            "customer_name",
            "headers.foo",
            "headers[\"x-tier\"]",
            "headers.none",
            "params.stream",
        ]),
        pick(&["[]", "[1, 2, 3]", "[0]", "[2, 1]"]),
    ];
    if depth == 0 {
        return leaves;
    }
    let [bools, ints, doubles, texts, lists] = expressions(depth - 1);
    let format2 = |one: &BoxedStrategy<String>, two: &BoxedStrategy<String>, with: &'static [&'static str]| {
        let with = prop::sample::select(with);
        (one.clone(), two.clone(), with)
            .prop_map(|(one, two, with)| with.replace("$1", &one).replace("$2", &two))
            .boxed()
    };
    const COMPARE: &[&str] = &["$1 == $2", "$1 != $2", "$1 < $2", "$1 <= $2", "$1 > $2", "$1 >= $2"];
    let choose = |of: &BoxedStrategy<String>| {
        (bools.clone(), of.clone(), of.clone()).prop_map(|(it, yes, no)| format!("(({it}) ? ({yes}) : ({no}))")).boxed()
    };
    let bool = prop_oneof![
        1 => leaves[0].clone(),
        4 => format2(&bools, &bools, &["($1) && ($2)", "($1) || ($2)", "!($1) || ($2)", "($1) == ($2)", "($1) < ($2)"]),
        1 => choose(&bools),
        2 => format2(&ints, &ints, COMPARE),
        2 => format2(&ints, &doubles, COMPARE),
        2 => format2(&doubles, &doubles, COMPARE),
        2 => format2(&texts, &texts, COMPARE),
        2 => format2(&texts, &texts, &["($1).startsWith($2)", "($1).endsWith($2)", "($1).contains($2)", "$1 in [$2, $1]"]),
        1 => format2(&texts, &texts, &["$1 in headers", "headers[$1] == $2", "{$1: 1, $2: 2} == {$2: 2, $1: 1.0}"]),
        1 => format2(&lists, &lists, &["$1 == $2", "[$1] != [$2]"]),
        1 => format2(&ints, &lists, &["$1 in $2", "$1 in [$1]"]),
        2 => format2(&lists, &bools, &["($1).all(e, ($2) || e > 1)", "($1).exists(e, ($2) && 6 / e == 3)"]),
        1 => format2(&lists, &bools, &["($1).exists_one(e, ($2) || e == 1)", "($1).all(e, 1 / e > 0 && ($2))"]),
        1 => format2(&bools, &texts, &["headers.all(k, ($1) || k == $2)", "headers.exists(k, headers[k] == $2 && ($1))"]),
    ];
    let int = prop_oneof![
        1 => leaves[1].clone(),
        2 => format2(&ints, &ints, &["(($1) + ($2))", "(($1) - ($2))", "(($1) * ($2))", "(($1) / ($2))", "(($1) % ($2))", "-($1)"]),
        1 => choose(&ints),
        1 => format2(&texts, &lists, &["size($1)", "($1).size()", "size($2)", "int($1)"]),
        1 => format2(&lists, &ints, &["($1)[$2]", "int(string($2))"]),
        1 => format2(&doubles, &doubles, &["int($1)"]),
    ];
    let double = prop_oneof![
        1 => leaves[2].clone(),
        2 => format2(&doubles, &doubles, &["(($1) + ($2))", "(($1) - ($2))", "(($1) * ($2))", "(($1) / ($2))", "-($1)"]),
        1 => choose(&doubles),
        1 => format2(&ints, &texts, &["double($1)", "double($2)"]),
    ];
    let text = prop_oneof![
        2 => leaves[3].clone(),
        1 => format2(&texts, &texts, &["(($1) + ($2))", "headers[$1]"]),
        1 => choose(&texts),
        1 => format2(&ints, &doubles, &["string($1)", "string($2)"]),
    ];
    let list = prop_oneof![
        2 => leaves[4].clone(),
        1 => format2(&lists, &lists, &["(($1) + ($2))"]),
        1 => format2(&ints, &ints, &["[$1, $2]", "[$1]"]),
        1 => format2(&lists, &ints, &["($1).map(e, e + ($2))", "($1).filter(e, e > $2)", "($1).map(e, e != 0, ($2) / e)"]),
    ];
    [bool.boxed(), int.boxed(), double.boxed(), text.boxed(), list.boxed()]
}

pub(super) fn bool_expression() -> BoxedStrategy<String> {
    let [bool, ..] = expressions(3);
    bool
}
