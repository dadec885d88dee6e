//! Whose request it is.

use std::sync::Arc;

use super::ceilings;
use crate::config::Config;
use crate::domain::{Customer, KeyOwner, Stored, Team, Timestamp, VirtualKey};

/// Whose request it is: a key that works, its team, and its customer or the team's.
#[derive(Clone, Copy, Default)]
pub struct Caller<'a> {
    pub(super) key: Option<&'a Arc<Stored<VirtualKey>>>,
    pub(super) team: Option<&'a Arc<Stored<Team>>>,
    pub(super) customer: Option<&'a Arc<Stored<Customer>>>,
}

impl<'a> Caller<'a> {
    /// The caller with this key.
    pub fn of(config: &'a Config, key: &'a Arc<Stored<VirtualKey>>) -> Self {
        Self { key: Some(key), ..Self::of_owner(config, key.resource.owner.as_ref()) }
    }

    /// Without the key itself: whom it belongs to.
    pub fn of_owner(config: &'a Config, owner: Option<&KeyOwner>) -> Self {
        let team = match owner {
            Some(KeyOwner::Team(id)) => config.get::<Team>(id.as_str()),
            Some(KeyOwner::Customer(_)) | None => None,
        };
        let customer = match owner {
            Some(KeyOwner::Customer(id)) => Some(id),
            Some(KeyOwner::Team(_)) | None => team.and_then(|team| team.resource.customer_id.as_ref()),
        };
        let customer = customer.and_then(|id| config.get::<Customer>(id.as_str()));
        Self { key: None, team, customer }
    }

    /// Whether it works at `at`: the key itself, its team and its customer.
    pub fn works_at(&self, at: Timestamp) -> bool {
        self.key.is_none_or(|key| key.resource.works_at(at)) && ceilings::inactive(*self).is_none()
    }

    /// Whether it is a key, and not what one leaves behind or traffic without one.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// The id of its team.
    pub fn team_id(&self) -> Option<Arc<str>> {
        self.team.map(|team| team.id.shared())
    }

    /// The id of its customer: its own, or its team's.
    pub fn customer_id(&self) -> Option<Arc<str>> {
        self.customer.map(|customer| customer.id.shared())
    }
}
