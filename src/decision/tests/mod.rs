//! Cases of routing, checks and prices, on states made of messages.

mod checks;
mod pricing;
mod routing;

use std::collections::HashMap;
use std::sync::LazyLock;

use rand::SeedableRng as _;

use super::*;
use crate::domain::{Error, Path, PricingOverride, Provider, Violations};
use crate::proto::v1;
use crate::state::{self, Chain, Context, Decision, Head, Rules};
use crate::wire::Wire;

static NONE: LazyLock<BTreeMap<String, String>> = LazyLock::new(BTreeMap::new);
pub(crate) const NOW: i64 = 1_800_000_000_000_000;

/// A state to which resources are added as a client would create them.
pub(crate) struct World {
    pub(crate) state: State,
    used: Used,
}

/// Usage by the id of the limit.
#[derive(Default)]
struct Used(HashMap<String, i64>);

impl Usage for Used {
    fn budget(&self, budget: &Budget, _: &Window) -> i64 {
        self.0.get(&budget.id.to_string()).copied().unwrap_or(0)
    }

    fn tokens(&self, limit: &RateLimit, _: &Window) -> i64 {
        self.0.get(&limit.id.to_string()).copied().unwrap_or(0)
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
    pub(crate) fn new() -> Self {
        let mut world = Self { state: State::restore(head(0), [], [], []), used: Used::default() };
        for name in ["openai", "anthropic", "groq"] {
            let keys = vec![v1::ProviderKey { id: format!("{name}-key"), ..Default::default() }];
            world.add_named::<Provider>(v1::Provider { name: name.to_owned(), keys, ..Default::default() }, Some(name));
        }
        world
    }

    pub(crate) fn add<R: Rules + Wire>(&mut self, message: R::Message) -> Arc<Stored<R>> {
        self.add_named::<R>(message, None)
    }

    fn add_named<R: Rules + Wire>(&mut self, message: R::Message, name: Option<&str>) -> Arc<Stored<R>> {
        let mut violations = Violations::new();
        let parsed = R::parse(message, &Path::root(R::KIND.name()), &mut violations);
        self.put_named(&violations.or(parsed).unwrap().unwrap(), name)
    }

    pub(crate) fn put<R: Rules>(&mut self, resource: &R) -> Arc<Stored<R>> {
        self.put_named(resource, None)
    }

    fn put_named<R: Rules>(&mut self, resource: &R, name: Option<&str>) -> Arc<Stored<R>> {
        let subject = self.write(|state, cx| state::create(state, cx, name, resource)).subject;
        Arc::clone(self.state.get::<R>(&subject.id).unwrap())
    }

    pub(crate) fn delete<R: Rules>(&mut self, id: &Id<R>) {
        self.write(|state, cx| state::delete::<R>(state, cx, id.as_str(), 0));
    }

    fn write(&mut self, decide: impl FnOnce(&State, &mut Context<'_>) -> Result<Decision, Error>) -> Decision {
        let next = self.state.revision() + 1;
        let mut random = StdRng::seed_from_u64(next.unsigned_abs());
        let mut cx = Context {
            now: Timestamp::from_micros(NOW),
            committed_at: Timestamp::from_micros(NOW),
            revision: next,
            random: &mut random,
            last_config_id: next * 100,
        };
        let decision = decide(&self.state, &mut cx).unwrap();
        self.state.apply(&decision.changes, head(next));
        decision
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

pub(crate) fn config(provider: &str, weight: Option<f64>) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight,
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }
}

pub(crate) fn key(configs: Vec<v1::VirtualKeyProviderConfig>) -> v1::VirtualKey {
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
