//! LiteLLM's keys, which become virtual keys by their hashes.

use super::limits::{Limits, of_models};
use super::models::Allowed;
use super::owners::features;
use super::{Migration, is_something};
use crate::cli::Failure;
use crate::cli::moving::draft::{Told, customer, path, previous_value, shown};
use crate::cli::moving::money::{hash, moment};
use crate::cli::moving::record::Record;
use crate::cli::moving::report::Fate;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;

/// Settings of keys that have no counterpart.
const FEATURES: [&str; 9] = [
    "object_permission_id",
    "aliases",
    "config",
    "router_settings",
    "policies",
    "allowed_routes",
    "budget_fallbacks",
    "project_id",
    "agent_id",
];

/// The team of the keys that LiteLLM makes for its own pages.
const PAGES: &str = "litellm-dashboard";

impl Migration {
    /// Makes virtual keys of keys.
    pub(super) fn keys(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.tables.keys) {
            match self.why_not(&record) {
                Some((fate, text)) => self.report.add(fate, "", &record.place, text),
                None => self.key(&record)?,
            }
        }
        Ok(())
    }

    /// Why a key is left out.
    fn why_not(&self, record: &Record) -> Option<(Fate, &'static str)> {
        let team = record.text("team_id");
        if team.as_deref() == Some(PAGES) {
            return Some((Fate::Stays, "it is a session of LiteLLM's own pages"));
        }
        if record.text("token").and_then(|token| hash(&token)).is_none() {
            return Some((Fate::Impossible, "left out, because its token is no SHA-256"));
        }
        if record.text("key_type").is_some_and(|it| ["management", "read_only"].contains(&it.as_str())) {
            let text =
                "left out, because it is for administration alone; `tollgate token create` makes an access token";
            return Some((Fate::Impossible, text));
        }
        if team.is_some_and(|team| !self.teams.contains_key(&team)) {
            let text = "left out, because its team does not exist, and with it the limits of the team; make it by hand";
            return Some((Fate::Impossible, text));
        }
        None
    }

    fn key(&mut self, record: &Record) -> Result<(), Failure> {
        let mut told = Told::default();
        let token = record.text("token").unwrap_or_default();
        let team = record.text("team_id").and_then(|id| self.teams.get(&id)).cloned();
        let organisation = record.text("organization_id").filter(|_| team.is_none());
        let of = organisation.as_ref().and_then(|id| self.customers.get(id)).map(|name| customer(name));
        if organisation.is_some() && of.is_none() {
            told.changed("its organisation does not exist, and it belongs to no customer");
        }
        let parent = team.as_ref().map(|team| team.reference.clone()).or_else(|| of.clone()).unwrap_or_default();
        let alias = record.text("key_alias");
        let short: String = token.chars().take(8).collect();
        let name =
            self.names.take(&format!("keys of {parent}"), alias.as_deref(), &format!("key-{short}"), &token, &mut told);
        let table = self.tables.budget_of(record).cloned();
        let limits = Limits::read(record, &token, table.as_ref(), &self.tables.windows, &self.setting, &mut told);
        let (previous, until) = self.previous(&token, &mut told).unzip();
        features(record, &FEATURES, &mut told);
        if record.flag("auto_rotate") == Some(true) {
            told.impossible("it is not rotated by itself any more; `tollgate rotate key` does it");
        }
        let permissions = record.object("permissions");
        for (name, _) in permissions.iter().filter(|(_, value)| is_something(value)) {
            told.impossible(format!("the permission {} has no counterpart", shown(name)));
        }
        let mut labels = self.labels(record, &mut told);
        if let Some(user) = record.text("user_id") {
            told.changed("its user is the label user_id: users, and their limits, do not exist here");
            labels.insert("user_id".to_owned(), user);
        }
        let inherits = ["all-team-models", "all-org-models"];
        let list = record.list("models");
        let nothing = list.is_empty() && record.list("access_group_ids").is_empty();
        let team_allowed = team.as_ref().map(|team| team.allowed.clone()).unwrap_or(Allowed::All);
        let allowed = if nothing || list.iter().any(|entry| inherits.contains(&entry.as_str())) {
            team_allowed.of_ceiling()
        } else {
            self.allowed(record, &mut told)
        };
        let expired = record.time("expires").filter(|expires| *expires <= self.setting.now);
        if let Some(expired) = expired {
            told.changed(format!("it expired at {expired}, and is not active here"));
        }
        let resource = v1::VirtualKey {
            name,
            value_sha256: hash(&token).unwrap_or_default().into(),
            previous_value_sha256: previous.unwrap_or_default().into(),
            previous_value_expires_at: until,
            is_active: (record.flag("blocked") == Some(true) || expired.is_some()).then_some(false),
            expires_at: record.time("expires").filter(|_| expired.is_none()).map(moment),
            team_id: team.map(|team| team.reference).unwrap_or_default(),
            customer_id: of.unwrap_or_default(),
            provider_configs: self.models.configs(&allowed),
            labels: labels.into_iter().collect(),
            budgets: limits.budgets,
            rate_limits: limits.rate_limits,
            calendar_aligned: limits.calendar_aligned,
            calendar: limits.calendar,
            ..Default::default()
        };
        let resource = Resource::VirtualKey(resource);
        let reference = path(&v1::ConfigResource { resource: Some(resource.clone()) }).unwrap_or_default();
        let scope = (v1::ModelConfigScope::VirtualKey, reference.as_str());
        let configs = of_models(record, table.as_ref(), &self.models, &self.setting, scope, &mut told);
        let subject = self.drafts.add(resource, &record.place, limits.spend, &mut self.report)?;
        told.tell(&subject, &record.place, &mut self.report);
        self.configs(configs, &record.place)
    }

    /// The hash of the value that a key had before, and until when it works.
    fn previous(&self, token: &str, told: &mut Told) -> Option<(Vec<u8>, prost_types::Timestamp)> {
        let now = self.setting.now;
        let of = |row: &Record| Some((hash(&row.text("token")?)?, row.time("revoke_at").filter(|until| *until > now)?));
        let mut found: Vec<_> = self.tables.previous.get(token).into_iter().flatten().filter_map(of).collect();
        found.sort_by_key(|(_, until)| *until);
        let (hash, until) = found.pop()?;
        if !found.is_empty() {
            told.impossible("of several earlier values that still work only the one that works longest does here");
        }
        previous_value(hash, until, now, told)
    }
}
