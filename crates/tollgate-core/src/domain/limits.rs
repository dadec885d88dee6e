//! Budgets and rate limits: parts of their owners.

use std::fmt;
use std::sync::Arc;

use super::{
    AlertPercents, Customer, Id, LimitId, ModelConfig, NanoUsd, Provider, ResetDuration, Team, Timestamp, VirtualKey,
};

/// A ceiling on spending per window.
#[derive(Clone, PartialEq, Debug)]
pub struct Budget {
    /// Id; empty in a desired state for a budget that is not named by its id.
    pub id: LimitId,
    /// The ceiling.
    pub max_limit: NanoUsd,
    /// The increase that raises it for a while. Few budgets have one.
    pub temporary_increase: Option<Box<TemporaryIncrease>>,
    /// Length of the window.
    pub reset_duration: ResetDuration,
    /// How it holds requests back.
    pub enforcement: Enforcement,
    /// How much of it is held for requests in flight.
    pub reserve: Reserve,
    /// The percentages of the ceiling whose crossing is recorded.
    pub alert_percents: AlertPercents,
    /// When its usage was set to zero last. Of few it ever was.
    pub usage_reset_at: Option<Box<Timestamp>>,
    /// From where rolling windows are counted: when the budget was created.
    pub anchor: Timestamp,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// An increase of a ceiling for a while.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemporaryIncrease {
    /// By how much.
    pub amount: NanoUsd,
    /// From when on it does not hold any more.
    pub until: Timestamp,
}

impl TemporaryIncrease {
    /// The ceiling `max` while it lasts.
    pub fn raised(&self, max: NanoUsd) -> NanoUsd {
        NanoUsd::from_nanos(max.nanos().saturating_add(self.amount.nanos()).min(NanoUsd::MAX.nanos()))
    }
}

impl Budget {
    /// The ceiling at the time `at`.
    pub fn effective_max_limit(&self, at: Timestamp) -> NanoUsd {
        match self.temporary_increase.as_deref() {
            Some(increase) if at < increase.until => increase.raised(self.max_limit),
            Some(_) | None => self.max_limit,
        }
    }
}

/// One dimension of a rate limit.
#[derive(Clone, PartialEq, Debug)]
pub struct RateDimension {
    /// The ceiling per window.
    pub max_limit: i64,
    /// Length of the window.
    pub reset_duration: ResetDuration,
    /// From where rolling windows are counted: when the dimension was created.
    pub anchor: Timestamp,
}

/// A ceiling on tokens, requests, and requests that are open at once. At least one of them is there.
#[derive(Clone, PartialEq, Debug)]
pub struct RateLimit {
    /// Id; empty in a desired state for a rate limit that is not named by its id.
    pub id: LimitId,
    /// Tokens per window.
    pub token: Option<RateDimension>,
    /// Requests per window.
    pub request: Option<RateDimension>,
    /// Requests that are open at once.
    pub concurrent: Option<i64>,
    /// How it holds requests back.
    pub enforcement: Enforcement,
    /// How much of its LLM tokens is held for requests in flight.
    pub reserve: Reserve,
    /// The percentages of the ceilings whose crossing is recorded.
    pub alert_percents: AlertPercents,
    /// When its usage was set to zero last. Of few it ever was.
    pub usage_reset_at: Option<Box<Timestamp>>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl RateLimit {
    /// Its dimension of tokens.
    pub fn token(&self) -> Option<&RateDimension> {
        self.token.as_ref()
    }

    /// Its dimension of requests.
    pub fn request(&self) -> Option<&RateDimension> {
        self.request.as_ref()
    }

    /// The dimensions that it has in windows.
    pub fn dimensions(&self) -> impl Iterator<Item = &RateDimension> {
        [&self.token, &self.request].into_iter().flatten()
    }
}

/// The limits of one owner.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Limits {
    /// Budgets, in the client's order; no two of one length.
    pub budgets: Box<[Budget]>,
    /// Rate limits, in the client's order; no two have a dimension of the same length, or limit requests that are open at once.
    pub rate_limits: Box<[RateLimit]>,
}

impl Limits {
    /// Whether one of them has this id.
    pub fn has(&self, id: &LimitId) -> bool {
        self.ids().any(|own| own == id)
    }

    /// The ids of all of them.
    pub fn ids(&self) -> impl Iterator<Item = &LimitId> {
        self.budgets.iter().map(|budget| &budget.id).chain(self.rate_limits.iter().map(|limit| &limit.id))
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.budgets.is_empty() && self.rate_limits.is_empty()
    }
}

/// How a limit holds requests back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Enforcement {
    /// Nodes admit only what they hold credit for.
    #[default]
    Hard,
    /// Each node decides with the usage that it was told.
    Soft,
    /// It counts, and refuses nothing.
    Shadow,
}

impl Enforcement {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hard, Self::Soft, Self::Shadow];

    /// The name in snake case, as in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::Shadow => "shadow",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|enforcement| enforcement.name() == name)
    }
}

/// How much of a limit nodes hold for a request in flight whose caller does not bound the answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Reserve {
    /// The usual length of an answer of the model.
    #[default]
    Observed,
    /// The longest answer of the model.
    WorstCase,
}

impl Reserve {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Observed, Self::WorstCase];

    /// The name in snake case, as in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::WorstCase => "worst_case",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reserve| reserve.name() == name)
    }
}

/// What a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitKind {
    /// Tokens.
    Tokens,
    /// Requests.
    Requests,
    /// Nano-dollars.
    Budget,
    /// Requests that are open at once: each holds a slot, and nothing is counted.
    Concurrency,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Requests, Self::Budget, Self::Concurrency];
}

/// Who owns a limit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum LimitOwner {
    /// A customer.
    Customer(Id<Customer>),
    /// A team.
    Team(Id<Team>),
    /// A virtual key.
    VirtualKey(Id<VirtualKey>),
    /// A provider config, by its id.
    ProviderConfig(i64),
    /// A model config.
    ModelConfig(Id<ModelConfig>),
    /// A provider.
    Provider(Id<Provider>),
    /// A key of a provider, by its id.
    ProviderKey(Arc<str>),
}

impl fmt::Display for LimitOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer(id) => write!(f, "customer {id}"),
            Self::Team(id) => write!(f, "team {id}"),
            Self::VirtualKey(id) => write!(f, "virtual key {id}"),
            Self::ProviderConfig(id) => write!(f, "provider config {id}"),
            Self::ModelConfig(id) => write!(f, "model config {id}"),
            Self::Provider(id) => write!(f, "provider {id}"),
            Self::ProviderKey(id) => write!(f, "provider key {id}"),
        }
    }
}
