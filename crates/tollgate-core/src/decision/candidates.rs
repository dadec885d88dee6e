//! The choice of a provider for a request that names none (`docs/design/semantics.md §7`).

use std::cmp::Ordering;
use std::sync::Arc;

use rand::rngs::StdRng;

use super::checks::{self, Refusal, permits_model};
use super::pricing::Free;
use super::routing::draw;
use super::{Caller, Candidate, Explanation, LimitCheck, Request, Usage, Verdict, stopped_by};
use crate::config::{Aligned as _, Config};
use crate::domain::{Enforcement, Fallback, LimitKind, LimitOwner, ProviderConfig, Stored, VirtualKey};

/// Draws one of the key's provider configs that permit the model, have a weight, and are not exhausted. One at which the
/// request would wait for another request to end is drawn only if it would wait at all of them. The others, by falling weight,
/// become the fallbacks if there are none.
pub(super) fn choose<'a>(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    (key, caller): (&'a Arc<Stored<VirtualKey>>, Caller<'_>),
    explanation: &mut Explanation,
    random: &mut StdRng,
) -> Result<&'a ProviderConfig, Refusal<'a>> {
    let name = &key.resource.name;
    let configs = &key.resource.provider_configs;
    let looked_at = configs
        .iter()
        .map(|provider_config| candidate(config, usage, request, (key, caller), provider_config, explanation));
    let (looked_at, waits): (Vec<Candidate>, Vec<bool>) = looked_at.unzip();
    explanation.candidates = looked_at;
    let candidates = &mut explanation.candidates;
    let able = |candidate: &Candidate| candidate.permits_model && candidate.weight.is_some();
    let open: Vec<usize> = candidates
        .iter()
        .enumerate()
        .filter(|(_, candidate)| able(candidate) && candidate.exhausted.is_none())
        .map(|(place, _)| place)
        .collect();
    if open.is_empty() {
        let model = &explanation.model;
        if configs.is_empty() {
            let reason = format!("virtual key {name:?} has no provider_configs, so it may use no provider");
            return Err(Refusal::new(Verdict::ProviderBlocked, reason));
        }
        if !candidates.iter().any(|candidate| candidate.permits_model) {
            return Err(none_permits(key, caller, model));
        }
        let tried = candidates.iter().zip(configs).filter(|(candidate, _)| able(candidate));
        let heaviest = tried.max_by(|(one, _), (other, _)| by_weight(other, one));
        return Err(
            match heaviest
                .and_then(|(candidate, provider_config)| Some((candidate.exhausted.as_ref()?, provider_config)))
            {
                Some((limit, provider_config)) => {
                    explanation.provider = provider_config.provider.as_str().into();
                    let reason = format!("every provider config is used up; the first: {}", checks::tell(limit));
                    Refusal { verdict: stopped_by(limit.kind), reason, exhausted: Some(provider_config) }
                }
                None => {
                    let reason = format!(
                        "no provider config of virtual key {name:?} that allows model {model:?} has a weight; name a provider"
                    );
                    Refusal::new(Verdict::ProviderBlocked, reason)
                }
            },
        );
    }
    let has_room = |place: &usize| !waits.get(*place).copied().unwrap_or_default();
    let mut from: Vec<usize> = open.iter().copied().filter(has_room).collect();
    if from.is_empty() {
        from.clone_from(&open);
    }
    let weights = from.iter().map(|place| candidates.get(*place).and_then(|it| it.weight).unwrap_or(0.0));
    let weights: Vec<f64> = weights.collect();
    let drawn = from.get(draw(weights.iter().copied(), random)).copied().unwrap_or_default();
    if let Some(candidate) = candidates.get_mut(drawn) {
        candidate.drawn = true;
        candidate.why = "drawn by weight".to_owned();
        explanation.provider = candidate.provider.clone();
    }
    if explanation.fallbacks.is_empty() {
        let mut rest: Vec<usize> = open.into_iter().filter(|place| *place != drawn).collect();
        rest.sort_by(|one, other| match (candidates.get(*one), candidates.get(*other)) {
            (Some(one), Some(other)) => by_weight(one, other),
            _ => Ordering::Equal,
        });
        explanation.fallbacks = rest
            .into_iter()
            .filter_map(|place| configs.get(place))
            .map(|provider_config| Fallback { provider: provider_config.provider.clone(), model: "".into() })
            .collect();
    }
    let drawn = configs.get(drawn).map(|provider_config| provider_config.id);
    let Explanation { provider, model, key_id, .. } = &*explanation;
    checks::permitted((key, caller), drawn, provider, model, key_id.as_deref())
}

/// Why no provider config of a key may be used for a model. Where a provider is allowed, that is a matter of the model, and
/// where the key allows the model, of what is above the key.
fn none_permits<'a>(key: &Stored<VirtualKey>, caller: Caller<'_>, model: &str) -> Refusal<'a> {
    let configs = key.resource.provider_configs.iter();
    let refused = |provider_config: &ProviderConfig| checks::refused(caller, provider_config, model);
    let of_model = |(verdict, _): &(Verdict, String)| *verdict == Verdict::ModelBlocked;
    let own = || {
        let name = &key.resource.name;
        (Verdict::ModelBlocked, format!("no provider config of virtual key {name:?} allows model {model:?}"))
    };
    let above = configs.clone().filter(|it| permits_model(it, model)).filter_map(refused).find(of_model);
    let (verdict, reason) = match above {
        Some(refusal) => refusal,
        None if configs.clone().filter_map(refused).any(|refusal| of_model(&refusal)) => own(),
        None => configs.clone().find_map(refused).unwrap_or_else(own),
    };
    Refusal::new(verdict, reason)
}

/// The greater weight first; of equal ones, the smaller id.
fn by_weight(one: &Candidate, other: &Candidate) -> Ordering {
    let falling = other.weight.partial_cmp(&one.weight).unwrap_or(Ordering::Equal);
    falling.then_with(|| one.config_id.cmp(&other.config_id))
}

/// A provider config as a candidate, and whether the request would wait there for another one to end.
fn candidate(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    (key, caller): (&Arc<Stored<VirtualKey>>, Caller<'_>),
    provider_config: &ProviderConfig,
    explanation: &Explanation,
) -> (Candidate, bool) {
    let (provider, model) = (provider_config.provider.as_str(), &*explanation.model);
    let free = Free::of(config, request, provider, explanation.key_id.as_deref(), model);
    let mut limits: Vec<LimitCheck> = Vec::new();
    let owner = LimitOwner::ProviderConfig(provider_config.id);
    checks::check(usage, request, &owner, &provider_config.limits, key.calendar(config), &free, &mut limits);
    let refused = checks::refused(caller, provider_config, model);
    let permits_model = refused.is_none();
    // The limit at which the request would wait if this one is drawn.
    let full =
        limits.iter().find(|limit| limit.kind == LimitKind::Concurrency && !limit.blocks && limit.used >= limit.max);
    let full = full.filter(|limit| limit.enforcement != Enforcement::Shadow).cloned();
    let exhausted = limits.into_iter().find(|limit| limit.blocks);
    let why = match (refused, provider_config.weight, exhausted.as_ref().or(full.as_ref())) {
        (Some((_, reason)), _, _) => reason,
        (None, None, _) => "has no weight: usable when asked for by name".to_owned(),
        (None, Some(_), Some(limit)) => checks::tell(limit),
        (None, Some(weight), None) => format!("could be drawn, with weight {weight}"),
    };
    let candidate = Candidate {
        config_id: provider_config.id,
        provider: provider.into(),
        weight: provider_config.weight,
        permits_model,
        exhausted,
        drawn: false,
        why,
    };
    (candidate, full.is_some())
}
