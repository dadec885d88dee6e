//! `tollgate nodes`: the fleet, and what each node knows and holds.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::files::plural;
use super::redraw;
use super::remote::{RemoteArgs, amount, kind_name, moment, print, print_json_line, refused};
use super::table::{Cell, Column, Screen, Tone, distance, lines, now, show};
use super::target::Server;
use super::{Failure, stop_signal};
use crate::proto::v1;
use crate::proto::v1::node_service_client::NodeServiceClient;

/// Between two looks with `--watch`.
const LOOK: Duration = Duration::from_secs(1);

/// The columns of [`cells`].
const COLUMNS: [Column; 8] = [
    Column::text("NODE"),
    Column::number("INC"),
    Column::whole("STATE"),
    Column::number("REVISION"),
    Column::number("BEHIND"),
    Column::number("OUTBOX"),
    Column::text("CREDIT HELD"),
    Column::number("SEEN"),
];

/// Those of [`more_cells`], with `--wide`.
const MORE: [Column; 10] = [
    Column::whole("LAST SEEN"),
    Column::whole("VERSION"),
    Column::whole("REPLICA"),
    Column::whole("CONNECTED"),
    Column::number("OUTBOX AGE"),
    Column::number("OPEN"),
    Column::number("CREDIT REFUSED"),
    Column::whole("FEATURES"),
    Column::whole("KINDS"),
    Column::whole("LAST ERROR"),
];

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
A node is CONNECTED, BEHIND if it has not applied a revision that is older than 5 s, SILENT if it was not heard for 15 s, \
and GONE if it said goodbye, was forgotten or never had a session; those are left out unless --all is given. INC is its \
incarnation, OUTBOX the batches of usage that it has still to deliver, SEEN how long ago it was heard. The table fits the \
terminal, or 80 columns; with --wide nothing is cut, and times are exact.

Examples:
  tollgate nodes
      All nodes that are there.
  tollgate nodes --wide
      With versions, features and kinds, the age of what waits to be reported, and the last error.
  tollgate nodes --state silent --json
      Those that are not heard any more, one object a line.
  tollgate nodes forget gw-7
      Close a node that will not come back: its credit is free at once.")]
pub(super) struct NodesArgs {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    list: ListArgs,
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Only incarnations of this node
    #[arg(long, env = "TOLLGATE_NODE_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    node_id: String,

    /// Only nodes in this state
    #[arg(long, env = "TOLLGATE_NODE_STATE", value_enum, value_name = "STATE")]
    state: Option<State>,

    /// Also list nodes that are gone
    #[arg(long, env = "TOLLGATE_ALL", value_parser = BoolishValueParser::new())]
    all: bool,

    /// Print all that is known of each node
    #[arg(long, env = "TOLLGATE_WIDE", value_parser = BoolishValueParser::new())]
    wide: bool,

    /// Look again each second until Ctrl-C: on a terminal the table is drawn anew in its place, else printed again when it
    /// changed
    #[arg(long, env = "TOLLGATE_WATCH", value_parser = BoolishValueParser::new())]
    watch: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Close a node that will not come back: its credit is free at once, and it has to register anew if it does
    Forget(ForgetArgs),
}

#[derive(Args, Debug)]
struct ForgetArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The node
    #[arg(value_name = "NODE ID")]
    node_id: String,

    /// Only this incarnation of it
    #[arg(long, env = "TOLLGATE_INCARNATION", value_name = "N", default_value_t = 0, hide_default_value = true)]
    incarnation: i64,

    /// Say what would be freed, and change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connected,
    Behind,
    Silent,
    Gone,
}

impl State {
    const fn message(self) -> v1::NodeState {
        match self {
            Self::Connected => v1::NodeState::Connected,
            Self::Behind => v1::NodeState::Behind,
            Self::Silent => v1::NodeState::Silent,
            Self::Gone => v1::NodeState::Gone,
        }
    }
}

pub(super) async fn run(args: NodesArgs) -> Result<(), Failure> {
    let NodesArgs { command, list } = args;
    match command {
        Some(Command::Forget(args)) => forget(args).await,
        None => list_nodes(list).await,
    }
}

async fn list_nodes(args: ListArgs) -> Result<(), Failure> {
    let ListArgs { remote, node_id, state, all, wide, watch } = args;
    let mut client = NodeServiceClient::new(remote.connect().await?);
    let state = state.map_or(v1::NodeState::Unspecified, State::message);
    let mut look = async || {
        let mut nodes = read(&mut client, &node_id, state).await?;
        nodes.retain(|node| all || state == v1::NodeState::Gone || node.state() != v1::NodeState::Gone);
        Ok::<_, Failure>(nodes)
    };
    if !watch {
        let nodes = look().await?;
        return if remote.json { nodes.iter().try_for_each(print_json_line) } else { print_table(&nodes, wide) };
    }
    let mut stop = stop_signal()?;
    let (in_place, mut told) = (io::stdout().is_terminal() && !remote.json, None);
    loop {
        let nodes = tokio::select! {
            nodes = look() => nodes?,
            _ = stop.received() => return Ok(()),
        };
        if in_place {
            draw(&nodes, wide)?;
        } else {
            // How long ago a node was heard is another each time, and no news by itself.
            let news: Vec<_> = nodes.iter().map(|node| v1::Node { last_seen: None, ..node.clone() }).collect();
            if told.as_ref() != Some(&news) {
                if told.is_some() && !remote.json {
                    print("")?;
                }
                if remote.json {
                    nodes.iter().try_for_each(print_json_line)?;
                } else {
                    print_table(&nodes, wide)?;
                }
                told = Some(news);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.received() => return Ok(()),
        }
    }
}

/// The columns and rows of the table.
fn rows(nodes: &[v1::Node], wide: bool) -> (Vec<Column>, Vec<Vec<Cell>>) {
    let now = now();
    if !wide {
        return (COLUMNS.to_vec(), nodes.iter().map(|node| cells(node, now)).collect());
    }
    let rows = nodes.iter().map(|node| [cells(node, now), more_cells(node)].concat());
    ([COLUMNS.as_slice(), &MORE].concat(), rows.collect())
}

fn print_table(nodes: &[v1::Node], wide: bool) -> Result<(), Failure> {
    let (columns, rows) = rows(nodes, wide);
    show(&columns, &rows, wide)
}

/// Draws the table in the place of the one before.
fn draw(nodes: &[v1::Node], wide: bool) -> Result<(), Failure> {
    let (columns, rows) = rows(nodes, wide);
    let now = moment(&std::time::SystemTime::now().into());
    let title = format!("{} node{}, {now}, Ctrl-C to end", nodes.len(), plural(nodes.len()));
    let page = [title, String::new()].into_iter().chain(lines(&columns, &rows, Screen::of_output(wide)));
    match redraw::draw(&mut io::stdout().lock(), &page.collect::<Vec<_>>(), redraw::height()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn read(
    client: &mut NodeServiceClient<Server>,
    node_id: &str,
    state: v1::NodeState,
) -> Result<Vec<v1::Node>, Failure> {
    let mut request = v1::ListNodesRequest { page_size: 1_000, node_id: node_id.to_owned(), ..Default::default() };
    request.set_state(state);
    let mut nodes = Vec::new();
    loop {
        let page = client.list_nodes(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        nodes.extend(page.nodes);
        if page.next_page_token.is_empty() {
            return Ok(nodes);
        }
        request.page_token = page.next_page_token;
    }
}

fn cells(node: &v1::Node, now: i64) -> Vec<Cell> {
    let status = node.status.clone().unwrap_or_default();
    let state = if node.closed { "FORGOTTEN" } else { node.state().as_str_name().trim_start_matches("NODE_STATE_") };
    let tone = match node.state() {
        v1::NodeState::Connected => Tone::Good,
        v1::NodeState::Behind => Tone::Warning,
        v1::NodeState::Silent => Tone::Bad,
        v1::NodeState::Gone | v1::NodeState::Unspecified => Tone::Faint,
    };
    vec![
        node.node_id.clone().into(),
        node.incarnation.to_string().into(),
        Cell::new(state, tone),
        node.applied_revision.to_string().into(),
        node.revision_lag.to_string().into(),
        status.outbox_batches.to_string().into(),
        amounts(&node.credit_held).into(),
        node.last_seen.as_ref().map(|seen| distance(seen.seconds, now)).unwrap_or_default().into(),
    ]
}

fn more_cells(node: &v1::Node) -> Vec<Cell> {
    let status = node.status.clone().unwrap_or_default();
    let age = status.outbox_age.and_then(|age| Duration::try_from(age).ok());
    let kinds = node.kinds().map(|kind| kind.as_str_name().trim_start_matches("RESOURCE_KIND_"));
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    let texts = [
        or_dash(node.last_seen.as_ref().map(moment).unwrap_or_default()),
        or_dash(node.version.clone()),
        or_dash(node.replica.clone()),
        or_dash(node.connected_at.as_ref().map(moment).unwrap_or_default()),
        or_dash(age.map(|age| humantime::format_duration(age).to_string()).unwrap_or_default()),
        status.open_admissions.to_string(),
        status.credit_refused.to_string(),
        or_dash(node.features.join(",")),
        or_dash(kinds.collect::<Vec<_>>().join(",")),
        or_dash(status.last_error),
    ];
    texts.into_iter().map(Cell::from).collect()
}

/// Credit for people; `-` for none.
fn amounts(amounts: &[v1::CreditAmount]) -> String {
    let told = amounts.iter().map(|credit| match credit.kind() {
        v1::LimitKind::Budget => amount(credit.kind(), credit.amount),
        kind => format!("{} {}", amount(kind, credit.amount), kind_name(kind)),
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

async fn forget(args: ForgetArgs) -> Result<(), Failure> {
    let ForgetArgs { remote, node_id, incarnation, dry_run } = args;
    let mut client = NodeServiceClient::new(remote.connect().await?);
    let request = v1::ForgetNodeRequest { node_id: node_id.clone(), incarnation, validate_only: dry_run };
    let answer = client.forget_node(request).await.map_err(|status| refused(&status))?.into_inner();
    if remote.json {
        return print_json_line(&answer);
    }
    let done = if dry_run { "would be forgotten" } else { "is forgotten" };
    print(&format!("{node_id} {done}; credit that is free: {}", amounts(&answer.freed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_holds_much_fits_80_columns() {
        let credit = |kind: v1::LimitKind, amount| v1::CreditAmount { kind: kind.into(), amount };
        let node = v1::Node {
            node_id: "gateway-eu-central-1-7c9f8d6b5-x2x9z".to_owned(),
            incarnation: 12,
            state: v1::NodeState::Connected.into(),
            applied_revision: 1_234_567,
            credit_held: vec![
                credit(v1::LimitKind::Budget, 12_345_000_000_000),
                credit(v1::LimitKind::Tokens, 9_000_000),
            ],
            last_seen: Some(prost_types::Timestamp { seconds: 1_000, nanos: 0 }),
            ..Default::default()
        };
        let cells = vec![cells(&node, 1_003)];
        let shown = lines(&COLUMNS, &cells, Screen { width: Some(80), colour: false });
        assert_eq!(
            shown,
            [
                "NODE                 INC  STATE      REVISION  BEHIND  OUTBOX  CREDIT HELD  SEEN",
                "gateway-e…6b5-x2x9z   12  CONNECTED   1234567       0       0  12345.00 U…    3s",
            ]
        );
    }
}
