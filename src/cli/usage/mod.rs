//! `tollgate usage`: the limits that are nearest to exhaustion, and whose they are; and corrections of what they counted.
//!
//! One mechanism for one look and for many: the watch stream brings, as of one moment, all that is used and the owners
//! with their names. Lists would be dozens of calls with 100,000 keys, each as of another moment, and without the owners.

mod adjust;
mod board;
mod owner;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use clap::builder::{BoolishValueParser, RangedU64ValueParser};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::time::Instant;
use tollgate_node::follow::Lost;

use self::board::{Board, COLUMNS, Row};
use self::owner::OwnerKind;
use super::follow::{self, End, Sink, written};
use super::redraw;
use super::remote::patience;
use super::table::{Screen, lines, now};
use super::target::Target;
use super::{Failure, stop_signal};
use crate::proto::v1::WatchConfigRequest;
use crate::reducer::{Progress, Reducer, View};

/// The least time between two looks. The server tells usage at most once a second, but what crosses a threshold at once.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
One line per limit that has usage in its current window, the one nearest to exhaustion \
first. Percentages are rounded down; RESETS is how long the window still lasts. The table fits the terminal, or 80 columns; \
with --json nothing is cut, and times are exact. With --watch the table is drawn anew whenever it changes, on a \
terminal in its place; Ctrl-C ends it.

Examples:
  tollgate usage
      The 20 limits that are nearest to exhaustion.
  tollgate usage --owner team,customer --watch
      Those of teams and customers, live.
  tollgate usage --json --limit 1000 | jq -r '.limits[] | select(.percent >= 80) | .ownerName'
      The owners of limits that are used to 80 percent.
  tollgate usage adjust 0190a8f0-… --usd -12.50 --reason 'refund of the provider'
      Take 12.50 USD off what a budget has counted.")]
pub(super) struct UsageArgs {
    #[command(subcommand)]
    command: Option<UsageCommand>,

    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Subcommand, Debug)]
enum UsageCommand {
    /// Correct what a limit has counted in its current window
    Adjust(adjust::AdjustArgs),
}

#[derive(Args, Debug)]
struct ShowArgs {
    #[command(flatten)]
    target: Target,

    /// Print each table as one line of JSON: all amounts exactly, money in nano-dollars
    #[arg(long, env = "TOLLGATE_JSON", value_parser = BoolishValueParser::new())]
    json: bool,

    /// Most limits to show
    #[arg(long, env = "TOLLGATE_LIMIT", default_value_t = 20, value_name = "N",
          value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    limit: usize,

    /// Only limits of these owners: customer, team, virtual_key, provider_config, model_config, provider, provider_key
    /// [default: all]
    #[arg(long = "owner", env = "TOLLGATE_OWNERS", value_delimiter = ',', value_name = "KIND,…", value_parser = owner)]
    owners: Vec<OwnerKind>,

    /// How long the server may take for an answer; with --watch it may take for ever
    #[arg(long, env = "TOLLGATE_TIMEOUT", default_value = "15s", value_name = "DURATION", value_parser = patience)]
    timeout: Duration,

    /// Keep the table up to date until Ctrl-C
    #[arg(long, env = "TOLLGATE_WATCH", value_parser = BoolishValueParser::new())]
    watch: bool,

    /// Name shown in the server's log and metrics
    #[arg(long, env = "TOLLGATE_NODE_ID", default_value = "tollgate-usage", value_name = "TEXT")]
    node_id: String,
}

fn owner(text: &str) -> Result<OwnerKind, String> {
    let name = text.trim().replace('-', "_");
    OwnerKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = OwnerKind::ALL.into_iter().map(OwnerKind::name).collect();
        format!("is none of {}", names.join(", "))
    })
}

/// Looks once, or until a signal; or makes a correction.
pub(super) async fn run(args: UsageArgs) -> Result<(), Failure> {
    if let Some(UsageCommand::Adjust(args)) = args.command {
        return adjust::run(args).await;
    }
    let mut stop = stop_signal()?;
    let stdout = io::stdout();
    let in_place = stdout.is_terminal();
    let patience = (!args.show.watch).then_some(args.show.timeout);
    tokio::select! {
        shown = show(args.show, BufWriter::new(stdout), in_place, || Screen::of_output(false)) => shown,
        () = late(patience) => Err(Failure::Failed("the server did not tell its usage in time; give it longer with --timeout".into())),
        _ = stop.received() => Ok(()),
    }
}

/// Resolves when patience is at its end.
async fn late(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

/// Shows tables on `out`; `in_place` if it is a terminal.
async fn show<W: Write>(args: ShowArgs, out: W, in_place: bool, screen: fn() -> Screen) -> Result<(), Failure> {
    let ShowArgs { target, json, limit, mut owners, watch, node_id, timeout: _ } = args;
    if owners.is_empty() {
        owners = OwnerKind::ALL.to_vec();
    }
    let mut kinds: Vec<i32> = owners.iter().map(|owner| owner.resource().number()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let request = WatchConfigRequest { node_id, kinds, include_usage: true, ..WatchConfigRequest::default() };
    let style = match (json, watch && in_place) {
        (true, _) => Style::Json,
        (false, true) => Style::InPlace,
        (false, false) => Style::Appended,
    };
    let board = Board::new(owners);
    let (told, stale, rests_until, last) = (false, false, None, None);
    let mut table = Table { target: &target, out, screen, style, watch, limit, board, told, stale, rests_until, last };
    follow::run(&target, &request, Reducer::new(), &mut table).await
}

/// How tables follow one another.
enum Style {
    /// One line of JSON each.
    Json,
    /// Each in the place of the one before.
    InPlace,
    /// Each after the one before.
    Appended,
}

/// Shows the table when it is there, and again when it changes.
struct Table<'a, W: Write> {
    target: &'a Target,
    out: W,
    /// A terminal's changes with its window.
    screen: fn() -> Screen,
    style: Style,
    watch: bool,
    limit: usize,
    board: Board,
    /// Whether usage has come.
    told: bool,
    /// Whether the table that was shown may be an old one.
    stale: bool,
    rests_until: Option<Instant>,
    last: Option<(Vec<Row>, usize)>,
}

impl<W: Write> Sink<View> for Table<'_, W> {
    type End = End;

    fn progress(&mut self, progress: &Progress, reducer: &Reducer) -> ControlFlow<End> {
        match progress {
            Progress::Applied(changes) => self.board.change(changes),
            // A snapshot is whole, or was undone what the store has lost.
            Progress::Bookmarked { dropped: Some(_), .. } => self.board.read(&reducer.state()),
            Progress::Used { .. } => self.told = true,
            Progress::Begun { .. }
            | Progress::Pending
            | Progress::Staged(_)
            | Progress::Bookmarked { .. }
            | Progress::GoAway { .. } => return ControlFlow::Continue(()),
        }
        self.stale = self.told;
        if self.told && !self.watch {
            self.show(reducer)?;
            return ControlFlow::Break(Ok(()));
        }
        ControlFlow::Continue(())
    }

    fn due(&self) -> Option<Instant> {
        self.stale.then(|| self.rests_until.unwrap_or_else(Instant::now))
    }

    fn show(&mut self, reducer: &Reducer) -> ControlFlow<End> {
        let shown = self.board.rows(&reducer.state(), reducer.usage(), self.limit);
        self.stale = false;
        self.rests_until = Some(Instant::now() + PAUSE);
        if self.last.as_ref() == Some(&shown) {
            return ControlFlow::Continue(());
        }
        let drawn = self.draw(&shown.0, shown.1);
        self.last = Some(shown);
        written(drawn.and_then(|()| self.out.flush()))
    }

    fn lost(&mut self, lost: &Lost, pause: Duration, reducer: &Reducer) -> ControlFlow<End> {
        if self.stale {
            self.show(reducer)?;
        }
        follow::lost(self.target, !self.watch, lost, pause)
    }
}

impl<W: Write> Table<'_, W> {
    fn draw(&mut self, rows: &[Row], total: usize) -> io::Result<()> {
        let moment = || jiff::Timestamp::now().round(jiff::Unit::Second).unwrap_or_default();
        match self.style {
            Style::Json => {
                let limits: Vec<_> = rows.iter().map(Row::json).collect();
                writeln!(self.out, "{}", json!({"limits": limits, "totalSize": total}))
            }
            Style::InPlace => {
                let title = format!("limits nearest to exhaustion, {}, Ctrl-C to end", moment());
                let page: Vec<_> =
                    [title, String::new()].into_iter().chain(text(rows, total, (self.screen)())).collect();
                redraw::draw(&mut self.out, &page, redraw::height())
            }
            Style::Appended => {
                if self.watch {
                    let gap = if self.last.is_some() { "\n" } else { "" };
                    writeln!(self.out, "{gap}{}", moment())?;
                }
                text(rows, total, (self.screen)()).iter().try_for_each(|line| writeln!(self.out, "{line}"))
            }
        }
    }
}

/// A table in lines.
fn text(rows: &[Row], total: usize, screen: Screen) -> Vec<String> {
    if rows.is_empty() {
        return vec!["no limit has anything used in its current window".to_owned()];
    }
    let now = now();
    let cells: Vec<_> = rows.iter().map(|row| row.cells(now)).collect();
    let mut text = lines(&COLUMNS, &cells, screen);
    if rows.len() < total {
        text.push(format!("and {} more; see --limit", total - rows.len()));
    }
    text
}
