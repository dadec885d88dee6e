//! Bifrost: its config store, or `config.json`.

mod file;
mod keys;
mod limits;
mod rules;
mod source;
mod store;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use self::limits::Limits;
use self::source::{Parts, Source};
use super::draft::{Drafts, Names, Told, customer, path};
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
It reads and changes nothing of Bifrost: SQLite's file as read-only, PostgreSQL in a read-only transaction. Keys move by their \
hashes, so that callers go on with the values that they have; no value and no secret is written. The report says what was taken \
over exactly, what means something else here, and what does not exist here, each with its place.

Where there is a config store, Bifrost goes by it, and takes config.json into it when it starts: give --config-store alone then.

Examples:
  tollgate migrate-from bifrost --config-store sqlite:///app/data/config.db --out moved/
  tollgate validate -f moved/ && tollgate plan -f moved/ && tollgate apply -f moved/ --set bifrost
  tollgate migrate-from bifrost --config config.json --out moved/ --json
  tollgate migrate-from bifrost --config-store sqlite:///app/data/config.db --out moved/ --apply --set bifrost
      Apply the documents too, and bring along what was spent; safe to repeat.")]
pub(super) struct BifrostArgs {
    /// Bifrost's configuration, where there is no config store
    #[arg(long, env = "TOLLGATE_BIFROST_CONFIG", value_name = "FILE", required_unless_present = "config_store")]
    config: Option<PathBuf>,

    /// Bifrost's config store: sqlite://PATH or postgres://…. Put a URL with a password into the environment: others see
    /// arguments
    #[arg(
        long,
        env = "TOLLGATE_BIFROST_CONFIG_STORE",
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "config"
    )]
    config_store: Option<String>,

    #[command(flatten)]
    output: OutputArgs,
}

/// A migration: the tables that it has read, and the documents and the report that it has made so far.
struct Migration {
    source: Source,
    now: Timestamp,
    names: Names,
    drafts: Drafts,
    report: Report,
    /// References to customers, teams and keys, by their ids.
    customers: HashMap<String, String>,
    teams: HashMap<String, String>,
    keys: HashMap<String, String>,
    /// Providers and models that have limits already, by their scopes.
    limited: HashSet<(String, String, String)>,
    /// Provider keys that documents name, by their providers.
    provider_keys: BTreeMap<String, BTreeSet<String>>,
}

pub(super) async fn run(args: BifrostArgs) -> Result<(), Failure> {
    let BifrostArgs { config, config_store, output } = args;
    output.check()?;
    let (parts, report): (Parts, Report) = match (config_store, config) {
        (Some(url), _) => {
            let database = ForeignDatabase::open(&url).await?;
            let parts = store::read(&database).await;
            let report = Report::new(format!("Bifrost ({})", database.shown()));
            database.close().await;
            (parts?, report)
        }
        (None, Some(config)) => {
            let file = config.display().to_string();
            let record = Record::new(file.clone(), &read(&config)?);
            let mut report = Report::new(format!("Bifrost ({file})"));
            let store = Record::new(String::new(), &record.object("config_store").into());
            if store.flag("enabled") == Some(true) {
                let text = "Bifrost goes by its config store, which may have more than this file, and what was spent; read it with \
                            --config-store";
                report.add(Fate::Impossible, "", &format!("{file}: config_store"), text);
            }
            (file::read(&record, &mut report), report)
        }
        (None, None) => return Err(Failure::Usage("give --config-store or --config".into())),
    };
    let mut migration = Migration {
        source: Source::from(parts),
        now: Timestamp::now(),
        names: Names::default(),
        drafts: Drafts::default(),
        report,
        customers: HashMap::new(),
        teams: HashMap::new(),
        keys: HashMap::new(),
        limited: HashSet::new(),
        provider_keys: BTreeMap::new(),
    };
    migration.customers()?;
    migration.teams()?;
    migration.keys()?;
    migration.model_configs()?;
    migration.rules()?;
    migration.overrides()?;
    migration.providers()?;
    let Migration { mut drafts, mut report, .. } = migration;
    drafts.finish(&mut report);
    output.write(Migrated { gateway: "Bifrost", drafts, report }).await
}

impl Migration {
    fn customers(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.customers) {
            let Some(id) = record.text("id") else { continue };
            let mut told = Told::default();
            let wished = record.text("name");
            let name = self.names.take("customers", wished.as_deref(), &format!("customer-{id}"), &id, &mut told);
            let mut limits = Limits::default();
            limits.add(&self.source, &record, "customer_id", "", self.now, &mut told);
            self.customers.insert(id, customer(&name));
            let resource = v1::Customer {
                name,
                budgets: limits.budgets,
                rate_limits: limits.rate_limits,
                calendar_aligned: limits.aligned,
                ..Default::default()
            };
            let subject =
                self.drafts.add(Resource::Customer(resource), &record.place, limits.spend, &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
        }
        Ok(())
    }

    fn teams(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.teams) {
            let Some(id) = record.text("id") else { continue };
            let mut told = Told::default();
            let of = parent(&record, "customer_id", &self.customers, &mut told).unwrap_or_default();
            let wished = record.text("name");
            let place = format!("teams of {of}");
            let name = self.names.take(&place, wished.as_deref(), &format!("team-{id}"), &id, &mut told);
            for field in ["profile", "config", "claims"] {
                if record.object(field).values().any(|value| !value.is_null()) {
                    told.impossible(format!(
                        "its {field} is left out: single sign-on wrote it; `tollgate edit team` sets it"
                    ));
                }
            }
            let mut limits = Limits::default();
            limits.add(&self.source, &record, "team_id", "", self.now, &mut told);
            let resource = Resource::Team(v1::Team {
                name,
                customer_id: of,
                budgets: limits.budgets,
                rate_limits: limits.rate_limits,
                calendar_aligned: limits.aligned,
                ..Default::default()
            });
            let reference = path(&v1::ConfigResource { resource: Some(resource.clone()) }).unwrap_or_default();
            self.teams.insert(id, reference);
            let subject = self.drafts.add(resource, &record.place, limits.spend, &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
        }
        Ok(())
    }

    /// Adds limits of models and of providers, but for those that keys have already.
    fn model_configs(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.model_configs.rows) {
            let (mut told, mut limits) = (Told::default(), Limits::default());
            let (model_name, provider) = (record.text("model_name"), record.text("provider").unwrap_or_default());
            let scope = record.text("scope").unwrap_or_else(|| "global".to_owned());
            let of = record.text("scope_id").and_then(|id| self.keys.get(&id)).cloned();
            let Some(model_name) = model_name else { continue };
            let (kind, scope_id) = match (scope.as_str(), of) {
                ("global", _) => (v1::ModelConfigScope::Global, String::new()),
                ("virtual_key", Some(_)) if model_name == "*" => continue,
                ("virtual_key", Some(of)) => (v1::ModelConfigScope::VirtualKey, of),
                ("virtual_key", None) => {
                    let text = "left out: the key of its scope is not there, or was left out";
                    self.report.add(Fate::Impossible, "", &record.place, text);
                    continue;
                }
                _ => {
                    let text = "left out: there are no users here; give a key of their own to those who need limits";
                    self.report.add(Fate::Impossible, "", &record.place, text);
                    continue;
                }
            };
            limits.add(&self.source, &record, "model_config_id", "", self.now, &mut told);
            let Limits { budgets, rate_limits, aligned: calendar_aligned, spend } = limits;
            if budgets.is_empty() && rate_limits.is_empty()
                || !self.is_first(&scope_id, &model_name, &provider, &record)
            {
                continue;
            }
            let resource = if model_name == "*" && kind == v1::ModelConfigScope::Global && !provider.is_empty() {
                Resource::ProviderGovernance(v1::ProviderGovernance {
                    provider,
                    budgets,
                    rate_limits,
                    calendar_aligned,
                    ..Default::default()
                })
            } else {
                Resource::ModelConfig(v1::ModelConfig {
                    model_name,
                    provider,
                    scope: kind.into(),
                    scope_id,
                    budgets,
                    rate_limits,
                    calendar_aligned,
                    ..Default::default()
                })
            };
            let subject = self.drafts.add(resource, &record.place, spend, &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
        }
        Ok(())
    }

    /// Whether nothing before had limits for these models. What comes later is told.
    fn is_first(&mut self, scope: &str, model: &str, provider: &str, record: &Record) -> bool {
        let is_first = self.limited.insert((scope.to_owned(), model.to_owned(), provider.to_owned()));
        if !is_first {
            let text = "left out: other limits of the same models and scope are there, which hold";
            self.report.add(Fate::Impossible, "", &record.place, text);
        }
        is_first
    }

    /// Adds the providers and MCP clients that documents name, and older limits of providers.
    fn providers(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.providers) {
            let (mut told, mut limits) = (Told::default(), Limits::default());
            let Some(provider) = record.text("name").or_else(|| record.text("provider")) else { continue };
            limits.add(&self.source, &record, "provider", "", self.now, &mut told);
            let Limits { budgets, rate_limits, aligned: calendar_aligned, spend } = limits;
            if budgets.is_empty() && rate_limits.is_empty() || !self.is_first("", "*", &provider, &record) {
                continue;
            }
            let governance =
                v1::ProviderGovernance { provider, budgets, rate_limits, calendar_aligned, ..Default::default() };
            let resource = Resource::ProviderGovernance(governance);
            let subject = self.drafts.add(resource, &record.place, spend, &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
        }
        let mut named = std::mem::take(&mut self.provider_keys);
        let mut clients = BTreeSet::new();
        for draft in &self.drafts.all {
            match &draft.resource.resource {
                Some(Resource::VirtualKey(key)) => {
                    clients.extend(key.mcp_configs.iter().map(|it| it.mcp_client_name.clone()));
                    for config in &key.provider_configs {
                        named.entry(config.provider.clone()).or_default();
                    }
                }
                Some(Resource::ModelConfig(it)) if !it.provider.is_empty() => {
                    named.entry(it.provider.clone()).or_default();
                }
                Some(Resource::ProviderGovernance(it)) => {
                    named.entry(it.provider.clone()).or_default();
                }
                Some(Resource::RoutingRule(rule)) => {
                    let targets = rule.targets.iter().filter_map(|target| target.provider.as_deref());
                    let fallbacks = rule.fallbacks.iter().filter_map(|it| Some(it.split_once('/')?.0));
                    for provider in targets.chain(fallbacks) {
                        named.entry(provider.to_owned()).or_default();
                    }
                }
                Some(Resource::PricingOverride(it)) if !it.provider_id.is_empty() => {
                    named.entry(it.provider_id.clone()).or_default();
                }
                _ => {}
            }
        }
        named.retain(|name, keys| !keys.is_empty() || !BUILT_IN.contains(&name.as_str()));
        for (name, keys) in named {
            let key = |id: String| v1::ProviderKey {
                name: self.source.key_name(&name, &id),
                id,
                ..v1::ProviderKey::default()
            };
            let keys: Vec<_> = keys.into_iter().map(key).collect();
            let told = !keys.is_empty();
            let provider = v1::Provider { name, keys, ..Default::default() };
            let place = "providers of Bifrost";
            let subject = self.drafts.add(Resource::Provider(provider), place, Vec::new(), &mut self.report)?;
            if told {
                let text = "provider keys are here by their ids alone; values, models and weights of them are the gateway's own";
                self.report.add(Fate::Stays, &subject, place, text);
            }
        }
        for name in clients {
            let client = v1::McpClient { name, ..Default::default() };
            self.drafts.add(Resource::McpClient(client), "MCP clients of Bifrost", Vec::new(), &mut self.report)?;
        }
        Ok(())
    }
}

/// The reference to the parent whose id stands in `column`.
fn parent(record: &Record, column: &str, known: &HashMap<String, String>, told: &mut Told) -> Option<String> {
    let found = known.get(&record.text(column)?).cloned();
    if found.is_none() {
        told.changed(format!("its {column} names nothing that is there, and it belongs to none"));
    }
    found
}
