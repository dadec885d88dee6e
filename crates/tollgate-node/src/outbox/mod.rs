//! Usage that the control plane has not counted yet, durably. Each change is a record that is written before it takes effect; a
//! settlement is on the disk before it is answered. Without a directory the outbox is in memory alone.

mod disk;
pub(crate) mod record;
pub(crate) mod spending;
pub(crate) mod state;
mod sync;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tollgate_core::counters::CounterKey;

pub use disk::DirectoryError;
use disk::Disk;
pub(crate) use disk::private;
use record::{Record, frame};
use state::State;
use sync::{Synced, Syncer};

/// A file this long is replaced, if most of it is of what is over.
const LONG: u64 = 8 << 20;

/// For so long after a write failed, the disk counts as full.
const RECENTLY: Duration = Duration::from_secs(5);

/// Why a change was not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OutboxError {
    /// It cannot be written.
    #[error("the node's outbox cannot be written: {0}; make room on its disk, and try again")]
    Disk(String),
    /// It holds as much as it may.
    #[error(
        "the node's outbox is full: {bytes} bytes wait to be counted; see whether the control plane can be reached"
    )]
    Full {
        /// How much waits.
        bytes: u64,
    },
    /// The node was shut down.
    #[error("the node has stopped")]
    Closed,
}

/// The state, and its file.
pub(crate) struct Outbox {
    state: State,
    file: Option<(Disk, Syncer)>,
    /// Bytes written since the start.
    written: u64,
    /// How often bringing them to the disk had failed when that was last looked at.
    failures: u64,
    /// How long the file was when it was begun.
    begun: u64,
    max_bytes: u64,
    /// Whether nothing more is taken.
    is_closed: bool,
    /// When the disk took nothing last, and why.
    failed: Option<(Instant, String)>,
}

/// When something is on the disk.
pub(crate) struct Durable {
    to: u64,
    failures: u64,
    synced: Option<watch::Receiver<Synced>>,
}

impl Durable {
    /// Waits until it is.
    pub(crate) async fn reached(self) -> Result<(), OutboxError> {
        let Self { to, failures, synced } = self;
        let Some(mut synced) = synced else { return Ok(()) };
        match synced.wait_for(|synced| synced.to >= to || synced.failures > failures).await {
            Ok(synced) if synced.to >= to => Ok(()),
            Ok(synced) => Err(OutboxError::Disk(synced.why.clone())),
            Err(_) => Err(OutboxError::Closed),
        }
    }
}

impl Outbox {
    /// The outbox in a directory, or one in memory. Whether a write was cut when it was used last.
    pub(crate) fn open(directory: Option<&Path>, max_bytes: u64) -> Result<(Self, bool), DirectoryError> {
        let state = State::default();
        let mut outbox =
            Self { state, file: None, written: 0, failures: 0, begun: 0, max_bytes, is_closed: false, failed: None };
        let Some(directory) = directory else { return Ok((outbox, false)) };
        let (disk, records, is_cut) = Disk::open(directory)?;
        let unusable = |error: io::Error| DirectoryError::Unusable {
            directory: directory.display().to_string(),
            why: error.to_string(),
        };
        let syncer = Syncer::start().map_err(unusable)?;
        records.into_iter().for_each(|record| outbox.state.apply(record));
        outbox.file = Some((disk, syncer));
        Ok((outbox, is_cut))
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Forgets what is counted, for good and in what is told.
    pub(crate) fn forget(&mut self, counted: &std::collections::HashMap<i64, i64>) {
        let is_less = self.state.forget(counted);
        if is_less && matches!(self.is_full(), Some(OutboxError::Full { .. })) {
            // Nothing else is written while it is full. Where this fails, the next one tries again.
            self.begun = 0;
            let _ = self.write(Vec::new());
        }
    }

    /// Forgets usage by credit that nobody needs to know any more. A restart may know of it again, and forgets it then.
    pub(crate) fn retain_spending(&mut self, is_known: impl Fn(&CounterKey) -> bool) {
        self.state.retain_spending(is_known);
    }

    /// Takes nothing more, and lets another node have the directory.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.file = None;
    }

    /// Whether nothing more may be admitted.
    pub(crate) fn is_full(&self) -> Option<OutboxError> {
        if self.is_closed {
            return Some(OutboxError::Closed);
        }
        let (disk, _) = self.file.as_ref()?;
        (disk.length() >= self.max_bytes).then_some(OutboxError::Full { bytes: disk.length() })
    }

    /// Why the disk took nothing a moment ago.
    pub(crate) fn failure(&self) -> Option<OutboxError> {
        let (at, why) = self.failed.as_ref()?;
        (at.elapsed() < RECENTLY).then(|| OutboxError::Disk(why.clone()))
    }

    /// Writes records and makes them take effect: all or none.
    pub(crate) fn write(&mut self, records: Vec<Record>) -> Result<(), OutboxError> {
        let written = self.try_write(records);
        if let Err(OutboxError::Disk(why)) = &written {
            self.failed = Some((Instant::now(), why.clone()));
        }
        written
    }

    fn try_write(&mut self, records: Vec<Record>) -> Result<(), OutboxError> {
        if self.is_closed {
            return Err(OutboxError::Closed);
        }
        let mut bytes = Vec::new();
        records.iter().for_each(|record| frame(record, &mut bytes));
        let Some((disk, syncer)) = &mut self.file else {
            records.into_iter().for_each(|record| self.state.apply(record));
            return Ok(());
        };
        let failures = syncer.synced().borrow().failures;
        if std::mem::replace(&mut self.failures, failures) < failures {
            // What the disk did not take may be lost from its cache.
            disk.spoil();
        }
        let is_long = disk.length() > LONG.min(self.max_bytes / 2) && disk.length() > self.begun.saturating_mul(2);
        let to = self.written + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if is_long || disk.is_spoilt() {
            let mut whole = Vec::new();
            self.state.to_records().iter().for_each(|record| frame(record, &mut whole));
            whole.extend(&bytes);
            disk.replace(&whole).map_err(|error| OutboxError::Disk(error.to_string()))?;
            self.begun = disk.length();
            syncer.reached(to);
        } else {
            disk.append(&bytes).map_err(|error| OutboxError::Disk(error.to_string()))?;
        }
        self.written = to;
        records.into_iter().for_each(|record| self.state.apply(record));
        Ok(())
    }

    /// Makes a record take effect that could not be written.
    pub(crate) fn hold(&mut self, record: Record) {
        self.state.apply(record);
    }

    /// When all that was written until now is on the disk. It is on its way from here on.
    pub(crate) fn durable(&self) -> Durable {
        if self.is_closed {
            // Nobody says any more that it is.
            let (_, synced) = watch::channel(Synced::default());
            return Durable { to: u64::MAX, failures: 0, synced: Some(synced) };
        }
        let Some((disk, syncer)) = &self.file else { return Durable { to: 0, failures: 0, synced: None } };
        let synced = syncer.synced();
        let failures = synced.borrow().failures;
        syncer.want(disk.file(), self.written);
        Durable { to: self.written, failures, synced: Some(synced) }
    }
}
