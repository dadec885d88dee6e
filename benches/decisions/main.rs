//! What one decision costs a node: `cargo bench --bench decisions`.
//!
//! The world is a large one (100,000 virtual keys, 10,000 rules and 10,000 overrides in other scopes, 10,000 prices of
//! other models), so that a cost that grows with what cannot apply would show. Goals: a decision under 5 µs, a price
//! under 1 µs.

#![expect(clippy::expect_used, reason = "a world that cannot be made has nothing to measure")]

mod world;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate::cel::{Expression, Inputs};
use tollgate::decision::{self, NoUsage, Request, Verdict};

use world::World;

fn decisions(criterion: &mut Criterion) {
    let world = World::new(100_000);
    let (state, routed) = (&world.state, world.request());
    let explanation = decision::explain(state.config(), &NoUsage, &routed);
    assert_eq!(explanation.verdict, Verdict::Allow);
    assert_eq!((explanation.rules.len(), explanation.limits.len()), (20, 10), "what the benchmark says it measures");

    criterion.bench_function("decision: 20 rules, 10 limits, 100,000 keys", |bencher| {
        bencher.iter(|| decision::explain(state.config(), &NoUsage, black_box(&routed)));
    });
    let drawn = Request { provider: "", model: "o3", ..routed };
    criterion.bench_function("decision: the provider drawn by weight", |bencher| {
        bencher.iter(|| decision::explain(state.config(), &NoUsage, black_box(&drawn)));
    });
    let price = world.price();
    assert!(decision::resolve_price(state.config(), &price).is_some());
    criterion.bench_function("price: among 10,004 overrides", |bencher| {
        bencher.iter(|| decision::resolve_price(state.config(), black_box(&price)));
    });
    assert!(decision::model_price(state.config(), &price, routed.at).is_some());
    criterion.bench_function("price: of a model, among 10,001", |bencher| {
        bencher.iter(|| decision::model_price(state.config(), black_box(&price), routed.at));
    });
    for source in [
        r#"model == "gpt-4o""#,
        r#"headers["x-tier"] == "gold" && budget_used > 80"#,
        r#"model in ["a", "b", "c", "gpt-4o"] && model.matches("^gpt-[0-9]")"#,
    ] {
        let expression = Expression::compile(source).expect("valid");
        let inputs = Inputs { model: "gpt-4o", headers: &world.headers, budget_used: 90.0, ..Inputs::default() };
        assert_eq!(expression.matches(&inputs), Ok(true));
        criterion.bench_function(&format!("cel: {source}"), |bencher| {
            bencher.iter(|| expression.matches(black_box(&inputs)));
        });
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
