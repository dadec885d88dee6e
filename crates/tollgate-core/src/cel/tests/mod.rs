mod cases;
mod good;
mod hostile;
mod objections;
mod oracle;
mod refused;
mod syntax;

use std::collections::BTreeMap;

use super::*;

/// Names and values, with names as callers give them.
fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A request with something in everything.
struct Sample {
    headers: BTreeMap<String, String>,
    params: BTreeMap<String, String>,
}

impl Sample {
    fn new() -> Self {
        Self {
            headers: pairs(&[("x-team", "red"), ("x-tier", "3"), ("foo", "bar"), ("empty", "")]),
            params: pairs(&[("stream", "true"), ("été", "chaud")]),
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            model: "gpt-4o",
            provider: "openai",
            request_type: "chat",
            headers: &self.headers,
            params: &self.params,
            virtual_key_id: "vk-1",
            virtual_key_name: "Key",
            team_id: "team-1",
            team_name: "Red",
            customer_id: "customer-1",
            customer_name: "Größe",
            context_length: 4_096,
            stream: true,
            now: "2026-07-31T22:30:15.250Z".parse().unwrap(),
            budget_used: 80.5,
            tokens_used: 0.0,
            request: 100.0,
        }
    }
}

fn compile(source: &str) -> Expression {
    Expression::compile(source).unwrap_or_else(|faults| panic!("{source}: {faults:?}"))
}

fn evaluate(source: &str) -> Result<bool, String> {
    compile(source).matches(&Sample::new().inputs())
}

/// The faults of an expression, as they are shown.
fn faults(source: &str) -> Vec<String> {
    match Expression::compile(source) {
        Ok(_) => panic!("{source} compiles"),
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    }
}
