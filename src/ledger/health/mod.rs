//! How the ledger stands to the database, as one value: what memory is worth, and whether the database can be used. Health,
//! streams and refusals are derived from it, so that no success of one kind can hide a failure of another.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::seeded::{self, Bug};
use crate::store::StoreError;

/// How long reading the log may fail for want of something (memory, threads, open files, a free connection) before the
/// replica says that it is not current: others may be writing meanwhile.
const LASTS: Duration = Duration::from_millis(750);
/// How long after a finding of corruption a second reading counts.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

/// How far a server can be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// Memory follows the database, and writes get through.
    Ready,
    /// Writes do not get through. Nobody else is known to write either: reads from memory and streams go on.
    ReadOnly,
    /// Others may have written what memory does not have, and cannot be read: nothing is served from it.
    NotCurrent,
    /// The process has to end.
    Over(Over),
}

/// Why a process has to end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Over {
    /// Two readings of the database found the same contradiction.
    #[error(
        "the database is corrupt, by two readings: {0}; keep a copy of it, run `tollgate verify`, and restore a backup"
    )]
    Corrupt(String),
    /// The ledger's task has panicked; the log says where.
    #[error("the task that writes has panicked; start the server again, and report it")]
    Panicked,
}

/// When the database last told where it stands.
#[derive(Clone, Debug)]
pub struct Contact(Option<Arc<LastContact>>);

#[derive(Debug)]
struct LastContact {
    started: Instant,
    /// Microseconds since then.
    at: AtomicU64,
}

impl Contact {
    /// With a database that others may write.
    pub(super) fn shared() -> Self {
        Self(Some(Arc::new(LastContact { started: Instant::now(), at: AtomicU64::new(0) })))
    }

    /// With a database that nobody else writes: memory is always what it holds.
    pub(super) fn exclusive() -> Self {
        Self(None)
    }

    fn made(&self) {
        if let Some(last) = &self.0 {
            let now = u64::try_from(last.started.elapsed().as_micros()).unwrap_or(u64::MAX);
            last.at.store(now, Ordering::Relaxed);
        }
    }

    /// How long ago it was: others may have written since.
    pub fn age(&self) -> Duration {
        let Some(last) = &self.0 else { return Duration::ZERO };
        last.started.elapsed().saturating_sub(Duration::from_micros(last.at.load(Ordering::Relaxed)))
    }
}

/// A reading that brings memory to where the database stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    /// The log, from where memory is.
    Log,
    /// All tables.
    Tables,
}

/// What memory is worth.
#[derive(Debug)]
enum Memory {
    /// It holds what the database held at the last contact.
    Current,
    /// It may differ from the tables, which are to be read before anything is decided.
    MustReload,
    /// It lacks what others wrote, or may.
    Behind { reading: Reading, since: Instant, finding: Option<Finding> },
    /// The database contradicts itself.
    Corrupt(String),
}

/// A contradiction that one reading found.
#[derive(Debug)]
struct Finding {
    what: String,
    at: Instant,
}

/// Whether the database can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    Writable,
    /// It can be reached, but the last attempt to write failed.
    Unwritable,
    /// It cannot be reached: whatever would use it is refused at once.
    Away,
}

/// A time in which nothing could be written.
struct Outage {
    since: Instant,
    /// Commit batches, usage batches and registrations that were refused.
    refused: u64,
}

pub(super) struct Health {
    memory: Memory,
    access: Access,
    outage: Option<Outage>,
    /// Since when the log could not be read, for another reason than that the database is away.
    unread_since: Option<Instant>,
    contact: Contact,
    status: watch::Sender<Status>,
}

impl Health {
    pub(super) fn new(contact: Contact, status: watch::Sender<Status>) -> Self {
        contact.made();
        let (memory, access) = (Memory::Current, Access::Writable);
        Self { memory, access, outage: None, unread_since: None, contact, status }
    }

    /// Whether the database may be used now.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotCurrent`] or [`StoreError::Away`].
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        match (&self.memory, self.access) {
            (Memory::Behind { .. } | Memory::Corrupt(_), _) => Err(StoreError::NotCurrent),
            (_, Access::Away) => Err(StoreError::Away { detail: String::new() }),
            (Memory::Current | Memory::MustReload, Access::Writable | Access::Unwritable) => Ok(()),
        }
    }

    /// Whether an attempt to write is to be made, to find out whether one gets through again.
    pub(super) fn is_to_be_probed(&self) -> bool {
        self.access != Access::Writable && self.usable().is_ok()
    }

    pub(super) fn is_writable(&self) -> bool {
        self.access == Access::Writable && self.usable().is_ok()
    }

    /// What is to be read to be current; `None` once nothing can be read any more.
    pub(super) fn reading(&self) -> Option<Reading> {
        match self.memory {
            Memory::Current => Some(Reading::Log),
            Memory::MustReload => Some(Reading::Tables),
            Memory::Behind { reading, .. } => Some(reading),
            Memory::Corrupt(_) => None,
        }
    }

    /// The database answered.
    pub(super) fn reached(&mut self) {
        if self.access == Access::Away {
            self.access = Access::Unwritable;
        }
        self.publish();
    }

    /// Memory is where the database stands, by this reading.
    pub(super) fn current(&mut self, by: Reading) {
        self.reached();
        self.contact.made();
        self.unread_since = None;
        let was = self.reading();
        if let Memory::Behind { since, .. } = self.memory
            && was == Some(by)
        {
            let duration_ms = since.elapsed().as_millis() as u64;
            tracing::info!(duration_ms, "this replica is current again");
        }
        if was == Some(by) || (by == Reading::Tables && was.is_some()) {
            self.memory = Memory::Current;
        }
        self.publish();
    }

    /// Memory cannot be brought to where the database stands, by this reading. Returns what that means to callers.
    pub(super) fn unread(&mut self, reading: Reading, error: StoreError) -> StoreError {
        let now = Instant::now();
        if seeded::is(Bug::LooksCurrent) {
            self.contact.made();
        }
        match &error {
            StoreError::Corrupt { .. } => self.found(reading, error.to_string(), now),
            StoreError::Away { .. } => self.lost(&error),
            _ => {
                let since = *self.unread_since.get_or_insert(now);
                if since.elapsed() >= LASTS && self.usable().is_ok() {
                    self.fall_behind(reading, None, &error);
                }
            }
        }
        self.publish();
        match error {
            StoreError::Corrupt { .. } => StoreError::NotCurrent,
            error => error,
        }
    }

    fn found(&mut self, reading: Reading, what: String, now: Instant) {
        match &self.memory {
            Memory::Corrupt(_) => {}
            Memory::Behind { finding: Some(finding), .. } if finding.what == what => {
                let goes_on = seeded::is(Bug::NeverProven) || seeded::is(Bug::LooksCurrent);
                if finding.at.elapsed() >= AGAIN && !goes_on {
                    tracing::error!(error = %what, "the database is corrupt, by two readings; this process ends");
                    self.memory = Memory::Corrupt(what);
                }
            }
            _ => {
                let error = StoreError::Unavailable { what: "one reading found it corrupt", detail: what.clone() };
                self.fall_behind(reading, Some(Finding { what, at: now }), &error);
            }
        }
    }

    fn fall_behind(&mut self, reading: Reading, finding: Option<Finding>, error: &StoreError) {
        let since = match self.memory {
            Memory::Behind { since, .. } => since,
            Memory::Current | Memory::MustReload | Memory::Corrupt(_) => Instant::now(),
        };
        tracing::warn!(
            error = %error.report(),
            "this replica cannot follow the database: it serves nothing until it can, and goes on trying"
        );
        self.memory = Memory::Behind { reading, since, finding };
    }

    /// Memory may differ from the tables.
    pub(super) fn must_reload(&mut self) {
        if matches!(self.memory, Memory::Current) {
            self.memory = Memory::MustReload;
        }
    }

    /// A write got through.
    pub(super) fn wrote(&mut self) {
        self.access = Access::Writable;
        if let Some(Outage { since, refused }) = self.outage.take() {
            let duration_ms = since.elapsed().as_millis() as u64;
            tracing::info!(refused, duration_ms, "the database can be written again");
        }
        self.publish();
    }

    /// A write did not get through. What it tells of the database is logged once, until a write gets through.
    pub(super) fn not_written(&mut self, error: &StoreError) {
        match error {
            StoreError::Away { .. }
            | StoreError::Short { .. }
            | StoreError::Unavailable { .. }
            | StoreError::Unknown { .. } => self.lost(error),
            StoreError::Url(_)
            | StoreError::Open { .. }
            | StoreError::InUse { .. }
            | StoreError::Newer { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Refused { .. }
            | StoreError::NotCurrent
            | StoreError::Fenced => {}
        }
        if let Some(outage) = &mut self.outage {
            outage.refused += 1;
        }
        self.publish();
    }

    /// An attempt to write, which nobody asked for, did not get through.
    pub(super) fn unprobed(&mut self, error: &StoreError) {
        self.lost(error);
        self.publish();
    }

    fn lost(&mut self, error: &StoreError) {
        self.access = match error {
            StoreError::Away { .. } => Access::Away,
            _ => Access::Unwritable,
        };
        if self.outage.is_none() {
            tracing::warn!(error = %error.report(), "the database cannot be written; reads and streams go on");
            self.outage = Some(Outage { since: Instant::now(), refused: 0 });
        }
    }

    fn publish(&self) {
        let status = match (&self.memory, self.access) {
            (Memory::Behind { .. }, _) if seeded::is(Bug::LooksCurrent) => Status::Ready,
            (Memory::Corrupt(what), _) => Status::Over(Over::Corrupt(what.clone())),
            (Memory::Behind { .. }, _) => Status::NotCurrent,
            (Memory::Current | Memory::MustReload, Access::Writable) => Status::Ready,
            (Memory::Current | Memory::MustReload, Access::Unwritable | Access::Away) => Status::ReadOnly,
        };
        self.status.send_if_modified(|known| {
            let changed = *known != status;
            *known = status;
            changed
        });
    }
}
