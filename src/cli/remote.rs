//! What the commands that make one call to a server share: where it is, how the call fails, and how answers are printed.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::Failure;
use super::target::Target;
use crate::proto::FILE_DESCRIPTOR_SET;

const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Args, Debug)]
pub(super) struct RemoteArgs {
    #[command(flatten)]
    target: Target,

    /// Print the answer as protobuf JSON
    #[arg(long, env = "TOLLGATE_JSON", value_parser = BoolishValueParser::new())]
    pub(super) json: bool,
}

impl RemoteArgs {
    pub(super) async fn connect(&self) -> Result<Channel, Failure> {
        self.target.connect(PATIENCE).await
    }
}

/// A refusal, with every field that is wrong.
pub(super) fn refused(status: &Status) -> Failure {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let details = status.get_error_details();
    if let Some(request) = details.bad_request().filter(|request| request.field_violations.len() > 1) {
        let all = request.field_violations.iter().map(|it| format!("{}: {}", it.field, it.description));
        text = format!("{:?}: {}", status.code(), all.collect::<Vec<_>>().join("; "));
    }
    Failure::Failed(text.into())
}

/// Prints a message as protobuf JSON.
pub(super) fn print_json<M: Message + Name>(message: &M) -> Result<(), Failure> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name(&M::full_name()).ok_or_else(|| io::Error::other("no descriptor"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    print(&serde_json::to_string_pretty(&dynamic)?)
}

/// Prints a line. A reader that has gone away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{}", printable(text)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Names come from clients: without what could steer a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Rows in columns as wide as they need to be.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    print(&line(&mut head.iter().copied()))?;
    for row in rows {
        print(&line(&mut row.iter().map(String::as_str)))?;
    }
    Ok(())
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is written as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
