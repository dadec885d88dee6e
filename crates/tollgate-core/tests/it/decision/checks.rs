//! What a key may do, and which limit decides.

use super::*;

#[test]
fn a_key_may_do_what_it_was_given_and_nothing_else() {
    let mut world = World::new();
    let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let narrow = v1::VirtualKeyProviderConfig {
        allowed_models: listed(&["gpt-4o", "o3"]),
        blocked_models: listed(&["o3"]),
        key_ids: listed(&["openai-key"]),
        ..config("openai", None)
    };
    let none = v1::VirtualKeyProviderConfig { key_ids: Vec::new(), ..config("groq", None) };
    let key = world.add::<VirtualKey>(key(vec![narrow, none]));
    for (provider, model, key_id, verdict) in [
        ("openai", "gpt-4o", "", Verdict::Allow),
        ("openai", "openai/gpt-4o", "openai-key", Verdict::Allow),
        ("openai", "GPT-4o", "", Verdict::ModelBlocked),
        ("openai", "o3", "", Verdict::ModelBlocked),
        ("openai", "gpt-4o", "another", Verdict::ProviderKeyBlocked),
        ("anthropic", "gpt-4o", "", Verdict::ProviderBlocked),
        ("groq", "llama", "", Verdict::ProviderKeyBlocked),
    ] {
        let explanation = world.explain(Request { provider_key_id: key_id, ..asked(&key, provider, model) });
        assert_eq!(explanation.verdict, verdict, "{provider} {model} {key_id}: {}", explanation.reason);
        assert!(!explanation.reason.is_empty());
    }
    assert_eq!(world.explain(keyless("anthropic", "x")).verdict, Verdict::Allow);
    let unknown = Request { key: KeyGiven::Unknown, ..keyless("openai", "gpt-4o") };
    assert_eq!(world.explain(unknown).verdict, Verdict::UnknownKey);
}

#[test]
fn a_provider_key_is_of_its_provider_alone() {
    let mut world = World::new();
    for name in ["openai", "groq"] {
        let own = v1::ProviderKey { id: format!("{name}-key"), ..Default::default() };
        let provider = v1::Provider { name: name.to_owned(), keys: vec![own], ..Default::default() };
        world.put_as(name, &parse::<Provider>(provider));
    }
    let key = world.add::<VirtualKey>(key(vec![config("openai", Some(1.0)), config("groq", Some(0.0))]));
    for (provider, model, key_id, expected, verdict) in [
        // It names its provider, whatever the weights.
        ("", "m", "groq-key", "groq", Verdict::Allow),
        ("", "m", "openai-key", "openai", Verdict::Allow),
        ("", "groq/m", "groq-key", "groq", Verdict::Allow),
        // As a provider that passes on the models of others has them.
        ("", "groq/m", "openai-key", "openai", Verdict::Allow),
        ("groq", "m", "openai-key", "groq", Verdict::ProviderKeyBlocked),
        // A gateway may have others.
        ("groq", "m", "unheard-of", "groq", Verdict::Allow),
    ] {
        for request in [asked(&key, provider, model), keyless(provider, model)] {
            let explanation = world.explain(Request { provider_key_id: key_id, ..request });
            let found = (&*explanation.provider, explanation.verdict);
            assert_eq!(found, (expected, verdict), "{provider} {model} {key_id}: {}", explanation.reason);
        }
    }
    let request = Request { provider_key_id: "openai-key", ..keyless("groq", "m") };
    let reason = world.explain(request).reason;
    assert!(reason.contains("belongs to provider \"openai\", not to \"groq\""), "{reason}");
    // A rule that sends a request elsewhere leaves the provider key behind.
    world.add::<RoutingRule>(rule(1, "", Some("groq"), None));
    let explanation = world.explain(Request { provider_key_id: "openai-key", ..asked(&key, "", "m") });
    let found = (&*explanation.provider, explanation.key_id.as_deref(), explanation.verdict);
    assert_eq!(found, ("groq", Some("groq-key"), Verdict::Allow));
}

#[test]
fn a_key_that_does_not_work_is_not_routed() {
    let mut world = World::new();
    world.add::<RoutingRule>(rule(1, "", Some("groq"), None));
    let expires_at = Some(prost_types::Timestamp { seconds: NOW / 1_000_000 + 60, nanos: 0 });
    let key = world.add::<VirtualKey>(v1::VirtualKey { expires_at, ..key(vec![config("openai", Some(1.0))]) });
    let later = Request { at: Timestamp::from_micros(NOW + 60_000_000), ..asked(&key, "openai", "m") };
    let explanation = world.explain(later);
    assert_eq!((explanation.verdict, explanation.rules.len()), (Verdict::KeyExpired, 0));
    assert_eq!(&*explanation.provider, "openai");
}

#[test]
fn limits_are_checked_from_the_provider_down_to_the_customer() {
    let mut world = World::new();
    let customer = world.add::<Customer>(v1::Customer {
        name: "customer".to_owned(),
        budgets: vec![budget(1.0, "1M"), budget(1.0, "1d")],
        ..Default::default()
    });
    let team = world.add::<Team>(v1::Team {
        name: "team".to_owned(),
        customer_id: customer.id.to_string(),
        rate_limits: [rate(5, 5), vec![open_at_once(5)]].concat(),
        ..Default::default()
    });
    let limited = v1::VirtualKeyProviderConfig { rate_limits: rate(5, 5), ..config("openai", Some(1.0)) };
    let key = v1::VirtualKey { team_id: team.id.to_string(), budgets: vec![budget(1.0, "1d")], ..key(vec![limited]) };
    let key = world.add::<VirtualKey>(key);
    let mut model = |name: &str, provider: &str| {
        world.add::<ModelConfig>(v1::ModelConfig {
            model_name: name.to_owned(),
            provider: provider.to_owned(),
            scope: v1::ModelConfigScope::Global.into(),
            budgets: vec![budget(1.0, "1d")],
            ..Default::default()
        })
    };
    let models = [model("*", ""), model("*", "openai"), model("m", ""), model("m", "openai")];
    let limited =
        v1::ProviderKey { id: "the-only-one".to_owned(), budgets: vec![budget(1.0, "1d")], ..Default::default() };
    let provider = v1::Provider { name: "openai".to_owned(), keys: vec![limited], ..Default::default() };
    world.put_as("openai", &parse::<Provider>(provider));
    let explanation = world.explain(asked(&key, "openai", "m"));
    let owners: Vec<_> = explanation.limits.iter().map(|limit| (limit.owner.clone(), limit.kind)).collect();
    let config = key.resource.provider_configs[0].id;
    let mut expected: Vec<_> =
        models.iter().rev().map(|model| (LimitOwner::ModelConfig(model.id.clone()), LimitKind::Budget)).collect();
    expected.extend([
        (LimitOwner::ProviderKey("the-only-one".into()), LimitKind::Budget),
        (LimitOwner::ProviderConfig(config), LimitKind::Tokens),
        (LimitOwner::ProviderConfig(config), LimitKind::Requests),
        (LimitOwner::VirtualKey(key.id.clone()), LimitKind::Budget),
        (LimitOwner::Team(team.id.clone()), LimitKind::Concurrency),
        (LimitOwner::Team(team.id.clone()), LimitKind::Tokens),
        (LimitOwner::Team(team.id.clone()), LimitKind::Requests),
        (LimitOwner::Customer(customer.id.clone()), LimitKind::Budget),
        (LimitOwner::Customer(customer.id.clone()), LimitKind::Budget),
    ]);
    assert_eq!(owners, expected);
    let [.., day, month] = explanation.limits.as_slice() else { panic!("two budgets") };
    assert!(day.window.end < month.window.end, "the shorter window first");

    // Each that is used up decides, as long as none before it is.
    for (place, limit) in explanation.limits.iter().enumerate().rev() {
        world.used.0.insert(limit.limit_id.to_string(), limit.max);
        let explanation = world.explain(asked(&key, "openai", "m"));
        let first = explanation.limits.iter().position(|limit| limit.blocks).unwrap();
        assert!(first <= place);
        assert_eq!(explanation.blocking, Some(first));
        let verdict = match explanation.limits[first].kind {
            LimitKind::Tokens => Verdict::TokenLimited,
            LimitKind::Requests => Verdict::RequestLimited,
            LimitKind::Budget => Verdict::BudgetExceeded,
            LimitKind::Concurrency => Verdict::ConcurrencyLimited,
        };
        assert_eq!(explanation.verdict, verdict);
        assert!(explanation.reason.contains(&explanation.limits[first].limit_id.to_string()), "{}", explanation.reason);
    }
}

#[test]
fn of_several_rate_limits_those_on_tokens_come_first_and_the_shortest_window_before_longer_ones() {
    let mut world = World::new();
    let limit = |token: Option<&str>, request: Option<&str>| v1::RateLimit {
        token_max_limit: token.map(|_| 10),
        token_reset_duration: token.map(ToOwned::to_owned),
        request_max_limit: request.map(|_| 10),
        request_reset_duration: request.map(ToOwned::to_owned),
        ..Default::default()
    };
    let key = world.add::<VirtualKey>(v1::VirtualKey {
        budgets: vec![budget(1.0, "1h")],
        rate_limits: vec![
            limit(None, Some("1d")),
            limit(Some("2d"), Some("1m")),
            limit(Some("1h"), Some("90d")),
            limit(Some("1m"), None),
        ],
        ..key(vec![config("openai", Some(1.0))])
    });
    let [a, b, c, d] = &*key.resource.limits.rate_limits else { panic!("four rate limits") };
    let expected = [
        (&d.id, LimitKind::Tokens),
        (&c.id, LimitKind::Tokens),
        (&b.id, LimitKind::Tokens),
        (&b.id, LimitKind::Requests),
        (&a.id, LimitKind::Requests),
        (&c.id, LimitKind::Requests),
        (&key.resource.limits.budgets[0].id, LimitKind::Budget),
    ];
    let explanation = world.explain(asked(&key, "openai", "m"));
    assert_eq!(explanation.limits.iter().map(|limit| (&limit.limit_id, limit.kind)).collect::<Vec<_>>(), expected);
    for (used, place, verdict) in [
        (&a.id, 4, Verdict::RequestLimited),
        (&b.id, 2, Verdict::TokenLimited),
        (&c.id, 1, Verdict::TokenLimited),
        (&d.id, 0, Verdict::TokenLimited),
    ] {
        world.used.0.insert(used.to_string(), 10);
        let explanation = world.explain(asked(&key, "openai", "m"));
        assert_eq!((explanation.verdict, explanation.blocking), (verdict, Some(place)), "{}", explanation.reason);
    }
}

/// At most so many requests at once, and nothing else.
fn open_at_once(max: i64) -> v1::RateLimit {
    v1::RateLimit { concurrent_request_max_limit: Some(max), ..Default::default() }
}

#[test]
fn as_many_requests_may_be_open_as_the_limit_says() {
    for (enforcement, verdict) in [
        (v1::Enforcement::Hard, Verdict::ConcurrencyLimited),
        (v1::Enforcement::Soft, Verdict::ConcurrencyLimited),
        (v1::Enforcement::Shadow, Verdict::Allow),
    ] {
        let mut world = World::new();
        let limit = v1::RateLimit { enforcement: enforcement.into(), ..open_at_once(2) };
        let key = v1::VirtualKey { rate_limits: vec![limit], ..key(vec![config("openai", Some(1.0))]) };
        let key = world.add::<VirtualKey>(key);
        let id = key.resource.limits.rate_limits[0].id.to_string();
        world.used.0.insert(id.clone(), 1);
        assert_eq!(world.explain(asked(&key, "openai", "m")).verdict, Verdict::Allow);
        world.used.0.insert(id, 2);
        let explanation = world.explain(asked(&key, "openai", "m"));
        assert_eq!(explanation.verdict, verdict, "{}", explanation.reason);
        let limit = &explanation.limits[0];
        assert_eq!((limit.used, limit.max, limit.remaining, limit.window.has_end()), (2, 2, 0, false));
        assert_eq!(limit.would_block, enforcement == v1::Enforcement::Shadow);
        // It says nothing about how much is used up.
        assert!(verdict == Verdict::Allow || explanation.reason.contains("2 of 2 requests at once are open"));
    }
}

/// Where as many are open as may be, a request waits for a slot, but not at a lock.
struct Waits(i64);

impl Usage for Waits {
    fn budget(&self, _: &Budget, _: &Window) -> i64 {
        0
    }

    fn tokens(&self, _: &RateLimit, _: &Window) -> i64 {
        0
    }

    fn requests(&self, _: &RateLimit, _: &Window) -> i64 {
        0
    }

    fn open(&self, _: &RateLimit) -> i64 {
        self.0
    }

    fn weighs_open(&self, enforcement: Enforcement) -> bool {
        enforcement != Enforcement::Hard
    }
}

#[test]
fn a_request_may_wait_for_a_slot_of_a_hard_limit_and_not_at_a_lock() {
    for (max, enforcement, verdict) in [
        (2, v1::Enforcement::Hard, Verdict::Allow),
        (2, v1::Enforcement::Soft, Verdict::ConcurrencyLimited),
        (0, v1::Enforcement::Hard, Verdict::ConcurrencyLimited),
    ] {
        let mut world = World::new();
        let limit = v1::RateLimit { enforcement: enforcement.into(), ..open_at_once(max) };
        let key = v1::VirtualKey { rate_limits: vec![limit], ..key(vec![config("openai", Some(1.0))]) };
        let key = world.add::<VirtualKey>(key);
        let explanation = explain(&world.config, &Waits(2), &asked(&key, "openai", "m"));
        assert_eq!(explanation.verdict, verdict, "{max}: {}", explanation.reason);
        let demands = explanation.demands(&Expected::default());
        assert_eq!(demands.len(), usize::from(enforcement == v1::Enforcement::Hard));
        assert!(demands.iter().all(|demand| demand.amount == 1 && demand.key.window_start == Timestamp::EPOCH));
    }
}

#[test]
fn a_request_goes_where_it_need_not_wait_for_a_slot() {
    for (others, expected) in [(3, "groq"), (2, "openai")] {
        let mut world = World::new();
        let hard = |max| v1::RateLimit { enforcement: v1::Enforcement::Hard.into(), ..open_at_once(max) };
        let full = v1::VirtualKeyProviderConfig { rate_limits: vec![hard(2)], ..config("openai", Some(1.0)) };
        let other = v1::VirtualKeyProviderConfig { rate_limits: vec![hard(others)], ..config("groq", Some(0.0)) };
        let key = world.add::<VirtualKey>(key(vec![full, other]));
        let explanation = explain(&world.config, &Waits(2), &asked(&key, "", "m"));
        assert_eq!((&*explanation.provider, explanation.verdict), (expected, Verdict::Allow));
        // The full one may still be turned to.
        let fallback = if expected == "groq" { "openai" } else { "groq" };
        assert_eq!(explanation.fallbacks.iter().map(|it| it.provider.as_str()).collect::<Vec<_>>(), [fallback]);
        let why = &explanation.candidates[0].why;
        assert_eq!(why.contains("2 of 2 requests at once are open"), expected == "groq", "{why}");
    }
}

#[test]
fn an_estimate_that_does_not_fit_is_refused_before_it_is_spent() {
    let mut world = World::new();
    let key = v1::VirtualKey { rate_limits: rate(100, 10), ..key(vec![config("openai", Some(1.0))]) };
    let key = world.add::<VirtualKey>(key);
    for (tokens, verdict) in [(0, Verdict::Allow), (100, Verdict::Allow), (101, Verdict::TokenLimited)] {
        let request = Request { estimated_tokens: tokens, ..asked(&key, "openai", "m") };
        assert_eq!(world.explain(request).verdict, verdict, "{tokens}");
    }
}

#[test]
fn a_limit_blocks_when_it_is_reached_and_an_estimate_when_it_would_be_passed() {
    for (used, estimate, verdict) in [
        (999_999_999, 0, Verdict::Allow),
        (999_999_999, 1, Verdict::Allow),
        (999_999_999, 2, Verdict::BudgetExceeded),
        (1_000_000_000, 0, Verdict::BudgetExceeded),
        (1_500_000_000, 0, Verdict::BudgetExceeded),
        (0, i64::MAX, Verdict::BudgetExceeded),
        (i64::MAX, i64::MAX, Verdict::BudgetExceeded),
    ] {
        let mut world = World::new();
        let limited = v1::VirtualKey { budgets: vec![budget(1.0, "1d")], ..key(vec![config("openai", None)]) };
        let key = world.add::<VirtualKey>(limited);
        world.used.0.insert(key.resource.limits.budgets[0].id.to_string(), used);
        let request = Request { estimated_cost: estimate, ..asked(&key, "openai", "m") };
        assert_eq!(world.explain(request).verdict, verdict, "{used} and {estimate}");
    }
}

#[test]
fn a_shadow_limit_says_that_it_would_block_and_changes_nothing() {
    for enforcement in
        [v1::Enforcement::Unspecified, v1::Enforcement::Hard, v1::Enforcement::Soft, v1::Enforcement::Shadow]
    {
        let is_shadow = enforcement == v1::Enforcement::Shadow;
        let mut world = World::new();
        let tried = v1::Budget { enforcement: enforcement.into(), ..budget(1.0, "1d") };
        let rates = rate(100, 10).into_iter().map(|it| v1::RateLimit { enforcement: enforcement.into(), ..it });
        let rate_limits = rates.collect();
        let limited = v1::VirtualKey { budgets: vec![tried], rate_limits, ..key(vec![config("openai", None)]) };
        let key = world.add::<VirtualKey>(limited);
        world.used.0.insert(key.resource.limits.budgets[0].id.to_string(), 1_000_000_000);
        world.add::<RoutingRule>(rule(1, "budget_used >= 100", Some("openai"), Some("cheap")));
        let explanation = world.explain(asked(&key, "openai", "m"));
        assert_eq!(explanation.model.as_ref(), if is_shadow { "m" } else { "cheap" }, "{enforcement:?}");
        assert_eq!(explanation.verdict, if is_shadow { Verdict::Allow } else { Verdict::BudgetExceeded });
        let told: Vec<_> = explanation.limits.iter().map(|it| (it.kind, it.blocks, it.would_block)).collect();
        let budget = (LimitKind::Budget, !is_shadow, is_shadow);
        assert_eq!(told, [(LimitKind::Tokens, false, false), (LimitKind::Requests, false, false), budget]);
        // An estimate that does not fit is told in the same way.
        let request = Request { estimated_tokens: 101, ..asked(&key, "openai", "m") };
        let limits = world.explain(request).limits;
        assert_eq!((limits[0].blocks, limits[0].would_block), (!is_shadow, is_shadow), "{enforcement:?}");
    }
}

#[test]
fn an_allowed_request_says_that_no_provider_key_serves_its_model() {
    let mut world = World::new();
    let provider_key = |id: &str, models: &[&str]| v1::ProviderKey {
        id: id.to_owned(),
        models: models.iter().map(|it| (*it).to_owned()).collect(),
        ..Default::default()
    };
    let keys = vec![provider_key("own-a", &["gpt-4o", "o*"]), provider_key("own-b", &["gpt-3.5"])];
    let mine = world.add::<Provider>(v1::Provider { name: "mine".to_owned(), keys, ..Default::default() });
    let bare = world.add::<Provider>(v1::Provider { name: "bare".to_owned(), ..Default::default() });
    let (mine, bare, prefixed) = (mine.id.as_str(), bare.id.as_str(), format!("{}/o3", mine.id));
    let of = |ids: &[&str]| v1::VirtualKeyProviderConfig {
        key_ids: ids.iter().map(|it| (*it).to_owned()).collect(),
        ..config(mine, None)
    };
    let narrow = world.add::<VirtualKey>(key(vec![of(&["own-a"]), config(bare, None)]));
    let wide = world.add::<VirtualKey>(v1::VirtualKey {
        name: "wide".to_owned(),
        value: "z".repeat(40),
        ..key(vec![of(&["*"])])
    });
    for (key, provider, model, key_id, is_told) in [
        (Some(&narrow), mine, "gpt-4o", "", false),
        (Some(&narrow), mine, &prefixed, "", false),
        (Some(&narrow), mine, "gpt-3.5", "", true),
        (Some(&wide), mine, "gpt-3.5", "", false),
        (Some(&wide), mine, "gpt-3.5", "own-a", true),
        (Some(&wide), mine, "gpt-4", "", true),
        (None, mine, "gpt-4", "", true),
        (None, mine, "gpt-4o", "own-b", true),
        // Nothing is known of the provider's keys, or of the provider.
        (Some(&narrow), bare, "gpt-4", "", false),
        (None, "elsewhere", "gpt-4", "", false),
    ] {
        let request = key.map_or_else(|| keyless(provider, model), |key| asked(key, provider, model));
        let explanation = world.explain(Request { provider_key_id: key_id, ..request });
        assert_eq!(explanation.verdict, Verdict::Allow, "{provider} {model} {key_id}: {}", explanation.reason);
        let told = explanation.reason.contains("serves model");
        assert_eq!(told, is_told, "{provider} {model} {key_id}: {}", explanation.reason);
    }
}
