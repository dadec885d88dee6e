//! Pricing overrides (`docs/design/semantics.md §9`).

use super::{Id, ModelPattern, Provider, REQUEST_TYPES, VirtualKey, bare_model};

/// Prices that replace the base prices of a model for some traffic.
#[derive(Clone, PartialEq, Debug)]
pub struct PricingOverride {
    /// For people; need not be unique.
    pub name: Box<str>,
    /// Which traffic it is for.
    pub scope: PricingScope,
    /// Which models it is for.
    pub pattern: Pattern,
    /// Which kinds of request it is for; at least one.
    pub request_types: RequestTypes,
    /// The rates that it has.
    pub rates: Rates,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

/// Which traffic an override is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PricingScope {
    /// All.
    Global,
    /// That at a provider.
    Provider(Id<Provider>),
    /// That through a provider key.
    ProviderKey(Box<str>),
    /// That of a virtual key.
    VirtualKey(Id<VirtualKey>),
    /// That of a virtual key at a provider.
    VirtualKeyProvider(Id<VirtualKey>, Id<Provider>),
    /// That of a virtual key through a provider key, and of the provider if one is named.
    VirtualKeyProviderKey(Id<VirtualKey>, Option<Id<Provider>>, Box<str>),
}

/// A [`PricingScope`] without its ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PricingScopeKind {
    /// [`PricingScope::Global`].
    Global,
    /// [`PricingScope::Provider`].
    Provider,
    /// [`PricingScope::ProviderKey`].
    ProviderKey,
    /// [`PricingScope::VirtualKey`].
    VirtualKey,
    /// [`PricingScope::VirtualKeyProvider`].
    VirtualKeyProvider,
    /// [`PricingScope::VirtualKeyProviderKey`].
    VirtualKeyProviderKey,
}

impl PricingScopeKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Global,
        Self::Provider,
        Self::ProviderKey,
        Self::VirtualKey,
        Self::VirtualKeyProvider,
        Self::VirtualKeyProviderKey,
    ];

    /// The kind's name in snake case, as in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Provider => "provider",
            Self::ProviderKey => "provider_key",
            Self::VirtualKey => "virtual_key",
            Self::VirtualKeyProvider => "virtual_key_provider",
            Self::VirtualKeyProviderKey => "virtual_key_provider_key",
        }
    }

    /// Whether an override of this kind names a virtual key.
    pub const fn has_virtual_key(self) -> bool {
        matches!(self, Self::VirtualKey | Self::VirtualKeyProvider | Self::VirtualKeyProviderKey)
    }

    /// Whether an override of this kind may name a provider.
    pub const fn has_provider(self) -> bool {
        matches!(self, Self::Provider | Self::VirtualKeyProvider | Self::VirtualKeyProviderKey)
    }

    /// Whether an override of this kind names a provider key.
    pub const fn has_provider_key(self) -> bool {
        matches!(self, Self::ProviderKey | Self::VirtualKeyProviderKey)
    }
}

impl PricingScope {
    /// A scope of `kind` with the ids that it has; `None` if one is missing or there is one too many.
    pub fn new(
        kind: PricingScopeKind,
        virtual_key: Option<Id<VirtualKey>>,
        provider: Option<Id<Provider>>,
        provider_key: Option<Box<str>>,
    ) -> Option<Self> {
        use PricingScopeKind as Kind;
        Some(match (kind, virtual_key, provider, provider_key) {
            (Kind::Global, None, None, None) => Self::Global,
            (Kind::Provider, None, Some(provider), None) => Self::Provider(provider),
            (Kind::ProviderKey, None, None, Some(key)) => Self::ProviderKey(key),
            (Kind::VirtualKey, Some(virtual_key), None, None) => Self::VirtualKey(virtual_key),
            (Kind::VirtualKeyProvider, Some(virtual_key), Some(provider), None) => {
                Self::VirtualKeyProvider(virtual_key, provider)
            }
            (Kind::VirtualKeyProviderKey, Some(virtual_key), provider, Some(key)) => {
                Self::VirtualKeyProviderKey(virtual_key, provider, key)
            }
            _ => return None,
        })
    }

    /// Lets `share` say the id of the virtual key anew.
    pub fn share_virtual_key(&mut self, share: impl FnOnce(&mut Id<VirtualKey>)) {
        match self {
            Self::VirtualKey(id) | Self::VirtualKeyProvider(id, _) | Self::VirtualKeyProviderKey(id, ..) => share(id),
            Self::Global | Self::Provider(_) | Self::ProviderKey(_) => {}
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> PricingScopeKind {
        match self {
            Self::Global => PricingScopeKind::Global,
            Self::Provider(_) => PricingScopeKind::Provider,
            Self::ProviderKey(_) => PricingScopeKind::ProviderKey,
            Self::VirtualKey(_) => PricingScopeKind::VirtualKey,
            Self::VirtualKeyProvider(..) => PricingScopeKind::VirtualKeyProvider,
            Self::VirtualKeyProviderKey(..) => PricingScopeKind::VirtualKeyProviderKey,
        }
    }

    /// The virtual key that it names.
    pub const fn virtual_key(&self) -> Option<&Id<VirtualKey>> {
        match self {
            Self::Global | Self::Provider(_) | Self::ProviderKey(_) => None,
            Self::VirtualKey(id) | Self::VirtualKeyProvider(id, _) | Self::VirtualKeyProviderKey(id, _, _) => Some(id),
        }
    }

    /// The provider that it names.
    pub const fn provider(&self) -> Option<&Id<Provider>> {
        match self {
            Self::Global | Self::ProviderKey(_) | Self::VirtualKey(_) => None,
            Self::Provider(id) | Self::VirtualKeyProvider(_, id) => Some(id),
            Self::VirtualKeyProviderKey(_, id, _) => id.as_ref(),
        }
    }

    /// The provider key that it names.
    pub fn provider_key(&self) -> Option<&str> {
        match self {
            Self::Global | Self::Provider(_) | Self::VirtualKey(_) | Self::VirtualKeyProvider(..) => None,
            Self::ProviderKey(id) | Self::VirtualKeyProviderKey(_, _, id) => Some(id),
        }
    }
}

/// Which models an override is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pattern {
    /// This one.
    Exact(Box<str>),
    /// Those whose names begin with this; all if it is empty.
    Wildcard(Box<str>),
}

impl PricingOverride {
    /// The models that it is for.
    pub fn models(&self) -> ModelPattern<'_> {
        let provider = self.scope.provider().map_or("", Id::as_str);
        match &self.pattern {
            Pattern::Exact(name) => ModelPattern::Exact(bare_model(name, provider)),
            Pattern::Wildcard(prefix) => ModelPattern::Prefix(bare_model(prefix, provider)),
        }
    }
}

/// A set of kinds of request, by their numbers in the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestTypes(pub u32);

impl RequestTypes {
    /// Adds the kind with this number; whether it was new.
    pub fn insert(&mut self, number: i32) -> bool {
        let before = self.0;
        self.0 |= 1 << number.clamp(0, 31);
        self.0 != before
    }

    /// The numbers, rising.
    pub fn numbers(self) -> impl Iterator<Item = i32> {
        (1..=12).filter(move |number| self.0 & (1 << number) != 0)
    }

    /// Whether the kind with this name is one of them; its streaming form counts as the kind.
    pub fn has(self, request_type: &str) -> bool {
        let name = request_type.strip_suffix("_stream").unwrap_or(request_type);
        let place = REQUEST_TYPES.iter().position(|known| *known == name);
        place.is_some_and(|place| self.0 & (1 << (place + 1)) != 0)
    }
}

/// The rates that a price can have, in US dollars per unit, in the order of their field numbers.
pub const RATE_NAMES: [&str; 42] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "input_cost_per_token_batches",
    "output_cost_per_token_batches",
    "input_cost_per_token_priority",
    "output_cost_per_token_priority",
    "input_cost_per_character",
    "input_cost_per_token_above_128k_tokens",
    "output_cost_per_token_above_128k_tokens",
    "input_cost_per_token_above_200k_tokens",
    "output_cost_per_token_above_200k_tokens",
    "cache_creation_input_token_cost",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost_above_200k_tokens",
    "cache_read_input_token_cost_above_200k_tokens",
    "cache_read_input_token_cost_priority",
    "cache_read_input_image_token_cost",
    "cache_creation_input_audio_token_cost",
    "input_cost_per_image",
    "output_cost_per_image",
    "input_cost_per_pixel",
    "output_cost_per_pixel",
    "input_cost_per_image_token",
    "output_cost_per_image_token",
    "output_cost_per_image_low_quality",
    "output_cost_per_image_medium_quality",
    "output_cost_per_image_high_quality",
    "output_cost_per_image_auto_quality",
    "output_cost_per_image_premium_image",
    "output_cost_per_image_above_512_and_512_pixels",
    "output_cost_per_image_above_1024_and_1024_pixels",
    "output_cost_per_image_above_2048_and_2048_pixels",
    "output_cost_per_image_above_4096_and_4096_pixels",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "input_cost_per_audio_per_second",
    "input_cost_per_second",
    "input_cost_per_video_per_second",
    "output_cost_per_video_per_second",
    "output_cost_per_second",
    "search_context_cost_per_query",
    "code_interpreter_cost_per_session",
];

/// Rates by their place in [`RATE_NAMES`], rising. What is not there is not stated.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rates(pub Vec<(u8, f64)>);

impl Rates {
    /// These rates, and those of `base` that these do not have.
    pub fn over(&self, base: &Self) -> Self {
        let has = |place: u8| self.0.binary_search_by_key(&place, |(place, _)| *place).is_ok();
        let mut rates = self.0.clone();
        rates.extend(base.0.iter().filter(|(place, _)| !has(*place)));
        rates.sort_by_key(|(place, _)| *place);
        Self(rates)
    }

    /// Whether something has a rate, and nothing costs anything.
    pub fn are_free(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|(_, rate)| *rate == 0.0)
    }

    /// Each rate with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.0.iter().filter_map(|(place, rate)| Some((*RATE_NAMES.get(usize::from(*place))?, *rate)))
    }
}
