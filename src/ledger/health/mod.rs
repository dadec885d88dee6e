//! How the ledger stands to the database, as one value: what memory is worth, and whether the database can be used. Health,
//! streams and refusals are derived from it, so that no success of one kind can hide a failure of another.

mod finding;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use finding::Finding;
pub use finding::proven;

use crate::seeded::{self, Bug};
use crate::store::{Store, StoreError};

/// How long reading the log may fail for want of something (memory, threads, open files, a free connection) before the
/// replica says that it is not current: others may be writing meanwhile. One reading that got no connection is enough.
const LASTS: Duration = Store::FREE;

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
    /// Each reading of the database for some time found the same contradiction.
    #[error(
        "the database is corrupt: each reading for 5 seconds found the same: {0}; keep a copy of it, run `tollgate verify`, \
         and restore a backup"
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
    /// Writes, usage batches and registrations that callers were refused.
    refused: usize,
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
        let due = self.reading();
        if due == Some(by) || (by == Reading::Tables && due.is_some()) {
            if let Memory::Behind { since, .. } = self.memory {
                let duration_ms = since.elapsed().as_millis() as u64;
                tracing::info!(duration_ms, "this replica is current again");
            }
            self.memory = Memory::Current;
        }
        self.publish();
    }

    /// Memory cannot be brought to where the database stands, by this reading, which began at `began`. Returns what that
    /// means to callers.
    pub(super) fn unread(&mut self, reading: Reading, began: Instant, error: StoreError) -> StoreError {
        match &error {
            // The head was read, after all.
            StoreError::Corrupt { .. } if seeded::is(Bug::SuccessHidesFailure) => self.current(reading),
            StoreError::Corrupt { .. } => self.found(reading, &error.to_string()),
            StoreError::Away { .. } => {
                self.found_otherwise();
                self.unread_since = None;
                self.lost(&error);
            }
            _ => {
                self.found_otherwise();
                let since = *self.unread_since.get_or_insert(began);
                if since.elapsed() >= LASTS && self.is_current() {
                    self.fall_behind(reading, &error);
                }
            }
        }
        self.publish();
        match error {
            StoreError::Corrupt { .. } => StoreError::NotCurrent,
            error => error,
        }
    }

    /// Whether memory is worth being served.
    fn is_current(&self) -> bool {
        matches!(self.memory, Memory::Current | Memory::MustReload)
    }

    /// A reading found a contradiction.
    fn found(&mut self, reading: Reading, what: &str) {
        if self.is_current() {
            let detail = what.to_owned();
            self.fall_behind(reading, &StoreError::Unavailable { what: "one reading found it corrupt", detail });
        }
        if let Memory::Behind { finding, .. } = &mut self.memory
            && Finding::note(finding, what)
            && !seeded::is(Bug::NeverProven)
        {
            tracing::error!(
                error = %what,
                "the database is corrupt: each reading for 5 seconds found the same; this process ends"
            );
            self.memory = Memory::Corrupt(what.to_owned());
        }
    }

    /// A reading came to nothing for another reason than a contradiction.
    fn found_otherwise(&mut self) {
        if let Memory::Behind { finding, .. } = &mut self.memory {
            *finding = None;
        }
    }

    fn fall_behind(&mut self, reading: Reading, error: &StoreError) {
        tracing::warn!(
            error = %error.report(),
            "this replica cannot follow the database: it serves nothing until it can, and goes on trying"
        );
        self.memory = Memory::Behind { reading, since: Instant::now(), finding: None };
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

    /// A write, or an attempt at one, did not get through. What it tells of the database is logged once, until a write gets
    /// through.
    pub(super) fn not_written(&mut self, error: &StoreError) {
        match error {
            StoreError::Away { .. }
            | StoreError::Short { .. }
            | StoreError::Unavailable { .. }
            | StoreError::Unknown { .. } => self.lost(error),
            StoreError::Url(_)
            | StoreError::TimeZone(_)
            | StoreError::Overflow
            | StoreError::Open { .. }
            | StoreError::InUse { .. }
            | StoreError::Newer { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Refused { .. }
            | StoreError::NotCurrent
            | StoreError::Fenced => {}
        }
        self.publish();
    }

    /// It is known now what became of a commit: whether it was found.
    pub(super) fn resolved(&mut self, found: bool) {
        match found {
            true => self.wrote(),
            false => self.reached(),
        }
    }

    /// So many callers were told that what they asked for was not done, or may not have been.
    pub(super) fn refused(&mut self, callers: usize) {
        if let Some(outage) = &mut self.outage {
            outage.refused += callers;
        }
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
