//! An expression, however hostile, is refused with its position or evaluated within its bounds; nothing panics, overflows
//! the stack or takes long. `cargo +nightly fuzz run cel`

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tollgate::cel::{Expression, Inputs};

fuzz_target!(|source: &str| {
    let Ok(expression) = Expression::compile(source) else { return };
    assert_eq!(expression.source(), source);
    let headers = BTreeMap::from([("x-tier".to_owned(), "gold".to_owned()), ("n".to_owned(), "-7".to_owned())]);
    for budget_used in [0.0, 80.5, f64::MAX] {
        let inputs = Inputs {
            model: "gpt-4o",
            provider: "openai",
            request_type: "chat_completion",
            headers: &headers,
            params: &headers,
            budget_used,
            ..Inputs::default()
        };
        assert_eq!(expression.matches(&inputs), expression.matches(&inputs), "the same again");
    }
});
