//! LiteLLM's organisations and teams, which become customers and teams.

use super::limits::{Limits, of_models};
use super::models::Allowed;
use super::{Migration, is_something};
use crate::cli::Failure;
use crate::cli::moving::draft::{Told, customer, shown, team};
use crate::cli::moving::record::Record;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;

/// A team, as its keys know it.
#[derive(Clone, Debug)]
pub(super) struct Team {
    /// The reference to it.
    pub(super) reference: String,
    /// The models that its keys may use at most.
    pub(super) allowed: Allowed,
}

impl Migration {
    /// Makes customers of organisations.
    pub(super) fn organisations(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.tables.organisations) {
            let Some(id) = record.text("organization_id") else { continue };
            let mut told = Told::default();
            let alias = record.text("organization_alias");
            let name = self.names.take("customers", alias.as_deref(), &format!("organisation-{id}"), &id, &mut told);
            let table = self.tables.budget_of(&record).cloned();
            let limits = Limits::read(&record, &id, table.as_ref(), &self.tables.windows, &self.setting, &mut told);
            let allowed = self.allowed(&record, &mut told);
            features(&record, &["object_permission_id"], &mut told);
            let reference = customer(&name);
            let scope = (v1::ModelConfigScope::Customer, reference.as_str());
            let configs = of_models(&record, table.as_ref(), &self.models, &self.setting, scope, &mut told);
            let resource = v1::Customer {
                name: name.clone(),
                labels: self.labels(&record, &mut told).into_iter().collect(),
                model_ceiling: allowed.ceiling(),
                budgets: limits.budgets,
                rate_limits: limits.rate_limits,
                calendar_aligned: limits.calendar_aligned,
                calendar: limits.calendar,
                ..Default::default()
            };
            let subject =
                self.drafts.add(Resource::Customer(resource), &record.place, limits.spend, &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
            self.configs(configs, &record.place)?;
            self.customers.insert(id, name);
        }
        Ok(())
    }

    /// Makes teams of teams.
    pub(super) fn teams(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.tables.teams) {
            let Some(id) = record.text("team_id") else { continue };
            let mut told = Told::default();
            let organisation = record.text("organization_id");
            let of = organisation.as_ref().and_then(|id| self.customers.get(id)).cloned();
            if organisation.is_some() && of.is_none() {
                told.changed("its organisation does not exist, and it belongs to no customer");
            }
            let of = of.unwrap_or_default();
            let alias = record.text("team_alias");
            let place = format!("teams of {of}");
            let name = self.names.take(&place, alias.as_deref(), &format!("team-{id}"), &id, &mut told);
            let reference = team(&of, &name);
            let limits = Limits::read(&record, &id, None, &self.tables.windows, &self.setting, &mut told);
            let allowed = self.allowed(&record, &mut told);
            let members = record.json("members_with_roles").is_some_and(|it| is_something(&it));
            if members {
                told.impossible("its members are users of LiteLLM, which do not exist here; keys belong to teams");
            }
            features(&record, &["object_permission_id", "policies", "router_settings", "model_id"], &mut told);
            let scope = (v1::ModelConfigScope::Team, reference.as_str());
            let configs = of_models(&record, None, &self.models, &self.setting, scope, &mut told);
            let resource = v1::Team {
                name,
                customer_id: if of.is_empty() { String::new() } else { customer(&of) },
                is_active: (record.flag("blocked") == Some(true)).then_some(false),
                labels: self.labels(&record, &mut told).into_iter().collect(),
                model_ceiling: allowed.ceiling(),
                budgets: limits.budgets,
                rate_limits: limits.rate_limits,
                calendar_aligned: limits.calendar_aligned,
                calendar: limits.calendar,
                ..Default::default()
            };
            let subject = self.drafts.add(Resource::Team(resource), &record.place, limits.spend, &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
            self.configs(configs, &record.place)?;
            self.teams.insert(id, Team { reference, allowed });
        }
        Ok(())
    }

    /// The models that an owner may use. Names that nobody knows are told.
    pub(super) fn allowed(&self, record: &Record, told: &mut Told) -> Allowed {
        let (allowed, unknown) = self.models.allowed(&record.list("models"), &record.list("access_group_ids"));
        for name in unknown {
            told.impossible(format!(
                "the model {} is left out of what it may use: it is not known which provider and model that is; say it with \
                 --model NAME=PROVIDER/MODEL",
                shown(&name)
            ));
        }
        allowed
    }

    /// Adds the limits that an owner has for single models.
    pub(super) fn configs(&mut self, configs: Vec<v1::ModelConfig>, place: &str) -> Result<(), Failure> {
        for config in configs {
            self.drafts.add(Resource::ModelConfig(config), place, Vec::new(), &mut self.report)?;
        }
        Ok(())
    }
}

/// Tells of those of its settings that have no counterpart.
pub(super) fn features(record: &Record, names: &[&str], told: &mut Told) {
    for name in names {
        let is_set = match record.get(name) {
            None => false,
            Some(value) => is_something(&record.json(name).unwrap_or_else(|| value.clone())),
        };
        let said = match *name {
            "object_permission_id" => {
                "its permissions for MCP servers, vector stores and agents; give the key mcp_configs by hand"
            }
            "model_id" | "aliases" => "its aliases of models; a routing rule of its scope can say the same",
            "router_settings" | "config" => "its settings of the router, which the gateway may go on using",
            "allowed_routes" => "its list of routes, which only the gateway can check",
            "budget_fallbacks" => {
                "its fallbacks for a spent budget; a routing rule with a condition on budget_used can say the same"
            }
            "project_id" => "its project, with the limits of that",
            "agent_id" => "its agent",
            "policies" => "its policies",
            _ => "a setting",
        };
        if is_set {
            told.impossible(format!("{} has no counterpart: {said}", shown(name)));
        }
    }
}
