//! The calendars that windows follow: those of the owners of the limits, or of whom these belong to.

use super::Config;
use crate::domain::{
    AnyResource, Calendar, Customer, Id, KeyOwner, ModelConfig, Provider, ProviderGovernance, Stored, Team, VirtualKey,
};

/// A resource with limits, whose windows may follow a calendar.
pub trait Aligned {
    /// The calendar that they follow; `None` if they are rolling.
    fn calendar<'a>(&'a self, config: &'a Config) -> Option<&'a Calendar>;
}

/// The calendar where windows follow one: that which is found, or the standard one.
fn followed<'a>(calendar_aligned: bool, found: impl FnOnce() -> Option<&'a Calendar>) -> Option<&'a Calendar> {
    calendar_aligned.then(|| found().unwrap_or(Calendar::standard()))
}

impl Config {
    fn of_customer(&self, id: &Id<Customer>) -> Option<&Calendar> {
        self.get::<Customer>(id.as_str())?.resource.calendar.as_deref()
    }

    /// The calendar that what belongs to a team or customer follows, if that has one.
    pub fn inherited(&self, owner: &KeyOwner) -> Option<&Calendar> {
        match owner {
            KeyOwner::Customer(id) => self.of_customer(id),
            KeyOwner::Team(id) => {
                let team = &self.get::<Team>(id.as_str())?.resource;
                let of_customer = || self.of_customer(team.customer_id.as_ref()?);
                team.calendar.as_deref().or_else(of_customer)
            }
        }
    }

    /// The calendar that windows of the limits of a resource follow; `None` if they are rolling.
    pub fn calendar<'a>(&'a self, any: &'a AnyResource) -> Option<&'a Calendar> {
        match any {
            AnyResource::Customer(stored) => stored.calendar(self),
            AnyResource::Team(stored) => stored.calendar(self),
            AnyResource::VirtualKey(stored) => stored.calendar(self),
            AnyResource::ModelConfig(stored) => stored.calendar(self),
            AnyResource::ProviderGovernance(stored) => stored.calendar(self),
            AnyResource::Provider(stored) => stored.calendar(self),
            AnyResource::McpClient(_)
            | AnyResource::RoutingRule(_)
            | AnyResource::PricingOverride(_)
            | AnyResource::ModelPrice(_)
            | AnyResource::Webhook(_)
            | AnyResource::Token(_) => None,
        }
    }
}

impl Aligned for Stored<Customer> {
    fn calendar<'a>(&'a self, _: &'a Config) -> Option<&'a Calendar> {
        followed(self.resource.calendar_aligned, || self.resource.calendar.as_deref())
    }
}

impl Aligned for Stored<Team> {
    fn calendar<'a>(&'a self, config: &'a Config) -> Option<&'a Calendar> {
        let Team { calendar_aligned, calendar, customer_id, .. } = &self.resource;
        let inherited = || config.of_customer(customer_id.as_ref()?);
        followed(*calendar_aligned, || calendar.as_deref().or_else(inherited))
    }
}

impl Aligned for Stored<VirtualKey> {
    fn calendar<'a>(&'a self, config: &'a Config) -> Option<&'a Calendar> {
        let VirtualKey { calendar_aligned, calendar, owner, .. } = &self.resource;
        let inherited = || config.inherited(owner.as_ref()?);
        followed(*calendar_aligned, || calendar.as_deref().or_else(inherited))
    }
}

impl Aligned for Stored<ModelConfig> {
    fn calendar<'a>(&'a self, _: &'a Config) -> Option<&'a Calendar> {
        followed(self.resource.calendar_aligned, || self.resource.calendar.as_deref())
    }
}

impl Aligned for Stored<ProviderGovernance> {
    fn calendar<'a>(&'a self, _: &'a Config) -> Option<&'a Calendar> {
        followed(self.resource.calendar_aligned, || self.resource.calendar.as_deref())
    }
}

/// That of the limits of its keys. Those of the provider as a whole follow its governance.
impl Aligned for Stored<Provider> {
    fn calendar<'a>(&'a self, _: &'a Config) -> Option<&'a Calendar> {
        followed(self.resource.calendar_aligned, || self.resource.calendar.as_deref())
    }
}
