//! How resources are printed.

use clap::{Args, ValueEnum};
use prost_reflect::DynamicMessage;

use super::api::{Api, text};
use super::columns::{columns, rows};
use super::place::{Places, path};
use super::subject::Subject;
use crate::cli::Failure;
use crate::cli::files::render::document;
use crate::cli::remote::print;
use crate::cli::table;
use crate::domain::Kind;

#[derive(Args, Debug)]
pub(in crate::cli) struct OutputArgs {
    /// How resources are printed
    #[arg(short = 'o', long, env = "TOLLGATE_FORMAT", value_enum, default_value_t = Output::Table, value_name = "FORMAT")]
    pub(in crate::cli) output: Output,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Output {
    /// For people: as wide as the terminal, times as distances
    Table,
    /// For people: all of it, times and ids exactly
    Wide,
    /// The API's JSON, one object a line
    Json,
    /// Documents that `tollgate apply` takes
    Yaml,
    /// Names only, as commands take them
    Name,
}

/// Prints resources.
pub(in crate::cli) async fn show(
    api: &Api,
    subject: Subject,
    messages: &[DynamicMessage],
    output: Output,
) -> Result<(), Failure> {
    match (output, subject) {
        (Output::Json, _) => messages.iter().try_for_each(|message| print(&serde_json::to_string(message)?)),
        (Output::Name, Subject::Kind(kind)) => messages.iter().try_for_each(|message| print(&name(kind, message))),
        (Output::Name, _) => messages.iter().try_for_each(|message| print(&text(message, "id"))),
        (Output::Yaml, Subject::Kind(_)) => {
            let places = Places::of(api, messages).await?;
            let documents = messages.iter().map(|message| document(message, &places));
            print(documents.collect::<Vec<_>>().join("---\n").trim_end())
        }
        (Output::Yaml, _) => {
            let text = "are parts of their owners, which `-o yaml` is for; use -o json for them alone";
            Err(Failure::Usage(
                format!("{} {text}", if subject == Subject::Budgets { "budgets" } else { "limits" }).into(),
            ))
        }
        (Output::Table | Output::Wide, _) => {
            let wide = output == Output::Wide;
            let places = Places::of(api, messages).await?;
            let rows: Vec<_> = messages.iter().flat_map(|message| rows(subject, message, &places, wide)).collect();
            table::show(&columns(subject, wide), &rows, wide)
        }
    }
}

/// A name by which commands find the resource: a path where there is one, else the id.
pub(in crate::cli) fn name(kind: Kind, message: &DynamicMessage) -> String {
    match kind {
        Kind::RoutingRule | Kind::PricingOverride | Kind::ModelConfig | Kind::ModelPrice => text(message, "id"),
        _ => path(kind, message),
    }
}
