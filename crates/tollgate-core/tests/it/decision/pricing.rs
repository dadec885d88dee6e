//! Which override prices a request.

use super::*;

fn price(scope: v1::PricingScopeKind, pattern: &str, rate: f64) -> v1::PricingOverride {
    let exact = !pattern.ends_with('*');
    let match_type = if exact { v1::PricingMatchType::Exact } else { v1::PricingMatchType::Wildcard };
    v1::PricingOverride {
        name: format!("{pattern} {rate}"),
        scope_kind: scope.into(),
        provider_id: if scope == v1::PricingScopeKind::Provider { "openai".to_owned() } else { String::new() },
        match_type: match_type.into(),
        pattern: pattern.to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch: Some(v1::PricingPatch { input_cost_per_token: Some(rate), ..Default::default() }),
        ..Default::default()
    }
}

#[test]
fn the_most_specific_scope_wins_then_exact_then_the_longest_prefix_then_the_latest() {
    use v1::PricingScopeKind::{Global, Provider as AtProvider};
    let mut world = World::new();
    let asked = PriceRequest {
        virtual_key_id: "",
        provider: "openai",
        provider_key_id: "",
        model: "gpt-4o-mini",
        request_type: "chat_completion_stream",
    };
    assert!(resolve_price(&world.config, &asked).is_none());
    // Each of these wins over all before it.
    for (place, (scope, pattern)) in [
        (Global, "*"),
        (Global, "gpt-*"),
        (Global, "gpt-4o*"),
        (Global, "gpt-4o-mini"),
        (Global, "gpt-4o-mini"),
        (AtProvider, "*"),
        (AtProvider, "gpt-4o-mini*"),
    ]
    .into_iter()
    .enumerate()
    {
        for other in ["gpt-4o-min", "gpt-4o-minx*", "gpt-4p*", "z*"] {
            world.add::<PricingOverride>(price(scope, other, 9.0));
        }
        // An explicit 0 is a price.
        let added = world.add::<PricingOverride>(price(scope, pattern, 0.0));
        let winner = resolve_price(&world.config, &asked).unwrap();
        assert_eq!(winner.id, added.id, "{scope:?} {pattern}");
        assert_eq!(winner.resource.rates.0, [(0, 0.0)]);
        let candidates = explain_price(&world.config, &asked);
        assert_eq!(candidates.len(), place + 1);
        assert!(candidates[0].won && candidates[1..].iter().all(|it| !it.won && !it.why.is_empty()));
    }
    let embedding = PriceRequest { request_type: "embedding", ..asked };
    assert!(resolve_price(&world.config, &embedding).is_none());
    assert_eq!(explain_price(&world.config, &embedding)[0].why, "does not cover this kind of request");
}

#[test]
fn a_wildcard_in_a_narrower_scope_wins_over_an_exact_match_in_a_broader_one() {
    use v1::PricingScopeKind as Kind;
    let mut world = World::new();
    let key = world.add::<VirtualKey>(key(Vec::new()));
    let asked = PriceRequest {
        virtual_key_id: key.id.as_str(),
        provider: "openai",
        provider_key_id: "openai-key",
        model: "m",
        request_type: "chat_completion",
    };
    let elsewhere = PriceRequest { provider: "groq", provider_key_id: "groq-key", ..asked };
    // From the broadest to the narrowest: the wildcard of each wins over the exact match of the one before.
    for (kind, virtual_key, provider, provider_key) in [
        (Kind::Global, false, false, false),
        (Kind::Provider, false, true, false),
        (Kind::ProviderKey, false, false, true),
        (Kind::VirtualKey, true, false, false),
        (Kind::VirtualKeyProvider, true, true, false),
        (Kind::VirtualKeyProviderKey, true, false, true),
        (Kind::VirtualKeyProviderKey, true, true, true),
    ] {
        let named = |named: bool, id: &str| if named { id.to_owned() } else { String::new() };
        let before = resolve_price(&world.config, &elsewhere).map(|winner| winner.id.clone());
        for pattern in ["*", "m"] {
            let priced = v1::PricingOverride {
                virtual_key_id: named(virtual_key, key.id.as_str()),
                provider_id: named(provider, "openai"),
                provider_key_id: named(provider_key, "openai-key"),
                ..price(kind, pattern, 1.0)
            };
            let added = world.add::<PricingOverride>(priced);
            assert_eq!(resolve_price(&world.config, &asked).unwrap().id, added.id, "{kind:?} {pattern}");
        }
        if provider || provider_key {
            let after = resolve_price(&world.config, &elsewhere).map(|winner| winner.id.clone());
            assert_eq!(after, before, "{kind:?} is not for another provider");
        }
    }
    let keyless = PriceRequest { virtual_key_id: "", ..asked };
    assert_eq!(resolve_price(&world.config, &keyless).unwrap().resource.scope.kind().name(), "provider_key");
}
