//! Measures Tollgate beside its peers, on one machine and in one run, and prints one table: `just bench`.
//!
//! Client and server share the cores, as they do for every peer. Runs are interleaved; what is printed is the median of
//! them, and the least and the greatest. A ratio is taken within each round, so that what slowed the machine down slowed
//! both sides. `docs/benchmarks.md` says more.

#![expect(clippy::expect_used, clippy::panic, reason = "a server that does not answer has nothing to measure")]

#[path = "../../tests/support/cluster.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "what the tests need of it too")]
mod cluster;
mod keys;
mod load;
mod plain;
mod process;
mod raw;
mod rows;
mod table;
mod target;
#[path = "../../benches/decisions/world.rs"]
mod world;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use tokio::time::Instant;

use crate::load::Span;
use crate::table::Table;

/// Measures Tollgate beside its peers, and prints one table.
#[derive(Parser)]
struct Args {
    /// The rows to measure, by number (docs/benchmarks.md); all if there are none
    rows: Vec<u8>,

    /// Shorter runs, and fewer: for a first look
    #[arg(long)]
    quick: bool,

    /// Also with 1,000,000 keys, whose creation takes minutes
    #[arg(long)]
    million: bool,

    /// The server to measure [default: the `tollgate` beside this program]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    /// Serve as the plain tonic server, for this program itself: bytes of an answer, and where
    #[arg(long, hide = true, num_args = 2)]
    plain: Vec<String>,
}

/// What the rows need.
struct Bench {
    server: PathBuf,
    etcd: Option<PathBuf>,
    rows: Vec<u8>,
    quick: bool,
    million: bool,
    rounds: usize,
    span: Span,
    table: Table,
}

impl Bench {
    fn new(args: Args) -> Self {
        let beside = std::env::current_exe().expect("this program").with_file_name("tollgate");
        let server = args.server.clone().unwrap_or(beside);
        assert!(server.exists(), "there is no server at {}; `just bench` builds it", server.display());
        let (rounds, warm_up, measured) = if args.quick { (1, 300, 1_000) } else { (3, 500, 2_000) };
        let span = Span { warm_up: Duration::from_millis(warm_up), measured: Duration::from_millis(measured) };
        let Args { rows, quick, million, .. } = args;
        Self { server, etcd: process::installed("etcd"), rows, quick, million, rounds, span, table: Table::default() }
    }

    fn wants(&self, row: u8) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }
}

async fn measure(bench: &mut Bench) {
    let started = Instant::now();
    if bench.wants(1) {
        rows::writes::writes(bench).await;
    }
    if bench.wants(2) {
        rows::postgres::postgres(bench).await;
    }
    if bench.wants(3) {
        rows::reads::reads(bench).await;
    }
    if bench.wants(4) || bench.wants(5) {
        rows::fan_out::fan_out(bench).await;
    }
    if [6, 7, 10, 12].into_iter().any(|row| bench.wants(row)) {
        rows::sizes::sizes(bench).await;
    }
    if bench.wants(8) {
        rows::usage::usage(bench).await;
    }
    if bench.wants(9) {
        rows::decisions::decisions(bench);
    }
    if bench.wants(11) {
        rows::stalled::stalled(bench).await;
    }
    if bench.wants(13) || bench.wants(14) {
        rows::node::node(bench).await;
    }
    eprintln!("{} s", started.elapsed().as_secs());
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let args = Args::parse();
    if let [answer, address] = args.plain.as_slice() {
        return plain::serve(answer.parse().expect("a number"), address).await;
    }
    let mut bench = Bench::new(args);
    tokio::select! {
        () = measure(&mut bench) => print!("{}", bench.table),
        // What runs ends with this future.
        _ = tokio::signal::ctrl_c() => eprintln!("stopped"),
    }
}
