//! Random writes, and the model: what the store holds after each of them, from the answers alone.

use bytes::Bytes;
use imbl::OrdMap;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use sha2::{Digest as _, Sha256};
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::{
    Budget, Calendar, Children, ConfigResource, Customer, DayOfWeek, McpClient, ModelCeiling, ModelConfig,
    ModelConfigScope, ModelPrice, PricingMatchType, PricingOverride, PricingPatch, PricingRequestType,
    PricingScopeKind, Provider, ProviderKey, RateLimit, ResourceKey, ResourceKind, RoutingRule, RoutingScope,
    RoutingTarget, Team, VirtualKey, VirtualKeyProviderConfig,
};
use tollgate::reducer::{Summary, View};
use tonic::{Code, Status};

use super::api::{Api, Written, common};

/// Kind number and id.
type Place = (i32, String);

/// What a resource is to look like on the stream.
#[derive(Clone, PartialEq, Debug)]
struct Expected {
    resource: ConfigResource,
    /// Of keys: the hashes of the secret and of the one before it.
    hashes: (Bytes, Bytes),
}

/// The store at one revision.
#[derive(Clone, Default, Debug)]
pub(crate) struct Model {
    resources: OrdMap<Place, Expected>,
}

impl Model {
    /// What is in the tables of a new store.
    pub(crate) async fn of(api: &Api) -> (i64, Self) {
        let mut model = Self::default();
        let mut revision = 0;
        for resource in api.all().await {
            revision = revision.max(Summary::of(&resource).unwrap().revision);
            model.put(&resource, None);
        }
        (revision, model)
    }

    fn put(&mut self, resource: &ConfigResource, hashes: Option<(Bytes, Bytes)>) {
        let key = Summary::of(resource).unwrap().key;
        let place = (key.kind, key.id);
        let hashes = hashes.or_else(|| self.resources.get(&place).map(|it| it.hashes.clone())).unwrap_or_default();
        self.resources.insert(place, Expected { resource: common(resource), hashes });
    }

    fn any(&self, kind: ResourceKind, rng: &mut StdRng) -> Option<String> {
        let of_kind = |(place, _): (&Place, &Expected)| (place.0 == i32::from(kind)).then(|| place.1.clone());
        self.resources.iter().filter_map(of_kind).collect::<Vec<_>>().choose(rng).cloned()
    }

    /// What is wrong with a copy of these kinds (of all, if there are none).
    pub(crate) fn differs(&self, kinds: &[ResourceKind], copy: &View) -> Option<String> {
        let has = |kind: i32| kinds.is_empty() || kinds.iter().any(|it| i32::from(*it) == kind);
        let wanted = self.resources.iter().filter(|(place, _)| has(place.0));
        let mut count = 0;
        for ((kind, id), expected) in wanted {
            count += 1;
            let Some(held) = copy.get(&ResourceKey { kind: *kind, id: id.clone() }) else {
                return Some(format!("{kind}/{id} is missing"));
            };
            if common(held) != expected.resource {
                return Some(format!("{kind}/{id} is {held:?} instead of {:?}", expected.resource));
            }
            if let Some(Resource::VirtualKey(key)) = &held.resource
                && ((&key.value_sha256, &key.previous_value_sha256) != (&expected.hashes.0, &expected.hashes.1)
                    || key.previous_value_expires_at.is_some() == key.previous_value_sha256.is_empty()
                    || !key.value.is_empty())
            {
                return Some(format!("key {id} has other secrets"));
            }
        }
        (count != copy.len()).then(|| format!("{} resources instead of {count}", copy.len()))
    }

    /// What is wrong with the tables.
    pub(crate) async fn differs_from_tables(&self, api: &Api) -> Option<String> {
        let all = api.all().await;
        for resource in &all {
            let key = Summary::of(resource).unwrap().key;
            if self.resources.get(&(key.kind, key.id.clone())).map(|it| &it.resource) != Some(&common(resource)) {
                return Some(format!("the tables have {resource:?}"));
            }
        }
        (all.len() != self.resources.len()).then(|| "something is missing in the tables".to_owned())
    }
}

fn hash(secret: &str) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(secret))
}

/// One random write. `None` if it took no revision: it was refused, or changed nothing.
pub(crate) async fn write(api: &Api, rng: &mut StdRng, head: i64, model: &Model) -> Option<(i64, Model)> {
    let mut after = model.clone();
    let (written, hashes, gone) = match propose(api, rng, model).await {
        Ok(it) => it?,
        Err(status) => {
            let refused = [Code::AlreadyExists, Code::FailedPrecondition];
            assert!(refused.contains(&status.code()), "{status:?}");
            return None;
        }
    };
    if written.revision <= head {
        return None;
    }
    assert_eq!(written.revision, head + 1, "revisions are dense");
    if let Some(key) = gone {
        assert!(after.resources.remove(&(key.kind, key.id)).is_some());
    }
    if let Some(resource) = written.resource {
        after.put(&ConfigResource { resource: Some(resource) }, hashes);
    }
    for key in &written.also_changed {
        let resource = match api.get(key).await {
            Ok(resource) => resource,
            // A rule, model config or override goes with the key, team or customer that it names.
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound);
                assert!(after.resources.remove(&(key.kind, key.id.clone())).is_some());
                continue;
            }
        };
        assert_eq!(Summary::of(&resource).unwrap().revision, written.revision);
        after.put(&resource, None);
    }
    Some((written.revision, after))
}

type Proposed = Option<(Written, Option<(Bytes, Bytes)>, Option<ResourceKey>)>;

fn created(revision: i64, resource: Resource) -> Proposed {
    Some((Written { revision, resource: Some(resource), also_changed: Vec::new() }, None, None))
}

fn deleted(written: Written, kind: ResourceKind, id: String) -> Proposed {
    Some((written, None, Some(ResourceKey { kind: kind.into(), id })))
}

fn limits(rng: &mut StdRng) -> (Vec<Budget>, Vec<RateLimit>) {
    let budget = || Budget {
        max_limit: 10.0,
        reset_duration: "1d".to_owned(),
        alert_percents: vec![50, 200],
        temporary_increase: 2.5,
        temporary_increase_until: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        ..Budget::default()
    };
    let rate_limit = |length: &str| RateLimit {
        request_max_limit: Some(10),
        request_reset_duration: Some(length.to_owned()),
        ..RateLimit::default()
    };
    (
        rng.random_bool(0.5).then(budget).into_iter().collect(),
        ["1h", "1m", "1d"].into_iter().filter(|_| rng.random_bool(0.2)).map(rate_limit).collect(),
    )
}

/// What a customer or a team says of the keys below it.
fn above(rng: &mut StdRng, slot: usize) -> (Option<bool>, Option<ModelCeiling>) {
    let (allowed_providers, blocked_models) = (vec![format!("p{slot}")], vec!["o3".to_owned()]);
    let ceiling = ModelCeiling { allowed_providers, blocked_models, ..ModelCeiling::default() };
    ([None, Some(true), Some(false)][rng.random_range(0..3)], rng.random_bool(0.5).then_some(ceiling))
}

fn children(rng: &mut StdRng) -> Children {
    [Children::Unspecified, Children::Detach, Children::Deactivate, Children::Delete][rng.random_range(0..4)]
}

async fn propose(api: &Api, rng: &mut StdRng, model: &Model) -> Result<Proposed, Status> {
    use ResourceKind as Kind;
    // Few names, so that some are taken, and that what was deleted comes back.
    let name = format!("name {}", rng.random_range(0..12));
    let slot = rng.random_range(0..3);
    let labels = [("n".to_owned(), rng.random_range(0..1_000).to_string())].into();
    let customer = model.any(Kind::Customer, rng);
    let team = model.any(Kind::Team, rng);
    let key = model.any(Kind::VirtualKey, rng);
    let (budgets, rate_limits) = limits(rng);
    let calendar = rng.random_bool(0.5).then(|| Calendar {
        time_zone: "Europe/Berlin".to_owned(),
        first_day_of_week: DayOfWeek::Sunday.into(),
        first_month_of_year: 4,
    });
    Ok(match rng.random_range(0..28) {
        0 | 1 => {
            let customer = Customer { name, budgets, rate_limits, calendar, ..Customer::default() };
            let it = api.create_customer(customer).await?;
            created(it.revision, Resource::Customer(it))
        }
        2 | 3 => {
            let customer_id = customer.unwrap_or_default();
            let team = Team { name, customer_id, budgets, rate_limits, calendar, ..Team::default() };
            let it = api.create_team(team).await?;
            created(it.revision, Resource::Team(it))
        }
        4..=7 => {
            let config = VirtualKeyProviderConfig {
                provider: ["openai".to_owned(), format!("p{slot}")][rng.random_range(0..2)].clone(),
                allowed_models: vec!["*".to_owned()],
                ..VirtualKeyProviderConfig::default()
            };
            let (team_id, customer_id) = match rng.random_range(0..3) {
                0 => (String::new(), customer.unwrap_or_default()),
                _ => (team.unwrap_or_default(), String::new()),
            };
            let provider_configs = rng.random_bool(0.3).then_some(config).into_iter().collect();
            let key = VirtualKey {
                name,
                team_id,
                customer_id,
                provider_configs,
                budgets,
                rate_limits,
                ..VirtualKey::default()
            };
            let it = api.create_virtual_key(key).await?;
            let hashes = (hash(&it.value), Bytes::new());
            created(it.revision, Resource::VirtualKey(it)).map(|(written, _, gone)| (written, Some(hashes), gone))
        }
        8 => {
            let name = format!("p{slot}");
            let key = ProviderKey { name: rng.random_range(0..9).to_string(), ..ProviderKey::default() };
            let held = model.resources.contains_key(&(Kind::Provider.into(), name.clone()));
            let provider = Provider {
                id: if held { name.clone() } else { String::new() },
                name,
                keys: vec![key],
                ..Provider::default()
            };
            if held {
                return Ok(Some((api.update_provider(provider, &["keys"]).await?, None, None)));
            }
            let it = api.create_provider(provider).await?;
            created(it.revision, Resource::Provider(it))
        }
        9 => {
            let tools = vec![format!("tool {}", rng.random_range(0..9))];
            let name = format!("m{slot}");
            let held = model.resources.contains_key(&(Kind::McpClient.into(), name.clone()));
            let client =
                McpClient { id: if held { name.clone() } else { String::new() }, name, tools, ..McpClient::default() };
            if held {
                return Ok(Some((api.update_mcp_client(client, &["tools"]).await?, None, None)));
            }
            let it = api.create_mcp_client(client).await?;
            created(it.revision, Resource::McpClient(it))
        }
        10 => {
            let Some(id) = customer else { return Ok(None) };
            let (is_active, model_ceiling) = above(rng, slot);
            let changed = Customer { id, labels, is_active, model_ceiling, ..Customer::default() };
            Some((api.update_customer(changed, &["labels", "is_active", "model_ceiling"]).await?, None, None))
        }
        11 => {
            let Some(id) = team else { return Ok(None) };
            let customer_id = customer.unwrap_or_default();
            let (is_active, model_ceiling) = above(rng, slot);
            let changed = Team { id, labels, customer_id, is_active, model_ceiling, ..Team::default() };
            let paths = ["labels", "customer_id", "is_active", "model_ceiling"];
            Some((api.update_team(changed, &paths).await?, None, None))
        }
        12 => {
            let Some(id) = key else { return Ok(None) };
            let description = rng.random_range(0..3).to_string();
            let changed = VirtualKey { id, description, budgets, ..VirtualKey::default() };
            Some((api.update_virtual_key(changed, &["description", "budgets"]).await?, None, None))
        }
        13 => {
            let (Some(id), Some(team_id)) = (key, team) else { return Ok(None) };
            let changed = VirtualKey { id, team_id, ..VirtualKey::default() };
            Some((api.update_virtual_key(changed, &["team_id"]).await?, None, None))
        }
        14 => {
            let Some(id) = key else { return Ok(None) };
            let grace = rng.random_bool(0.5);
            let it = api.rotate(&id, Some(if grace { 3_600 } else { 0 })).await?;
            let place = (i32::from(Kind::VirtualKey), id);
            let before = model.resources.get(&place).unwrap().hashes.0.clone();
            let hashes = (hash(&it.value), if grace { before } else { Bytes::new() });
            created(it.revision, Resource::VirtualKey(it)).map(|(written, _, gone)| (written, Some(hashes), gone))
        }
        15 => {
            let Some(id) = customer else { return Ok(None) };
            deleted(api.delete_customer_and(&id, children(rng)).await?, Kind::Customer, id)
        }
        16 => {
            let Some(id) = team else { return Ok(None) };
            deleted(api.delete_team_and(&id, children(rng)).await?, Kind::Team, id)
        }
        17 => {
            let Some(id) = key else { return Ok(None) };
            deleted(api.delete_virtual_key(&id).await?, Kind::VirtualKey, id)
        }
        18 => {
            let Some(id) = model.any(Kind::McpClient, rng) else { return Ok(None) };
            deleted(api.delete_mcp_client(&id).await?, Kind::McpClient, id)
        }
        19 | 20 => {
            let (scope, scope_id) = match (rng.random_range(0..4), customer, team, key) {
                (0, Some(id), _, _) => (RoutingScope::Customer, id),
                (1, _, Some(id), _) => (RoutingScope::Team, id),
                (2, _, _, Some(id)) => (RoutingScope::VirtualKey, id),
                _ => (RoutingScope::Global, String::new()),
            };
            let provider = rng.random_bool(0.3).then(|| format!("p{slot}"));
            let rule = RoutingRule {
                name,
                cel_expression: "model == \"a\"".to_owned(),
                targets: vec![RoutingTarget { provider, weight: 1.0, ..RoutingTarget::default() }],
                scope: scope.into(),
                scope_id,
                priority: rng.random_range(0..20),
                ..RoutingRule::default()
            };
            let it = api.create_routing_rule(rule).await?;
            created(it.revision, Resource::RoutingRule(it))
        }
        21 => {
            let (scope, scope_id) = match (rng.random_range(0..3), team, key) {
                (0, Some(id), _) => (ModelConfigScope::Team, id),
                (1, _, Some(id)) => (ModelConfigScope::VirtualKey, id),
                _ => (ModelConfigScope::Global, String::new()),
            };
            let (scope, model_name) = (scope.into(), name);
            let config = ModelConfig { model_name, scope, scope_id, budgets, rate_limits, ..ModelConfig::default() };
            let it = api.create_model_config(config).await?;
            created(it.revision, Resource::ModelConfig(it))
        }
        22 => {
            let (scope_kind, virtual_key_id) = match key {
                Some(id) => (PricingScopeKind::VirtualKey, id),
                None => (PricingScopeKind::Global, String::new()),
            };
            let priced = PricingOverride {
                name,
                scope_kind: scope_kind.into(),
                virtual_key_id,
                match_type: PricingMatchType::Wildcard.into(),
                pattern: "gpt-*".to_owned(),
                request_types: vec![PricingRequestType::ChatCompletion.into()],
                patch: Some(PricingPatch { input_cost_per_token: Some(0.1 + 0.2), ..PricingPatch::default() }),
                ..PricingOverride::default()
            };
            let it = api.create_pricing_override(priced).await?;
            created(it.revision, Resource::PricingOverride(it))
        }
        23 => {
            let Some(id) = model.any(Kind::RoutingRule, rng) else { return Ok(None) };
            if rng.random_bool(0.5) {
                return Ok(deleted(api.delete_routing_rule(&id).await?, Kind::RoutingRule, id));
            }
            let rule =
                RoutingRule { id, priority: rng.random_range(0..20), chain_rule: true, ..RoutingRule::default() };
            Some((api.update_routing_rule(rule, &["priority", "chain_rule"]).await?, None, None))
        }
        24 => {
            let Some(id) = model.any(Kind::ModelConfig, rng) else { return Ok(None) };
            if rng.random_bool(0.5) {
                return Ok(deleted(api.delete_model_config(&id).await?, Kind::ModelConfig, id));
            }
            let config = ModelConfig { id, budgets, rate_limits, ..ModelConfig::default() };
            Some((api.update_model_config(config, &["budgets", "rate_limits"]).await?, None, None))
        }
        25 => {
            let Some(id) = model.any(Kind::PricingOverride, rng) else { return Ok(None) };
            if rng.random_bool(0.5) {
                return Ok(deleted(api.delete_pricing_override(&id).await?, Kind::PricingOverride, id));
            }
            let scope_kind = PricingScopeKind::Global.into();
            let priced = PricingOverride { id, scope_kind, ..PricingOverride::default() };
            Some((api.update_pricing_override(priced, &["scope_kind"]).await?, None, None))
        }
        26 => {
            let priced = ModelPrice {
                provider: ["openai".to_owned(), format!("p{slot}")][rng.random_range(0..2)].clone(),
                model: name,
                rates: Some(PricingPatch { output_cost_per_token: Some(0.1 + 0.2), ..PricingPatch::default() }),
                valid_from: rng.random_bool(0.5).then_some(prost_types::Timestamp { seconds: 1_000, nanos: 0 }),
                ..ModelPrice::default()
            };
            let it = api.create_model_price(priced).await?;
            created(it.revision, Resource::ModelPrice(it))
        }
        27 => {
            let Some(id) = model.any(Kind::ModelPrice, rng) else { return Ok(None) };
            if rng.random_bool(0.5) {
                return Ok(deleted(api.delete_model_price(&id).await?, Kind::ModelPrice, id));
            }
            let context_window = rng.random_range(0..1_000_000);
            let priced = ModelPrice { id, context_window, ..ModelPrice::default() };
            Some((api.update_model_price(priced, &["context_window", "valid_from"]).await?, None, None))
        }
        _ => {
            let id = format!("p{slot}");
            if !model.resources.contains_key(&(Kind::Provider.into(), id.clone())) {
                return Ok(None);
            }
            deleted(api.delete_provider(&id).await?, Kind::Provider, id)
        }
    })
}
