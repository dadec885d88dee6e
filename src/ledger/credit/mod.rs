//! Credit of hard limits, in the ledger's task: what was counted must not change while it is granted.
//!
//! A group of reports is decided on a copy of the book, together with the batches of usage that wait. Its rows are written in
//! one transaction, and only then the copy becomes the book and directives are sent. Where several servers share the
//! database, the transaction has the lock of all writers, so that nothing is granted from memory that is behind.

mod decide;
mod metrics;
mod session;

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub(super) use decide::Decided;
pub(super) use metrics::CreditMetrics;
use session::Sessions;
pub use session::{Directives, Outbox, outbox};

use super::{Ledger, shutting_down};
use crate::counters::owned_limits;
use crate::credit::{Book, Change, Desk, Directive, Hello, Report};
use crate::domain::{AnyResource, Error, LimitId, LimitKind};
use crate::settings::{CreditSettings, LostCredit};
use crate::state::{Mark, State};
use crate::store::{CreditGroup, StoreError};

/// Between two looks for credit that expired and windows that are over.
const INTERVAL: Duration = Duration::from_secs(5);

/// What the ledger's task is asked about credit.
pub(super) enum CreditRequest {
    /// To begin a session.
    Hello {
        /// Who says it; empty where callers are not told apart.
        caller: Box<str>,
        node_id: Box<str>,
        incarnation: i64,
        hello: Hello,
        outbox: Outbox,
        /// Whether the incarnation is the caller's. What became of the hello, the outbox tells.
        reply: HelloReply,
    },
    /// To take another report of a session.
    Report { incarnation: i64, report: Report, outbox: Outbox },
    /// To close incarnations. The answer is the credit that is freed, by what it counts.
    Close { incarnations: Vec<i64>, reply: oneshot::Sender<Result<Freed, Error>> },
}

/// Where it goes whether an incarnation is the caller's.
type HelloReply = oneshot::Sender<Result<(), Error>>;

/// Credit that was freed.
pub type Freed = HashMap<LimitKind, i64>;

impl CreditRequest {
    /// The incarnation of a hello, which another server may have registered.
    pub(super) fn says_hello(&self) -> Option<i64> {
        match self {
            Self::Hello { incarnation, .. } => Some(*incarnation),
            Self::Report { .. } | Self::Close { .. } => None,
        }
    }

    /// Answers that it cannot be taken now. A node whose report is lost has to say hello anew.
    pub(super) fn refuse(self, error: &StoreError) {
        // A caller that is gone has nothing to hear.
        match self {
            Self::Hello { reply, .. } => drop(reply.send(Err(error.to_domain()))),
            Self::Report { outbox, .. } => outbox.end(),
            Self::Close { reply, .. } => drop(reply.send(Err(error.to_domain()))),
        }
    }
}

impl Ledger {
    /// Begins the session of an incarnation of a node, on whose behalf `caller` speaks. It is begun when this returns; the answer
    /// to the hello comes by the outbox.
    ///
    /// # Errors
    /// `NodeNotRegistered` if the caller did not register the incarnation; `Unavailable` if it cannot be written now.
    pub async fn begin_session(
        &self,
        caller: Box<str>,
        node_id: Box<str>,
        incarnation: i64,
        hello: Hello,
        outbox: Outbox,
    ) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let request = CreditRequest::Hello { caller, node_id, incarnation, hello, outbox, reply };
        self.queue.credit(request).await?;
        answer.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// Takes a report of a session. The answer, if there is one, comes by the outbox.
    ///
    /// # Errors
    /// `Unavailable` if the server is shutting down.
    pub async fn report_credit(&self, incarnation: i64, report: Report, outbox: Outbox) -> Result<(), Error> {
        self.queue.credit(CreditRequest::Report { incarnation, report, outbox }).await
    }

    /// Closes incarnations that will not come back; the credit that is free then.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written now.
    pub async fn close_incarnations(&self, incarnations: Vec<i64>) -> Result<Freed, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.credit(CreditRequest::Close { incarnations, reply }).await?;
        answer.await.unwrap_or_else(|_| Err(shutting_down()))
    }
}

/// What the ledger's task knows of credit beside the book, which is in the state.
pub(super) struct Crediting {
    desk: Desk,
    sessions: Sessions,
    /// How long after a node was last heard its credit is freed; `None` to hold it.
    lease: Option<Duration>,
    /// The revision up to which the book follows the configuration; `None` if it has to be compared as a whole.
    reviewed: Option<i64>,
    next: Instant,
    metrics: CreditMetrics,
}

impl Crediting {
    pub(super) fn new(settings: CreditSettings, metrics: CreditMetrics) -> Self {
        let CreditSettings { lost_credit, credit_ttl } = settings;
        let lease = match lost_credit {
            LostCredit::Hold => None,
            LostCredit::Release => Some(credit_ttl),
        };
        let (desk, sessions) = Default::default();
        Self { desk, sessions, lease, reviewed: None, next: Instant::now() + INTERVAL, metrics }
    }

    /// When credit is to be looked at though nobody asks.
    pub(super) fn due(&self, state: &State) -> Option<Instant> {
        let has_any = state.credit().pools_after(None).next().is_some();
        has_any.then_some(self.next)
    }

    /// Whether wants wait, which may be met after any change.
    pub(super) fn waits(&self) -> bool {
        !self.desk.is_empty()
    }

    /// Whether the configuration changed for limits with credit.
    pub(super) fn lags(&mut self, state: &State) -> bool {
        let lags = !self.changed_limits(state).is_empty();
        if !lags {
            self.reviewed = Some(state.revision());
        }
        lags
    }

    /// The limits with credit whose configuration is to be looked at.
    fn changed_limits(&self, state: &State) -> Vec<(LimitId, LimitKind)> {
        let book = state.credit();
        let all = || {
            let mut all: Vec<_> = book.pools_after(None).map(|(key, _)| (key.limit_id.clone(), key.kind)).collect();
            all.dedup();
            all
        };
        let Some(reviewed) = self.reviewed.filter(|reviewed| *reviewed <= state.revision()) else { return all() };
        let mut changed = Vec::new();
        for marked in state.changed_since(reviewed) {
            let Mark::Upsert(slot) = &marked.mark else { continue };
            // What belongs to it follows its calendar.
            if matches!(slot.resource, AnyResource::Customer(_) | AnyResource::Team(_)) {
                return all();
            }
            for limit_id in owned_limits(&slot.resource).into_iter().flat_map(|(_, limits)| limits.ids()) {
                let kinds = LimitKind::ALL.into_iter();
                let known = kinds.filter(|kind| book.windows(limit_id, *kind).next().is_some());
                changed.extend(known.map(|kind| (limit_id.clone(), kind)));
            }
        }
        changed
    }

    /// Learns what others did, which `book` has already.
    pub(super) fn learn(&mut self, book: &Book, news: &CreditGroup) {
        for (incarnation, key) in &news.recalls {
            let session = book.node(*incarnation).map_or(0, |node| node.session);
            self.sessions.send(*incarnation, Directive::Recall { session, keys: vec![key.clone()] });
        }
        for change in &news.changes {
            if let Change::Pool(key, _) = change
                && let Some(row) = book.pool(key)
            {
                for incarnation in &row.awaited {
                    let session = book.node(*incarnation).map_or(0, |node| node.session);
                    self.sessions.send(*incarnation, Directive::Stale { session });
                }
            }
        }
        if news.changes.iter().any(|change| matches!(change, Change::Node(..))) {
            self.sessions.compare(book);
        }
    }

    /// Goes on with another book, which was read anew.
    pub(super) fn begin_anew(&mut self, book: &Book) {
        self.reviewed = None;
        self.sessions.compare(book);
    }

    /// What becomes of a group that was written.
    pub(super) fn written(&mut self, decided: Decided) {
        self.metrics.written(&decided);
        let Decided { sends, hellos, closes, .. } = decided;
        for (incarnation, outbox, reply) in hellos {
            self.sessions.begin(incarnation, outbox);
            // A caller that is gone has nothing to hear.
            let _ = reply.send(Ok(()));
        }
        for (outbox, incarnation, directive) in sends {
            match outbox {
                Some(outbox) => outbox.send(directive),
                None => self.sessions.send(incarnation, directive),
            }
        }
        for (reply, freed) in closes {
            let _ = reply.send(Ok(freed));
        }
    }
}
