//! Fields of a resource, from flags.

use clap::Args;
use prost_reflect::DynamicMessage;

use crate::cli::Failure;
use crate::cli::files;
use crate::cli::files::reference::{reference, unescaped};
use crate::cli::files::render::quoted;
use crate::cli::remote::pair;
use crate::cli::resource::subject::noun;
use crate::domain::Kind;

#[derive(Args, PartialEq, Debug, Default)]
pub(in crate::cli) struct FieldArgs {
    /// The team, by path or id
    #[arg(long, env = "TOLLGATE_TEAM", value_name = "TEAM", help_heading = "Fields")]
    pub(in crate::cli) team: Option<String>,

    /// The customer, by name or id
    #[arg(long, env = "TOLLGATE_CUSTOMER", value_name = "CUSTOMER", conflicts_with = "team", help_heading = "Fields")]
    pub(in crate::cli) customer: Option<String>,

    /// A provider and a model that a key may use, as openai:gpt-4o*; may be given several times
    #[arg(
        long = "allow",
        env = "TOLLGATE_ALLOW",
        value_delimiter = ',',
        value_name = "PROVIDER:MODEL",
        help_heading = "Fields"
    )]
    allow: Vec<String>,

    /// Money and how long it is for, as 500/1M; may be given several times
    #[arg(
        long = "budget",
        env = "TOLLGATE_BUDGETS",
        value_delimiter = ',',
        value_name = "USD/DURATION",
        help_heading = "Fields"
    )]
    budgets: Vec<String>,

    /// Requests per minute
    #[arg(long, env = "TOLLGATE_RPM", value_name = "COUNT", help_heading = "Fields")]
    rpm: Option<u64>,

    /// LLM tokens per minute
    #[arg(long, env = "TOLLGATE_TPM", value_name = "COUNT", help_heading = "Fields")]
    tpm: Option<u64>,

    /// A label; may be given several times
    #[arg(short = 'l', long = "label", env = "TOLLGATE_LABELS", value_delimiter = ',', value_name = "NAME=VALUE", value_parser = pair,
          help_heading = "Fields")]
    labels: Vec<(String, String)>,

    /// Description for people
    #[arg(long, env = "TOLLGATE_DESCRIPTION", value_name = "TEXT", help_heading = "Fields")]
    description: Option<String>,

    /// When a key ends: how long from now, as 30d, or a time
    #[arg(long, env = "TOLLGATE_EXPIRES", value_name = "TIME", help_heading = "Fields")]
    expires: Option<String>,

    /// Any other field, by its name in the API and its value as in a file: --set 'calendar={time_zone: Europe/Berlin}'; may be
    /// given several times
    #[arg(long = "set", env = "TOLLGATE_FIELDS", value_name = "FIELD=VALUE", help_heading = "Fields")]
    set: Vec<String>,
}

impl FieldArgs {
    /// The message of a resource that is created: what the flags describe, with its name.
    ///
    /// # Errors
    ///
    /// A flag is wrong, or not for this kind.
    pub(in crate::cli) fn message(&self, kind: Kind, name: &str) -> Result<DynamicMessage, Failure> {
        let (message, _) = self.read(kind, named(kind, name).map_err(usage)?)?;
        Ok(message)
    }

    /// The changes of a resource that exists: a message, and the fields of it that count, those too whose value is the default.
    ///
    /// # Errors
    ///
    /// A flag is wrong, or not for this kind.
    pub(in crate::cli) fn changes(
        &self,
        kind: Kind,
        name: Option<&str>,
    ) -> Result<(DynamicMessage, Vec<String>), Failure> {
        let name = name.map(|name| match kind {
            Kind::Customer | Kind::Team | Kind::VirtualKey | Kind::RoutingRule | Kind::PricingOverride => {
                Ok(format!("name: {}", quoted(name)))
            }
            _ => Err(usage(format!(
                "--name: a {} is known by what it is about, and keeps its name; create another, and delete this one",
                noun(kind)
            ))),
        });
        let (message, fields) = self.read(kind, name.transpose()?.into_iter().collect())?;
        if fields.iter().any(|field| field == "id") {
            return Err(usage("--set id: an id cannot change; leave it out".to_owned()));
        }
        Ok((message, fields))
    }

    fn read(&self, kind: Kind, named: Vec<String>) -> Result<(DynamicMessage, Vec<String>), Failure> {
        let mut lines = vec![format!("kind: {}", files::message_name(kind))];
        lines.extend(named);
        lines.extend(self.lines(kind)?);
        files::fragment(&lines.join("\n")).map_err(|text| usage(self.explained(&text)))
    }

    fn lines(&self, kind: Kind) -> Result<Vec<String>, Failure> {
        let Self { team, customer, allow, budgets, rpm, tpm, labels, description, expires, set } = self;
        let mut lines = Vec::new();
        for (flag, given, of) in [("team", team, Kind::Team), ("customer", customer, Kind::Customer)] {
            if let Some(named) = given {
                let path = reference(of, named).map_err(|text| match named.is_empty() {
                    true => {
                        usage(format!("--{flag} is empty; `tollgate update` has --clear {flag} for a {flag} no more"))
                    }
                    false => usage(format!("--{flag} {named:?} {text}")),
                })?;
                lines.push(format!("{flag}: {}", quoted(&path)));
            }
        }
        if !allow.is_empty() {
            lines.push("provider_configs:".to_owned());
            let mut configs: Vec<(&str, Vec<String>)> = Vec::new();
            for allowed in allow {
                let wrong =
                    || usage(format!("--allow {allowed:?} is written as openai:gpt-4o*, or openai:* for all models"));
                let (provider, model) = allowed.split_once(':').ok_or_else(wrong)?;
                if provider.is_empty() || model.is_empty() {
                    return Err(wrong());
                }
                match configs.iter_mut().find(|(known, _)| *known == provider) {
                    Some((_, models)) => models.push(quoted(model)),
                    None => configs.push((provider, vec![quoted(model)])),
                }
            }
            for (provider, models) in configs {
                let (provider, models) = (quoted(provider), models.join(", "));
                lines.push(format!(
                    "- {{provider: {provider}, weight: 1, allowed_models: [{models}], key_ids: [\"*\"]}}"
                ));
            }
        }
        if !budgets.is_empty() {
            lines.push("budgets:".to_owned());
            for budget in budgets {
                let wrong = || usage(format!("--budget {budget:?} is written as 500/1M: dollars, and a duration"));
                let (max, duration) = budget.split_once('/').ok_or_else(wrong)?;
                let max: f64 = max.parse().map_err(|_| wrong())?;
                lines.push(format!("- {{max_limit: {max}, reset_duration: {}}}", quoted(duration)));
            }
        }
        if rpm.is_some() || tpm.is_some() {
            lines.push("rate_limits:".to_owned());
            for (what, max) in [("request", rpm), ("token", tpm)] {
                if let Some(max) = max {
                    lines.push(format!("- {{{what}_max_limit: {max}, {what}_reset_duration: 1m}}"));
                }
            }
        }
        if !labels.is_empty() {
            lines.push("labels:".to_owned());
            lines.extend(labels.iter().map(|(name, value)| format!("  {}: {}", quoted(name), quoted(value))));
        }
        if let Some(text) = description {
            lines.push(format!("description: {}", quoted(text)));
        }
        if let Some(text) = expires {
            let time = crate::cli::remote::later(text).map_err(|why| usage(format!("--expires {text:?} {why}")))?;
            lines.push(format!("expires_at: \"{time}\""));
        }
        for text in set {
            let (field, value) =
                text.split_once('=').ok_or_else(|| usage("--set is written as FIELD=VALUE".to_owned()))?;
            if kind == Kind::VirtualKey && field.trim() == "value" {
                return Err(usage("--set value: other users of the machine see it; use --value-from".to_owned()));
            }
            lines.push(format!("{}: {}", field.trim(), value.trim()));
        }
        Ok(lines)
    }

    /// A fault of a field by the flag that set it.
    fn explained(&self, text: &str) -> String {
        let flags = [("description", "--description"), ("expires_at", "--expires"), ("labels", "--label")];
        let flags = flags.into_iter().chain([("provider_configs", "--allow"), ("budgets", "--budget")]);
        let flag = flags.chain([("rate_limits", "--rpm and --tpm")]).find(|(field, _)| text.starts_with(*field));
        match flag {
            Some((_, flag)) if self.set.is_empty() => format!("{flag}: {text}"),
            _ => text.to_owned(),
        }
    }
}

fn usage(text: String) -> Failure {
    Failure::Usage(text.into())
}

/// The fields that a name stands for: a path has the parents.
fn named(kind: Kind, name: &str) -> Result<Vec<String>, String> {
    let decoded = |segment: &str| quoted(&unescaped(segment));
    let field = |field: &str, value: &str| format!("{field}: {}", decoded(value));
    let (rest, last) = name.rsplit_once('/').map_or(("", name), |(rest, last)| (rest, last));
    Ok(match kind {
        Kind::Team | Kind::VirtualKey if name.contains('/') => {
            let mut lines = vec![field("name", last)];
            if kind == Kind::Team {
                lines.extend((!rest.is_empty()).then(|| format!("customer: {}", quoted(rest))));
            } else {
                match rest.split_once('/') {
                    None => {
                        return Err(format!(
                            "{name:?} is no path; write Customer/Team/Key, Customer//Key or /Team/Key"
                        ));
                    }
                    Some(("", "")) => {}
                    Some((customer, "")) => lines.push(format!("customer: {}", quoted(customer))),
                    Some(_) => lines.push(format!("team: {}", quoted(rest))),
                }
            }
            lines
        }
        Kind::ProviderGovernance => vec![format!("provider: {}", quoted(name))],
        Kind::ModelConfig => match name.split_once('/') {
            Some((provider, model)) => vec![format!("provider: {}\nmodel_name: {}", quoted(provider), quoted(model))],
            None => vec![format!("model_name: {}", quoted(name))],
        },
        Kind::ModelPrice => match name.split_once('/') {
            Some((provider, model)) => vec![format!("provider: {}\nmodel: {}", quoted(provider), quoted(model))],
            None => return Err(format!("{name:?} must be provider/model")),
        },
        Kind::Customer | Kind::Team | Kind::VirtualKey => vec![field("name", name)],
        _ => vec![format!("name: {}", quoted(name))],
    })
}
