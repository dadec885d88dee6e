//! What goes with what is deleted.

use tollgate::proto::v1::ModelConfigScope;

use super::window::Micros;
use super::{Model, Owner, Parent};

impl Model {
    pub(crate) fn delete_customer(&mut self, id: &str) {
        self.customers.remove(id);
        self.limits.remove(&Owner::Customer(id.to_owned()));
        self.calendars.remove(&Owner::Customer(id.to_owned()));
        for customer in self.teams.values_mut() {
            customer.take_if(|customer| customer == id);
        }
        self.orphan(&Parent::Customer(id.to_owned()));
        self.unscope(ModelConfigScope::Customer, id);
    }

    pub(crate) fn delete_team(&mut self, id: &str) {
        self.teams.remove(id);
        self.limits.remove(&Owner::Team(id.to_owned()));
        self.calendars.remove(&Owner::Team(id.to_owned()));
        self.orphan(&Parent::Team(id.to_owned()));
        self.unscope(ModelConfigScope::Team, id);
    }

    pub(crate) fn delete_key(&mut self, id: &str, deleted_at: Micros) {
        let key = self.keys.remove(id).unwrap();
        self.former.insert(id.to_owned(), (key.parent, deleted_at));
        self.limits.retain(|owner, _| !matches!(owner, Owner::Key(key) | Owner::Config(key, _) if key == id));
        self.unscope(ModelConfigScope::VirtualKey, id);
    }

    pub(crate) fn delete_keys_of(&mut self, parent: &Parent, deleted_at: Micros) {
        let keys: Vec<_> =
            self.keys.iter().filter(|(_, key)| key.parent == *parent).map(|(id, _)| id.clone()).collect();
        for key in keys {
            self.delete_key(&key, deleted_at);
        }
    }

    /// With their keys.
    pub(crate) fn delete_teams_of(&mut self, customer: &str, deleted_at: Micros) {
        let of_customer = |(_, above): &(&String, &Option<String>)| above.as_deref() == Some(customer);
        let teams: Vec<_> = self.teams.iter().filter(of_customer).map(|(id, _)| id.clone()).collect();
        for team in teams {
            self.delete_keys_of(&Parent::Team(team.clone()), deleted_at);
            self.delete_team(&team);
        }
    }

    pub(crate) fn delete_model_config(&mut self, id: &str) {
        self.model_configs.remove(id);
        self.limits.remove(&Owner::ModelConfig(id.to_owned()));
    }

    fn orphan(&mut self, parent: &Parent) {
        for key in self.keys.values_mut().filter(|key| key.parent == *parent) {
            key.parent = Parent::Nobody;
        }
    }

    fn unscope(&mut self, scope: ModelConfigScope, id: &str) {
        let gone: Vec<String> = self
            .model_configs
            .iter()
            .filter(|(_, config)| config.scope == scope && config.scope_id == id)
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.delete_model_config(&id);
        }
    }
}
