//! Random organisations as files describe them: resources of all kinds, which name each other.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::{
    Children, ModelConfigScope, PricingMatchType, PricingRequestType, PricingScopeKind, ResourceKind, RoutingScope,
};

use super::upsert;

/// Names of customers, teams and keys, some of which paths have to escape and YAML to quote.
const NAMES: [&str; 4] = ["Acme", "R/D 50%", "caf\u{e9}: \"1\"", "no"];
/// A provider that every store has.
const BUILT_IN: &str = "openai";

/// The place of its kind in [`ORDER`], and its name; of customers, teams and keys the name is their path.
pub(crate) type Place = (usize, String);

/// Resources by their places, so that each comes after those that it names.
#[derive(Clone, Default, Debug)]
pub(crate) struct Organisation(BTreeMap<Place, Resource>);

/// Kinds, each after those that its resources name.
const ORDER: [ResourceKind; 10] = [
    ResourceKind::Provider,
    ResourceKind::McpClient,
    ResourceKind::Customer,
    ResourceKind::Team,
    ResourceKind::VirtualKey,
    ResourceKind::ModelConfig,
    ResourceKind::RoutingRule,
    ResourceKind::PricingOverride,
    ResourceKind::ProviderGovernance,
    ResourceKind::ModelPrice,
];

fn place(kind: ResourceKind, name: impl Into<String>) -> Place {
    (ORDER.iter().position(|it| *it == kind).unwrap(), name.into())
}

fn segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// The reference to what is at this path; none where there is no path.
fn named(path: Option<&String>) -> String {
    path.map(|path| format!("name:{path}")).unwrap_or_default()
}

impl Organisation {
    /// One that came about by so many edits.
    pub(crate) fn random(rng: &mut StdRng, edits: usize) -> Self {
        (0..edits).fold(Self::default(), |organisation, _| organisation.edited(rng))
    }

    /// With one resource more, changed, or gone with all that name it.
    pub(crate) fn edited(mut self, rng: &mut StdRng) -> Self {
        let places: Vec<_> = self.0.keys().cloned().collect();
        match places.choose(rng).filter(|_| rng.random_bool(0.2)) {
            Some(place) => self.remove(place),
            None => {
                let (place, resource) = self.propose(rng);
                self.0.insert(place, resource);
            }
        }
        self
    }

    fn remove(&mut self, place: &Place) {
        self.0.remove(place);
        let naming = self.0.iter().filter(|(_, resource)| references(resource).contains(place));
        let naming: Vec<_> = naming.map(|(place, _)| place.clone()).collect();
        naming.iter().for_each(|place| self.remove(place));
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.keys()
    }

    /// The changes that make a store have all of this, in any order.
    pub(crate) fn upserts(&self, rng: &mut StdRng) -> Vec<(Place, v1::ApplyChange)> {
        let change = |(place, resource): (&Place, &Resource)| (place.clone(), upsert(resource.clone()));
        let mut changes: Vec<_> = self.0.iter().map(change).collect();
        changes.shuffle(rng);
        changes
    }

    /// The deletions of what `next` has no longer, by the ids that the store gave. `cascading`: without those of what goes
    /// with its owner.
    pub(crate) fn deletions(
        &self,
        next: &Self,
        ids: &BTreeMap<Place, String>,
        cascading: bool,
    ) -> Vec<(Place, v1::ApplyChange)> {
        let is_gone = |place: &Place| self.0.contains_key(place) && !next.0.contains_key(place);
        let owners = [ResourceKind::Customer, ResourceKind::Team, ResourceKind::VirtualKey];
        let goes_along = |resource: &Resource| {
            let owned = references(resource).into_iter().filter(|(kind, _)| owners.contains(&ORDER[*kind]));
            cascading && owned.into_iter().any(|place| is_gone(&place))
        };
        let gone = self.0.iter().filter(|(place, resource)| is_gone(place) && !goes_along(resource));
        let children = if cascading { Children::Delete } else { Children::Unspecified }.into();
        let deletion = |place: &Place| v1::ApplyChange { children, ..super::delete(ORDER[place.0], &ids[place]) };
        gone.map(|(place, _)| (place.clone(), deletion(place))).collect()
    }

    fn any(&self, kind: ResourceKind, rng: &mut StdRng) -> Option<String> {
        let names: Vec<_> = self.0.keys().filter(|place| ORDER[place.0] == kind).map(|(_, name)| name).collect();
        names.choose(rng).map(|name| (*name).clone())
    }

    /// A customer, a team or a key, or none.
    fn owner(&self, rng: &mut StdRng) -> Option<(ResourceKind, String)> {
        let kinds = [ResourceKind::Customer, ResourceKind::Team, ResourceKind::VirtualKey];
        let kind = *kinds.choose(rng)?;
        self.any(kind, rng).filter(|_| rng.random_bool(0.8)).map(|path| (kind, path))
    }

    fn propose(&self, rng: &mut StdRng) -> (Place, Resource) {
        let (name, number) = (NAMES.choose(rng).unwrap(), rng.random_range(0..4));
        let customer = self.any(ResourceKind::Customer, rng).filter(|_| rng.random_bool(0.8));
        let provider = self.any(ResourceKind::Provider, rng).unwrap_or_else(|| BUILT_IN.to_owned());
        let labels = (0..rng.random_range(0..3)).map(|it| (format!("l {it}"), format!("{number}: #"))).collect();
        let (budgets, rate_limits) = (budgets(rng), rate_limits(rng));
        let calendar_aligned = rng.random_bool(0.3);
        let calendar = rng.random_bool(0.3).then(|| v1::Calendar {
            time_zone: "Europe/Berlin".to_owned(),
            first_day_of_week: v1::DayOfWeek::Sunday.into(),
            first_month_of_year: 4,
        });
        let is_active = [None, Some(true), Some(false)][rng.random_range(0..3)];
        let managed_by = ["", "one", "other"][rng.random_range(0..3)].to_owned();
        let rates = Some(v1::PricingPatch {
            input_cost_per_token: Some(1e-7 * f64::from(rng.random_range(1..90))),
            ..Default::default()
        });
        let ceiling = || v1::ModelCeiling {
            allowed_providers: vec![provider.clone()],
            blocked_models: vec!["o3*".to_owned()],
            ..Default::default()
        };
        let model_ceiling = rng.random_bool(0.3).then(ceiling);
        match ORDER[rng.random_range(0..ORDER.len())] {
            ResourceKind::Customer => {
                let (name, path) = ((*name).to_owned(), segment(name));
                let it = v1::Customer { name, budgets, rate_limits, calendar_aligned, labels, ..Default::default() };
                let it = v1::Customer { is_active, model_ceiling, calendar, managed_by, ..it };
                (place(ResourceKind::Customer, path), Resource::Customer(it))
            }
            ResourceKind::Team => {
                let path = format!("{}/{}", customer.clone().unwrap_or_default(), segment(name));
                let (name, customer_id) = ((*name).to_owned(), named(customer.as_ref()));
                let it = v1::Team { name, customer_id, budgets, rate_limits, labels, ..Default::default() };
                let profile = rng.random_bool(0.3).then(free);
                let it = v1::Team { calendar_aligned, is_active, model_ceiling, calendar, managed_by, profile, ..it };
                (place(ResourceKind::Team, path), Resource::Team(it))
            }
            ResourceKind::VirtualKey => {
                let team = self.any(ResourceKind::Team, rng).filter(|_| rng.random_bool(0.6));
                let customer = customer.filter(|_| team.is_none());
                let above = team.clone().unwrap_or_else(|| format!("{}/", customer.clone().unwrap_or_default()));
                let provider_configs = (0..rng.random_range(0..3)).map(|_| config(&provider, rng)).collect();
                let mcp_configs = self.any(ResourceKind::McpClient, rng).map(|mcp_client_name| {
                    let tools_to_execute = vec!["*".to_owned()];
                    v1::VirtualKeyMcpConfig { mcp_client_name, tools_to_execute, ..Default::default() }
                });
                let it = v1::VirtualKey {
                    name: (*name).to_owned(),
                    team_id: named(team.as_ref()),
                    customer_id: named(customer.as_ref()),
                    provider_configs,
                    mcp_configs: mcp_configs.into_iter().collect(),
                    description: ["", "of \\ two\nlines"][rng.random_range(0..2)].to_owned(),
                    expires_at: rng.random_bool(0.3).then_some(time(4_000_000_000)),
                    ..Default::default()
                };
                let it = v1::VirtualKey { is_active, budgets, rate_limits, labels, ..it };
                let it = v1::VirtualKey { calendar_aligned, calendar, managed_by, ..it };
                (place(ResourceKind::VirtualKey, format!("{above}/{}", segment(name))), Resource::VirtualKey(it))
            }
            ResourceKind::RoutingRule => {
                let owner = self.owner(rng);
                let scope = match owner {
                    Some((ResourceKind::Customer, _)) => RoutingScope::Customer,
                    Some((ResourceKind::Team, _)) => RoutingScope::Team,
                    Some(_) => RoutingScope::VirtualKey,
                    None => RoutingScope::Global,
                };
                let scope_id = named(owner.as_ref().map(|(_, path)| path));
                let target = v1::RoutingTarget { provider: Some(provider), weight: 1.0, ..Default::default() };
                let it = v1::RoutingRule {
                    name: format!("rule {number}"),
                    cel_expression: ["true", "model == \"gpt-4o\""][rng.random_range(0..2)].to_owned(),
                    targets: vec![target],
                    scope: scope.into(),
                    // Unique within a scope, as names are.
                    priority: number + 4 * rng.random_range(0..9),
                    chain_rule: rng.random_bool(0.2),
                    enabled: is_active,
                    scope_id,
                    managed_by,
                    ..Default::default()
                };
                let at = format!("{} in {:?} {}", it.name, it.scope(), it.scope_id);
                (place(ResourceKind::RoutingRule, at), Resource::RoutingRule(it))
            }
            ResourceKind::ModelConfig => {
                let owner = self.owner(rng);
                let scope = match owner {
                    Some((ResourceKind::Customer, _)) => ModelConfigScope::Customer,
                    Some((ResourceKind::Team, _)) => ModelConfigScope::Team,
                    Some(_) => ModelConfigScope::VirtualKey,
                    None => ModelConfigScope::Global,
                };
                let it = v1::ModelConfig {
                    model_name: ["*", "gpt-4o", "gpt-*"][rng.random_range(0..3)].to_owned(),
                    provider: if rng.random_bool(0.5) { provider } else { String::new() },
                    scope: scope.into(),
                    scope_id: named(owner.as_ref().map(|(_, path)| path)),
                    ..Default::default()
                };
                let it = v1::ModelConfig { calendar_aligned, budgets, rate_limits, calendar, managed_by, ..it };
                let at = format!("{} {} in {:?} {}", it.model_name, it.provider, it.scope(), it.scope_id);
                (place(ResourceKind::ModelConfig, at), Resource::ModelConfig(it))
            }
            ResourceKind::PricingOverride => {
                let key = self.any(ResourceKind::VirtualKey, rng);
                let scope = if key.is_some() { PricingScopeKind::VirtualKey } else { PricingScopeKind::Global };
                let it = v1::PricingOverride {
                    name: format!("override {number}"),
                    scope_kind: scope.into(),
                    virtual_key_id: named(key.as_ref()),
                    match_type: PricingMatchType::Wildcard.into(),
                    pattern: "gpt-*".to_owned(),
                    request_types: vec![PricingRequestType::ChatCompletion.into()],
                    patch: rates,
                    managed_by,
                    ..Default::default()
                };
                let at = format!("{} for {}", it.name, it.virtual_key_id);
                (place(ResourceKind::PricingOverride, at), Resource::PricingOverride(it))
            }
            ResourceKind::Provider => {
                let name = format!("own-{number}");
                let key = v1::ProviderKey {
                    id: format!("{name}-key"),
                    name: "the key".to_owned(),
                    models: vec!["gpt-4o*".to_owned()],
                    budgets,
                    rate_limits,
                };
                let it =
                    v1::Provider { name: name.clone(), calendar_aligned, calendar, managed_by, ..Default::default() };
                let it = v1::Provider { keys: vec![key], ..it };
                (place(ResourceKind::Provider, name), Resource::Provider(it))
            }
            ResourceKind::McpClient => {
                let (name, tools) = (format!("tools-{number}"), vec![format!("tool {}", rng.random_range(0..9))]);
                let it = v1::McpClient { name: name.clone(), tools, managed_by, ..Default::default() };
                (place(ResourceKind::McpClient, name), Resource::McpClient(it))
            }
            ResourceKind::ModelPrice => {
                let it = v1::ModelPrice {
                    model: format!("model-{number}"),
                    rates,
                    context_window: rng.random_range(0..1_000_000),
                    valid_from: rng.random_bool(0.5).then_some(time(1_000)),
                    provider,
                    managed_by,
                    ..Default::default()
                };
                let at = format!("{}/{} from {:?}", it.provider, it.model, it.valid_from.is_some());
                (place(ResourceKind::ModelPrice, at), Resource::ModelPrice(it))
            }
            _ => {
                // There is governance where there is a limit.
                let mut budgets = budgets;
                if budgets.is_empty() {
                    budgets.push(super::budget(7.0, "2w"));
                }
                let it =
                    v1::ProviderGovernance { provider: provider.clone(), budgets, rate_limits, ..Default::default() };
                let it = v1::ProviderGovernance { calendar_aligned, calendar, managed_by, ..it };
                (place(ResourceKind::ProviderGovernance, provider), Resource::ProviderGovernance(it))
            }
        }
    }
}

/// The customers, teams, keys, providers and MCP clients that a resource names.
fn references(resource: &Resource) -> Vec<Place> {
    use ResourceKind as Kind;
    let mut found = Vec::new();
    let mut add = |kind: ResourceKind, name: &str| {
        let name = name.trim_start_matches("name:");
        if !name.is_empty() {
            found.push(place(kind, name));
        }
    };
    let ceiling = |ceiling: &Option<v1::ModelCeiling>| ceiling.clone().unwrap_or_default().allowed_providers;
    match resource {
        Resource::Customer(it) => ceiling(&it.model_ceiling).iter().for_each(|name| add(Kind::Provider, name)),
        Resource::Team(it) => {
            add(Kind::Customer, &it.customer_id);
            ceiling(&it.model_ceiling).iter().for_each(|name| add(Kind::Provider, name));
        }
        Resource::VirtualKey(it) => {
            add(Kind::Customer, &it.customer_id);
            add(Kind::Team, &it.team_id);
            it.provider_configs.iter().for_each(|config| add(Kind::Provider, &config.provider));
            it.mcp_configs.iter().for_each(|config| add(Kind::McpClient, &config.mcp_client_name));
        }
        Resource::RoutingRule(it) => {
            let kind = match it.scope() {
                RoutingScope::Customer => Kind::Customer,
                RoutingScope::Team => Kind::Team,
                _ => Kind::VirtualKey,
            };
            add(kind, &it.scope_id);
            it.targets.iter().for_each(|target| add(Kind::Provider, target.provider()));
        }
        Resource::ModelConfig(it) => {
            let kind = match it.scope() {
                ModelConfigScope::Customer => Kind::Customer,
                ModelConfigScope::Team => Kind::Team,
                _ => Kind::VirtualKey,
            };
            add(kind, &it.scope_id);
            add(Kind::Provider, &it.provider);
        }
        Resource::PricingOverride(it) => add(Kind::VirtualKey, &it.virtual_key_id),
        Resource::ProviderGovernance(it) => add(Kind::Provider, &it.provider),
        Resource::ModelPrice(it) => add(Kind::Provider, &it.provider),
        _ => {}
    }
    found
}

fn time(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// Data that the server keeps for others.
fn free() -> prost_types::Struct {
    use prost_types::value::Kind;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let list = prost_types::ListValue { values: vec![value(Kind::NumberValue(1.5)), value(Kind::NullValue(0))] };
    let fields =
        [("yes", Kind::BoolValue(true)), ("a: b", Kind::StringValue("12".to_owned())), ("l", Kind::ListValue(list))];
    prost_types::Struct { fields: fields.into_iter().map(|(name, kind)| (name.to_owned(), value(kind))).collect() }
}

fn config(provider: &str, rng: &mut StdRng) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight: [None, Some(0.0), Some(0.1 + 0.2)][rng.random_range(0..3)],
        allowed_models: vec!["gpt-4o*".to_owned(), "o3".to_owned()],
        key_ids: vec!["*".to_owned()],
        budgets: budgets(rng),
        rate_limits: rate_limits(rng),
        ..Default::default()
    }
}

fn budgets(rng: &mut StdRng) -> Vec<v1::Budget> {
    let lengths: Vec<_> = ["1h", "1d", "1M"].into_iter().filter(|_| rng.random_bool(0.3)).collect();
    let budget = |length: &str| v1::Budget {
        alert_percents: [vec![], vec![50, 200]][rng.random_range(0..2)].clone(),
        enforcement: [v1::Enforcement::Hard, v1::Enforcement::Unspecified][rng.random_range(0..2)].into(),
        ..super::budget(0.5 * f64::from(rng.random_range(1..9)), length)
    };
    lengths.into_iter().map(budget).collect()
}

fn rate_limits(rng: &mut StdRng) -> Vec<v1::RateLimit> {
    let lengths: Vec<_> = ["1m", "1h"].into_iter().filter(|_| rng.random_bool(0.3)).collect();
    let limit = |length: &str| v1::RateLimit {
        request_max_limit: Some(rng.random_range(1..99)),
        request_reset_duration: Some(length.to_owned()),
        token_max_limit: Some(1_000),
        token_reset_duration: Some(length.to_owned()),
        ..Default::default()
    };
    lengths.into_iter().map(limit).collect()
}
