//! Writes that move limits while usage flows.

use rand::Rng as _;
use rand::seq::IteratorRandom as _;
use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::{Children, ModelConfigScope};
use tonic::{Code, Status};

use super::calls::{Answer, create, update, with_limits};
use super::desired::{Desired, calendar, claimed, configs, said};
use super::parents::with_parent;
use super::{History, PATTERNS, PROVIDERS};
use crate::usage::model::window::Calendar;
use crate::usage::model::{Config, Key, Limit, ModelConfig, Owner, Parent, Reset};

impl History {
    /// One write that may be refused for what it asks. Whether it was done.
    pub(super) async fn configure(&mut self) -> bool {
        let provider = PROVIDERS[self.rng.random_range(0..2)].to_owned();
        let result = match self.rng.random_range(-3..20) {
            ..0 => self.create_model_config().await,
            0 => self.create_customer().await,
            1 | 2 => self.create_team().await,
            3..6 => self.create_key().await,
            6 => self.update_limits(Owner::Provider(provider)).await,
            7 => self.update_limits(Owner::ProviderKey(provider)).await,
            8..14 => {
                let owner = self.model.limits.keys().choose(&mut self.rng).cloned();
                match owner {
                    Some(Owner::Config(key, _)) => self.update_key(&key).await,
                    Some(owner) => self.update_limits(owner).await,
                    None => Ok(()),
                }
            }
            14 | 15 => match self.model.keys.keys().choose(&mut self.rng).cloned() {
                Some(key) => self.update_key(&key).await,
                None => Ok(()),
            },
            16 => self.reparent_key().await,
            17 => self.reparent_team().await,
            _ => self.delete().await,
        };
        match result {
            Ok(()) => true,
            Err(status) => {
                let refused = [Code::InvalidArgument, Code::AlreadyExists];
                assert!(refused.contains(&status.code()), "{status:?}");
                false
            }
        }
    }

    fn reset(&mut self) -> Reset {
        Reset { budgets: self.rng.random_bool(0.2), rate_limits: self.rng.random_bool(0.2) }
    }

    /// The calendar of its own that an owner is to have: mostly that which it has.
    fn calendar_instead(&mut self, owner: &Owner) -> Option<Calendar> {
        match self.rng.random_bool(0.8) {
            true => self.model.calendars.get(owner).copied(),
            false => calendar(&mut self.rng),
        }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("name {}", self.names)
    }

    fn limits(&self, owner: &Owner) -> Vec<Limit> {
        self.model.limits.get(owner).cloned().unwrap_or_default()
    }

    /// Notes a write that was answered. Whether it changed anything.
    pub(super) fn wrote(&mut self, answer: &Answer) -> bool {
        self.writes += 1;
        let is_new = answer.revision > self.revision;
        self.revision = self.revision.max(answer.revision);
        is_new
    }

    fn set(&mut self, owner: Owner, asked: (&Desired, bool, Reset), answer: &Answer) {
        let (desired, aligned, reset) = asked;
        let old = self.limits(&owner);
        let limits = desired.answered(&old, &answer.budgets, &answer.rate_limits, aligned, answer.at);
        self.model.set_limits(owner, limits, reset, answer.at);
    }

    async fn create_customer(&mut self) -> Result<(), Status> {
        let calendar_aligned = self.rng.random_bool(0.4);
        let desired = Desired::new(&mut self.rng, self.model.now);
        let Desired { budgets, rate_limits } = desired.clone();
        let followed = calendar(&mut self.rng);
        let customer = v1::Customer {
            name: self.name(),
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed.map(said),
            ..Default::default()
        };
        let answer = create(&self.api, Resource::Customer(customer)).await?;
        self.wrote(&answer);
        self.model.customers.insert(answer.id.clone());
        self.model.set_calendar(Owner::Customer(answer.id.clone()), followed);
        self.set(Owner::Customer(answer.id.clone()), (&desired, calendar_aligned, Reset::default()), &answer);
        Ok(())
    }

    async fn create_team(&mut self) -> Result<(), Status> {
        let calendar_aligned = self.rng.random_bool(0.4);
        let desired = Desired::new(&mut self.rng, self.model.now);
        let Desired { budgets, rate_limits } = desired.clone();
        let customer = self.model.customers.iter().choose(&mut self.rng).cloned().filter(|_| self.rng.random_bool(0.8));
        let customer_id = customer.clone().unwrap_or_default();
        let followed = calendar(&mut self.rng);
        let team = v1::Team {
            name: self.name(),
            customer_id,
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed.map(said),
            ..Default::default()
        };
        let answer = create(&self.api, Resource::Team(team)).await?;
        self.wrote(&answer);
        self.model.teams.insert(answer.id.clone(), customer);
        self.model.set_calendar(Owner::Team(answer.id.clone()), followed);
        self.set(Owner::Team(answer.id.clone()), (&desired, calendar_aligned, Reset::default()), &answer);
        Ok(())
    }

    async fn create_key(&mut self) -> Result<(), Status> {
        let calendar_aligned = self.rng.random_bool(0.4);
        let desired = Desired::new(&mut self.rng, self.model.now);
        let Desired { budgets, rate_limits } = desired.clone();
        let parent = self.parent();
        let more = self.rng.random_range(0..3);
        let configs = self.configs("", &[], more);
        let followed = calendar(&mut self.rng);
        let key = v1::VirtualKey {
            name: self.name(),
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed.map(said),
            provider_configs: configs.iter().map(|config| config.asked.clone()).collect(),
            ..with_parent(&parent)
        };
        let answer = create(&self.api, Resource::VirtualKey(key)).await?;
        self.wrote(&answer);
        self.model.keys.insert(answer.id.clone(), Key { parent, configs: Vec::new() });
        self.model.set_calendar(Owner::Key(answer.id.clone()), followed);
        self.set(Owner::Key(answer.id.clone()), (&desired, calendar_aligned, Reset::default()), &answer);
        self.set_configs(&configs, (calendar_aligned, Reset::default()), &answer);
        Ok(())
    }

    /// Provider configs to ask for instead of those that a key has, each with its limits.
    fn configs(&mut self, key: &str, old: &[Config], more: usize) -> Vec<AskedConfig> {
        let asked = configs(&mut self.rng, old, more);
        let claimed = claimed(&asked, old);
        let with_limits = |(asked, claimed): (v1::VirtualKeyProviderConfig, Option<i64>)| {
            let old = claimed.map(|id| self.limits(&Owner::Config(key.to_owned(), id))).unwrap_or_default();
            let desired = Desired::instead_of(&mut self.rng, &old, self.model.now);
            let Desired { budgets, rate_limits } = desired.clone();
            AskedConfig { asked: v1::VirtualKeyProviderConfig { budgets, rate_limits, ..asked }, claimed, desired }
        };
        asked.into_iter().zip(claimed).map(with_limits).collect()
    }

    /// The key of the answer has these provider configs from now on.
    fn set_configs(&mut self, asked: &[AskedConfig], (aligned, reset): (bool, Reset), answer: &Answer) {
        assert_eq!(answer.configs.len(), asked.len());
        let mut configs = Vec::new();
        for (AskedConfig { asked, claimed, desired }, answered) in asked.iter().zip(&answer.configs) {
            let owner = Owner::Config(answer.id.clone(), answered.id);
            let old = self.limits(&owner);
            match claimed {
                Some(claimed) => assert_eq!(answered.id, *claimed, "a provider config that is kept keeps its id"),
                None => assert!(
                    self.model.keys.values().flat_map(|key| &key.configs).all(|held| held.id != answered.id),
                    "a new provider config has the id of an old one"
                ),
            }
            let limits = desired.answered(&old, &answered.budgets, &answered.rate_limits, aligned, answer.at);
            self.model.set_limits(owner, limits, reset, answer.at);
            configs.push(Config {
                id: answered.id,
                provider: asked.provider.clone(),
                allowed: asked.allowed_models.clone(),
                blocked: asked.blocked_models.clone(),
                all_keys: !asked.key_ids.is_empty(),
            });
        }
        let kept: Vec<i64> = configs.iter().map(|config| config.id).collect();
        self.model.limits.retain(|owner, _| match owner {
            Owner::Config(key, id) => *key != answer.id || kept.contains(id),
            _ => true,
        });
        self.model.keys.get_mut(&answer.id).unwrap().configs = configs;
    }

    async fn create_model_config(&mut self) -> Result<(), Status> {
        let rng = &mut self.rng;
        let model = &self.model;
        let (scope, scope_id) = match rng.random_range(0..5) {
            0 => (ModelConfigScope::VirtualKey, model.keys.keys().choose(rng)),
            1 => (ModelConfigScope::Team, model.teams.keys().choose(rng)),
            2 => (ModelConfigScope::Customer, model.customers.iter().choose(rng)),
            _ => (ModelConfigScope::Global, None),
        };
        let (scope, scope_id) = match scope_id {
            Some(id) => (scope, id.clone()),
            None => (ModelConfigScope::Global, String::new()),
        };
        let calendar_aligned = rng.random_bool(0.4);
        let desired = Desired::new(rng, model.now);
        let Desired { budgets, rate_limits } = desired.clone();
        let (model, provider) =
            (PATTERNS[rng.random_range(0..4)].to_owned(), ["", "openai", "anthropic"][rng.random_range(0..3)]);
        let followed = calendar(rng);
        let config = v1::ModelConfig {
            calendar: followed.map(said),
            model_name: model.clone(),
            provider: provider.to_owned(),
            scope: scope.into(),
            scope_id: scope_id.clone(),
            budgets,
            rate_limits,
            calendar_aligned,
            ..Default::default()
        };
        let answer = create(&self.api, Resource::ModelConfig(config)).await?;
        self.wrote(&answer);
        let config = ModelConfig { scope, scope_id, model, provider: provider.to_owned() };
        self.model.model_configs.insert(answer.id.clone(), config);
        self.model.set_calendar(Owner::ModelConfig(answer.id.clone()), followed);
        self.set(Owner::ModelConfig(answer.id.clone()), (&desired, calendar_aligned, Reset::default()), &answer);
        Ok(())
    }

    async fn update_limits(&mut self, owner: Owner) -> Result<(), Status> {
        let old = self.limits(&owner);
        let was_aligned = old.first().is_some_and(|limit| limit.aligned);
        let calendar_aligned = was_aligned != self.rng.random_bool(0.25);
        let reset = self.reset();
        let followed = self.calendar_instead(&owner);
        let calendar = followed.map(said);
        let desired = Desired::instead_of(&mut self.rng, &old, self.model.now);
        let Desired { budgets, rate_limits } = desired.clone();
        let resource = match &owner {
            Owner::Customer(id) => Resource::Customer(v1::Customer {
                id: id.clone(),
                budgets,
                rate_limits,
                calendar_aligned,
                calendar,
                ..Default::default()
            }),
            Owner::Team(id) => Resource::Team(v1::Team {
                id: id.clone(),
                budgets,
                rate_limits,
                calendar_aligned,
                calendar,
                ..Default::default()
            }),
            Owner::ModelConfig(id) => Resource::ModelConfig(v1::ModelConfig {
                id: id.clone(),
                budgets,
                rate_limits,
                calendar_aligned,
                calendar,
                ..Default::default()
            }),
            Owner::Provider(provider) => Resource::ProviderGovernance(v1::ProviderGovernance {
                id: provider.clone(),
                budgets,
                rate_limits,
                calendar_aligned,
                calendar,
                ..Default::default()
            }),
            Owner::ProviderKey(provider) => Resource::Provider(v1::Provider {
                calendar_aligned,
                calendar,
                ..with_limits(provider, budgets, rate_limits)
            }),
            Owner::Key(id) | Owner::Config(id, _) => return self.update_key(&id.clone()).await,
        };
        let lists = if matches!(owner, Owner::ProviderKey(_)) { &["keys"][..] } else { &["budgets", "rate_limits"] };
        let paths = [lists, &["calendar_aligned", "calendar"]].concat();
        let answer = update(&self.api, resource, &paths, reset).await?;
        let gone = matches!(owner, Owner::Provider(_)) && desired.is_empty();
        if gone {
            self.model.limits.remove(&owner);
            self.model.set_calendar(owner, None);
        } else if self.wrote(&answer) {
            self.model.set_calendar(owner.clone(), followed);
            self.set(owner, (&desired, calendar_aligned, reset), &answer);
            self.model.follow_calendars(answer.at);
        }
        Ok(())
    }

    async fn update_key(&mut self, id: &str) -> Result<(), Status> {
        let owner = Owner::Key(id.to_owned());
        let old = self.limits(&owner);
        let key = self.model.keys[id].clone();
        let of_configs = key.configs.iter().flat_map(|it| self.limits(&Owner::Config(id.to_owned(), it.id)));
        let was_aligned = old.iter().cloned().chain(of_configs).any(|limit| limit.aligned);
        let calendar_aligned = was_aligned != self.rng.random_bool(0.25);
        let reset = self.reset();
        let followed = self.calendar_instead(&owner);
        let desired = Desired::instead_of(&mut self.rng, &old, self.model.now);
        let more = usize::from(self.rng.random_bool(0.2));
        let configs = self.configs(id, &key.configs, more);
        let Desired { budgets, rate_limits } = desired.clone();
        let provider_configs = configs.iter().map(|config| config.asked.clone()).collect();
        let key = v1::VirtualKey {
            id: id.to_owned(),
            budgets,
            rate_limits,
            calendar_aligned,
            calendar: followed.map(said),
            provider_configs,
            ..Default::default()
        };
        let paths = ["budgets", "rate_limits", "calendar_aligned", "calendar", "provider_configs"];
        let answer = update(&self.api, Resource::VirtualKey(key), &paths, reset).await?;
        if self.wrote(&answer) {
            self.model.set_calendar(owner.clone(), followed);
            self.set(owner, (&desired, calendar_aligned, reset), &answer);
            self.set_configs(&configs, (calendar_aligned, reset), &answer);
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), Status> {
        let rng = &mut self.rng;
        let model = &self.model;
        let (kind, id) = match rng.random_range(0..6) {
            0 => ("customer", model.customers.iter().choose(rng)),
            1 => ("team", model.teams.keys().choose(rng)),
            2 | 3 => ("model config", model.model_configs.keys().choose(rng)),
            _ => ("key", model.keys.keys().choose(rng)),
        };
        let Some(id) = id.cloned() else { return Ok(()) };
        let children = [Children::Detach, Children::Deactivate, Children::Delete][rng.random_range(0..3)];
        self.writes += 1;
        // Of the time of a write, a microsecond apart from that of the clock, only a month after is to be told.
        let now = self.model.now;
        self.revision = match kind {
            "customer" => {
                if children == Children::Delete {
                    self.model.delete_teams_of(&id, now);
                    self.model.delete_keys_of(&Parent::Customer(id.clone()), now);
                }
                self.model.delete_customer(&id);
                self.api.delete_customer_and(&id, children).await?.revision
            }
            "team" => {
                if children == Children::Delete {
                    self.model.delete_keys_of(&Parent::Team(id.clone()), now);
                }
                self.model.delete_team(&id);
                self.api.delete_team_and(&id, children).await?.revision
            }
            "key" => {
                self.model.delete_key(&id, now);
                self.api.delete_virtual_key(&id).await?.revision
            }
            _ => {
                self.model.delete_model_config(&id);
                self.api.delete_model_config(&id).await?.revision
            }
        };
        self.model.follow_calendars(now);
        Ok(())
    }
}

/// A provider config that a client asks for.
struct AskedConfig {
    asked: v1::VirtualKeyProviderConfig,
    /// The id of the one that it takes the place of.
    claimed: Option<i64>,
    desired: Desired,
}
