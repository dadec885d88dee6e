//! Requests that cost nothing, and budgets that are used up.

use super::*;

fn rates(input: Option<f64>, output: Option<f64>) -> Option<v1::PricingPatch> {
    Some(v1::PricingPatch { input_cost_per_token: input, output_cost_per_token: output, ..Default::default() })
}

fn model_price(model: &str, rates: Option<v1::PricingPatch>) -> v1::ModelPrice {
    v1::ModelPrice { provider: "openai".to_owned(), model: model.to_owned(), rates, ..Default::default() }
}

fn priced(pattern: &str, patch: Option<v1::PricingPatch>) -> v1::PricingOverride {
    v1::PricingOverride {
        name: pattern.to_owned(),
        scope_kind: v1::PricingScopeKind::Global.into(),
        match_type: v1::PricingMatchType::Exact.into(),
        pattern: pattern.to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch,
        ..Default::default()
    }
}

/// A world with prices of several sorts.
fn priced_world() -> World {
    let mut world = World::new();
    world.add::<ModelPrice>(model_price("free", rates(Some(0.0), Some(0.0))));
    world.add::<ModelPrice>(model_price("dear", rates(Some(1e-6), Some(2e-6))));
    world.add::<ModelPrice>(model_price("half", rates(Some(0.0), Some(2e-6))));
    world.add::<ModelPrice>(model_price("given", rates(Some(1e-6), Some(2e-6))));
    world.add::<ModelPrice>(model_price("over", rates(Some(1e-6), Some(2e-6))));
    world.add::<PricingOverride>(priced("given", rates(Some(0.0), Some(0.0))));
    world.add::<PricingOverride>(priced("over", rates(Some(0.0), None)));
    world.add::<PricingOverride>(priced("unheard-of", rates(Some(0.0), None)));
    world.add::<PricingOverride>(priced("empty", None));
    world
}

/// Whether budgets let each pass.
const PASSES: [(&str, bool); 8] = [
    ("free", true),
    ("openai/free", true),
    ("dear", false),
    ("half", false),
    ("given", true),
    ("over", false),
    ("unheard-of", true),
    ("empty", false),
];

#[test]
fn a_used_up_budget_stops_no_request_whose_price_is_0() {
    let mut world = priced_world();
    let limits = v1::VirtualKey { budgets: vec![budget(0.0, "1d")], ..key(vec![config("openai", Some(1.0))]) };
    let key = world.add::<VirtualKey>(limits);
    for (model, passes) in PASSES {
        for provider in ["openai", ""] {
            let request = Request { estimated_cost: 5, ..asked(&key, provider, model) };
            let explanation = world.explain(request);
            let verdict = if passes { Verdict::Allow } else { Verdict::BudgetExceeded };
            assert_eq!(explanation.verdict, verdict, "{model}: {}", explanation.reason);
            assert_eq!(explanation.reason.contains("price is 0"), passes, "{}", explanation.reason);
            assert_eq!(explanation.limits[0].blocks, !passes);
        }
    }
    assert_eq!(world.explain(asked(&key, "openai", "never-heard-of")).verdict, Verdict::BudgetExceeded);
    let embedding = Request { request_type: "embedding", ..asked(&key, "openai", "given") };
    assert_eq!(world.explain(embedding).verdict, Verdict::BudgetExceeded, "the override is for another kind");
    let priced_apart = v1::PricingOverride {
        scope_kind: v1::PricingScopeKind::VirtualKey.into(),
        virtual_key_id: key.id.to_string(),
        ..priced("free", rates(Some(1.0), None))
    };
    world.add::<PricingOverride>(priced_apart);
    assert_eq!(world.explain(asked(&key, "openai", "free")).verdict, Verdict::BudgetExceeded);
}

#[test]
fn other_limits_stop_it_all_the_same() {
    let mut world = priced_world();
    let limits = v1::VirtualKey {
        budgets: vec![budget(0.0, "1d")],
        rate_limits: rate(0, 5),
        ..key(vec![config("openai", Some(1.0))])
    };
    let key = world.add::<VirtualKey>(limits);
    assert_eq!(world.explain(asked(&key, "openai", "free")).verdict, Verdict::TokenLimited);
}

#[test]
fn a_provider_where_it_is_free_may_be_drawn_with_its_budget_used_up() {
    let mut world = priced_world();
    let locked = |provider: &str, weight| v1::VirtualKeyProviderConfig {
        budgets: vec![budget(0.0, "1d")],
        ..config(provider, Some(weight))
    };
    let key = world.add::<VirtualKey>(key(vec![locked("openai", 1.0), locked("groq", 9.0)]));
    let explanation = world.explain(asked(&key, "", "free"));
    assert_eq!((explanation.verdict, &*explanation.provider), (Verdict::Allow, "openai"), "{}", explanation.reason);
    assert!(explanation.candidates[1].exhausted.is_some(), "nobody knows what it costs there");
    assert_eq!(world.explain(asked(&key, "", "dear")).verdict, Verdict::BudgetExceeded);
}
