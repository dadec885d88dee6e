//! One stream: a cursor and nothing else. What a client has not taken is not kept for it: when it asks again, it gets
//! the latest state of whatever changed since its cursor.
//!
//! A snapshot is the same walk from revision 0: resources in the order of their last change, each read from the state
//! of that moment. What changes while it runs moves ahead of the cursor and is met again; what is removed leaves a
//! marker ahead of the cursor. So a snapshot pins no old state, however slow its client is, and at its end the client
//! holds exactly the state of the bookmark.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::currency::Currency;
use super::encode::{self, Detail, Fragments, MAX_FRAGMENT};
use super::hub::Shared;
use super::open::Place;
use super::usage::{Now, UsageCursor};
use super::{Filter, Frame};
use crate::proto::v1;
use crate::proto::v1::watch_config_response::Event;
use crate::seeded::{self, Bug};
use crate::state::{Mark, State};
use crate::wire;

/// How a stream starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// After this revision.
    Resumed(i64),
    /// From nothing, for this reason.
    Snapshot(v1::WatchReason),
}

/// What ends a stream.
pub(super) struct Ends {
    /// The server shuts down.
    pub(super) drain: CancellationToken,
    /// The caller has lost its rights.
    pub(super) lapse: CancellationToken,
    /// The replica cannot follow the database.
    pub(super) lost: CancellationToken,
}

/// What streams are made of: the same for all.
pub(super) struct Source {
    pub(super) states: watch::Receiver<Arc<State>>,
    pub(super) shared: Arc<Shared>,
    pub(super) currency: Currency,
    pub(super) now: Now,
}

impl Source {
    fn heartbeat(&self) -> Detail {
        Detail::heartbeat(self.currency.age(), (self.now)())
    }
}

impl Ends {
    /// Resolves as soon as one of them is there.
    fn over(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let [drain, lapse, lost] = [&self.drain, &self.lapse, &self.lost].map(|end| end.clone().cancelled_owned());
        Box::pin(async move {
            tokio::select! {
                () = drain => {}
                () = lapse => {}
                () = lost => {}
            }
        })
    }
}

/// A stream to one client.
pub struct WatchStream {
    source: Source,
    filter: Filter,
    /// How far the stream has looked.
    cursor: i64,
    /// How far the client was told: behind `cursor` while nothing of its kinds changes.
    told: i64,
    /// Where the store stood when the stream began.
    begun_at: i64,
    /// The revision of the state that was looked at last, and the start of its chain.
    seen: (i64, u64),
    /// Whether the bookmark that ends the snapshot is still to come.
    snapshot: bool,
    ready: VecDeque<Frame>,
    /// What comes after `ready`, if it is too large to be ready as a whole.
    large: Fragments,
    /// Usage, for those who asked for it.
    usage: Option<UsageCursor>,
    usage_ready: VecDeque<Frame>,
    heartbeat: Duration,
    quiet_until: Instant,
    /// Fires at `quiet_until` or before it.
    alarm: Pin<Box<Sleep>>,
    ends: Ends,
    /// Resolves with one of `ends`.
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
    place: Place,
}

impl WatchStream {
    /// A stream that starts so by `state`. The states that follow may be of another history: it ends then.
    pub(super) fn new(
        (state, start): (&State, Start),
        source: Source,
        filter: Filter,
        heartbeat: Duration,
        ends: Ends,
        (permit, place): (OwnedSemaphorePermit, Place),
    ) -> Self {
        let (cursor, snapshot, mode, reason) = match start {
            Start::Resumed(revision) => (revision, false, v1::WatchMode::Resumed, v1::WatchReason::Unspecified),
            Start::Snapshot(reason) => (0, true, v1::WatchMode::Snapshot, reason),
        };
        let head_revision = state.revision();
        let begin = encode::frame(Event::Begin(v1::WatchBegin {
            mode: mode.into(),
            reason: reason.into(),
            head_revision,
            heartbeat_interval: Some(duration(heartbeat)),
            without_hashes: !filter.hashes,
            server_time: Some(wire::timestamp((source.now)())),
        }));
        let mut ready = VecDeque::from([begin]);
        if !snapshot && cursor == head_revision {
            // Tells the client at once that it is up to date, and whether its copy is right.
            ready.push_back(encode::bookmark(state, filter, source.heartbeat()));
        }
        place.reached(cursor);
        Self {
            source,
            filter,
            cursor,
            told: cursor,
            begun_at: head_revision,
            seen: (head_revision, state.head().chain.prefix()),
            snapshot,
            ready,
            large: Fragments::default(),
            usage: None,
            usage_ready: VecDeque::new(),
            heartbeat,
            quiet_until: Instant::now() + heartbeat,
            alarm: Box::pin(tokio::time::sleep(heartbeat)),
            over: ends.over(),
            ends,
            ended: false,
            _permit: permit,
            place,
        }
    }

    /// The same stream with usage, if there is any to follow.
    pub(super) fn with_usage(self, usage: Option<UsageCursor>) -> Self {
        Self { usage, ..self }
    }

    /// The next frame; `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front().or_else(|| self.large.next()) {
                self.quiet_until = Instant::now() + self.heartbeat;
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            // Usage does not put off heartbeats: a client that hears of usage only would never learn its revision.
            if let Some(frame) = self.usage_ready.pop_front() {
                return Some(frame);
            }
            self.place.reached(self.cursor);
            if self.ends.drain.is_cancelled() {
                self.leave("the server is shutting down");
                continue;
            }
            if self.ends.lost.is_cancelled() {
                self.leave("REPLICA_NOT_CURRENT");
                continue;
            }
            if self.ends.lapse.is_cancelled() {
                self.leave("the rights of the caller have changed: its token was revoked or has expired");
                continue;
            }
            // The state is let go before anything is waited for: a slow client pins nothing.
            let behind = {
                let state = Arc::clone(&self.source.states.borrow_and_update());
                if state.chain_prefix(self.seen.0) != Some(self.seen.1) {
                    self.leave("what the stream was at is not in the store's history any more");
                    continue;
                }
                self.seen = (state.revision(), state.head().chain.prefix());
                let behind = self.snapshot || self.cursor < state.revision();
                if behind {
                    self.advance(&state);
                }
                behind
            };
            if behind {
                continue;
            }
            if let Some(usage) = &mut self.usage {
                // Once the client has the configuration: it knows the limits then.
                let Some(frames) = usage.advance() else {
                    self.leave("what limits had used may not be in the store's history any more");
                    continue;
                };
                self.usage_ready.extend(frames);
                if !self.usage_ready.is_empty() && Instant::now() < self.quiet_until {
                    continue;
                }
            }
            // All that is waited for, but for the next state, stays registered from one change to the next: what a thousand
            // streams register and take back with each is what a change costs.
            tokio::select! {
                changed = self.source.states.changed() => if changed.is_err() {
                    self.leave("the server is shutting down");
                },
                () = &mut self.alarm => {
                    if Instant::now() >= self.quiet_until {
                        self.beat();
                        self.quiet_until = Instant::now() + self.heartbeat;
                    }
                    self.alarm.as_mut().reset(self.quiet_until);
                }
                () = usage_changed(&mut self.usage) => {}
                // The stream ends now, and waits no more.
                () = &mut self.over => {}
            }
        }
    }

    fn advance(&mut self, state: &State) {
        if self.snapshot {
            self.advance_snapshot(state);
            return;
        }
        let (from, to) = (self.told, state.revision());
        match self.source.shared.frames(from, self.seen, self.filter.kinds, || delta(state, from, self.filter)) {
            Ok(frames) if frames.is_empty() => {}
            Ok(frames) => {
                self.ready.extend(frames.iter().cloned());
                self.told = to;
            }
            Err(fragments) => {
                self.large = *fragments;
                self.told = to;
            }
        }
        self.cursor = to;
    }

    /// The next part of a snapshot: whole revisions, about a fragment of them; at the end the bookmark.
    fn advance_snapshot(&mut self, state: &State) {
        if self.cursor > 0 && self.cursor < state.head().compacted_revision {
            // Removals that this client must learn of may be forgotten already.
            self.leave("the snapshot took longer than history is kept");
            return;
        }
        let (mut to, mut bytes, mut revisions) = (self.cursor, 0, 0);
        let mut entries = Vec::new();
        for marked in state.changed_since(self.cursor) {
            if marked.revision != to {
                if bytes >= MAX_FRAGMENT / 2 {
                    break;
                }
                to = marked.revision;
                revisions += 1;
            }
            // What was removed before the stream began, it never named.
            let unnamed = matches!(marked.mark, Mark::Remove(_)) && marked.revision <= self.begun_at;
            if self.filter.kinds.has(marked.kind()) && !unnamed {
                let entry = encode::entry(marked, self.filter.hashes);
                bytes += entry.len();
                entries.push(entry);
            }
        }
        let last = state.changed_since(to).next().is_none();
        if last {
            to = state.revision();
        }
        let end = last.then(|| snapshot_bookmark(state, &self.source, self.filter));
        if !entries.is_empty() {
            let head = v1::ConfigBatch {
                from_revision: self.told,
                to_revision: to,
                snapshot: true,
                commit_time: last.then(|| wire::timestamp(state.head().committed_at)),
                revisions,
                ..v1::ConfigBatch::default()
            };
            self.large = Fragments::new(head, entries, end.unwrap_or_default());
            self.told = to;
        } else {
            self.ready.extend(end);
        }
        self.cursor = to;
        if last {
            self.told = to;
            self.snapshot = false;
        }
    }

    fn beat(&mut self) {
        let state = Arc::clone(&self.source.states.borrow_and_update());
        if self.cursor == state.revision() {
            let detail = self.source.heartbeat();
            self.ready.push_back(encode::bookmark(&state, self.filter, detail));
            self.told = self.cursor;
        }
    }

    fn leave(&mut self, reason: &str) {
        let retry_after = Some(duration(Duration::from_millis(500)));
        self.ready.push_back(encode::frame(Event::GoAway(v1::GoAway { reason: reason.to_owned(), retry_after })));
        self.ended = true;
    }
}

/// When there may be usage to tell.
async fn usage_changed(usage: &mut Option<UsageCursor>) {
    match usage {
        Some(usage) => usage.changed().await,
        None => std::future::pending().await,
    }
}

/// What changed after `from`, and the bookmark. Nothing if none of it is of `filter`: the next heartbeat's bookmark will
/// move the client on.
fn delta(state: &State, from: i64, filter: Filter) -> Result<Vec<Frame>, Box<Fragments>> {
    let entries = state.changed_since(from).filter(|marked| filter.kinds.has(marked.kind()));
    let entries: Vec<_> = entries.map(|marked| encode::entry(marked, filter.hashes)).collect();
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let head = v1::ConfigBatch {
        from_revision: from,
        to_revision: state.revision(),
        commit_time: Some(wire::timestamp(state.head().committed_at)),
        revisions: i32::try_from(state.revision() - from).unwrap_or(i32::MAX),
        ..v1::ConfigBatch::default()
    };
    let bookmark = encode::bookmark(state, filter, Detail::Shared);
    if seeded::is(Bug::BookmarkBeforeBatch) {
        let batch = Fragments::new(head, entries, Frame::default());
        return Ok(std::iter::once(bookmark).chain(batch).collect());
    }
    Fragments::new(head, entries, bookmark).at_once()
}

fn snapshot_bookmark(state: &State, source: &Source, filter: Filter) -> Frame {
    let detail = Detail::Own { age: source.currency.age(), now: (source.now)(), snapshot_end: true };
    if seeded::is(Bug::SnapshotRevisionApart) {
        std::thread::sleep(Duration::from_millis(5));
        return encode::bookmark(&source.states.borrow(), filter, detail);
    }
    encode::bookmark(state, filter, detail)
}

pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}
