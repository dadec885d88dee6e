//! Allow lists, limits, prices, conditions and counts agree on what a model is, and what can never match is refused.

use tollgate_core::decision::*;
use tollgate_core::domain::*;
use tollgate_core::proto::v1;
use tollgate_core::usage::{Entry, FormerKeys, assign};
use tollgate_core::wire::Wire;
use tollgate_testkit::world::{NOW, World, asked, config, key, keyless};

fn budget() -> Vec<v1::Budget> {
    vec![v1::Budget { max_limit: 1.0, reset_duration: "1d".to_owned(), ..Default::default() }]
}

fn model_config(model_name: &str, provider: &str) -> v1::ModelConfig {
    v1::ModelConfig {
        model_name: model_name.to_owned(),
        provider: provider.to_owned(),
        scope: v1::ModelConfigScope::Global.into(),
        budgets: budget(),
        ..Default::default()
    }
}

fn priced(pattern: &str, provider: &str) -> v1::PricingOverride {
    let (kind, wildcard) = (v1::PricingScopeKind::Provider, pattern.ends_with('*'));
    v1::PricingOverride {
        name: pattern.to_owned(),
        scope_kind: kind.into(),
        provider_id: provider.to_owned(),
        match_type: if wildcard { v1::PricingMatchType::Wildcard } else { v1::PricingMatchType::Exact }.into(),
        pattern: pattern.to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch: Some(v1::PricingPatch { input_cost_per_token: Some(1.0), ..Default::default() }),
        ..Default::default()
    }
}

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Each pattern alone in a world: what allows, limits, prices, conditions and counts say of a model.
#[test]
fn an_allow_list_a_limit_a_price_a_condition_and_a_count_agree_on_what_a_model_is() {
    for (provider, pattern, model, matches) in [
        ("openai", "gpt-4o", "gpt-4o", true),
        ("openai", "gpt-4o", "openai/gpt-4o", true),
        ("openai", "openai/gpt-4o", "gpt-4o", true),
        ("openai", "x", "openai/openai/x", true),
        ("openai", "openai/openai/x", "openai/x", true),
        ("openai", "gpt-4o", "GPT-4o", false),
        ("openai", "gpt-4o", "anthropic/gpt-4o", false),
        ("groq", "openai/gpt-oss", "openai/gpt-oss", true),
        ("groq", "openai/gpt-oss", "gpt-oss", false),
        ("anthropic", "claude-opus*", "claude-opus-4-8", true),
        ("anthropic", "claude-opus*", "anthropic/claude-opus-4-8", true),
        ("anthropic", "claude-opus*", "claude-sonnet", false),
        ("openai", "openai/*", "gpt-4o", true),
        ("openai", "*", "gpt-4o", true),
        ("groq", "meta-llama/*", "meta-llama/x", true),
        ("groq", "meta-llama/*", "groq/meta-llama/x", true),
    ] {
        let about = format!("{pattern} and {model} of {provider}");
        let mut world = World::new();
        let allowed = v1::VirtualKeyProviderConfig { allowed_models: listed(&[pattern]), ..config(provider, None) };
        let blocked = v1::VirtualKeyProviderConfig { blocked_models: listed(&[pattern]), ..config(provider, None) };
        let allowed = world.add::<VirtualKey>(key(vec![allowed]));
        let blocked = world.add::<VirtualKey>(key(vec![blocked]));
        let limited = world.add::<ModelConfig>(model_config(pattern, provider));
        world.add::<PricingOverride>(priced(pattern, provider));
        let bare = pattern.trim_start_matches(&format!("{provider}/")).to_owned();
        let condition = match bare.strip_suffix('*') {
            Some(prefix) => format!("model.startsWith({prefix:?})"),
            None => format!("model == {bare:?}"),
        };
        let target = v1::RoutingTarget { weight: 1.0, ..Default::default() };
        let rule = v1::RoutingRule {
            name: "rule".to_owned(),
            cel_expression: condition,
            targets: vec![target],
            scope: v1::RoutingScope::Global.into(),
            ..Default::default()
        };
        world.add::<RoutingRule>(rule);

        let explanation = world.explain(asked(&allowed, provider, model));
        assert_eq!(explanation.is_allowed(), matches, "allowed: {about}");
        assert_eq!(&*explanation.model, model, "it is sent as it is asked: {about}");
        assert_eq!(!explanation.limits.is_empty(), matches, "limited: {about}");
        assert_eq!(!explanation.matches.is_empty(), matches, "conditions: {about}");
        assert_eq!(!world.explain(asked(&blocked, provider, model)).is_allowed(), matches, "blocked: {about}");
        let price =
            PriceRequest { virtual_key_id: "", provider, provider_key_id: "", model, request_type: "chat_completion" };
        assert_eq!(resolve_price(&world.config, &price).is_some(), matches, "priced: {about}");
        let entry = Entry {
            virtual_key_id: "".into(),
            provider: provider.into(),
            model: model.into(),
            requests: 1,
            input_tokens: 1,
            cost: 5,
            ..Entry::default()
        };
        let counted = assign(&world.config, &FormerKeys::default(), &entry, Timestamp::from_micros(NOW));
        let counted = counted.ok().unwrap().amounts;
        let ids: Vec<_> = counted.iter().map(|amount| amount.key.limit_id.clone()).collect();
        let expected: Vec<_> = matches.then(|| limited.resource.limits.budgets[0].id.clone()).into_iter().collect();
        assert_eq!(ids, expected, "counted: {about}");
    }
}

#[test]
fn a_request_without_a_provider_names_one_by_the_prefix_of_its_model_if_it_is_known() {
    let mut world = World::new();
    for (model, provider, sent) in [
        ("openai/gpt-4o", "openai", "gpt-4o"),
        ("openai/openai/gpt-4o", "openai", "openai/gpt-4o"),
        ("groq/openai/gpt-oss", "groq", "openai/gpt-oss"),
        ("meta-llama/x", "", "meta-llama/x"),
        ("openai/", "", "openai/"),
    ] {
        let explanation = world.explain(keyless("", model));
        assert_eq!((&*explanation.provider, &*explanation.model), (provider, sent), "{model}");
    }
    let key = world.add::<VirtualKey>(key(vec![config("groq", Some(1.0))]));
    assert_eq!(world.explain(asked(&key, "", "openai/gpt-4o")).verdict, Verdict::ProviderBlocked);
    let drawn = world.explain(asked(&key, "", "meta-llama/x"));
    assert_eq!((&*drawn.provider, &*drawn.model), ("groq", "meta-llama/x"));
}

#[test]
fn all_model_configs_that_match_apply_exact_ones_first_then_longer_prefixes() {
    let mut world = World::new();
    let mut made = Vec::new();
    for (name, provider) in [
        ("gpt-4o", "openai"),
        ("gpt-4*", "openai"),
        ("gpt*", "openai"),
        ("gpt-4o", ""),
        ("gpt-4*", ""),
        ("g*", ""),
        ("*", "openai"),
        ("*", ""),
    ] {
        made.push(LimitOwner::ModelConfig(world.add::<ModelConfig>(model_config(name, provider)).id.clone()));
    }
    for (name, provider) in [("gpt-4o-mini", "openai"), ("gpt-4*", "groq"), ("gpt-3*", ""), ("h*", "openai")] {
        world.add::<ModelConfig>(model_config(name, provider));
    }
    let explanation = world.explain(keyless("openai", "openai/gpt-4o"));
    let owners: Vec<_> = explanation.limits.into_iter().map(|limit| limit.owner).collect();
    assert_eq!(owners, made);
}

#[test]
fn a_new_pattern_that_can_never_match_is_refused_and_a_stored_one_is_read() {
    fn refused<R: Wire>(message: R::Message) -> Vec<String> {
        let mut violations = Violations::new();
        let path = Path::root(R::KIND.name());
        let stored = R::parse(message.clone(), &path, &mut violations);
        assert!(stored.is_some() && violations.or(()).is_ok(), "what is stored is read");
        let mut violations = Violations::new();
        R::accept(message, &path, &mut violations);
        let found = violations.or(()).err().map(|it| it.iter().map(|it| it.field.clone()).collect());
        found.unwrap_or_default()
    }
    let of_key = |allowed: &[&str]| {
        let config = v1::VirtualKeyProviderConfig { allowed_models: listed(allowed), ..config("openai", None) };
        refused::<VirtualKey>(key(vec![config]))
    };
    let field = |index: usize| vec![format!("virtual_key.provider_configs[0].allowed_models[{index}]")];
    assert_eq!(of_key(&["gpt-4*", "gpt-4o", "GPT-4o", "anthropic/x", "openai/o*"]), [""; 0]);
    assert_eq!(of_key(&["openai/*"]), [""; 0]);
    assert_eq!(of_key(&["gpt*4"]), field(0));
    assert_eq!(of_key(&["o3", "gpt**"]), field(1));
    assert_eq!(of_key(&["openai/"]), field(0));
    assert_eq!(of_key(&["gpt-4o", "openai/gpt-4o"]), field(1));
    assert_eq!(of_key(&["o3", "openai/*"]), field(1));
    for (name, fields) in [("gpt-4*", 0), ("*", 0), ("*4", 1), ("g*t", 1), ("openai/", 1)] {
        assert_eq!(refused::<ModelConfig>(model_config(name, "openai")).len(), fields, "{name}");
    }
    let of_provider = |models: &[&str]| {
        let key = v1::ProviderKey { id: "id".to_owned(), models: listed(models), ..Default::default() };
        refused::<Provider>(v1::Provider { name: "mine".to_owned(), keys: vec![key], ..Default::default() })
    };
    assert_eq!(of_provider(&["a*", "mine/b"]), [""; 0]);
    assert_eq!(of_provider(&["a*", "mine/a*"]), ["provider.keys[0].models[1]"]);
    let rule = |expression: &str| {
        refused::<RoutingRule>(v1::RoutingRule {
            name: "rule".to_owned(),
            cel_expression: expression.to_owned(),
            targets: vec![v1::RoutingTarget { weight: 1.0, ..Default::default() }],
            scope: v1::RoutingScope::Global.into(),
            ..Default::default()
        })
    };
    assert_eq!(rule("stream\r\n && model == 'm'"), [""; 0]);
    for inert in ["false", "request_type == 'chat_completion_stream'", "model.matches('[a&&b]')"] {
        assert_eq!(rule(inert), ["routing_rule.cel_expression"], "{inert}");
    }
}
