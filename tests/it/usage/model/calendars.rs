//! The calendars that the windows of owners follow.

use super::window::{Calendar, Micros};
use super::{Model, Owner, Parent};

impl Model {
    /// The owner has this calendar of its own from now on, or none.
    pub(crate) fn set_calendar(&mut self, owner: Owner, calendar: Option<Calendar>) {
        match calendar {
            Some(calendar) => drop(self.calendars.insert(owner, calendar)),
            None => drop(self.calendars.remove(&owner)),
        }
    }

    /// The calendar of an owner: its own, that of whom it belongs to, or the standard one.
    pub(super) fn calendar(&self, owner: &Owner) -> Calendar {
        let owner = match owner {
            Owner::Config(key, _) => Owner::Key(key.clone()),
            owner => owner.clone(),
        };
        let inherited = || match &owner {
            Owner::Team(team) => Some(Owner::Customer(self.teams.get(team)?.clone()?)),
            Owner::Key(key) => match self.keys.get(key)?.parent.clone() {
                Parent::Nobody => None,
                Parent::Team(team) => Some(Owner::Team(team)),
                Parent::Customer(customer) => Some(Owner::Customer(customer)),
            },
            _ => None,
        };
        let own = self.calendars.get(&owner).copied();
        own.or_else(|| inherited().map(|owner| self.calendar(&owner))).unwrap_or(Calendar::STANDARD)
    }

    /// Whose calendar is another one now takes what it counted along.
    pub(crate) fn follow_calendars(&mut self, now: Micros) {
        let owners: Vec<_> = self.limits.keys().map(|owner| (owner.clone(), self.calendar(owner))).collect();
        for (owner, calendar) in owners {
            for limit in self.limits.get_mut(&owner).unwrap() {
                let from = limit.window(now);
                limit.calendar = calendar;
                let to = limit.window(now);
                if from != to {
                    let used = limit.counted.remove(&from.0).unwrap_or_default();
                    limit.counted.insert(to.0, used);
                }
            }
        }
    }
}
