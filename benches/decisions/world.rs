//! A world to decide in: one key that much applies to, among many things that do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate::decision::{KeyGiven, PriceRequest, Request};
use tollgate::domain::{
    Customer, ModelConfig, ModelPrice, Path, PricingOverride, Provider, RoutingRule, Secret, Stored, Team, Timestamp,
    Violations, VirtualKey,
};
use tollgate::proto::v1;
use tollgate::state::{self, Chain, Context, Head, Rules, State};
use tollgate::wire::Wire;

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

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
pub(crate) fn add<R: Rules + Wire>(state: &mut State, name: Option<&str>, resource: &R) -> Arc<Stored<R>> {
    let revision = state.revision() + 1;
    let mut random = StdRng::seed_from_u64(revision.unsigned_abs());
    let mut cx = Context {
        now: NOW,
        committed_at: NOW,
        revision,
        random: &mut random,
        last_config_id: revision * 100,
        last_random: None,
        checks_later: false,
    };
    let decision = state::create(state, &mut cx, name, resource).expect("accepted");
    state.apply(&decision.changes, head(revision));
    Arc::clone(state.config().get::<R>(&decision.subject.id).expect("just created"))
}

fn budget(reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit: 100.0, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

fn rate_limit() -> Vec<v1::RateLimit> {
    vec![v1::RateLimit {
        token_max_limit: Some(1_000_000),
        token_reset_duration: Some("1h".to_owned()),
        request_max_limit: Some(10_000),
        request_reset_duration: Some("1m".to_owned()),
        ..Default::default()
    }]
}

pub(crate) fn key(number: usize, team_id: &str) -> VirtualKey {
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
        rate_limits: rate_limit(),
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

fn model_price(model: String) -> ModelPrice {
    let rates = v1::PricingPatch { input_cost_per_token: Some(0.000_002), ..Default::default() };
    parse(v1::ModelPrice { provider: "openai".to_owned(), model, rates: Some(rates), ..Default::default() })
}

/// A key with 3 provider configs and 10 limits that apply to its requests; 20 rules in its scopes, of which the last
/// matches; and everything that does not apply.
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) key: Arc<Stored<VirtualKey>>,
    pub(crate) headers: BTreeMap<String, String>,
    params: BTreeMap<String, String>,
}

impl World {
    /// A request that 20 rules and 10 limits are looked at for.
    pub(crate) fn request(&self) -> Request<'_> {
        Request {
            key: KeyGiven::Key(&self.key),
            provider: "openai",
            model: "gpt-4o",
            provider_key_id: "",
            request_type: "chat_completion",
            headers: &self.headers,
            params: &self.params,
            fallbacks: &[],
            context_length: 0,
            stream: false,
            estimated_tokens: 1_000,
            estimated_cost: 1_000_000,
            at: NOW,
            seed: 7,
        }
    }

    /// A request for a price.
    pub(crate) fn price(&self) -> PriceRequest<'_> {
        PriceRequest {
            virtual_key_id: self.key.id.as_str(),
            provider: "openai",
            provider_key_id: "",
            model: "gpt-4o",
            request_type: "chat_completion",
        }
    }

    /// With so many keys; a tenth of them have a rule and an override, and there are as many model prices.
    pub(crate) fn new(keys: usize) -> Self {
        let (state, key) = world(keys);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = BTreeMap::from([header("x-tier", "gold"), header("accept", "*/*")]);
        Self { state, key, headers, params: BTreeMap::new() }
    }
}

fn world(keys: usize) -> (State, Arc<Stored<VirtualKey>>) {
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
            rate_limits: rate_limit(),
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
        (0..keys).map(|number| add::<VirtualKey>(&mut state, None, &key(number, team.id.as_str()))).collect();
    let subject = Arc::clone(&keys[keys.len() / 2]);
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
    for (number, other) in keys.iter().take(keys.len() / 10).enumerate() {
        add::<RoutingRule>(&mut state, None, &rule(0, v1::RoutingScope::VirtualKey, other.id.as_str(), "true"));
        let (kind, id) = (v1::PricingScopeKind::VirtualKey, other.id.as_str());
        add::<PricingOverride>(&mut state, None, &price(number, kind, id, "gpt-4o"));
        add::<ModelPrice>(&mut state, None, &model_price(format!("model-{number}")));
    }
    add::<ModelPrice>(&mut state, None, &model_price("gpt-4o".to_owned()));
    for (number, pattern) in ["gpt-*", "gpt-4o", "o*", "*"].into_iter().enumerate() {
        add::<PricingOverride>(&mut state, None, &price(20_000 + number, v1::PricingScopeKind::Global, "", pattern));
    }
    (state, subject)
}
