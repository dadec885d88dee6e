//! What the clients of a run saw, in their own words. The checker reads nothing else but the log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tollgate::domain::Timestamp;
use tollgate::proto::v1::{WatchMode, WatchReason};
use tollgate::reducer::View;

use crate::crash::Write;
use crate::log::Log;
use crate::usage::reporter::{Amounts, Reported};

/// All of it.
#[derive(Clone, Default)]
pub(crate) struct History {
    /// The revision up to which the run was prepared; what comes after, the writers wrote.
    pub(crate) prepared: i64,
    /// When the run started; the times of writes are since then.
    pub(crate) started: Option<Timestamp>,
    pub(crate) writes: Vec<WriteRecord>,
    /// What each watcher saw.
    pub(crate) streams: Vec<Vec<Seen>>,
    /// The log that was there before an older backup was put back, of which the streams may still be at the beginning.
    pub(crate) lost: Option<Log>,
    /// What everybody who watched held at last, and who that is.
    pub(crate) last: Vec<(String, Arc<View>)>,
    pub(crate) batches: Vec<Reported>,
    /// The team of each key that usage was reported for.
    pub(crate) keys: BTreeMap<String, String>,
    /// What was counted for keys and teams at last, and who says so.
    pub(crate) counted: Vec<(String, BTreeMap<String, Amounts>)>,
    /// From when to when some replica was stopped: what it was about to send came later.
    pub(crate) stops: Vec<Range<Duration>>,
    /// Whatever else a client found wrong.
    pub(crate) complaints: Vec<String>,
}

/// A write, sent until it was answered or given up. Times are since the start of the run.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WriteRecord {
    pub(crate) write: Write,
    pub(crate) request_id: String,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Outcome {
    /// It was answered.
    Acknowledged { id: String, revision: i64 },
    /// It was given up without an answer.
    Unknown,
    /// It was answered that it cannot be done, though it could.
    Refused(String),
}

impl Seen {
    pub(crate) fn copy(&self) -> Option<&Arc<View>> {
        match self {
            Self::Copy(copy) => Some(copy),
            Self::Begun { .. } | Self::Bookmark { .. } => None,
        }
    }
}

/// What a watcher saw.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Seen {
    /// A stream began.
    Begun {
        /// Whether it had a token.
        resumes: bool,
        /// The revision that it asked for at least.
        at_least: i64,
        mode: WatchMode,
        reason: WatchReason,
        head: i64,
    },
    /// Its copy was brought to where it is now.
    Copy(Arc<View>),
    /// A bookmark that says how long ago its replica had contact with the database.
    Bookmark {
        /// When it came at the latest, since the start of the run; earlier by as long as the watcher did not read.
        at: Duration,
        age: Duration,
        revision: i64,
    },
}
