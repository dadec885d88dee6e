//! Bifrost's virtual keys, which become virtual keys by their hashes.

use serde_json::{Value, json};

use super::limits::Limits;
use super::{Migration, parent};
use crate::cli::Failure;
use crate::cli::moving::draft::{Told, labels, path, previous_value, shown};
use crate::cli::moving::money::{hash as bytes, moment};
use crate::cli::moving::record::Record;
use crate::cli::moving::report::Fate;
use crate::domain::Sha256Hash;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;

impl Migration {
    /// Makes virtual keys of virtual keys.
    pub(super) fn keys(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.keys) {
            match value_hash(&record) {
                Ok(hash) => self.key(&record, hash)?,
                Err(text) => self.report.add(Fate::Impossible, "", &record.place, text),
            }
        }
        Ok(())
    }

    fn key(&mut self, record: &Record, hash: Vec<u8>) -> Result<(), Failure> {
        let mut told = Told::default();
        let id = record.text("id").unwrap_or_default();
        let team_id = parent(record, "team_id", &self.teams, &mut told).unwrap_or_default();
        let customer_id = match team_id.as_str() {
            "" => parent(record, "customer_id", &self.customers, &mut told).unwrap_or_default(),
            _ => String::new(),
        };
        let other = record.text("customer_id").and_then(|id| self.customers.get(&id));
        if other.is_some_and(|customer| !team_id.is_empty() && !team_id.starts_with(&format!("{customer}/"))) {
            told.changed("its customer is that of its team, and not the one that it named beside it");
        }
        let wished = record.text("name");
        let place = format!("keys of {team_id} {customer_id}");
        let name = self.names.take(&place, wished.as_deref(), &format!("key-{id}"), &id, &mut told);
        let mut limits = Limits::default();
        // Newer versions keep a key's limits in model configs for all models, and go by these.
        for config in self.limits_of_all_models(&id, None) {
            limits.add(&self.source, &config, "model_config_id", "", self.now, &mut told);
        }
        limits.add(&self.source, record, "virtual_key_id", "", self.now, &mut told);
        let mut provider_configs: Vec<v1::VirtualKeyProviderConfig> = Vec::new();
        for config in self.source.provider_configs.of("virtual_key_id", &id).cloned().collect::<Vec<_>>() {
            let Some(provider) = config.text("provider") else { continue };
            if provider_configs.iter().any(|other| other.provider == provider) {
                told.impossible(format!("a second entry of the provider {} is left out", shown(&provider)));
                continue;
            }
            provider_configs.push(self.provider_config(&config, &id, provider, &mut limits, &mut told));
        }
        if record.flag("allow_all_providers") == Some(true) {
            told.changed("it may use all providers: those that there are now; new ones are to be added");
            for provider in self.source.provider_names.clone() {
                if !provider_configs.iter().any(|other| other.provider == provider) {
                    let all = json!({"weight": 1, "allowed_models": ["*"], "allow_all_keys": true});
                    let config = Record::new(record.place.clone(), &all);
                    provider_configs.push(self.provider_config(&config, &id, provider, &mut limits, &mut told));
                }
            }
        }
        if provider_configs.is_empty() {
            told.changed("it may use no provider: it names none, which has meant so since Bifrost 1.5");
        }
        let earlier = record.text("previous_value_hash").and_then(|text| bytes(&text));
        let (previous_value_sha256, previous_value_expires_at) = earlier
            .zip(record.time("previous_value_expires_at").filter(|until| *until > self.now))
            .and_then(|(hash, until)| previous_value(hash, until, self.now, &mut told))
            .unzip();
        let expired = record.time("expires_at").filter(|expires| *expires <= self.now);
        if let Some(expired) = expired {
            told.changed(format!("it expired at {expired}, and is not active here"));
        }
        let resource = Resource::VirtualKey(v1::VirtualKey {
            name,
            description: record.text("description").unwrap_or_default(),
            value_sha256: hash.into(),
            previous_value_sha256: previous_value_sha256.unwrap_or_default().into(),
            previous_value_expires_at,
            is_active: (record.flag("is_active") == Some(false) || expired.is_some()).then_some(false),
            expires_at: record.time("expires_at").filter(|_| expired.is_none()).map(moment),
            team_id,
            customer_id,
            provider_configs,
            mcp_configs: self.mcp_configs(&id, &mut told),
            labels: labels(&record.object("metadata"), &[], &mut told).into_iter().collect(),
            budgets: limits.budgets,
            rate_limits: limits.rate_limits,
            calendar_aligned: limits.aligned,
            ..Default::default()
        });
        let reference = path(&v1::ConfigResource { resource: Some(resource.clone()) }).unwrap_or_default();
        self.keys.insert(id, reference);
        let subject = self.drafts.add(resource, &record.place, limits.spend, &mut self.report)?;
        told.tell(&subject, &record.place, &mut self.report);
        Ok(())
    }

    /// The model configs that limit a key at all models, of a provider or of all.
    fn limits_of_all_models(&self, key: &str, provider: Option<&str>) -> Vec<Record> {
        let is_of = |config: &&Record| {
            config.text("scope").as_deref() == Some("virtual_key")
                && config.text("model_name").as_deref() == Some("*")
                && config.text("provider").as_deref() == provider
        };
        self.source.model_configs.of("scope_id", key).filter(is_of).cloned().collect()
    }

    fn provider_config(
        &mut self,
        config: &Record,
        key: &str,
        provider: String,
        of_key: &mut Limits,
        told: &mut Told,
    ) -> v1::VirtualKeyProviderConfig {
        let mut limits = Limits { aligned: of_key.aligned, ..Limits::default() };
        for config in self.limits_of_all_models(key, Some(&provider)) {
            limits.add(&self.source, &config, "model_config_id", &provider, self.now, told);
        }
        limits.add(&self.source, config, "provider_config_id", &provider, self.now, told);
        if limits.aligned && !of_key.aligned {
            told.changed("its limits by provider follow the calendar, and here all of its limits do");
            of_key.aligned = true;
        }
        of_key.spend.append(&mut limits.spend);
        let is_regex = |model: &String| model.starts_with("regex:");
        let mut allowed_models = config.list("allowed_models");
        let mut blocked_models = config.list("blacklisted_models");
        if allowed_models.iter().any(is_regex) {
            told.impossible("regular expressions are left out of the models that it may use");
            allowed_models.retain(|model| !is_regex(model));
        }
        if blocked_models.iter().any(is_regex) {
            told.impossible(format!(
                "the models that it must not use are regular expressions, so that it may use none of the provider {}",
                shown(&provider)
            ));
            blocked_models = vec!["*".to_owned()];
        }
        if allowed_models.is_empty() {
            told.changed(format!(
                "it may use no model of the provider {}: its list is empty, which has meant so since Bifrost 1.5",
                shown(&provider)
            ));
        }
        let key_ids = self.source.keys_of(config, &provider);
        let named = key_ids.iter().filter(|id| *id != "*").cloned();
        self.provider_keys.entry(provider.clone()).or_default().extend(named);
        v1::VirtualKeyProviderConfig {
            provider,
            weight: config.number("weight"),
            allowed_models,
            blocked_models,
            key_ids,
            budgets: limits.budgets,
            rate_limits: limits.rate_limits,
            ..Default::default()
        }
    }

    fn mcp_configs(&self, key: &str, told: &mut Told) -> Vec<v1::VirtualKeyMcpConfig> {
        let mut configs: Vec<v1::VirtualKeyMcpConfig> = Vec::new();
        for config in self.source.mcp_configs.of("virtual_key_id", key) {
            let by_id = || {
                let id = config.text("mcp_client_id")?;
                self.source.mcp_clients.of("id", &id).find_map(|client| client.text("name"))
            };
            let name = config.text("mcp_client_name").or_else(by_id);
            let Some(mcp_client_name) = name else {
                told.impossible("its right to an MCP client that is not there is left out");
                continue;
            };
            let tools_to_execute = config.list("tools_to_execute");
            configs.push(v1::VirtualKeyMcpConfig { mcp_client_name, tools_to_execute, ..Default::default() });
        }
        let is_open = |client: &&Record| {
            client.flag("allow_on_all_virtual_keys") == Some(true) && client.flag("disabled") != Some(true)
        };
        for mcp_client_name in self.source.mcp_clients.rows.iter().filter(is_open).filter_map(|it| it.text("name")) {
            if configs.iter().all(|config| config.mcp_client_name != mcp_client_name) {
                told.changed(format!(
                    "it may use the MCP client {} by an entry of its own; there the client is open to all keys",
                    shown(&mcp_client_name)
                ));
                let tools_to_execute = vec!["*".to_owned()];
                configs.push(v1::VirtualKeyMcpConfig { mcp_client_name, tools_to_execute, ..Default::default() });
            }
        }
        configs
    }
}

/// The hash of a key's value: as the store has it, or of a value that is not encrypted.
fn value_hash(record: &Record) -> Result<Vec<u8>, &'static str> {
    if let Some(hash) = record.text("value_hash").and_then(|text| bytes(&text)) {
        return Ok(hash);
    }
    if record.text("encryption_status").as_deref() == Some("encrypted") {
        return Err("left out: its value is encrypted and has no hash; start a newer Bifrost once, which makes one");
    }
    let value = match record.get("value") {
        Some(Value::Object(reference)) => reference.get("value"),
        value => value,
    };
    let value = value.and_then(Value::as_str).unwrap_or_default();
    if value.starts_with("vault.") {
        return Err(
            "left out: its value is in a vault; read the config store, which has its hash, with --config-store",
        );
    }
    let brought = value.strip_prefix("env.").map(std::env::var);
    match brought {
        None if value.is_empty() => {
            Err("left out: it has no value here, since Bifrost made one; read the config store with --config-store")
        }
        None => Ok(Sha256Hash::of(value).0.to_vec()),
        Some(Ok(value)) if !value.is_empty() => Ok(Sha256Hash::of(&value).0.to_vec()),
        Some(_) => {
            Err("left out: its value is in a variable of the environment that is not set; set it, and run again")
        }
    }
}
