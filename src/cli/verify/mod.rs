//! `tollgate verify`: whether a store is what its history says, and a server's memory what the store says. It reads
//! beside a running server.

mod usage;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use prost::Message as _;

use self::usage::Doubt;
use super::Failure;
use super::database::Database;
use super::remote::{print, refused};
use super::target::Target;
use crate::domain::{Kind, ResourceKey};
use crate::ledger::{Rendered, Tables, Verification, verify, verify_with_tables};
use crate::proto::v1::WatchConfigRequest;
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::reducer::{Progress, Reducer, Usage, View};
use crate::store::{Reader, Store};

/// How long a stream may take to bring everything.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often the database is read again because the server has gone on meanwhile.
const TRIES: usize = 10;
/// How often what disagrees about usage is read again before it is a fault.
const READ_AGAIN: usize = 5;
/// Between two of these readings: together longer than another replica may be behind.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Args, Debug)]
#[command(after_help = "\
Recomputes the hash chain from the log, which covers caller, time and request of each change; compares \
the remembered answers with it; applies the log and compares the result with the tables; compares \
counted usage with its journal; with --memory also compares the memory of a running server (--server): \
resources, and the usage of each limit's current window. Any access token will do; one of role viewer \
receives no hashes of keys, so these are not compared. \
Reads only, and may run beside the server, which goes on counting. The chain that it prints can be \
compared with the one that servers log every hour. Exit code 1 if anything differs.

Examples:
  tollgate verify --database sqlite:///var/lib/tollgate/tollgate.db
  TOLLGATE_TOKEN=tg_… tollgate verify --database sqlite://tollgate.db --memory")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    database: Database,

    /// Compare with the memory of a running server, too
    #[arg(long, env = "TOLLGATE_MEMORY", value_parser = BoolishValueParser::new())]
    memory: bool,

    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    let VerifyArgs { database, memory, target } = args;
    let database = database.url()?;
    let store = Store::open_beside(&database).await?;
    let compared =
        async { if memory { with_memory(&store, &target).await } else { Ok((verify(&store).await?, None)) } };
    let compared = compared.await;
    store.close().await;
    let (found, in_memory) = compared?;

    let Verification { head, first_revision, revisions, changes_only, resources, counters, faults } = found;
    print(&format!("store     {}", head.store_id))?;
    print(&format!("revision  {}", head.revision))?;
    print(&format!("chain     {}", head.chain))?;
    print(&format!("log       {revisions} revisions, from {first_revision} on"))?;
    if changes_only > 0 {
        print(&format!(
            "          the first {changes_only} were written by an earlier version, whose chain has their changes alone"
        ))?;
    }
    print(&format!("tables    {resources} resources, {counters} counters of usage"))?;
    if let Some(in_memory) = in_memory {
        let Memory { resources, limits, without_hashes } = in_memory;
        let hashes = if without_hashes { "; without hashes of keys, which a viewer does not see" } else { "" };
        print(&format!("memory    {resources} resources, usage of {limits} limits{hashes}"))?;
    }
    for fault in &faults {
        print(&format!("FAULT     {fault}"))?;
    }
    match faults.is_empty() {
        true => print("all of it agrees"),
        false => Err(Failure::Failed(format!("{} fault(s) in {database}", faults.len()).into())),
    }
}

/// A server's memory that was compared.
struct Memory {
    /// How many resources it has.
    resources: usize,
    /// How many limits, whose usage it has.
    limits: usize,
    /// Whether it was shown without hashes of keys.
    without_hashes: bool,
}

/// Verifies the store, and compares it with a server's memory at the same revision.
async fn with_memory(store: &Reader, target: &Target) -> Result<(Verification, Option<Memory>), Failure> {
    let mut doubts: HashSet<Doubt> = HashSet::new();
    let (mut tries, mut stayed) = (0, 0);
    while tries < TRIES {
        let (mut found, tables) = verify_with_tables(store).await?;
        let Shown { view, usage: told, without_hashes } = follow(target, found.head.revision).await?;
        if view.revision() != found.head.revision {
            tries += 1;
            continue;
        }
        let Tables { resources, windows } = tables;
        compare(&view, without_hashes, resources, &mut found);
        let recorded = store.recorded_usage().await?;
        let (mut certain, now) = usage::compare(&windows, &told, &recorded);
        let still: HashSet<Doubt> = now.intersection(&doubts).cloned().collect();
        if still.is_empty() {
            // Others than before, if any.
            (doubts, stayed, tries) = (now, 0, tries + 1);
        } else {
            (doubts, stayed) = (still, stayed + 1);
        }
        if doubts.is_empty() || stayed == READ_AGAIN {
            certain.extend(doubts.iter().map(Doubt::fault));
            certain.sort_unstable();
            certain.into_iter().for_each(|fault| found.fault(fault));
            return Ok((found, Some(Memory { resources: view.len(), limits: windows.len(), without_hashes })));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::Failed("the server changes faster than its database can be read; try again".into()))
}

/// What a server has in memory, as a stream shows it.
struct Shown {
    view: View,
    usage: Usage,
    /// Whether hashes of keys are left out.
    without_hashes: bool,
}

/// What the server has in memory, at `revision` or later.
async fn follow(target: &Target, revision: i64) -> Result<Shown, Failure> {
    let mut client = ConfigServiceClient::new(target.connect(PATIENCE).await?);
    let request = WatchConfigRequest { min_revision: revision, include_usage: true, ..WatchConfigRequest::default() };
    let mut messages = client.watch_config(request).await.map_err(|status| refused(&status))?.into_inner();
    let (mut reducer, mut without_hashes) = (Reducer::new(), false);
    while let Some(message) = messages.message().await.map_err(|status| refused(&status))? {
        match reducer.apply(message)? {
            Progress::Begun { without_hashes: without, .. } => without_hashes = without,
            // Usage comes once the configuration is there, even if there is none.
            Progress::Used { .. } => {
                let (view, usage) = (View::clone(&reducer.state()), reducer.usage().clone());
                return Ok(Shown { view, usage, without_hashes });
            }
            Progress::Pending
            | Progress::Staged(_)
            | Progress::Applied(_)
            | Progress::Bookmarked { .. }
            | Progress::GoAway { .. } => {}
        }
    }
    Err(Failure::Failed("the server ended the stream".into()))
}

fn compare(view: &View, without_hashes: bool, mut tables: HashMap<ResourceKey, Rendered>, found: &mut Verification) {
    // The stream, which memory is read from, carries no others.
    tables.retain(|key, _| key.kind.is_streamed());
    let shown = |it: Rendered| if without_hashes { it.without_hashes } else { it.with_hashes };
    for (key, resource) in view.iter() {
        let Some(kind) = Kind::from_number(key.kind) else { continue };
        let key = ResourceKey { kind, id: key.id.as_str().into() };
        match tables.remove(&key) {
            None => found.fault(format!("{key} is in the server's memory, but not in the tables")),
            Some(rendered) if shown(rendered) != blake3::hash(&resource.encode_to_vec()) => {
                found.fault(format!("{key} is not in the server's memory as it is in the tables"));
            }
            Some(_) => {}
        }
    }
    for key in tables.into_keys() {
        found.fault(format!("{key} is in the tables, but not in the server's memory"));
    }
}
