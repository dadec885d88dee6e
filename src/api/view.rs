//! What answers add to what is stored: what a resource names, counts, and, with `RESOURCE_VIEW_FULL`, related resources.

use prost::Message as _;

use super::page::MAX_BYTES;
use crate::counters::CounterKey;
use crate::domain::{
    Customer, Id, KeyOwner, LimitKind, McpClient, ModelConfig, ModelPrice, NanoUsd, PricingOverride, Provider,
    ProviderGovernance, RoutingRule, Scope, Team, Timestamp, VirtualKey, Webhook,
};
use crate::proto::v1;
use crate::state::{Facet, Listed, State};
use crate::wire::{Form, Wire, follow_calendar, parse_model_config_scope, render_provider_key};

/// Related resources that are embedded at most.
const EMBEDDED: usize = 1_000;

/// `ResourceView`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Basic,
    Full,
}

/// How answers of a kind are completed.
pub(super) trait View: Wire + Listed {
    /// Completes a rendered answer from `state`. `get` tells whether it is the only one of its answer.
    fn complete(message: &mut Self::Message, state: &State, now: Timestamp, detail: Detail, get: bool);
}

impl View for Provider {
    fn complete(message: &mut v1::Provider, state: &State, _: Timestamp, _: Detail, _: bool) {
        for key in &mut message.keys {
            measure(state, &mut key.budgets, &mut key.rate_limits);
        }
    }
}

impl View for McpClient {
    fn complete(_: &mut v1::McpClient, _: &State, _: Timestamp, _: Detail, _: bool) {}
}

impl View for RoutingRule {
    fn complete(_: &mut v1::RoutingRule, _: &State, _: Timestamp, _: Detail, _: bool) {}
}

impl View for ProviderGovernance {
    fn complete(message: &mut v1::ProviderGovernance, state: &State, _: Timestamp, _: Detail, _: bool) {
        measure(state, &mut message.budgets, &mut message.rate_limits);
    }
}

impl View for PricingOverride {
    fn complete(_: &mut v1::PricingOverride, _: &State, _: Timestamp, _: Detail, _: bool) {}
}

impl View for Webhook {
    fn complete(_: &mut v1::Webhook, _: &State, _: Timestamp, _: Detail, _: bool) {}
}

impl View for ModelPrice {
    fn complete(_: &mut v1::ModelPrice, _: &State, _: Timestamp, _: Detail, _: bool) {}
}

impl View for ModelConfig {
    fn complete(message: &mut v1::ModelConfig, state: &State, _: Timestamp, _: Detail, _: bool) {
        measure(state, &mut message.budgets, &mut message.rate_limits);
        let Some(kind) = parse_model_config_scope(message.scope) else { return };
        let name = match Scope::new(kind, message.scope_id.as_str()) {
            Scope::Global => None,
            Scope::VirtualKey(id) => {
                state.config().get::<VirtualKey>(id.as_str()).map(|it| it.resource.name.to_string())
            }
            Scope::Team(id) => state.config().get::<Team>(id.as_str()).map(|it| it.resource.name.to_string()),
            Scope::Customer(id) => state.config().get::<Customer>(id.as_str()).map(|it| it.resource.name.to_string()),
        };
        message.scope_name = name.unwrap_or_default();
    }
}

impl View for Customer {
    fn complete(message: &mut v1::Customer, state: &State, now: Timestamp, detail: Detail, get: bool) {
        measure(state, &mut message.budgets, &mut message.rate_limits);
        if detail == Detail::Full && get {
            let facet = Facet::Customer(message.id.as_str().into());
            let mut room = MAX_BYTES;
            message.teams = embed_all::<Team>(state, &facet, now, &mut room);
            message.virtual_keys = embed_all::<VirtualKey>(state, &facet, now, &mut room);
        }
    }
}

impl View for Team {
    fn complete(message: &mut v1::Team, state: &State, now: Timestamp, detail: Detail, get: bool) {
        if message.calendar_aligned && message.calendar.is_none() {
            let owner = KeyOwner::Customer(Id::new(message.customer_id.as_str()));
            follow(state, &owner, now, &mut message.budgets, &mut message.rate_limits);
        }
        measure(state, &mut message.budgets, &mut message.rate_limits);
        let facet = Facet::Team(message.id.as_str().into());
        message.virtual_key_count = i64::try_from(VirtualKey::listing(state).facet_size(&facet)).unwrap_or(i64::MAX);
        if detail == Detail::Full {
            message.customer = embed::<Customer>(state, &message.customer_id, now);
            if get {
                message.virtual_keys = embed_all::<VirtualKey>(state, &facet, now, &mut { MAX_BYTES });
            }
        }
    }
}

impl View for VirtualKey {
    fn complete(message: &mut v1::VirtualKey, state: &State, now: Timestamp, detail: Detail, _: bool) {
        if message.calendar_aligned && message.calendar.is_none() {
            let owner = match message.team_id.as_str() {
                "" => KeyOwner::Customer(Id::new(message.customer_id.as_str())),
                team_id => KeyOwner::Team(Id::new(team_id)),
            };
            follow(state, &owner, now, &mut message.budgets, &mut message.rate_limits);
            for config in &mut message.provider_configs {
                follow(state, &owner, now, &mut config.budgets, &mut config.rate_limits);
            }
        }
        measure(state, &mut message.budgets, &mut message.rate_limits);
        for config in &mut message.provider_configs {
            measure(state, &mut config.budgets, &mut config.rate_limits);
            config.keys = match state.config().get::<Provider>(&config.provider) {
                Some(provider) => provider
                    .resource
                    .keys
                    .iter()
                    .filter(|key| config.allow_all_keys || config.key_ids.iter().any(|id| *id == *key.id))
                    .map(render_provider_key)
                    .collect(),
                None => Vec::new(),
            };
        }
        for config in &mut message.mcp_configs {
            config.mcp_client = embed::<McpClient>(state, &config.mcp_client_name, now);
        }
        if detail == Detail::Full {
            message.team = embed::<Team>(state, &message.team_id, now);
            let customer_id = match &message.team {
                Some(team) => &team.customer_id,
                None => &message.customer_id,
            };
            message.customer = embed::<Customer>(state, customer_id, now);
        }
    }
}

/// Lets windows follow the calendar of whom their owner belongs to, if that has one.
fn follow(
    state: &State,
    owner: &KeyOwner,
    now: Timestamp,
    budgets: &mut [v1::Budget],
    rate_limits: &mut [v1::RateLimit],
) {
    if let Some(calendar) = state.config().inherited(owner) {
        follow_calendar(calendar, now, budgets, rate_limits);
    }
}

/// Fills in what was counted in the windows that the limits were rendered with.
pub(super) fn measure(state: &State, budgets: &mut [v1::Budget], rate_limits: &mut [v1::RateLimit]) {
    let used = |id: &str, kind: LimitKind, start: &Option<prost_types::Timestamp>| {
        let start = start.as_ref().and_then(|start| Timestamp::from_parts(start.seconds, start.nanos));
        start.map_or(0, |window_start| state.usage().get(&CounterKey { limit_id: id.into(), kind, window_start }).used)
    };
    for budget in budgets {
        budget.current_usage_nano_usd = used(&budget.id, LimitKind::Budget, &budget.last_reset);
        budget.current_usage = NanoUsd::from_nanos(budget.current_usage_nano_usd).usd();
    }
    for limit in rate_limits {
        limit.token_current_usage = used(&limit.id, LimitKind::Tokens, &limit.token_last_reset);
        limit.request_current_usage = used(&limit.id, LimitKind::Requests, &limit.request_last_reset);
        if limit.concurrent_request_max_limit.is_some() && limit.enforcement() == v1::Enforcement::Hard {
            let slots = CounterKey::slots(limit.id.as_str().into());
            limit.concurrent_request_current_usage = state.credit().outstanding(&slots);
        }
    }
}

fn embed<R: View>(state: &State, id: &str, now: Timestamp) -> Option<R::Message> {
    let stored = state.config().get::<R>(id)?;
    let mut message = R::render(stored, Form::Answer(now));
    R::complete(&mut message, state, now, Detail::Basic, false);
    Some(message)
}

/// The first resources with `facet`, as many as there is room for: an answer must not exceed what clients take.
fn embed_all<R: View>(state: &State, facet: &Facet, now: Timestamp, room: &mut usize) -> Vec<R::Message> {
    let start = (Timestamp::from_micros(i64::MIN), Id::new(""));
    R::listing(state)
        .with_facet(facet, &start)
        .take(EMBEDDED)
        .map_while(|(_, id)| {
            let message = embed::<R>(state, id.as_str(), now)?;
            *room = room.checked_sub(message.encoded_len())?;
            Some(message)
        })
        .collect()
}
