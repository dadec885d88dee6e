//! Whether a store is what its history says: the chain recomputed from the log, the log folded and compared with the
//! tables; and whether what was counted agrees with itself. It reads one snapshot of the tables and the log up to it, and
//! before that one of what was counted, so that it can run beside a server.

mod credit;
mod fold;
mod requests;
mod spend;
mod tables;
mod usage;

use fold::Fold;
pub use tables::{Rendered, Tables};

use crate::config::Config;
use crate::domain::{AnyResource, Timestamp};
use crate::state::Head;
use crate::store::{Reader, StoreError};

/// Faults that are told.
const FAULTS: usize = 100;

/// What was found.
#[derive(Debug)]
pub struct Verification {
    /// Where the store stands.
    pub head: Head,
    /// The first revision that the log still has; 0 if it has none.
    pub first_revision: i64,
    /// How many revisions were recomputed.
    pub revisions: u64,
    /// How many of them an earlier version wrote, whose chain takes in their changes alone.
    pub changes_only: u64,
    /// How many resources the tables have.
    pub resources: usize,
    /// How many windows of limits the tables have something of.
    pub counters: usize,
    /// Everything that is not as it should be, the first 100.
    pub faults: Vec<String>,
}

impl Verification {
    /// Adds a fault.
    pub fn fault(&mut self, text: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(text);
        }
    }
}

/// Verifies a store. Of each resource, whatever it is like, 40 bytes are kept in memory.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if it is so wrong that it cannot be read as one, else [`StoreError::Unavailable`].
pub async fn verify(store: &Reader) -> Result<Verification, StoreError> {
    run(store, |_, _, _| {}).await
}

/// Verifies a store, and keeps what a server's memory is compared with: this takes some hundred bytes more for each resource
/// and each of its limits.
///
/// # Errors
///
/// As [`verify`].
pub async fn verify_with_tables(store: &Reader) -> Result<(Verification, Tables), StoreError> {
    let mut tables = Tables::default();
    let found = run(store, |any, config, now| tables.take(any, config, now)).await?;
    Ok((found, tables))
}

/// Verifies a store; hands each resource to `take`, with the customers and teams, whose calendars it may follow, and the time
/// at which what was counted was read.
async fn run(
    store: &Reader,
    mut take: impl FnMut(&AnyResource, &Config, Timestamp),
) -> Result<Verification, StoreError> {
    let head = store.read_head().await?;
    let mut found = Verification {
        head,
        first_revision: 0,
        revisions: 0,
        changes_only: 0,
        resources: 0,
        counters: 0,
        faults: Vec::new(),
    };
    // First, so that a limit that is as it was when something was counted has not been another in between.
    let mut counted = usage::read(store, &mut found).await?;
    let now = store.time().await?;
    let mut fold = Fold::new(&found.head, now);
    // Most of the log in snapshots of its own: as long as one is open, the database keeps for it what others delete.
    let up_to = found.head.revision;
    while fold.read_part(&store.snapshot().await?, up_to, &mut found).await? {}
    let snapshot = store.snapshot().await?;
    found.head = snapshot.head().clone();
    let head = found.head.clone();
    while fold.read_part(&snapshot, head.revision, &mut found).await? {}
    fold.end(&head, &mut found);
    if snapshot.chain_at(head.compacted_revision).await?.is_some_and(|chain| chain != head.compacted_chain) {
        let compacted = head.compacted_revision;
        found.fault(format!("revision {compacted}: the head remembers another chain of it"));
    }

    // Customers and teams, which come first.
    let mut owners = Config::default();
    snapshot
        .walk(|any| {
            if matches!(any, AnyResource::Customer(_) | AnyResource::Team(_)) {
                owners.put(any);
            }
            found.resources += 1;
            fold.compare(any, &mut found);
            counted.take(any, &owners, now);
            take(any, &owners, now);
        })
        .await?;
    drop(snapshot);
    let requests = fold.finish(store, &mut found).await?;
    if let Some(revision) = store.unrecorded_change().await? {
        found.fault(format!("revision {revision}: there are changes of it, but it is not recorded"));
    }
    requests.check(store, &mut found).await?;
    counted.check(&mut found);
    spend::check(store, &mut found).await?;
    Ok(found)
}
