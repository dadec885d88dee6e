//! What the commands that make one call to a server share: where it is, how the call fails, and how answers are printed.

use std::io::{self, Write as _};
use std::sync::LazyLock;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::Failure;
use super::target::{Server, Target};
use crate::domain::LimitOwner;
use crate::proto::v1::{ExplainedLimit, LimitKind};
use crate::proto::{FILE_DESCRIPTOR_SET, NODE_DESCRIPTOR_SET};

#[derive(Args, Debug)]
pub(super) struct RemoteArgs {
    #[command(flatten)]
    target: Target,

    /// Print the answer as protobuf JSON
    #[arg(long, env = "TOLLGATE_JSON", value_parser = BoolishValueParser::new())]
    pub(super) json: bool,

    /// How long the server may take for an answer
    #[arg(long, env = "TOLLGATE_TIMEOUT", default_value = "15s", value_name = "DURATION",
          value_parser = patience)]
    timeout: Duration,
}

/// How long to wait for something.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("leaves no time for an answer; write a longer one, as 15s".to_owned()),
        Ok(patience) => Ok(patience),
        Err(why) => Err(format!("is no duration ({why}); write one as 15s or 2m")),
    }
}

impl RemoteArgs {
    pub(super) async fn connect(&self) -> Result<Server, Failure> {
        self.target.connect(self.timeout).await
    }

    /// The server's URL.
    pub(super) fn server(&self) -> &http::Uri {
        self.target.server()
    }

    /// For calls that take longer than others: at least so long.
    pub(super) async fn connect_for(&self, patience: Duration) -> Result<Server, Failure> {
        self.target.connect(self.timeout.max(patience)).await
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
    // The client's own limit, as the transport tells it.
    if status.code() == Code::Cancelled && status.message() == "Timeout expired" {
        text = "DeadlineExceeded: the server did not answer in time; give it longer with --timeout".to_owned();
    }
    if status.code() == Code::Unauthenticated {
        text.push_str("; this command takes it from TOLLGATE_TOKEN or --token");
    }
    Failure::Failed(text.into())
}

/// Prints a message as protobuf JSON.
pub(super) fn print_json<M: Message + Name>(message: &M) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(&dynamic(message)?)?)
}

/// A message of which the descriptors tell how it looks as JSON.
pub(super) fn dynamic<M: Message + Name>(message: &M) -> Result<DynamicMessage, Failure> {
    Ok(DynamicMessage::decode(descriptor(&M::full_name())?, message.encode_to_vec().as_slice())?)
}

/// The descriptors of all messages and services.
pub(super) fn pool() -> Option<&'static DescriptorPool> {
    static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| {
        let mut pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok()?;
        pool.decode_file_descriptor_set(NODE_DESCRIPTOR_SET).ok()?;
        Some(pool)
    });
    POOL.as_ref()
}

/// The descriptor of the message with this full name.
pub(super) fn descriptor(name: &str) -> Result<MessageDescriptor, Failure> {
    let descriptor = pool().and_then(|pool| pool.get_message_by_name(name));
    Ok(descriptor.ok_or_else(|| io::Error::other(format!("{name} has no descriptor")))?)
}

/// Prints a line. A reader that has gone away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{}", printable(text)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Names come from clients: without what could steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Prints rows in columns as wide as they need to be.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    lines(head, rows).iter().try_for_each(|line| print(line))
}

/// Rows in columns as wide as they need to be.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    std::iter::once(line(&mut head.iter().copied())).chain(rows).collect()
}

/// What a limit counts.
pub(super) fn kind_name(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Budget => "budget",
        LimitKind::Tokens => "tokens",
        LimitKind::Requests => "requests",
        LimitKind::Concurrency => "open requests",
        LimitKind::Unspecified => "(unknown)",
    }
}

/// So much of what a limit counts, for people. Of amounts below a cent all digits are shown.
pub(super) fn amount(kind: LimitKind, count: i64) -> String {
    let usd = count as f64 / 1e9;
    match kind {
        LimitKind::Budget if count == 0 || count.abs() >= 10_000_000 => format!("{usd:.2} USD"),
        LimitKind::Budget => format!("{} USD", format!("{usd:.9}").trim_end_matches('0')),
        LimitKind::Tokens | LimitKind::Requests | LimitKind::Concurrency | LimitKind::Unspecified => count.to_string(),
    }
}

/// Tenths of a percent of `max` that are used, rounded down: what is not used up is not shown as if it were.
pub(super) fn permille(used: i64, max: i64) -> i64 {
    let share = i128::from(used) * 1_000 / i128::from(max.max(1));
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// [`permille`], for people.
pub(super) fn percent(used: i64, max: i64) -> String {
    let share = permille(used, max);
    format!("{}.{} %", share / 10, share % 10)
}

/// A time in whole seconds.
pub(super) fn moment(time: &prost_types::Timestamp) -> String {
    prost_types::Timestamp { seconds: time.seconds, nanos: 0 }.to_string()
}

/// Prints a message as one line of protobuf JSON.
pub(super) fn print_json_line<M: Message + Name>(message: &M) -> Result<(), Failure> {
    print(&serde_json::to_string(&dynamic(message)?)?)
}

/// An instant to come, or how far away it is.
pub(super) fn later(text: &str) -> Result<prost_types::Timestamp, String> {
    if let Ok(after) = humantime::parse_duration(text) {
        let time = std::time::SystemTime::now().checked_add(after).ok_or("is too far away")?;
        return Ok(prost_types::Timestamp { nanos: 0, ..time.into() });
    }
    text.parse().map_err(|_| "is no time; write 2030-03-01T00:00:00Z, or a duration from now as 30d".to_owned())
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is written as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A limit that applies to a request, in columns.
pub(super) fn limit_row(limit: &ExplainedLimit) -> Vec<String> {
    let owner = limit.owner.clone().map(LimitOwner::from);
    let owner = owner.map_or_else(String::new, |owner| owner.to_string());
    let amount = |count| amount(limit.kind(), count);
    let kind = kind_name(limit.kind()).to_owned();
    let resets = limit.next_reset.as_ref().map(ToString::to_string).unwrap_or_default();
    let blocks = match (limit.blocks, limit.would_block) {
        (true, _) => "STOPS THE REQUEST",
        (false, true) => "would stop it: SHADOW",
        (false, false) => "",
    };
    vec![owner, kind, amount(limit.used), amount(limit.max), amount(limit.remaining), resets, blocks.to_owned()]
}
