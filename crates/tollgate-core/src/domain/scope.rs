//! Whose requests a rule or a model config is for.

use std::sync::Arc;

use super::{Customer, Id, Team, VirtualKey};

/// Whose requests something is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// All.
    Global,
    /// Those with one key.
    VirtualKey(Id<VirtualKey>),
    /// Those with the keys of one team.
    Team(Id<Team>),
    /// Those with the keys of one customer and of its teams.
    Customer(Id<Customer>),
}

/// A [`Scope`] without its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScopeKind {
    /// [`Scope::Global`].
    Global,
    /// [`Scope::VirtualKey`].
    VirtualKey,
    /// [`Scope::Team`].
    Team,
    /// [`Scope::Customer`].
    Customer,
}

impl Scope {
    /// A scope of `kind`; `id` is ignored for the global one.
    pub fn new(kind: ScopeKind, id: impl Into<Arc<str>>) -> Self {
        match kind {
            ScopeKind::Global => Self::Global,
            ScopeKind::VirtualKey => Self::VirtualKey(Id::new(id)),
            ScopeKind::Team => Self::Team(Id::new(id)),
            ScopeKind::Customer => Self::Customer(Id::new(id)),
        }
    }

    /// Its kind.
    pub const fn kind(&self) -> ScopeKind {
        match self {
            Self::Global => ScopeKind::Global,
            Self::VirtualKey(_) => ScopeKind::VirtualKey,
            Self::Team(_) => ScopeKind::Team,
            Self::Customer(_) => ScopeKind::Customer,
        }
    }

    /// The id of the key, team or customer; empty for the global one.
    pub fn id(&self) -> &str {
        match self {
            Self::Global => "",
            Self::VirtualKey(id) => id.as_str(),
            Self::Team(id) => id.as_str(),
            Self::Customer(id) => id.as_str(),
        }
    }
}

impl ScopeKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Global, Self::VirtualKey, Self::Team, Self::Customer];

    /// The kind's name in snake case, as in the tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::VirtualKey => "virtual_key",
            Self::Team => "team",
            Self::Customer => "customer",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
