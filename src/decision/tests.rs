//! Cases of routing, checks and prices, on states made of messages.

use std::collections::HashMap;
use std::sync::LazyLock;

use rand::SeedableRng as _;

use super::*;
use crate::domain::{Path, Provider, Violations};
use crate::proto::v1;
use crate::state::{self, Chain, Context, Head, Rules};
use crate::wire::Wire;

static NONE: LazyLock<BTreeMap<String, String>> = LazyLock::new(BTreeMap::new);
const NOW: i64 = 1_800_000_000_000_000;

/// A state to which resources are added as a client would create them.
struct World {
    state: State,
    used: Used,
}

/// Usage by the id of the limit.
#[derive(Default)]
struct Used(HashMap<String, i64>);

impl Usage for Used {
    fn budget(&self, budget: &Budget, _: &Window) -> i64 {
        self.0.get(budget.id.as_str()).copied().unwrap_or(0)
    }

    fn tokens(&self, limit: &RateLimit, _: &Window) -> i64 {
        self.0.get(limit.id.as_str()).copied().unwrap_or(0)
    }

    fn requests(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.tokens(limit, window)
    }
}

fn head(revision: i64) -> Head {
    Head {
        store_id: "test".into(),
        revision,
        chain: Chain::ORIGIN,
        committed_at: Timestamp::from_micros(NOW),
        compacted_revision: 0,
        compacted_chain: Chain::ORIGIN,
        last_config_id: revision * 100,
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self { state: State::restore(head(0), [], [], []), used: Used::default() };
        for name in ["openai", "anthropic", "groq"] {
            let keys = vec![v1::ProviderKey { id: format!("{name}-key"), ..Default::default() }];
            world.add_named::<Provider>(v1::Provider { name: name.to_owned(), keys, ..Default::default() }, Some(name));
        }
        world
    }

    fn add<R: Rules + Wire>(&mut self, message: R::Message) -> Arc<Stored<R>> {
        self.add_named::<R>(message, None)
    }

    fn add_named<R: Rules + Wire>(&mut self, message: R::Message, name: Option<&str>) -> Arc<Stored<R>> {
        let mut violations = Violations::new();
        let parsed = R::parse(message, &Path::root(R::KIND.name()), &mut violations);
        let parsed = violations.or(parsed).unwrap().unwrap();
        let next = self.state.revision() + 1;
        let mut random = StdRng::seed_from_u64(next.unsigned_abs());
        let mut cx = Context {
            now: Timestamp::from_micros(NOW),
            revision: next,
            random: &mut random,
            last_config_id: next * 100,
        };
        let decision = state::create(&self.state, &mut cx, name, &parsed).unwrap();
        self.state.apply(&decision.changes, head(next));
        Arc::clone(self.state.get::<R>(&decision.subject.id).unwrap())
    }

    fn explain(&self, request: Request<'_>) -> Explanation {
        let explanation = explain(&self.state, &self.used, &request);
        assert_eq!(explain(&self.state, &self.used, &request), explanation, "the same again");
        explanation
    }
}

fn asked<'a>(key: &'a Arc<Stored<VirtualKey>>, provider: &'a str, model: &'a str) -> Request<'a> {
    Request { key: KeyGiven::Key(key), ..keyless(provider, model) }
}

fn keyless<'a>(provider: &'a str, model: &'a str) -> Request<'a> {
    Request {
        key: KeyGiven::None,
        provider,
        model,
        provider_key_id: "",
        request_type: "chat_completion",
        headers: &NONE,
        params: &NONE,
        fallbacks: &[],
        estimated_tokens: 0,
        estimated_cost: 0,
        at: Timestamp::from_micros(NOW),
        seed: 7,
    }
}

fn config(provider: &str, weight: Option<f64>) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight,
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }
}

fn key(configs: Vec<v1::VirtualKeyProviderConfig>) -> v1::VirtualKey {
    v1::VirtualKey {
        name: "key".to_owned(),
        value: "0123456789abcdefghijklmnopqrstuvwxyz".to_owned(),
        provider_configs: configs,
        ..Default::default()
    }
}

fn budget(max_limit: f64, reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

fn rate(tokens: i64, requests: i64) -> Option<v1::RateLimit> {
    Some(v1::RateLimit {
        token_max_limit: Some(tokens),
        token_reset_duration: Some("1h".to_owned()),
        request_max_limit: Some(requests),
        request_reset_duration: Some("1h".to_owned()),
        ..Default::default()
    })
}

fn rule(priority: i32, expression: &str, provider: Option<&str>, model: Option<&str>) -> v1::RoutingRule {
    let target = v1::RoutingTarget {
        provider: provider.map(ToOwned::to_owned),
        model: model.map(ToOwned::to_owned),
        weight: 1.0,
        ..Default::default()
    };
    v1::RoutingRule {
        name: format!("rule {priority}"),
        cel_expression: expression.to_owned(),
        targets: vec![target],
        scope: v1::RoutingScope::Global.into(),
        priority,
        ..Default::default()
    }
}

#[test]
fn a_key_may_do_what_it_was_given_and_nothing_else() {
    let mut world = World::new();
    let listed = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let narrow = v1::VirtualKeyProviderConfig {
        allowed_models: listed(&["gpt-4o", "o3"]),
        blacklisted_models: listed(&["o3"]),
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
        rate_limit: rate(5, 5),
        ..Default::default()
    });
    let limited = v1::VirtualKeyProviderConfig { rate_limit: rate(5, 5), ..config("openai", Some(1.0)) };
    let key = v1::VirtualKey { team_id: team.id.to_string(), budgets: vec![budget(1.0, "1d")], ..key(vec![limited]) };
    let key = world.add::<VirtualKey>(key);
    let mut model = |name: &str, provider: &str| {
        world.add::<crate::domain::ModelConfig>(v1::ModelConfig {
            model_name: name.to_owned(),
            provider: provider.to_owned(),
            scope: v1::ModelConfigScope::Global.into(),
            budgets: vec![budget(1.0, "1d")],
            ..Default::default()
        })
    };
    let models = [model("*", ""), model("*", "openai"), model("m", ""), model("m", "openai")];
    let explanation = world.explain(asked(&key, "openai", "m"));
    let owners: Vec<_> = explanation.limits.iter().map(|limit| (limit.owner.clone(), limit.kind)).collect();
    let config = key.resource.provider_configs[0].id;
    let mut expected: Vec<_> =
        models.iter().rev().map(|model| (LimitOwner::ModelConfig(model.id.clone()), LimitKind::Budget)).collect();
    expected.extend([
        (LimitOwner::ProviderConfig(config), LimitKind::Tokens),
        (LimitOwner::ProviderConfig(config), LimitKind::Requests),
        (LimitOwner::VirtualKey(key.id.clone()), LimitKind::Budget),
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
        assert_eq!(explanation.verdict, explanation.limits[first].kind.verdict());
        assert!(explanation.reason.contains(&*explanation.limits[first].limit_id), "{}", explanation.reason);
    }
}

#[test]
fn an_estimate_that_does_not_fit_is_refused_before_it_is_spent() {
    let mut world = World::new();
    let key = v1::VirtualKey { rate_limit: rate(100, 10), ..key(vec![config("openai", Some(1.0))]) };
    let key = world.add::<VirtualKey>(key);
    for (tokens, verdict) in [(0, Verdict::Allow), (100, Verdict::Allow), (101, Verdict::TokenLimited)] {
        let request = Request { estimated_tokens: tokens, ..asked(&key, "openai", "m") };
        assert_eq!(world.explain(request).verdict, verdict, "{tokens}");
    }
}

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
    assert_eq!(explanation.fallbacks.len(), 1);
}

#[test]
fn usage_routes_with_a_literal_of_either_type() {
    for expression in ["budget_used > 80", "budget_used > 80.0", "tokens_used >= 50", "request >= 50"] {
        let mut world = World::new();
        let limits = v1::VirtualKey {
            budgets: vec![budget(1.0, "1d")],
            rate_limit: rate(10, 10),
            ..key(vec![config("openai", None)])
        };
        let key = world.add::<VirtualKey>(limits);
        world.add::<RoutingRule>(rule(1, expression, None, Some("small")));
        assert_eq!(&*world.explain(asked(&key, "openai", "large")).model, "large");
        world.used.0.insert(key.resource.limits.budgets[0].id.to_string(), 810_000_000);
        let rate = key.resource.limits.rate_limit.as_ref().unwrap();
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
        let explanation = explain(&world.state, &NoUsage, &Request { seed, ..asked(&key, "", "m") });
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
        let key = world.add::<VirtualKey>(super::tests::key(configs));
        assert_eq!(explanation(&world, &key).verdict, verdict);
    }
}

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
    assert!(resolve_price(&world.state, &asked).is_none());
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
            world.add::<crate::domain::PricingOverride>(price(scope, other, 9.0));
        }
        // An explicit 0 is a price.
        let added = world.add::<crate::domain::PricingOverride>(price(scope, pattern, 0.0));
        let winner = resolve_price(&world.state, &asked).unwrap();
        assert_eq!(winner.id, added.id, "{scope:?} {pattern}");
        assert_eq!(winner.resource.rates.0, [(0, 0.0)]);
        let candidates = explain_price(&world.state, &asked);
        assert_eq!(candidates.len(), place + 1);
        assert!(candidates[0].won && candidates[1..].iter().all(|it| !it.won && !it.why.is_empty()));
    }
    let embedding = PriceRequest { request_type: "embedding", ..asked };
    assert!(resolve_price(&world.state, &embedding).is_none());
    assert_eq!(explain_price(&world.state, &embedding)[0].why, "does not cover this kind of request");
}
