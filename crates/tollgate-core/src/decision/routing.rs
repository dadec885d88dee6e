//! Routing rules: which match, and where they send a request (`docs/design/semantics.md §7`).

use std::sync::Arc;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::{Caller, Match, Request, RuleCheck, Usage, address, checks};
use crate::cel::Inputs;
use crate::config::Config;
use crate::domain::{Fallback, RoutingRule, Scope, Stored, bare_model};

/// Rules that are applied to one request at most.
const MAX_HOPS: u32 = 10;

/// Rules that there is room for from the first on.
const RULES: usize = 16;

/// Where the rules send a request.
pub(super) struct Routed {
    pub(super) provider: Box<str>,
    pub(super) model: Box<str>,
    pub(super) key_id: Option<Box<str>>,
    pub(super) fallbacks: Vec<Fallback>,
    pub(super) matches: Vec<Match>,
    pub(super) rules: Vec<RuleCheck>,
}

impl Routed {
    /// The target that a request names.
    pub(super) fn as_asked(request: &Request<'_>) -> Self {
        Self {
            provider: request.provider.into(),
            model: request.model.into(),
            key_id: (!request.provider_key_id.is_empty()).then(|| request.provider_key_id.into()),
            fallbacks: request.fallbacks.to_vec(),
            matches: Vec::new(),
            rules: Vec::new(),
        }
    }
}

pub(super) fn route(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    random: &mut StdRng,
) -> Routed {
    let mut routed = Routed::as_asked(request);
    let scopes: Vec<Scope> = [
        caller.key.map(|key| Scope::VirtualKey(key.id.clone())),
        caller.team.map(|team| Scope::Team(team.id.clone())),
        caller.customer.map(|customer| Scope::Customer(customer.id.clone())),
        Some(Scope::Global),
    ]
    .into_iter()
    .flatten()
    .collect();
    let place =
        |routed: &Routed| (routed.provider.clone(), Box::<str>::from(bare_model(&routed.model, &routed.provider)));
    let mut seen = vec![place(&routed)];
    for hop in 0..MAX_HOPS {
        let Some(rule) = first_match(config, usage, request, caller, &scopes, hop, &mut routed) else { break };
        apply(config, request, rule, &mut routed, random);
        let place = place(&routed);
        if !rule.resource.chain_rule || seen.contains(&place) {
            break;
        }
        seen.push(place);
    }
    routed
}

fn first_match<'a>(
    config: &'a Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    scopes: &'a [Scope],
    hop: u32,
    routed: &mut Routed,
) -> Option<&'a Arc<Stored<RoutingRule>>> {
    let (provider, model) = (routed.provider.clone(), routed.model.clone());
    let (team, customer) = (caller.team, caller.customer);
    let mut inputs = Inputs {
        model: bare_model(&model, &provider),
        provider: &provider,
        request_type: request.request_type,
        headers: request.headers,
        params: request.params,
        context_length: request.context_length,
        stream: request.stream,
        now: jiff::Timestamp::from_microsecond(request.at.as_micros()).unwrap_or_default(),
        virtual_key_id: caller.key.map_or("", |key| key.id.as_str()),
        virtual_key_name: caller.key.map_or("", |key| &key.resource.name),
        team_id: team.map_or("", |team| team.id.as_str()),
        team_name: team.map_or("", |team| &team.resource.name),
        customer_id: customer.map_or("", |customer| customer.id.as_str()),
        customer_name: customer.map_or("", |customer| &customer.resource.name),
        ..Inputs::default()
    };
    // Found out for the first rule that asks for it, and not at all if none does.
    let mut measured = false;
    for rule in scopes.iter().flat_map(|scope| config.rules_of(scope)) {
        let mut check = RuleCheck { rule: Arc::clone(rule), hop, matched: false, error: None };
        if rule.resource.enabled {
            if rule.resource.expression.reads_usage() && !measured {
                measured = true;
                let provider_config = caller.key.and_then(|key| checks::config_of(key, &provider, &model));
                let named = routed.key_id.as_deref();
                let provider_key_id = checks::provider_key(config, &provider, provider_config, named);
                let place = checks::Place { provider: &provider, model: &model, provider_config, provider_key_id };
                let used = checks::percentages(config, usage, request, caller, place);
                (inputs.budget_used, inputs.tokens_used, inputs.request) = used;
            }
            match rule.resource.expression.matches(&inputs) {
                Ok(matched) => check.matched = matched,
                Err(why) => check.error = Some(why),
            }
        }
        let matched = check.matched;
        if routed.rules.is_empty() {
            routed.rules.reserve(RULES);
        }
        routed.rules.push(check);
        if matched {
            return Some(rule);
        }
    }
    None
}

/// Draws a target of the rule. What it leaves out is kept; the last rule applied supplies everything else.
fn apply(
    config: &Config,
    request: &Request<'_>,
    rule: &Arc<Stored<RoutingRule>>,
    routed: &mut Routed,
    random: &mut StdRng,
) {
    let targets = &rule.resource.targets;
    let drawn = draw(targets.iter().map(|target| target.weight), random);
    let Some(target) = targets.get(drawn) else { return };
    if let Some(provider) = &target.provider {
        routed.provider = provider.as_str().into();
    }
    if let Some(model) = &target.model {
        routed.model = model.clone();
    }
    let (provider, model) = address(config, &routed.provider, "", &routed.model);
    (routed.provider, routed.model) = (provider.into(), model.into());
    // A provider key belongs to one provider: that of the request is kept with the provider of the request only.
    let asked = (!request.provider_key_id.is_empty() && *routed.provider == *request.provider)
        .then(|| request.provider_key_id.into());
    routed.key_id = target.key_id.clone().or(asked);
    let fallbacks = if rule.resource.fallbacks.is_empty() { request.fallbacks } else { &rule.resource.fallbacks };
    routed.fallbacks = fallbacks.to_vec();
    routed.matches.push(Match {
        rule: rule.id.clone(),
        target: drawn,
        provider: routed.provider.clone(),
        model: routed.model.clone(),
        key_id: routed.key_id.clone(),
    });
}

/// The place of one of `weights`, drawn in proportion to them; evenly if all are 0.
pub(super) fn draw(weights: impl Iterator<Item = f64> + Clone, random: &mut StdRng) -> usize {
    let sum: f64 = weights.clone().sum();
    let count = weights.clone().count();
    if sum <= 0.0 || !sum.is_finite() {
        return if count > 1 { random.random_range(0..count) } else { 0 };
    }
    let mut able = weights.clone().enumerate().filter(|(_, weight)| *weight > 0.0).map(|(place, _)| place);
    if let (Some(only), None) = (able.next(), able.next()) {
        return only;
    }
    let mut left = random.random::<f64>() * sum;
    let mut last = 0;
    for (place, weight) in weights.enumerate().filter(|(_, weight)| *weight > 0.0) {
        last = place;
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}
