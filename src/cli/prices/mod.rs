//! `tollgate prices`: lists the prices of models, and takes them over from a table that LiteLLM publishes.

mod changes;
mod unpriced;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};
use serde_json::json;

use self::changes::{Change, Comparison, Policy};
use super::Failure;
use super::price::rates;
use super::remote::{RemoteArgs, dynamic, moment, print, print_json, refused, table};
use super::target::Server;
use crate::price_table::{self, PriceTable};
use crate::proto::v1;
use crate::proto::v1::model_price_service_client::ModelPriceServiceClient;
use crate::proto::v1::provider_service_client::ProviderServiceClient;

const PAGE: i32 = 1_000;

#[derive(Args, Debug)]
pub(super) struct PricesArgs {
    #[command(subcommand)]
    command: PricesCommand,
}

#[derive(Subcommand, Debug)]
enum PricesCommand {
    /// List prices of models
    List(ListArgs),
    /// Take prices over from a file, all at once
    Import(ImportArgs),
    /// Show what an import of a file would change, rate by rate
    Diff(DiffArgs),
    /// List the models that were used without a price, and how often
    Unpriced(unpriced::UnpricedArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Only prices of this provider
    #[arg(long, env = "TOLLGATE_PROVIDER", default_value = "", hide_default_value = true, value_name = "NAME")]
    provider: String,

    /// Only prices of this model
    #[arg(long, env = "TOLLGATE_MODEL", default_value = "", hide_default_value = true, value_name = "MODEL")]
    model: String,
}

#[derive(Args, Debug)]
struct FileArgs {
    /// The table, as LiteLLM has it in model_prices_and_context_window.json; `-` for standard input
    #[arg(env = "TOLLGATE_INPUT", value_name = "FILE")]
    file: Option<PathBuf>,

    /// Take the table that comes with this program, with which new stores begin, instead of a file
    #[arg(long, env = "TOLLGATE_DEFAULT_TABLE", value_parser = BoolishValueParser::new())]
    default: bool,

    /// Source that the prices get, and by which a later import knows them
    #[arg(long, env = "TOLLGATE_PRICE_SOURCE", default_value = "litellm", value_name = "TEXT")]
    source: String,

    /// Delete prices from this source that are not in the file
    #[arg(long, env = "TOLLGATE_PRUNE", value_parser = BoolishValueParser::new())]
    prune: bool,

    /// Replace prices from other sources too, such as those that somebody entered. Those of the default table are replaced in any
    /// case
    #[arg(long, env = "TOLLGATE_REPLACE", value_parser = BoolishValueParser::new())]
    replace: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Prices of providers that the server has are created or replaced in one revision; whatever was not taken from the file is named on standard error. Prices that hold from a certain time on stay as they are.

Examples:
  tollgate prices import model_prices_and_context_window.json --dry-run
      Let the server check it, and change nothing.
  tollgate prices import model_prices_and_context_window.json --prune
      Also delete prices of an earlier import that the file does not have any more.
  tollgate prices import --default
      Give a store of an earlier version the prices with which new ones begin.")]
struct ImportArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    file: FileArgs,

    /// Check everything, and change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
}

#[derive(Args, Debug)]
struct DiffArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    file: FileArgs,
}

pub(super) async fn run(args: PricesArgs) -> Result<(), Failure> {
    match args.command {
        PricesCommand::List(args) => list(args).await,
        PricesCommand::Import(args) => import(args).await,
        PricesCommand::Diff(args) => diff(args).await,
        PricesCommand::Unpriced(args) => unpriced::run(args).await,
    }
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let ListArgs { remote, provider, model } = args;
    let model_prices = prices(&remote.connect().await?, provider, model).await?;
    if remote.json {
        let total_size = i32::try_from(model_prices.len()).unwrap_or(i32::MAX);
        return print_json(&v1::ListModelPricesResponse { model_prices, next_page_token: String::new(), total_size });
    }
    let rows = model_prices.into_iter().map(|price| {
        let time = |time: Option<prost_types::Timestamp>| time.as_ref().map(moment).unwrap_or_default();
        let rate = |rate: Option<f64>| rate.map(|it| it.to_string()).unwrap_or_default();
        let rates = price.rates.unwrap_or_default();
        vec![
            price.provider,
            price.model,
            rate(rates.input_cost_per_token),
            rate(rates.output_cost_per_token),
            time(price.valid_from),
            time(price.valid_to),
            price.source,
            price.id,
        ]
    });
    let head = ["PROVIDER", "MODEL", "INPUT USD", "OUTPUT USD", "FROM", "TO", "SOURCE", "ID"];
    table(&head, &rows.collect::<Vec<_>>())
}

async fn import(args: ImportArgs) -> Result<(), Failure> {
    let ImportArgs { remote, file, dry_run } = args;
    let server = remote.connect().await?;
    let Comparison { desired, notes, .. } = compare(&server, &file).await?;
    notes.lines().iter().for_each(|line| eprintln!("left out: {line}"));
    if desired.is_empty() {
        return Err(Failure::Failed(format!("{} has no price that can be imported", file.name()).into()));
    }
    let request = v1::BatchUpsertModelPricesRequest {
        model_prices: desired,
        prune_source: if file.prune { file.source().to_owned() } else { String::new() },
        validate_only: dry_run,
        ..v1::BatchUpsertModelPricesRequest::default()
    };
    let answer = ModelPriceServiceClient::new(server).batch_upsert_model_prices(request).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    if remote.json {
        return print_json(&answer);
    }
    let v1::BatchUpsertModelPricesResponse { revision, created_count, updated_count, unchanged_count, deleted_count } =
        answer;
    print(&format!(
        "created {created_count}, updated {updated_count}, deleted {deleted_count}, unchanged {unchanged_count}; {}",
        match dry_run {
            true => "nothing was changed, as asked".to_owned(),
            false => format!("revision {revision}"),
        }
    ))
}

async fn diff(args: DiffArgs) -> Result<(), Failure> {
    let DiffArgs { remote, file } = args;
    let Comparison { changes, notes, .. } = compare(&remote.connect().await?, &file).await?;
    notes.lines().iter().for_each(|line| eprintln!("left out: {line}"));
    if remote.json {
        return changes.iter().try_for_each(print_change);
    }
    let mut rows = Vec::new();
    for Change { before, after } in &changes {
        let (kind, price, fields) = match (before, after) {
            (Some(before), Some(after)) => ("update", after, differences(before, after)?),
            (Some(price), None) => ("delete", price, vec![Default::default()]),
            (None, Some(price)) => ("add", price, vec![Default::default()]),
            (None, None) => continue,
        };
        for [field, before, after] in fields {
            rows.push(vec![kind.to_owned(), price.provider.clone(), price.model.clone(), field, before, after]);
        }
    }
    table(&["CHANGE", "PROVIDER", "MODEL", "FIELD", "BEFORE", "AFTER"], &rows)
}

/// Prints a change as one line of JSON.
fn print_change(change: &Change) -> Result<(), Failure> {
    let [before, after] = [&change.before, &change.after].map(|price| price.as_ref().map(dynamic).transpose());
    print(&json!({"before": before?, "after": after?}).to_string())
}

/// The fields that an update changes, with their values before and after it.
fn differences(before: &v1::ModelPrice, after: &v1::ModelPrice) -> Result<Vec<[String; 3]>, Failure> {
    let (before, after) = (fields(before)?, fields(after)?);
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let value = |fields: &BTreeMap<String, String>, name: &str| fields.get(name).cloned().unwrap_or_default();
    let rows = names.into_iter().map(|name| [name.clone(), value(&before, name), value(&after, name)]);
    Ok(rows.filter(|[_, before, after]| before != after).collect())
}

/// The fields of a price that an import can change, by name.
fn fields(price: &v1::ModelPrice) -> Result<BTreeMap<String, String>, Failure> {
    let others = [
        ("model", price.model.clone()),
        ("context_window", price.context_window.to_string()),
        ("max_output_tokens", price.max_output_tokens.to_string()),
        ("source", price.source.clone()),
        ("valid_to", price.valid_to.as_ref().map(moment).unwrap_or_default()),
    ];
    let rates = rates(&price.rates.unwrap_or_default())?.into_iter().map(|[name, rate]| (name, rate));
    Ok(rates.chain(others.map(|(name, value)| (name.to_owned(), value))).collect())
}

impl FileArgs {
    /// The table, as people know it.
    fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| "the default table".to_owned(), |file| file.display().to_string())
    }

    fn source(&self) -> &str {
        if self.default { price_table::SOURCE } else { &self.source }
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        let read = match (&self.file, self.default) {
            (None, true) => return Ok(price_table::DEFAULT.to_vec()),
            (None, false) | (Some(_), true) => {
                return Err(Failure::Usage("name either a FILE or --default".into()));
            }
            (Some(file), false) if file.as_os_str() == "-" => {
                let mut json = Vec::new();
                io::stdin().lock().read_to_end(&mut json).map(|_| json)
            }
            (Some(file), false) => std::fs::read(file),
        };
        let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", self.name()));
        Ok(read.map_err(explain)?)
    }
}

/// Reads the table, and compares it with what the server has.
async fn compare(server: &Server, args: &FileArgs) -> Result<Comparison, Failure> {
    let table = PriceTable::read(&args.read()?, args.source()).map_err(|error| {
        Failure::Failed(format!("{} is no table of prices, a JSON object of models: {error}", args.name()).into())
    })?;
    let (providers, stored) = (providers(server).await?, prices(server, String::new(), String::new()).await?);
    let policy = Policy { source: args.source(), prune: args.prune, replace: args.replace };
    Ok(Comparison::of(table, stored, &providers, policy))
}

/// The names of the providers that the server has.
async fn providers(server: &Server) -> Result<Vec<String>, Failure> {
    let mut client = ProviderServiceClient::new(server.clone());
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListProvidersRequest { page_size: PAGE, page_token, ..v1::ListProvidersRequest::default() };
        let page = client.list_providers(request).await.map_err(|status| refused(&status))?.into_inner();
        all.extend(page.providers.into_iter().map(|provider| provider.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(all);
        }
    }
}

/// The prices that the server has, of this provider and model where they are not empty.
async fn prices(server: &Server, provider: String, model: String) -> Result<Vec<v1::ModelPrice>, Failure> {
    let mut client = ModelPriceServiceClient::new(server.clone());
    let mut request =
        v1::ListModelPricesRequest { page_size: PAGE, provider, model, ..v1::ListModelPricesRequest::default() };
    let mut all = Vec::new();
    loop {
        let page = client.list_model_prices(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        all.extend(page.model_prices);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(all);
        }
    }
}
