//! LiteLLM's proxy: `config.yaml`, and its database.

mod keys;
mod limits;
mod models;
mod owners;
mod tables;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use self::limits::Setting;
use self::models::{Models, Target};
use self::tables::{BESIDE_LIMITS, Tables};
use super::draft::{Drafts, Names, Told, shown};
use super::record::{Record, read};
use super::report::{Fate, Report};
use super::{Migrated, OutputArgs};
use crate::cli::Failure;
use crate::domain::BUILT_IN;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;
use crate::store::ForeignDatabase;

#[derive(Args, Debug)]
#[command(after_help = "\
It reads and changes nothing of LiteLLM: PostgreSQL in a read-only transaction. Keys move by their hashes, so that callers go on \
with the values that they have; no value and no secret is read or written. The report says what was taken over exactly, what \
means something else here, and what does not exist here, each with its place.

Teams become teams, organisations customers, and the names of models the providers and models behind them. Where a model of \
the database goes is encrypted there: --model says it.

Examples:
  TOLLGATE_LITELLM_DATABASE=$DATABASE_URL tollgate migrate-from litellm --config config.yaml --out moved/
  tollgate validate -f moved/ && tollgate plan -f moved/ && tollgate apply -f moved/ --set litellm
  tollgate migrate-from litellm --config config.yaml --out moved/ --model fast=openai/gpt-4o-mini --json
  tollgate migrate-from litellm --config config.yaml --out moved/ --apply --set litellm
      Apply the documents too, and bring along what was spent; safe to repeat.")]
pub(super) struct LitellmArgs {
    /// LiteLLM's configuration
    #[arg(long, env = "TOLLGATE_LITELLM_CONFIG", value_name = "FILE")]
    config: PathBuf,

    /// LiteLLM's database, as its `DATABASE_URL` names it; without it, only what config.yaml has is read. Put a URL with a
    /// password into the environment: others see arguments
    #[arg(long, env = "TOLLGATE_LITELLM_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,

    /// Where requests for a model of LiteLLM go; may be given several times
    #[arg(long = "model", env = "TOLLGATE_LITELLM_MODELS", value_delimiter = ',', value_parser = group,
          value_name = "NAME=PROVIDER/MODEL")]
    models: Vec<(String, Target)>,

    #[command(flatten)]
    output: OutputArgs,
}

/// A model of LiteLLM, and where requests for it go.
fn group(text: &str) -> Result<(String, Target), String> {
    let wrong = || format!("{text:?} must be written as fast=openai/gpt-4o-mini");
    let (name, target) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let target = Target::of(target, None).filter(|_| target.contains('/')).ok_or_else(wrong)?;
    Ok((name.to_owned(), target))
}

/// A migration: the tables that it has read, and the documents and the report that it has made so far.
struct Migration {
    tables: Tables,
    models: Models,
    setting: Setting,
    names: Names,
    drafts: Drafts,
    report: Report,
    /// Names of customers by the ids of their organisations.
    customers: HashMap<String, String>,
    /// Teams by their ids.
    teams: HashMap<String, owners::Team>,
}

pub(super) async fn run(args: LitellmArgs) -> Result<(), Failure> {
    let LitellmArgs { config, database, models, output } = args;
    output.check()?;
    let file = config.display().to_string();
    let config = Record::new(file.clone(), &read(&config)?);
    let mut report = Report::new(format!("LiteLLM ({file})"));
    let tables = match database {
        Some(url) => {
            let database = ForeignDatabase::open(&url).await?;
            let tables = Tables::read(&database).await;
            database.close().await;
            tables?
        }
        None => {
            let text = "no database was named (--database): keys, teams and organisations are there";
            report.add(Fate::Impossible, "", &file, text);
            Tables::default()
        }
    };
    let litellm_settings = Record::new(String::new(), &config.object("litellm_settings").into());
    let time_zone = litellm_settings.text("timezone").filter(|zone| !["UTC", "Etc/UTC"].contains(&zone.as_str()));
    let mut migration = Migration {
        tables,
        models: Models::default(),
        setting: Setting { now: Timestamp::now(), time_zone },
        names: Names::default(),
        drafts: Drafts::default(),
        report,
        customers: HashMap::new(),
        teams: HashMap::new(),
    };
    migration.settings(&config, &litellm_settings);
    migration.models(&config, models);
    migration.organisations()?;
    migration.teams()?;
    migration.keys()?;
    migration.beside();
    migration.providers()?;
    let Migration { mut drafts, mut report, .. } = migration;
    drafts.finish(&mut report);
    output.write(Migrated { gateway: "LiteLLM", drafts, report }).await
}

impl Migration {
    /// Tells of the settings of the whole proxy.
    fn settings(&mut self, config: &Record, litellm_settings: &Record) {
        for section in config.names().filter(|name| *name != "model_list") {
            let text = format!("the section {} is the gateway's own, but for what is said elsewhere", shown(section));
            self.report.add(Fate::Stays, "", &config.place, text);
        }
        if litellm_settings.get("max_budget").is_some() {
            let text = "there is no budget of the whole proxy; give the customers budgets, or the providers (ProviderGovernance)";
            self.report.add(Fate::Impossible, "", &format!("{}: litellm_settings.max_budget", config.place), text);
        }
        let general = Record::new(String::new(), &config.object("general_settings").into());
        if general.get("master_key").is_some() {
            let text = "the master key is no key of a caller; `tollgate token create` makes access tokens for those who administer";
            self.report.add(Fate::Impossible, "", &format!("{}: general_settings.master_key", config.place), text);
        }
    }

    /// Learns where models go.
    fn models(&mut self, config: &Record, said: Vec<(String, Target)>) {
        let list = config.json("model_list").and_then(|it| it.as_array().cloned()).unwrap_or_default();
        for (index, entry) in list.iter().enumerate() {
            let record = Record::new(format!("{}: model_list[{index}]", config.place), entry);
            let Some(name) = record.text("model_name") else { continue };
            self.models.deployment(&name, &record);
            let text = "deployments, with their addresses and provider keys, are the gateway's own";
            self.report.add(Fate::Stays, "", &record.place, text);
        }
        let router = Record::new(String::new(), &config.object("router_settings").into());
        for (alias, group) in router.object("model_group_alias") {
            let group = group.as_str().map(str::to_owned).or_else(|| Record::new(String::new(), &group).text("model"));
            self.models.aliases.extend(group.map(|group| (alias, group)));
        }
        for row in &self.tables.models {
            // The parameters are encrypted: what they seem to say is nothing.
            let mut row = row.clone();
            row.set("litellm_params", serde_json::Value::Null);
            if let Some(name) = row.text("model_name") {
                self.models.deployment(&name, &row);
            }
        }
        for row in &self.tables.access_groups {
            if let Some(id) = row.text("access_group_id") {
                self.models.access_ids.insert(id, row.list("access_model_names"));
            }
        }
        for (name, target) in said {
            self.models.set(&name, target);
        }
        for name in self.models.unknown() {
            let text = "it is not known which provider and model this is, so that nobody may use it; say it with \
                        --model NAME=PROVIDER/MODEL";
            self.report.add(Fate::Impossible, "", &format!("the model {}", shown(name)), text);
        }
    }

    /// Adds the providers that documents name and that are not there by themselves.
    fn providers(&mut self) -> Result<(), Failure> {
        let mut named: BTreeSet<String> = BTreeSet::new();
        for draft in &self.drafts.all {
            match &draft.resource.resource {
                Some(Resource::VirtualKey(key)) => {
                    named.extend(key.provider_configs.iter().map(|it| it.provider.clone()))
                }
                Some(Resource::ModelConfig(config)) => named.extend(Some(config.provider.clone())),
                _ => {}
            }
        }
        named.retain(|name| !name.is_empty() && !BUILT_IN.contains(&name.as_str()));
        for name in named {
            let provider = v1::Provider { name, ..Default::default() };
            self.drafts.add(Resource::Provider(provider), "models of LiteLLM", Vec::new(), &mut self.report)?;
        }
        Ok(())
    }

    /// Tells of what has limits there and does not exist here.
    fn beside(&mut self) {
        let says = |row: &Record, name: &str| match name {
            "models" => row.list(name).iter().any(|it| it != "all-proxy-models"),
            "blocked" => row.flag(name) == Some(true),
            _ => row.get(name).is_some(),
        };
        for (row, noun) in &self.tables.beside {
            if BESIDE_LIMITS.iter().any(|name| says(row, name)) {
                let text = format!(
                    "limits and lists of models of {noun} do not exist here; give a key or a team of their own to those who \
                     need them"
                );
                self.report.add(Fate::Impossible, "", &row.place, text);
            }
        }
    }

    /// The labels and what is told of free data of an owner.
    fn labels(&self, record: &Record, told: &mut Told) -> std::collections::BTreeMap<String, String> {
        let metadata = record.object("metadata");
        for name in FEATURES.iter().filter(|name| metadata.get(**name).is_some_and(is_something)) {
            told.impossible(format!(
                "{} of its metadata is a feature of LiteLLM's, and has no counterpart",
                shown(name)
            ));
        }
        super::draft::labels(&metadata, &[&LIMITS[..], &FEATURES[..]].concat(), told)
    }
}

/// Metadata that is read as limits.
const LIMITS: [&str; 4] = ["temp_budget_increase", "temp_budget_expiry", "model_rpm_limit", "model_tpm_limit"];
/// Metadata that changes what LiteLLM does.
const FEATURES: [&str; 9] = [
    "logging",
    "guardrails",
    "policies",
    "model_aliases",
    "team_member_budget_id",
    "team_member_key_duration",
    "rpm_limit_type",
    "tpm_limit_type",
    "enforced_params",
];

/// Whether a value says something: empty ones stand everywhere.
fn is_something(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_said_with_its_provider() {
        let target = Target { provider: "openai".to_owned(), model: "gpt-4o-mini".to_owned() };
        assert_eq!(group("fast=openai/gpt-4o-mini"), Ok(("fast".to_owned(), target)));
        for text in ["fast", "=openai/x", "fast=gpt-4o", "fast=/x", ""] {
            assert!(group(text).is_err(), "{text}");
        }
    }
}
