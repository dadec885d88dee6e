//! Whom keys and teams of a history belong to.

use rand::Rng as _;
use rand::seq::IteratorRandom as _;
use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tonic::Status;

use super::History;
use super::calls::update;
use crate::usage::model::{Parent, Reset};

impl History {
    pub(super) fn parent(&mut self) -> Parent {
        let rng = &mut self.rng;
        match (rng.random_range(0..5), self.model.teams.keys().choose(rng), self.model.customers.iter().choose(rng)) {
            (0..3, Some(team), _) => Parent::Team(team.clone()),
            (3, _, Some(customer)) => Parent::Customer(customer.clone()),
            _ => Parent::Nobody,
        }
    }

    pub(super) async fn reparent_key(&mut self) -> Result<(), Status> {
        let Some(id) = self.model.keys.keys().choose(&mut self.rng).cloned() else { return Ok(()) };
        let parent = self.parent();
        let key = v1::VirtualKey { id: id.clone(), ..with_parent(&parent) };
        let path = if matches!(parent, Parent::Customer(_)) { "customer_id" } else { "team_id" };
        let held = &mut self.model.keys.get_mut(&id).unwrap().parent;
        if parent == Parent::Nobody && matches!(held, Parent::Customer(_)) {
            // Clearing the team leaves the customer.
            return Ok(());
        }
        *held = parent;
        let answer = update(&self.api, Resource::VirtualKey(key), &[path], Reset::default()).await?;
        self.wrote(&answer);
        self.model.follow_calendars(answer.at);
        Ok(())
    }

    pub(super) async fn reparent_team(&mut self) -> Result<(), Status> {
        let Some(id) = self.model.teams.keys().choose(&mut self.rng).cloned() else { return Ok(()) };
        let customer = self.model.customers.iter().choose(&mut self.rng).cloned().filter(|_| self.rng.random_bool(0.7));
        let customer_id = customer.clone().unwrap_or_default();
        let team = v1::Team { id: id.clone(), customer_id, ..Default::default() };
        let answer = update(&self.api, Resource::Team(team), &["customer_id"], Reset::default()).await?;
        self.wrote(&answer);
        self.model.teams.insert(id, customer);
        self.model.follow_calendars(answer.at);
        Ok(())
    }
}

pub(super) fn with_parent(parent: &Parent) -> v1::VirtualKey {
    let (team_id, customer_id) = match parent {
        Parent::Nobody => Default::default(),
        Parent::Team(id) => (id.clone(), String::new()),
        Parent::Customer(id) => (String::new(), id.clone()),
    };
    v1::VirtualKey { team_id, customer_id, ..Default::default() }
}
