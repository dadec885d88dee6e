//! What one decision costs a node: `cargo bench --bench decisions`.
//!
//! The world is a large one (100,000 virtual keys, 10,000 rules and 10,000 overrides in other scopes), so that a cost that
//! grows with what cannot apply would show. Goals: a decision under 5 µs, a price under 1 µs.

#![expect(clippy::expect_used, reason = "a world that cannot be made has nothing to measure")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate::cel::{Expression, Inputs};
use tollgate::decision::{self, KeyGiven, NoUsage, PriceRequest, Request, Verdict};
use tollgate::domain::{
    Customer, ModelConfig, Path, PricingOverride, Provider, RoutingRule, Secret, Stored, Team, Timestamp, Violations,
    VirtualKey,
};
use tollgate::proto::v1;
use tollgate::state::{self, Chain, Context, Head, Rules, State};
use tollgate::wire::Wire;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn head(revision: i64) -> Head {
    Head {
        store_id: "bench".into(),
        revision,
        chain: Chain::ORIGIN,
        committed_at: NOW,
        compacted_revision: 0,
        compacted_chain: Chain::ORIGIN,
        last_config_id: revision * 100,
    }
}

fn parse<R: Wire>(message: R::Message) -> R {
    let mut violations = Violations::new();
    let parsed = R::parse(message, &Path::root(R::KIND.name()), &mut violations);
    violations.or(parsed).expect("valid").expect("valid")
}

/// Adds a resource as a client would create it; `name` is that of kinds whose name is their id.
fn add<R: Rules + Wire>(state: &mut State, name: Option<&str>, resource: &R) -> Arc<Stored<R>> {
    let revision = state.revision() + 1;
    let mut random = StdRng::seed_from_u64(revision.unsigned_abs());
    let mut cx = Context { now: NOW, revision, random: &mut random, last_config_id: revision * 100 };
    let decision = state::create(state, &mut cx, name, resource).expect("accepted");
    state.apply(&decision.changes, head(revision));
    Arc::clone(state.get::<R>(&decision.subject.id).expect("just created"))
}

fn budget(reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit: 100.0, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

fn rate_limit() -> Option<v1::RateLimit> {
    Some(v1::RateLimit {
        token_max_limit: Some(1_000_000),
        token_reset_duration: Some("1h".to_owned()),
        request_max_limit: Some(10_000),
        request_reset_duration: Some("1m".to_owned()),
        ..Default::default()
    })
}

fn key(number: usize, team_id: &str) -> VirtualKey {
    let config = |provider: &str| v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["gpt-4o".to_owned(), "gpt-4o-mini".to_owned(), "o3".to_owned()],
        key_ids: vec!["*".to_owned()],
        budgets: vec![budget("1d")],
        ..Default::default()
    };
    let message = v1::VirtualKey {
        name: format!("key-{number}"),
        team_id: team_id.to_owned(),
        provider_configs: ["openai", "azure", "openrouter"].into_iter().map(config).collect(),
        budgets: vec![budget("1d"), budget("1M")],
        rate_limit: rate_limit(),
        ..Default::default()
    };
    VirtualKey { secret: Secret::imported(&format!("a-value-of-a-virtual-key-{number:08}")), ..parse(message) }
}

fn rule(number: i32, scope: v1::RoutingScope, scope_id: &str, expression: &str) -> RoutingRule {
    parse(v1::RoutingRule {
        name: format!("rule-{number}"),
        cel_expression: expression.to_owned(),
        targets: vec![v1::RoutingTarget {
            provider: Some("openai".to_owned()),
            model: Some("gpt-4o-mini".to_owned()),
            weight: 1.0,
            ..Default::default()
        }],
        scope: scope.into(),
        scope_id: scope_id.to_owned(),
        priority: number,
        ..Default::default()
    })
}

fn price(number: usize, scope_kind: v1::PricingScopeKind, virtual_key_id: &str, pattern: &str) -> PricingOverride {
    let wildcard = pattern.ends_with('*');
    let match_type = if wildcard { v1::PricingMatchType::Wildcard } else { v1::PricingMatchType::Exact };
    parse(v1::PricingOverride {
        name: format!("override-{number}"),
        scope_kind: scope_kind.into(),
        virtual_key_id: virtual_key_id.to_owned(),
        match_type: match_type.into(),
        pattern: pattern.to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch: Some(v1::PricingPatch { input_cost_per_token: Some(0.000_002), ..Default::default() }),
        ..Default::default()
    })
}

/// A key with 3 provider configs and 10 limits that apply to its requests; 20 rules in its scopes, of which the last
/// matches; and everything that does not apply.
fn world() -> (State, Arc<Stored<VirtualKey>>) {
    let mut state = State::restore(head(0), [], [], []);
    for provider in ["openai", "azure", "openrouter"] {
        let message = v1::Provider { name: provider.to_owned(), ..Default::default() };
        add::<Provider>(&mut state, Some(provider), &parse(message));
    }
    let customer = v1::Customer { name: "c".to_owned(), budgets: vec![budget("1M")], ..Default::default() };
    let customer = add::<Customer>(&mut state, None, &parse(customer));
    let team = add::<Team>(
        &mut state,
        None,
        &parse(v1::Team {
            name: "t".to_owned(),
            customer_id: customer.id.as_str().to_owned(),
            budgets: vec![budget("1M")],
            rate_limit: rate_limit(),
            ..Default::default()
        }),
    );
    add::<ModelConfig>(
        &mut state,
        None,
        &parse(v1::ModelConfig {
            model_name: "*".to_owned(),
            scope: v1::ModelConfigScope::Global.into(),
            budgets: vec![budget("1d")],
            ..Default::default()
        }),
    );
    let keys: Vec<_> =
        (0..100_000).map(|number| add::<VirtualKey>(&mut state, None, &key(number, team.id.as_str()))).collect();
    let subject = Arc::clone(&keys[50_000]);
    let expressions = [
        r#"model.startsWith("claude")"#,
        r#"headers["x-tier"] == "gold" && budget_used > 80"#,
        r#"request_type == "embedding" || model in ["o1", "o3"]"#,
        r#"team_name == "other" && tokens_used > 50.0"#,
    ];
    for number in 0..19 {
        let (scope, id) = match number % 4 {
            0 => (v1::RoutingScope::VirtualKey, subject.id.as_str()),
            1 => (v1::RoutingScope::Team, team.id.as_str()),
            2 => (v1::RoutingScope::Customer, customer.id.as_str()),
            _ => (v1::RoutingScope::Global, ""),
        };
        let expression = expressions[number as usize % expressions.len()];
        add::<RoutingRule>(&mut state, None, &rule(number, scope, id, expression));
    }
    add::<RoutingRule>(&mut state, None, &rule(100, v1::RoutingScope::Global, "", r#"model == "gpt-4o""#));
    for (number, other) in keys.iter().take(10_000).enumerate() {
        add::<RoutingRule>(&mut state, None, &rule(0, v1::RoutingScope::VirtualKey, other.id.as_str(), "true"));
        let (kind, id) = (v1::PricingScopeKind::VirtualKey, other.id.as_str());
        add::<PricingOverride>(&mut state, None, &price(number, kind, id, "gpt-4o"));
    }
    for (number, pattern) in ["gpt-*", "gpt-4o", "o*", "*"].into_iter().enumerate() {
        add::<PricingOverride>(&mut state, None, &price(20_000 + number, v1::PricingScopeKind::Global, "", pattern));
    }
    (state, subject)
}

fn decisions(criterion: &mut Criterion) {
    let (state, key) = world();
    let headers = BTreeMap::from([("x-tier".to_owned(), "gold".to_owned()), ("accept".to_owned(), "*/*".to_owned())]);
    let params = BTreeMap::new();
    let routed = Request {
        key: KeyGiven::Key(&key),
        provider: "openai",
        model: "gpt-4o",
        provider_key_id: "",
        request_type: "chat_completion",
        headers: &headers,
        params: &params,
        fallbacks: &[],
        estimated_tokens: 1_000,
        estimated_cost: 1_000_000,
        at: NOW,
        seed: 7,
    };
    let explanation = decision::explain(&state, &NoUsage, &routed);
    assert_eq!(explanation.verdict, Verdict::Allow);
    assert_eq!((explanation.rules.len(), explanation.limits.len()), (20, 10), "what the benchmark says it measures");

    criterion.bench_function("decision: 20 rules, 10 limits, 100,000 keys", |bencher| {
        bencher.iter(|| decision::explain(&state, &NoUsage, black_box(&routed)));
    });
    let drawn = Request { provider: "", model: "o3", ..routed };
    criterion.bench_function("decision: the provider drawn by weight", |bencher| {
        bencher.iter(|| decision::explain(&state, &NoUsage, black_box(&drawn)));
    });
    let price = PriceRequest {
        virtual_key_id: key.id.as_str(),
        provider: "openai",
        provider_key_id: "",
        model: "gpt-4o",
        request_type: "chat_completion",
    };
    assert!(decision::resolve_price(&state, &price).is_some());
    criterion.bench_function("price: among 10,004 overrides", |bencher| {
        bencher.iter(|| decision::resolve_price(&state, black_box(&price)));
    });
    for source in [
        r#"model == "gpt-4o""#,
        r#"headers["x-tier"] == "gold" && budget_used > 80"#,
        r#"model in ["a", "b", "c", "gpt-4o"] && model.matches("^gpt-[0-9]")"#,
    ] {
        let expression = Expression::compile(source).expect("valid");
        let inputs = Inputs { model: "gpt-4o", headers: &headers, budget_used: 90.0, ..Inputs::default() };
        assert_eq!(expression.matches(&inputs), Ok(true));
        criterion.bench_function(&format!("cel: {source}"), |bencher| {
            bencher.iter(|| expression.matches(black_box(&inputs)));
        });
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
