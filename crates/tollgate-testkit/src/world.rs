//! Small configurations made of messages, to decide in.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use tollgate_core::config::{Config, Indexed};
use tollgate_core::decision::{Explanation, KeyGiven, Request, Usage, explain};
use tollgate_core::domain::{
    AnyResource, Budget, Id, Kind, LimitId, Limits, Path, Provider, RateLimit, ResourceKey, Stored, Timestamp,
    Violations, VirtualKey, Window,
};
use tollgate_core::proto::v1;
use tollgate_core::wire::Wire;

static NONE: LazyLock<BTreeMap<String, String>> = LazyLock::new(BTreeMap::new);

/// When everything in a world happens, in microseconds.
pub const NOW: i64 = 1_800_000_000_000_000;

/// A configuration to which resources are added as a client would create them, and what was used of its limits.
#[derive(Default)]
pub struct World {
    /// The configuration.
    pub config: Config,
    /// The revision of the last change.
    pub revision: i64,
    /// What was used.
    pub used: Used,
    /// The last id that a limit or a provider config got.
    last_id: u8,
}

/// Usage by the id of the limit.
#[derive(Default)]
pub struct Used(pub HashMap<String, i64>);

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

    fn open(&self, limit: &RateLimit) -> i64 {
        self.0.get(&limit.id.to_string()).copied().unwrap_or(0)
    }
}

impl World {
    /// A world with three providers; `p` has the key `p-key`.
    pub fn new() -> Self {
        let mut world = Self::default();
        for name in ["openai", "anthropic", "groq"] {
            let keys = vec![v1::ProviderKey { id: format!("{name}-key"), ..Default::default() }];
            let message = v1::Provider { name: name.to_owned(), keys, ..Default::default() };
            let provider = parse::<Provider>(message);
            world.put_as(name, &provider);
        }
        world
    }

    /// Adds what `message` says.
    pub fn add<R: Indexed + Wire>(&mut self, message: R::Message) -> Arc<Stored<R>> {
        self.put(&parse::<R>(message))
    }

    /// Adds a resource.
    pub fn put<R: Indexed>(&mut self, resource: &R) -> Arc<Stored<R>> {
        let id = format!("{}-{}", R::KIND, self.revision + 1);
        self.put_as(&id, resource)
    }

    /// Puts a resource with this id, in the place of one that has it.
    pub fn put_as<R: Indexed>(&mut self, id: &str, resource: &R) -> Arc<Stored<R>> {
        self.revision += 1;
        let at = Timestamp::from_micros(NOW);
        let (id, revision, resource) = (Id::new(id), self.revision, resource.clone());
        let mut any = R::wrap(Arc::new(Stored { id, revision, created_at: at, updated_at: at, resource }));
        self.complete(&mut any);
        self.config.put(&any);
        Arc::clone(R::unwrap(&any).expect("of this kind"))
    }

    /// Removes a resource.
    pub fn remove<R: Indexed>(&mut self, id: &Id<R>) {
        self.revision += 1;
        self.config.remove(&ResourceKey::of(id)).expect("it is there");
    }

    /// All resources.
    pub fn resources(&self) -> Vec<AnyResource> {
        let mut found = Vec::new();
        for kind in Kind::ALL {
            let keys = (0..=self.revision).map(|number| format!("{kind}-{number}"));
            let named = ["openai", "anthropic", "groq"].map(ToOwned::to_owned);
            let keys = keys.chain(named).map(|id| ResourceKey { kind, id: id.into() });
            found.extend(keys.filter_map(|key| self.config.any(&key)));
        }
        found
    }

    /// What becomes of a request: the same whenever it is asked.
    pub fn explain(&self, request: Request<'_>) -> Explanation {
        let explanation = explain(&self.config, &self.used, &request);
        assert_eq!(explain(&self.config, &self.used, &request), explanation, "the same again");
        explanation
    }

    /// Gives ids and times to the parts of a resource, as the server does.
    fn complete(&mut self, any: &mut AnyResource) {
        match any {
            AnyResource::Customer(stored) => self.complete_limits(&mut Arc::make_mut(stored).resource.limits),
            AnyResource::Team(stored) => self.complete_limits(&mut Arc::make_mut(stored).resource.limits),
            AnyResource::VirtualKey(stored) => {
                let key = &mut Arc::make_mut(stored).resource;
                self.complete_limits(&mut key.limits);
                for config in &mut key.provider_configs {
                    config.id = i64::from(self.next_id());
                    self.complete_limits(&mut config.limits);
                }
            }
            AnyResource::ModelConfig(stored) => self.complete_limits(&mut Arc::make_mut(stored).resource.limits),
            AnyResource::ProviderGovernance(stored) => {
                self.complete_limits(&mut Arc::make_mut(stored).resource.limits);
            }
            AnyResource::Provider(stored) => {
                for key in &mut Arc::make_mut(stored).resource.keys {
                    self.complete_limits(&mut key.limits);
                }
            }
            AnyResource::RoutingRule(_)
            | AnyResource::PricingOverride(_)
            | AnyResource::McpClient(_)
            | AnyResource::ModelPrice(_)
            | AnyResource::Webhook(_)
            | AnyResource::Token(_) => {}
        }
    }

    fn complete_limits(&mut self, limits: &mut Limits) {
        let at = Timestamp::from_micros(NOW);
        for budget in &mut limits.budgets {
            budget.id = self.next_limit_id();
            (budget.anchor, budget.created_at, budget.updated_at) = (at, at, at);
        }
        for limit in &mut limits.rate_limits {
            limit.id = self.next_limit_id();
            (limit.created_at, limit.updated_at) = (at, at);
            for dimension in [&mut limit.token, &mut limit.request].into_iter().flatten() {
                dimension.anchor = at;
            }
        }
    }

    fn next_id(&mut self) -> u8 {
        self.last_id += 1;
        self.last_id
    }

    fn next_limit_id(&mut self) -> LimitId {
        LimitId::Uuid([self.next_id(); 16])
    }
}

/// The value of a message that is valid.
pub fn parse<R: Wire>(message: R::Message) -> R {
    let mut violations = Violations::new();
    let parsed = R::parse(message, &Path::root(R::KIND.name()), &mut violations);
    violations.or(parsed).expect("it is valid").expect("it is valid")
}

/// A request with a key.
pub fn asked<'a>(key: &'a Arc<Stored<VirtualKey>>, provider: &'a str, model: &'a str) -> Request<'a> {
    Request { key: KeyGiven::Key(key), ..keyless(provider, model) }
}

/// A request without a key.
pub fn keyless<'a>(provider: &'a str, model: &'a str) -> Request<'a> {
    Request {
        key: KeyGiven::None,
        provider,
        model,
        provider_key_id: "",
        request_type: "chat_completion",
        headers: &NONE,
        params: &NONE,
        fallbacks: &[],
        context_length: 0,
        stream: false,
        estimated_tokens: 0,
        estimated_cost: 0,
        at: Timestamp::from_micros(NOW),
        seed: 7,
    }
}

/// A provider config that allows everything of `provider`.
pub fn config(provider: &str, weight: Option<f64>) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight,
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }
}

/// A key with these provider configs.
pub fn key(configs: Vec<v1::VirtualKeyProviderConfig>) -> v1::VirtualKey {
    v1::VirtualKey {
        name: "key".to_owned(),
        value: "0123456789abcdefghijklmnopqrstuvwxyz".to_owned(),
        provider_configs: configs,
        ..Default::default()
    }
}
