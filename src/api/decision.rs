//! What would happen to a request, and why. The decision itself is made in `decision`, by the code that nodes use too.

use std::collections::BTreeMap;

use rand::RngCore as _;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::Statuses;
use super::crud::respond;
use crate::decision::{
    self, Candidate, Explanation, KeyGiven, KnownUsage, LimitCheck, Match, PriceRequest, RejectedFallback, RuleCheck,
    Verdict,
};
use crate::domain::{
    Error, Fallback, Kind, ModelPrice, Path, PricingOverride, REQUEST_TYPES, RoutingRule, Sha256Hash, Timestamp,
    Violations, VirtualKey,
};
use crate::proto::v1;
use crate::proto::v1::decision_service_server::DecisionService;
use crate::proto::v1::explain_request::Key;
use crate::state::{self, State};
use crate::wire::{
    self, Form, Wire as _, parse_fallbacks, parse_rates, parse_timestamp, render_fallback, render_pricing_scope_kind,
    render_rates, render_routing_scope, timestamp,
};

#[tonic::async_trait]
impl DecisionService for Api {
    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(explain(&self.state(), self.now(), request.into_inner()), &statuses)
    }

    async fn resolve_price(
        &self,
        request: Request<v1::ResolvePriceRequest>,
    ) -> Result<Response<v1::ResolvePriceResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(resolve_price(&self.state(), self.now(), request.into_inner()), &statuses)
    }
}

fn explain(state: &State, now: Timestamp, request: v1::ExplainRequest) -> Result<v1::ExplainResponse, Error> {
    let v1::ExplainRequest {
        key,
        provider,
        model,
        provider_key_id,
        request_type,
        headers,
        params,
        fallbacks,
        estimated_tokens,
        estimated_cost_nano_usd,
        at,
        seed,
        context_length,
        stream,
    } = request;
    let mut violations = Violations::new();
    required(&model, "model", &mut violations);
    for (field, value) in [
        ("estimated_tokens", estimated_tokens),
        ("estimated_cost_nano_usd", estimated_cost_nano_usd),
        ("context_length", context_length),
    ] {
        if value < 0 {
            violations.add(Path::root(field), format!("is {value}; must be at least 0, where 0 is unknown"));
        }
    }
    let fallbacks: Vec<Fallback> = parse_fallbacks(&fallbacks, &Path::root("fallbacks"), &mut violations);
    let at = match &at {
        Some(at) => parse_timestamp(at, &Path::root("at"), &mut violations).unwrap_or(now),
        None => now,
    };
    violations.or(())?;
    let key = match &key {
        None => KeyGiven::None,
        Some(Key::VirtualKeyId(id)) => {
            state::check_path(Kind::VirtualKey, id, "virtual_key_id")?;
            state.find::<VirtualKey>(id).map_or(KeyGiven::Unknown, KeyGiven::Key)
        }
        Some(Key::VirtualKeyValue(value)) => state
            .config()
            .key_by_secret(&Sha256Hash::of(value), at)
            .map_or(KeyGiven::Unknown, |(stored, _)| KeyGiven::Key(stored)),
    };
    // One that every client can send back, JavaScript included: its numbers are exact below 2^53.
    let seed = seed.unwrap_or_else(|| rand::rng().next_u64() >> 11);
    let (headers, params) = (lower(headers), lower(params));
    let streams = request_type.strip_suffix("_stream");
    let request = decision::Request {
        key,
        provider: provider.trim(),
        model: &model,
        provider_key_id: provider_key_id.trim(),
        request_type: streams.unwrap_or(&request_type),
        headers: &headers,
        params: &params,
        context_length,
        stream: stream || streams.is_some(),
        fallbacks: &fallbacks,
        estimated_tokens,
        estimated_cost: estimated_cost_nano_usd,
        at,
        seed,
    };
    let usage = KnownUsage { counters: state.usage(), credit: state.credit() };
    let explanation = decision::explain(state.config(), &usage, &request);
    let price = PriceRequest {
        virtual_key_id: match key {
            KeyGiven::Key(stored) => stored.id.as_str(),
            KeyGiven::None | KeyGiven::Unknown => "",
        },
        provider: &explanation.provider,
        provider_key_id: explanation.key_id.as_deref().unwrap_or_default(),
        model: &explanation.model,
        request_type: request.request_type,
    };
    let model_price = decision::model_price(state.config(), &price, at);
    let model_price = model_price.map(|stored| ModelPrice::render(stored, Form::Answer(now)));
    let price = decision::resolve_price(state.config(), &price);
    let price = price.map(|stored| PricingOverride::render(stored, Form::Answer(now)));
    Ok(v1::ExplainResponse { price, model_price, ..render(state, explanation, seed) })
}

/// An explanation as the API has it, without prices.
fn render(state: &State, explanation: Explanation, seed: u64) -> v1::ExplainResponse {
    let Explanation {
        verdict,
        reason,
        provider,
        model,
        key_id,
        fallbacks,
        rejected_fallbacks,
        matches,
        rules,
        candidates,
        limits,
        blocking: _,
    } = explanation;
    let name = |rule: &Match| {
        state.config().get::<RoutingRule>(rule.rule.as_str()).map(|it| it.resource.name.to_string()).unwrap_or_default()
    };
    let matches = matches
        .iter()
        .map(|rule| v1::ExplainedMatch {
            routing_rule_id: rule.rule.to_string(),
            name: name(rule),
            target: i32::try_from(rule.target).unwrap_or(i32::MAX),
            provider: rule.provider.to_string(),
            model: rule.model.to_string(),
            key_id: rule.key_id.as_deref().unwrap_or_default().to_owned(),
        })
        .collect();
    v1::ExplainResponse {
        decision: render_verdict(verdict).into(),
        reason,
        routing: Some(v1::ExplainedRouting {
            matches,
            provider: provider.to_string(),
            model: model.to_string(),
            key_id: key_id.map(String::from).unwrap_or_default(),
            fallbacks: fallbacks.iter().map(render_fallback).collect(),
        }),
        limits: limits.into_iter().map(render_limit).collect(),
        rules: rules.into_iter().map(render_rule).collect(),
        candidates: candidates.into_iter().map(render_candidate).collect(),
        rejected_fallbacks: rejected_fallbacks.into_iter().map(render_rejected).collect(),
        price: None,
        model_price: None,
        seed,
        revision: state.revision(),
    }
}

fn render_rejected(rejected: RejectedFallback) -> v1::RejectedFallback {
    let RejectedFallback { fallback, verdict, reason } = rejected;
    v1::RejectedFallback { fallback: render_fallback(&fallback), decision: render_verdict(verdict).into(), reason }
}

const fn render_verdict(verdict: Verdict) -> v1::Decision {
    match verdict {
        Verdict::Allow => v1::Decision::Allow,
        Verdict::UnknownKey => v1::Decision::UnknownKey,
        Verdict::KeyInactive => v1::Decision::KeyInactive,
        Verdict::KeyExpired => v1::Decision::KeyExpired,
        Verdict::CustomerInactive => v1::Decision::CustomerInactive,
        Verdict::TeamInactive => v1::Decision::TeamInactive,
        Verdict::ProviderBlocked => v1::Decision::ProviderBlocked,
        Verdict::ModelBlocked => v1::Decision::ModelBlocked,
        Verdict::ProviderKeyBlocked => v1::Decision::ProviderKeyBlocked,
        Verdict::ConcurrencyLimited => v1::Decision::ConcurrencyLimited,
        Verdict::TokenLimited => v1::Decision::TokenLimited,
        Verdict::RequestLimited => v1::Decision::RequestLimited,
        Verdict::BudgetExceeded => v1::Decision::BudgetExceeded,
    }
}

fn render_limit(limit: LimitCheck) -> v1::ExplainedLimit {
    let LimitCheck { owner, limit_id, kind, used, max, remaining, window, enforcement, blocks, would_block, .. } =
        limit;
    v1::ExplainedLimit {
        owner: Some((&owner).into()),
        id: limit_id.to_string(),
        kind: wire::limit_kind(kind).into(),
        used,
        max,
        remaining,
        window_start: Some(timestamp(window.start)),
        next_reset: window.has_end().then(|| timestamp(window.end)),
        enforcement: wire::render_enforcement(enforcement).into(),
        blocks,
        would_block,
    }
}

fn render_rule(rule: RuleCheck) -> v1::ExplainedRule {
    let RuleCheck { rule: stored, hop, matched, error } = rule;
    let RoutingRule { name, scope, priority, enabled, .. } = &stored.resource;
    v1::ExplainedRule {
        id: stored.id.to_string(),
        name: name.to_string(),
        scope: render_routing_scope(scope.kind()).into(),
        scope_id: scope.id().to_owned(),
        priority: *priority,
        matched,
        error: error.unwrap_or_default(),
        disabled: !enabled,
        hop: i32::try_from(hop).unwrap_or(i32::MAX),
    }
}

fn render_candidate(candidate: Candidate) -> v1::ExplainedCandidate {
    let Candidate { config_id, provider, weight, drawn, why, .. } = candidate;
    v1::ExplainedCandidate { provider_config_id: config_id, provider: provider.to_string(), weight, drawn, why }
}

fn resolve_price(
    state: &State,
    now: Timestamp,
    request: v1::ResolvePriceRequest,
) -> Result<v1::ResolvePriceResponse, Error> {
    let v1::ResolvePriceRequest { virtual_key_id, provider, provider_key_id, model, request_type, base, at } = request;
    let mut violations = Violations::new();
    required(&model, "model", &mut violations);
    let request_type = request_type.strip_suffix("_stream").unwrap_or(&request_type);
    if !REQUEST_TYPES.contains(&request_type) {
        let text = format!("is {request_type:?}; must be one of {}", REQUEST_TYPES.join(", "));
        violations.add(Path::root("request_type"), text);
    }
    let base = base.map(|base| parse_rates(&base, &Path::root("base"), &mut violations));
    let at = at.and_then(|at| parse_timestamp(&at, &Path::root("at"), &mut violations)).unwrap_or(now);
    violations.or(())?;
    let virtual_key_id = state::meant::<VirtualKey>(state, &virtual_key_id, "virtual_key_id")?;
    let request = PriceRequest {
        virtual_key_id: &virtual_key_id,
        provider: &provider,
        provider_key_id: &provider_key_id,
        model: &model,
        request_type,
    };
    let model_price = match &base {
        Some(_) => None,
        None => decision::model_price(state.config(), &request, at),
    };
    let base = base.or_else(|| Some(model_price?.resource.rates.clone())).unwrap_or_default();
    let winner = decision::resolve_price(state.config(), &request);
    let rates = winner.map_or_else(|| base.clone(), |stored| stored.resource.rates.over(&base));
    let candidates = decision::explain_price(state.config(), &request);
    let candidates = candidates.into_iter().map(|candidate| v1::ExplainedPrice {
        id: candidate.stored.id.to_string(),
        name: candidate.stored.resource.name.to_string(),
        scope_kind: render_pricing_scope_kind(candidate.stored.resource.scope.kind()).into(),
        why: candidate.why,
    });
    Ok(v1::ResolvePriceResponse {
        winner: winner.map(|stored| PricingOverride::render(stored, Form::Answer(now))),
        rates: Some(render_rates(&rates)),
        candidates: candidates.collect(),
        model_price: model_price.map(|stored| ModelPrice::render(stored, Form::Answer(now))),
    })
}

fn required(text: &str, field: &str, violations: &mut Violations) {
    if text.trim().is_empty() {
        violations.add(Path::root(field), "is empty; must be given");
    }
}

/// Names in lower case, as expressions see them.
fn lower(pairs: BTreeMap<String, String>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
}
