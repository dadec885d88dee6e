//! Rules, chains, and the choice of a provider.

use super::*;

#[test]
fn the_first_rule_that_matches_routes_and_a_missing_header_is_no_match() {
    let mut world = World::new();
    let key = world.add::<VirtualKey>(key(vec![config("openai", None), config("groq", None)]));
    let scoped = v1::RoutingRule {
        scope: v1::RoutingScope::VirtualKey.into(),
        scope_id: key.id.to_string(),
        fallbacks: vec!["anthropic/".to_owned()],
        ..rule(50, "headers[\"X-Tier\"] == 'gold'", Some("groq"), None)
    };
    world.add::<RoutingRule>(rule(1, "", None, Some("small")));
    let scoped = world.add::<RoutingRule>(scoped);
    world.add::<RoutingRule>(v1::RoutingRule { enabled: Some(false), ..rule(0, "", Some("groq"), None) });

    let explanation = world.explain(asked(&key, "openai", "large"));
    assert_eq!((&*explanation.provider, &*explanation.model), ("openai", "small"));
    let looked: Vec<_> = explanation.rules.iter().map(|rule| (rule.rule.resource.priority, rule.matched)).collect();
    assert_eq!(looked, [(50, false), (0, false), (1, true)]);
    assert!(explanation.rules[0].error.is_some() && !explanation.rules[1].rule.resource.enabled);

    let headers = BTreeMap::from([("x-tier".to_owned(), "gold".to_owned())]);
    let explanation = world.explain(Request { headers: &headers, ..asked(&key, "openai", "large") });
    assert_eq!((&*explanation.provider, &*explanation.model), ("groq", "large"));
    assert_eq!(explanation.matches[0].rule, scoped.id);
    let rejected = &explanation.rejected_fallbacks[0];
    assert_eq!((&*rejected.fallback.model, rejected.verdict), ("large", Verdict::ProviderBlocked));
}

#[test]
fn usage_routes_with_a_literal_of_either_type() {
    for expression in ["budget_used > 80", "budget_used > 80.0", "tokens_used >= 50", "request >= 50"] {
        let mut world = World::new();
        let limits = v1::VirtualKey {
            budgets: vec![budget(1.0, "1d")],
            rate_limits: rate(10, 10),
            ..key(vec![config("openai", None)])
        };
        let key = world.add::<VirtualKey>(limits);
        world.add::<RoutingRule>(rule(1, expression, None, Some("small")));
        assert_eq!(&*world.explain(asked(&key, "openai", "large")).model, "large");
        world.used.0.insert(key.resource.limits.budgets[0].id.to_string(), 810_000_000);
        let rate = &key.resource.limits.rate_limits[0];
        world.used.0.insert(rate.id.to_string(), 5);
        assert_eq!(&*world.explain(asked(&key, "openai", "large")).model, "small", "{expression}");
    }
}

#[test]
fn a_chain_ends_where_it_has_been() {
    let mut world = World::new();
    let chained = |priority, from: &str, to: &str| v1::RoutingRule {
        chain_rule: true,
        fallbacks: vec![format!("groq/{to}")],
        ..rule(priority, &format!("model == '{from}'"), None, Some(to))
    };
    world.add::<RoutingRule>(chained(1, "a", "b"));
    world.add::<RoutingRule>(chained(2, "b", "a"));
    let explanation = world.explain(keyless("openai", "a"));
    let models: Vec<_> = explanation.matches.iter().map(|step| &*step.model).collect();
    assert_eq!((models, &*explanation.model), (vec!["b", "a"], "a"));
    assert_eq!(&*explanation.fallbacks[0].model, "a", "the last rule supplies them");

    let mut world = World::new();
    for step in 0..20 {
        world.add::<RoutingRule>(chained(step, &format!("m{step}"), &format!("m{}", step + 1)));
    }
    let explanation = world.explain(keyless("openai", "m0"));
    assert_eq!((explanation.matches.len(), &*explanation.model), (10, "m10"));
}

#[test]
fn draws_follow_the_weights() {
    let mut world = World::new();
    let configs = [("openai", Some(3.0)), ("anthropic", Some(1.0)), ("groq", None)];
    let key = world.add::<VirtualKey>(key(configs.iter().map(|(name, weight)| config(name, *weight)).collect()));
    let mut drawn: HashMap<String, u32> = HashMap::new();
    for seed in 0..4_000 {
        let explanation = explain(&world.config, &NoUsage, &Request { seed, ..asked(&key, "", "m") });
        assert_eq!(explanation.verdict, Verdict::Allow);
        assert_eq!(explanation.fallbacks.len(), 1);
        *drawn.entry(explanation.provider.to_string()).or_default() += 1;
    }
    assert!(!drawn.contains_key("groq"));
    assert!((2_880..=3_120).contains(&drawn["openai"]), "{drawn:?}");
}

#[test]
fn with_no_provider_left_the_answer_says_which_limit_it_was() {
    let mut world = World::new();
    let explanation = |world: &World, key: &Arc<Stored<VirtualKey>>| world.explain(asked(key, "", "m"));
    let limited = |provider: &str, weight: f64| v1::VirtualKeyProviderConfig {
        budgets: vec![budget(1.0, "1d")],
        ..config(provider, Some(weight))
    };
    let key = world.add::<VirtualKey>(key(vec![limited("openai", 1.0), limited("groq", 2.0)]));
    for config in &key.resource.provider_configs {
        assert_eq!(explanation(&world, &key).verdict, Verdict::Allow);
        world.used.0.insert(config.limits.budgets[0].id.to_string(), 1_000_000_000);
    }
    let refused = explanation(&world, &key);
    assert_eq!((refused.verdict, &*refused.provider), (Verdict::BudgetExceeded, "groq"));
    let blocking = &refused.limits[refused.blocking.unwrap()];
    assert_eq!(blocking.owner, LimitOwner::ProviderConfig(key.resource.provider_configs[1].id));

    let verdicts = [
        (Vec::new(), Verdict::ProviderBlocked),
        (vec![config("openai", None)], Verdict::ProviderBlocked),
        (
            vec![v1::VirtualKeyProviderConfig { allowed_models: Vec::new(), ..config("openai", Some(1.0)) }],
            Verdict::ModelBlocked,
        ),
    ];
    for (configs, verdict) in verdicts {
        let mut world = World::new();
        let key = world.add::<VirtualKey>(super::key(configs));
        assert_eq!(explanation(&world, &key).verdict, verdict);
    }
}

#[test]
fn a_header_or_parameter_that_is_missing_is_no_match_whatever_the_operator() {
    let given = BTreeMap::from([("x-tier".to_owned(), "gold".to_owned())]);
    for (expression, missing, present) in [
        ("headers['X-Tier'] == 'gold'", None, true),
        ("headers['X-Tier'] != 'free'", None, true),
        ("!(headers['X-Tier'] == 'free')", None, true),
        ("params['X-Tier'] != 'free'", None, true),
        ("headers.x_tier != 'free'", None, true),
        // What decides without the missing value is no error.
        ("'X-Tier' in headers && headers['X-Tier'] == 'gold'", Some(false), true),
        ("model == 'large' || headers['X-Tier'] == 'gold'", Some(true), true),
        ("headers['X-Tier'] == 'gold' || model == 'large'", Some(true), true),
    ] {
        let mut world = World::new();
        world.add::<RoutingRule>(rule(1, expression, None, Some("small")));
        let looked = |request: Request<'_>| {
            let explanation = world.explain(request);
            let check = &explanation.rules[0];
            let matched = check.error.is_none().then_some(check.matched);
            assert_eq!(&*explanation.model, if matched == Some(true) { "small" } else { "large" }, "{expression}");
            matched
        };
        assert_eq!(looked(keyless("openai", "large")), missing, "{expression}");
        let under = BTreeMap::from([("x_tier".to_owned(), "gold".to_owned())]);
        let given = if expression.contains("x_tier") { &under } else { &given };
        let request = Request { headers: given, params: given, ..keyless("openai", "large") };
        assert_eq!(looked(request), Some(present), "{expression}");
    }
}

#[test]
fn usage_routes_from_beyond_the_share_that_the_rule_names_and_without_limits_there_is_none() {
    for (used, above) in
        [(0, false), (799_999_999, false), (800_000_000, false), (800_000_001, true), (2_000_000_000, true)]
    {
        for expression in ["budget_used > 80", "budget_used > 80.0"] {
            let mut world = World::new();
            let limited = v1::VirtualKey { budgets: vec![budget(1.0, "1d")], ..key(vec![config("openai", None)]) };
            let key = world.add::<VirtualKey>(limited);
            world.add::<RoutingRule>(rule(1, expression, None, Some("small")));
            world.used.0.insert(key.resource.limits.budgets[0].id.to_string(), used);
            let model = if above { "small" } else { "large" };
            assert_eq!(&*world.explain(asked(&key, "openai", "large")).model, model, "{expression} at {used}");
            assert_eq!(&*world.explain(keyless("openai", "large")).model, "large", "{expression} without a key");
        }
    }
}

#[test]
fn without_its_team_and_the_rules_of_it_a_key_goes_on() {
    let mut world = World::new();
    let team = world.add::<Team>(v1::Team { name: "team".to_owned(), ..Default::default() });
    let owned = v1::VirtualKey { team_id: team.id.to_string(), ..key(vec![config("openai", None)]) };
    let key = world.add::<VirtualKey>(owned);
    let of_team = v1::RoutingRule {
        scope: v1::RoutingScope::Team.into(),
        scope_id: team.id.to_string(),
        ..rule(1, "", None, Some("of the team"))
    };
    let of_team = world.add::<RoutingRule>(of_team);
    world.add::<RoutingRule>(rule(1, "team_id == ''", None, Some("of nobody")));
    assert_eq!(&*world.explain(asked(&key, "openai", "m")).model, "of the team");

    world.remove(&team.id);
    world.remove(&of_team.id);
    let explanation = world.explain(asked(&key, "openai", "m"));
    assert_eq!((explanation.verdict, &*explanation.model), (Verdict::Allow, "of nobody"));
    assert_eq!(explanation.rules.len(), 1);
}

#[test]
fn chains_end() {
    let step = |priority, from: &str, chain_rule, provider: Option<&str>, to: Option<&str>| v1::RoutingRule {
        chain_rule,
        ..rule(priority, from, provider, to)
    };
    for (law, rules, models) in [
        ("at a rule that changes nothing", vec![step(1, "", true, None, None)], vec!["openai/a"]),
        ("at a rule that leads to itself", vec![step(1, "", true, None, Some("b"))], vec!["openai/b", "openai/b"]),
        (
            "at a cycle of three",
            vec![
                step(1, "model == 'a'", true, None, Some("b")),
                step(2, "model == 'b'", true, None, Some("c")),
                step(3, "model == 'c'", true, None, Some("a")),
            ],
            vec!["openai/b", "openai/c", "openai/a"],
        ),
        (
            "at a provider and model seen before, not at a model alone",
            vec![
                step(1, "provider == 'openai'", true, Some("groq"), None),
                step(2, "provider == 'groq'", true, Some("openai"), None),
            ],
            vec!["groq/a", "openai/a"],
        ),
        (
            "at a rule without chain_rule",
            vec![
                step(1, "model == 'a'", true, None, Some("b")),
                step(2, "model == 'b'", false, None, Some("c")),
                step(3, "model == 'c'", true, None, Some("d")),
            ],
            vec!["openai/b", "openai/c"],
        ),
        ("at no match", vec![step(1, "model == 'a'", true, None, Some("b"))], vec!["openai/b"]),
    ] {
        let mut world = World::new();
        for rule in rules {
            world.add::<RoutingRule>(rule);
        }
        let explanation = world.explain(keyless("openai", "a"));
        let hops: Vec<_> = explanation.matches.iter().map(|hop| format!("{}/{}", hop.provider, hop.model)).collect();
        assert_eq!(hops, models, "{law}");
        assert_eq!(format!("{}/{}", explanation.provider, explanation.model), *models.last().unwrap(), "{law}");
    }
}
