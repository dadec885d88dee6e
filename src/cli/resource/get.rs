//! `tollgate get`: resources of a kind, or some by name.

use clap::Args;
use prost_reflect::{DynamicMessage, MapKey, Value};

use super::api::{Api, Call, listing, text};
use super::find::{find, full};
use super::shown::{Output, OutputArgs, show};
use super::subject::{Subject, subject};
use crate::cli::Failure;
use crate::cli::remote::{RemoteArgs, pair, print};
use crate::domain::Kind;

#[derive(Args, Debug)]
#[command(after_help = "\
KIND is one of customers, teams, keys, rules, models, overrides, governance, providers, mcp, prices, budgets and limits; with \
-o yaml also all. Teams and keys are named by path: Acme/Search, Acme/Search/notebook, Acme//notebook for a key that \
belongs to a customer directly, and by name alone where no other has it.

Examples:
  tollgate get keys --team Acme/Search -l env=prod
      The keys of a team that have a label.
  tollgate get key Acme/Search/notebook -o yaml > notebook.yaml
      A key as a document, which `tollgate apply -f notebook.yaml` takes.
  tollgate get all -o yaml > store.yaml
      The whole configuration.
  tollgate get budgets -o json | jq -c '{id, currentUsage}'
      For a program.")]
pub(in crate::cli) struct GetArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind
    #[arg(value_name = "KIND", value_parser = listed)]
    kind: Listed,

    /// Names, paths or ids [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Args, Debug)]
struct FilterArgs {
    /// Only what belongs to this team
    #[arg(long, env = "TOLLGATE_TEAM", default_value = "", hide_default_value = true, value_name = "TEAM")]
    team: String,

    /// Only what belongs to this customer
    #[arg(long, env = "TOLLGATE_CUSTOMER", default_value = "", hide_default_value = true, value_name = "CUSTOMER")]
    customer: String,

    /// Only what has this label; may be given several times
    #[arg(short = 'l', long = "label", env = "TOLLGATE_LABELS", value_delimiter = ',', value_name = "NAME=VALUE", value_parser = pair)]
    labels: Vec<(String, String)>,

    /// Only what has this in its name
    #[arg(long, env = "TOLLGATE_SEARCH", default_value = "", hide_default_value = true, value_name = "TEXT")]
    search: String,

    /// Only what a set of files manages (`tollgate apply --set`)
    #[arg(long, env = "TOLLGATE_MANAGED_BY", default_value = "", hide_default_value = true, value_name = "NAME")]
    managed_by: String,
}

impl FilterArgs {
    /// With the ids of the team and the customer.
    async fn resolved(self, api: &Api) -> Result<Self, Failure> {
        let id = async |kind, named: String| {
            let is_given = !named.is_empty();
            if is_given { Ok::<_, Failure>(text(&find(api, kind, &named).await?, "id")) } else { Ok(named) }
        };
        let (team, customer) = (id(Kind::Team, self.team).await?, id(Kind::Customer, self.customer).await?);
        Ok(Self { team, customer, ..self })
    }
}

/// A kind, or all of them.
#[derive(Clone, Copy, Debug)]
enum Listed {
    One(Subject),
    All,
}

fn listed(text: &str) -> Result<Listed, String> {
    if text == "all" { Ok(Listed::All) } else { subject(text).map(Listed::One) }
}

/// The order in which documents are easiest to read: what is referred to first.
pub(in crate::cli) const ORDER: [Kind; 10] = [
    Kind::Provider,
    Kind::McpClient,
    Kind::Customer,
    Kind::Team,
    Kind::VirtualKey,
    Kind::ModelConfig,
    Kind::RoutingRule,
    Kind::PricingOverride,
    Kind::ProviderGovernance,
    Kind::ModelPrice,
];

pub(in crate::cli) async fn run(args: GetArgs) -> Result<(), Failure> {
    let GetArgs { remote, kind, names, output, filter } = args;
    let output = if remote.json { Output::Json } else { output.output };
    let subject = match kind {
        Listed::One(subject) => subject,
        Listed::All if !names.is_empty() => return Err(usage("all kinds have no names in common; give a KIND")),
        Listed::All if output != Output::Yaml => {
            return Err(usage("all kinds have nothing but documents in common; give -o yaml"));
        }
        Listed::All => {
            let api = Api { server: remote.connect().await? };
            let filter = filter.resolved(&api).await?;
            let mut is_first = true;
            for kind in ORDER {
                let mut found = api.list(filtered(Subject::Kind(kind), &filter, true)?).await?;
                found.retain(|message| !goes_without_saying(message));
                if found.is_empty() {
                    continue;
                }
                if !is_first {
                    print("---")?;
                }
                show(&api, Subject::Kind(kind), &found, output).await?;
                is_first = false;
            }
            return Ok(());
        }
    };
    let api = Api { server: remote.connect().await? };
    let filter = filter.resolved(&api).await?;
    if names.is_empty() {
        let found = api.list(filtered(subject, &filter, false)?).await?;
        return show(&api, subject, &found, output).await;
    }
    let mut found = Vec::new();
    for name in &names {
        match subject {
            Subject::Kind(kind) => found.push(find(&api, kind, name).await?),
            Subject::Budgets | Subject::Limits => {
                let all = api.list(filtered(subject, &filter, false)?).await?;
                let one = all.into_iter().find(|message| text(message, "id") == *name);
                found.push(one.ok_or_else(|| Failure::Failed(format!("no limit has the id {name:?}").into()))?);
            }
        }
    }
    show(&api, subject, &found, output).await
}

/// Whether it is a provider that each store begins with, as it was then.
fn goes_without_saying(message: &DynamicMessage) -> bool {
    let is_set = |field: &str| message.has_field_by_name(field);
    is_set("built_in") && !is_set("keys") && !is_set("managed_by")
}

fn usage(text: &'static str) -> Failure {
    Failure::Usage(text.into())
}

/// The list that the flags ask for. With `lenient`, kinds that a flag is not for are listed without it.
fn filtered(subject: Subject, filter: &FilterArgs, lenient: bool) -> Result<Call, Failure> {
    let FilterArgs { team, customer, labels, search, managed_by } = filter;
    let mut call = listing(subject)?;
    if matches!(subject, Subject::Kind(Kind::Team | Kind::VirtualKey)) {
        call = call.with("view", full());
    }
    let pairs = labels.iter().map(|(name, value)| (MapKey::String(name.clone()), Value::String(value.clone())));
    let given = [
        ("--team", "team_id", Value::String(team.clone())),
        ("--customer", "customer_id", Value::String(customer.clone())),
        ("--search", "search", Value::String(search.clone())),
        ("--label", "labels", Value::Map(pairs.collect())),
        ("--managed-by", "managed_by", Value::String(managed_by.clone())),
    ];
    for (flag, field, value) in given {
        let is_empty = match &value {
            Value::Map(pairs) => pairs.is_empty(),
            value => value.as_str().is_some_and(str::is_empty),
        };
        match (is_empty, call.has(field)) {
            (true, _) => {}
            (false, true) => call = call.with(field, value),
            (false, false) if lenient => {}
            (false, false) => {
                let text = format!("{flag} is not for this kind");
                return Err(Failure::Usage(text.into()));
            }
        }
    }
    Ok(call)
}
