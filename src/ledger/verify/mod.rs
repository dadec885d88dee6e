//! Whether a store is what its history says: the chain recomputed from the log, the log folded and compared with the
//! tables; and whether what was counted agrees with itself. It reads one snapshot of the tables and the log up to it, and
//! before that one of what was counted, so that it can run beside a server.

mod credit;
mod requests;
mod spend;
mod usage;

use std::collections::HashMap;

use prost::Message as _;

use requests::Requests;

use crate::config::Config;
use crate::counters::CounterKey;
use crate::domain::{AnyResource, Kind, ResourceKey};
use crate::state::{Chain, Head, Op};
use crate::store::{ChainVersion, LogBody, Reader, RevisionRecord, StoreError};
use crate::wire::{self, Form};

/// Revisions read at a time.
const REVISIONS: u64 = 1_000;
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
    /// Each resource of the tables.
    pub resources: HashMap<ResourceKey, Rendered>,
    /// How many windows of limits the tables have something of.
    pub counters: usize,
    /// The current window of each limit.
    pub windows: Vec<CounterKey>,
    /// Everything that is not as it should be, the first 100.
    pub faults: Vec<String>,
}

/// A resource as streams bring it: a checksum of its encoding.
#[derive(Clone, Copy, Debug)]
pub struct Rendered {
    /// On a stream with hashes of keys.
    pub with_hashes: blake3::Hash,
    /// On a stream of a VIEWER.
    pub without_hashes: blake3::Hash,
}

impl Rendered {
    fn of(any: &AnyResource) -> Self {
        let mut resource = wire::render_any(any, Form::Stream);
        let with_hashes = blake3::hash(&resource.encode_to_vec());
        wire::strip_hashes(&mut resource);
        Self { with_hashes, without_hashes: blake3::hash(&resource.encode_to_vec()) }
    }
}

impl Verification {
    /// Adds a fault.
    pub fn fault(&mut self, text: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(text);
        }
    }
}

/// Verifies a store.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if it is so wrong that it cannot be read as one, else [`StoreError::Unavailable`].
pub async fn verify(store: &Reader) -> Result<Verification, StoreError> {
    // First, so that a limit that is as it was when something was counted has not been another in between.
    let recorded = store.recorded_usage().await?;
    let now = store.time().await?;
    let loaded = store.load().await?;
    let head = loaded.head.clone();
    let mut found = Verification {
        head: loaded.head,
        first_revision: 0,
        revisions: 0,
        changes_only: 0,
        resources: HashMap::with_capacity(loaded.resources.len()),
        counters: recorded.counters.len(),
        windows: Vec::new(),
        faults: Vec::new(),
    };
    let mut fold = Fold {
        compacted: (head.compacted_revision, head.compacted_chain),
        before: None,
        requests: Requests::at(now.max(head.committed_at)),
        last: HashMap::new(),
    };
    let mut after = 0;
    while after < head.revision {
        let txns = store.read_log(after, REVISIONS).await?;
        let Some(last) = txns.last().map(|txn| txn.revision) else { break };
        after = last;
        for txn in txns.iter().take_while(|txn| txn.revision <= head.revision) {
            if found.first_revision == 0 {
                found.first_revision = txn.revision;
            }
            found.revisions += 1;
            fold.take(txn, &mut found);
            if txn.revision == head.compacted_revision && txn.chain != head.compacted_chain {
                found.fault(format!("revision {}: the head remembers another chain of it", txn.revision));
            }
        }
    }
    if fold.end() != (head.revision, head.chain) {
        found.fault(format!("the log does not lead to the head, which is at revision {}", head.revision));
    }
    if fold.before.as_ref().is_some_and(|last| last.committed_at != head.committed_at) {
        found.fault(format!("revision {}: the head remembers another time of its commit", head.revision));
    }
    if let Some(revision) = store.unrecorded_change().await? {
        found.fault(format!("revision {revision}: there are changes of it, but it is not recorded"));
    }
    fold.requests.check(store, &mut found).await?;
    // What the log can tell: all that was changed since.
    let oldest = if found.first_revision == 0 { head.revision + 1 } else { found.first_revision };

    // Access tokens of an earlier version enter the log when the first server of this one starts.
    let are_adopted = loaded.resources.iter().any(|any| any.kind() == Kind::Token && any.revision() > 0);
    let waits = |any: &AnyResource| any.kind() == Kind::Token && any.revision() == 0 && !are_adopted;
    for any in &loaded.resources {
        let key = any.key();
        let body = wire::render_any(any, Form::Log).encode_to_vec();
        match fold.last.remove(&key) {
            Some((revision, None)) => {
                found.fault(format!("{key} is in the tables, but was deleted at revision {revision}"));
            }
            Some((revision, Some(hash))) if hash != blake3::hash(&body) => {
                found.fault(format!("{key} is not in the tables as revision {revision}, its last change, left it"));
            }
            Some(_) => {}
            // Its last change is older than the log; had it none at all, its revision would be younger.
            None if (1..oldest).contains(&any.revision()) || waits(any) => {}
            None => found.fault(format!("{key} is in the tables, but the log knows nothing of it")),
        }
        found.resources.insert(key, Rendered::of(any));
    }
    for (key, (revision, after)) in fold.last {
        if after.is_some() {
            found.fault(format!("{key} is not in the tables, but was last written at revision {revision}"));
        }
    }

    let mut config = Config::default();
    for any in &loaded.resources {
        config.put(any);
    }
    let limits = usage::limits(&loaded.resources, &config);
    usage::check(&recorded, &limits, now, &mut found);
    credit::check(&recorded, &mut found);
    spend::check(store, &mut found).await?;
    found.windows.extend(limits.values().map(|(limit, _)| limit.counter(now)));
    Ok(found)
}

/// The log, read so far.
struct Fold {
    /// The compacted revision and its chain, which the head remembers: the log may begin after it.
    compacted: (i64, Chain),
    /// The revision before; `None` before the first.
    before: Option<RevisionRecord>,
    requests: Requests,
    /// For each resource its last change, and a hash of what that left; `None` for nothing.
    last: HashMap<ResourceKey, (i64, Option<blake3::Hash>)>,
}

impl Fold {
    /// Where the log led.
    fn end(&self) -> (i64, Chain) {
        self.before.as_ref().map_or(self.compacted, |last| (last.revision, last.chain))
    }

    fn take(&mut self, txn: &RevisionRecord, found: &mut Verification) {
        let revision = txn.revision;
        // What came before the first revision that is left is not known, unless the head remembers it.
        let (before, chain) = self.end();
        if before == revision - 1 && txn.chain_after(chain) != txn.chain {
            found.fault(format!(
                "revision {revision}: its record and changes do not give the chain that was recorded; it was altered \
                 afterwards"
            ));
        }
        if self.before.as_ref().is_some_and(|before| before.chain_version > txn.chain_version) {
            found.fault(format!("revision {revision}: its chain is of an earlier version than that of the one before"));
        }
        found.changes_only += u64::from(txn.chain_version == ChainVersion::Changes);
        self.requests.take(txn);
        self.before = Some(RevisionRecord { rows: Vec::new(), ..txn.clone() });
        for row in &txn.rows {
            let key = ResourceKey { kind: row.kind, id: row.id.clone() };
            let hash = |body: &Option<LogBody>| body.as_ref().map(|body| blake3::hash(&body.bytes()));
            let fits = match row.op {
                Op::Create => row.before.is_none() && row.after.is_some(),
                Op::Update => row.before.is_some() && row.after.is_some(),
                Op::Delete => row.before.is_some() && row.after.is_none(),
            };
            let earlier = self.last.insert(key.clone(), (revision, hash(&row.after)));
            if !fits || earlier.is_some_and(|(_, after)| after != hash(&row.before)) {
                found.fault(format!("revision {revision}: {key} does not begin with what was there before"));
            }
        }
    }
}
