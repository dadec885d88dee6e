//! Fallbacks, judged as requests of their own.

use super::*;

fn fallback(text: &str) -> Fallback {
    let (provider, model) = text.split_once('/').unwrap();
    Fallback { provider: Id::new(provider), model: model.into() }
}

fn text(fallback: &Fallback) -> String {
    format!("{}/{}", fallback.provider, fallback.model)
}

/// Fallbacks that may be used, and those that may not with why.
fn judged(explanation: &Explanation) -> (Vec<String>, Vec<(String, Verdict)>) {
    let rejected = explanation.rejected_fallbacks.iter().map(|it| (text(&it.fallback), it.verdict));
    (explanation.fallbacks.iter().map(text).collect(), rejected.collect())
}

/// A limit that lets nothing through at a provider.
fn locked(provider: &str) -> v1::ModelConfig {
    v1::ModelConfig {
        model_name: "*".to_owned(),
        provider: provider.to_owned(),
        scope: v1::ModelConfigScope::Global.into(),
        rate_limits: rate(0, 5),
        ..Default::default()
    }
}

#[test]
fn those_that_the_key_may_not_use_are_rejected_with_their_decision() {
    let mut world = World::new();
    let named = |provider: &str, models: &[&str]| v1::VirtualKeyProviderConfig {
        allowed_models: models.iter().map(|it| (*it).to_owned()).collect(),
        ..config(provider, None)
    };
    let keyless_config = v1::VirtualKeyProviderConfig { key_ids: Vec::new(), ..named("groq", &["*"]) };
    let used_up = v1::ModelConfig {
        model_name: "o3*".to_owned(),
        scope: v1::ModelConfigScope::Global.into(),
        budgets: vec![budget(0.0, "1d")],
        ..Default::default()
    };
    world.add::<ModelConfig>(used_up);
    let key = world.add::<VirtualKey>(key(vec![named("openai", &["gpt-4o*", "o3*"]), keyless_config]));
    let listed =
        ["anthropic/claude-opus", "openai/gpt-4o", "openai/", "openai/gpt-3.5", "nosuch/x", "groq/", "openai/o3-mini"];
    let listed = listed.map(fallback);
    let allowed = vec!["openai/gpt-4o".to_owned(), "openai/gpt-4o-mini".to_owned()];
    let rejected: Vec<_> = [
        ("anthropic/claude-opus", Verdict::ProviderBlocked),
        ("openai/gpt-3.5", Verdict::ModelBlocked),
        ("nosuch/x", Verdict::ProviderBlocked),
        ("groq/gpt-4o-mini", Verdict::ProviderKeyBlocked),
        ("openai/o3-mini", Verdict::BudgetExceeded),
    ]
    .map(|(text, verdict)| (text.to_owned(), verdict))
    .into();
    let request = Request { fallbacks: &listed, ..asked(&key, "openai", "gpt-4o-mini") };
    let explanation = world.explain(request);
    assert_eq!(explanation.verdict, Verdict::Allow);
    assert_eq!(judged(&explanation), (allowed.clone(), rejected.clone()));
    assert!(explanation.rejected_fallbacks.iter().all(|it| !it.reason.is_empty()));

    // Those of a rule are judged as well, with the model of the rule, and without the rule.
    let by_rule = v1::RoutingRule {
        fallbacks: listed.iter().map(text).collect(),
        ..rule(1, "model == 'asked'", Some("openai"), Some("gpt-4o-mini"))
    };
    world.add::<RoutingRule>(by_rule);
    assert_eq!(judged(&world.explain(asked(&key, "openai", "asked"))), (allowed, rejected));
}

#[test]
fn a_request_that_is_stopped_may_turn_to_what_is_not() {
    let mut world = World::new();
    world.add::<ModelConfig>(locked("openai"));
    let listed = [fallback("openai/b"), fallback("groq/b")];
    let explanation = world.explain(Request { fallbacks: &listed, ..keyless("openai", "a") });
    assert_eq!(explanation.verdict, Verdict::TokenLimited);
    let rejected = vec![("openai/b".to_owned(), Verdict::TokenLimited)];
    assert_eq!(judged(&explanation), (vec!["groq/b".to_owned()], rejected));

    let unknown = Request { key: KeyGiven::Unknown, fallbacks: &listed, ..keyless("openai", "a") };
    let (usable, rejected) = judged(&world.explain(unknown));
    assert!(usable.is_empty() && rejected.iter().all(|(_, verdict)| *verdict == Verdict::UnknownKey));
    assert_eq!(rejected.len(), 2);
}

#[test]
fn those_that_the_choice_of_a_provider_leaves_are_judged_too() {
    let mut world = World::new();
    world.add::<ModelConfig>(locked("groq"));
    let configs = [("openai", 1.0), ("anthropic", 0.0), ("groq", 0.0)];
    let key = world.add::<VirtualKey>(key(configs.map(|(name, weight)| config(name, Some(weight))).into()));
    let rejected = vec![("groq/m".to_owned(), Verdict::TokenLimited)];
    assert_eq!(judged(&world.explain(asked(&key, "", "m"))), (vec!["anthropic/m".to_owned()], rejected));
}
