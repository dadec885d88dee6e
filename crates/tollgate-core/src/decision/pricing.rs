//! The price of a model, and the pricing override that applies to a request (`docs/design/semantics.md §9`).

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::sync::Arc;

use super::{KeyGiven, Request, address};
use crate::config::Config;
use crate::domain::{
    Id, ModelPattern, ModelPrice, PricingOverride, PricingScope, Rates, Stored, Timestamp, bare_model,
};

/// A request to be priced. What is empty is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct PriceRequest<'a> {
    /// Id of its virtual key.
    pub virtual_key_id: &'a str,
    /// Its provider.
    pub provider: &'a str,
    /// Id of its provider key.
    pub provider_key_id: &'a str,
    /// Its model.
    pub model: &'a str,
    /// Its kind; a `_stream` suffix does not matter.
    pub request_type: &'a str,
}

/// An override that matches the model in a scope of the request.
pub struct PriceCandidate<'a> {
    /// Which.
    pub stored: &'a Arc<Stored<PricingOverride>>,
    /// Why it won, or lost.
    pub why: String,
    /// Whether it won.
    pub won: bool,
}

/// The provider of the request, empty if it is not known, and the name by which its model is compared.
fn place<'a>(config: &'a Config, request: &PriceRequest<'a>) -> (&'a str, &'a str) {
    let (provider, model) = address(config, request.provider, request.provider_key_id, request.model);
    (provider, bare_model(model, provider))
}

/// The price of the model at the provider that holds at `at`, whose rates the override that applies overlays.
pub fn model_price<'a>(
    config: &'a Config,
    request: &PriceRequest<'_>,
    at: Timestamp,
) -> Option<&'a Arc<Stored<ModelPrice>>> {
    let (provider, model) = place(config, request);
    config.model_price(provider, model, at)
}

/// The rates of the request: those of the price of its model, overlaid by those of the override that applies. `None` if there is
/// neither.
pub fn rates(config: &Config, request: &PriceRequest<'_>, at: Timestamp) -> Option<Rates> {
    let price = model_price(config, request, at).map(|stored| &stored.resource.rates);
    let over = resolve_price(config, request).map(|stored| &stored.resource.rates);
    match (over, price) {
        (Some(over), Some(price)) => Some(over.over(price)),
        (one, other) => one.or(other).cloned(),
    }
}

/// Whether a request costs nothing, since all rates of its price are 0. Found out when a budget would stop it.
pub(super) struct Free<'a> {
    config: &'a Config,
    priced: PriceRequest<'a>,
    at: Timestamp,
    found: OnceCell<bool>,
}

impl<'a> Free<'a> {
    /// For a request that goes to this provider, provider key and model.
    pub(super) fn of(
        config: &'a Config,
        request: &Request<'a>,
        provider: &'a str,
        provider_key_id: Option<&'a str>,
        model: &'a str,
    ) -> Self {
        let virtual_key_id = match request.key {
            KeyGiven::Key(key) => key.id.as_str(),
            KeyGiven::None | KeyGiven::Unknown => "",
        };
        let provider_key_id = provider_key_id.unwrap_or_default();
        let request_type = request.request_type;
        let priced = PriceRequest { virtual_key_id, provider, provider_key_id, model, request_type };
        Self { config, priced, at: request.at, found: OnceCell::new() }
    }

    /// Whether it costs nothing.
    pub(super) fn is_free(&self) -> bool {
        *self.found.get_or_init(|| rates(self.config, &self.priced, self.at).is_some_and(|rates| rates.are_free()))
    }

    /// Whether that has let it pass a budget.
    pub(super) fn has_passed(&self) -> bool {
        self.found.get() == Some(&true)
    }
}

/// The scopes that the request has at `provider`, the most specific first.
fn scopes(request: &PriceRequest<'_>, provider: &str) -> impl Iterator<Item = PricingScope> + use<> {
    let given = |text: &str| (!text.is_empty()).then(|| Arc::<str>::from(text));
    let key = given(request.virtual_key_id);
    let provider_key: Option<Box<str>> = (!request.provider_key_id.is_empty()).then(|| request.provider_key_id.into());
    let provider = given(provider).map(Id::new);
    let id = |key: &Arc<str>| Id::new(Arc::clone(key));
    [
        key.as_ref().zip(provider_key.as_ref()).zip(provider.as_ref()).map(|((key, provider_key), provider)| {
            PricingScope::VirtualKeyProviderKey(id(key), Some(provider.clone()), provider_key.clone())
        }),
        key.as_ref()
            .zip(provider_key.as_ref())
            .map(|(key, provider_key)| PricingScope::VirtualKeyProviderKey(id(key), None, provider_key.clone())),
        key.as_ref()
            .zip(provider.as_ref())
            .map(|(key, provider)| PricingScope::VirtualKeyProvider(id(key), provider.clone())),
        key.as_ref().map(|key| PricingScope::VirtualKey(id(key))),
        provider_key.map(PricingScope::ProviderKey),
        provider.map(PricingScope::Provider),
        Some(PricingScope::Global),
    ]
    .into_iter()
    .flatten()
}

/// Of one scope, the matching overrides: exact before wildcard, the longer prefix first, then the highest revision, then
/// the smallest id.
fn ranked<'a>(
    config: &'a Config,
    scope: &PricingScope,
    model: &str,
) -> impl Iterator<Item = &'a Arc<Stored<PricingOverride>>> + use<'a> {
    let mut found = config.overrides_of(scope, model);
    if found.len() > 1 {
        found.sort_by(|one, other| rank(one).cmp(&rank(other)));
    }
    found.into_iter()
}

fn rank(stored: &Stored<PricingOverride>) -> (bool, Reverse<usize>, Reverse<i64>, &str) {
    let (wildcard, len) = match stored.resource.models() {
        ModelPattern::Exact(model) => (false, model.len()),
        ModelPattern::Prefix(prefix) => (true, prefix.len()),
    };
    (wildcard, Reverse(len), Reverse(stored.revision), stored.id.as_str())
}

/// The override that applies, if any. Costs the same however many there are in other scopes.
pub fn resolve_price<'a>(config: &'a Config, request: &PriceRequest<'_>) -> Option<&'a Arc<Stored<PricingOverride>>> {
    let (provider, model) = place(config, request);
    scopes(request, provider).find_map(|scope| {
        ranked(config, &scope, model).find(|stored| stored.resource.request_types.has(request.request_type))
    })
}

/// Every override that matches the model in a scope of the request, in the order in which they are preferred, the winner
/// first.
pub fn explain_price<'a>(config: &'a Config, request: &PriceRequest<'_>) -> Vec<PriceCandidate<'a>> {
    let winner = resolve_price(config, request);
    let why = |stored: &'a Arc<Stored<PricingOverride>>| {
        let Some(winner) = winner else { return "does not cover this kind of request".to_owned() };
        if stored.id == winner.id {
            let kind = stored.resource.scope.kind().name();
            return format!("wins: the most specific scope with a match is {kind}");
        }
        if !stored.resource.request_types.has(request.request_type) {
            return "does not cover this kind of request".to_owned();
        }
        if stored.resource.scope != winner.resource.scope {
            return format!("a match in a more specific scope wins: {}", winner.id);
        }
        match (winner.resource.models(), stored.resource.models()) {
            (ModelPattern::Exact(_), ModelPattern::Prefix(_)) => format!("an exact match wins: {}", winner.id),
            (one, other) if one != other => format!("a longer prefix wins: {}", winner.id),
            _ if winner.revision != stored.revision => format!("a later revision wins: {}", winner.id),
            _ => format!("a smaller id wins: {}", winner.id),
        }
    };
    let (provider, model) = place(config, request);
    let all = scopes(request, provider).flat_map(|scope| ranked(config, &scope, model));
    let mut candidates: Vec<_> = all
        .map(|stored| PriceCandidate {
            stored,
            why: why(stored),
            won: winner.is_some_and(|winner| winner.id == stored.id),
        })
        .collect();
    candidates.sort_by_key(|candidate| !candidate.won);
    candidates
}
