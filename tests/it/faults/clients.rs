//! Those who write, watch and report: at any replica, as long as it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tollgate::reducer::Progress;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::HEARTBEAT;
use super::history::{Outcome, Seen, WriteRecord};
use crate::crash::{Known, Write, send};
use crate::usage::reporter::{self, Reporter};
use crate::watch::rig::{Node, endpoint};

/// What all clients know.
pub(crate) struct Clients {
    /// Where the replicas are.
    pub(crate) gates: Vec<SocketAddr>,
    pub(crate) started: Instant,
    /// The highest revision that a write was answered with.
    pub(crate) answered: AtomicI64,
    /// How many writes were answered.
    pub(crate) writes: AtomicU64,
    /// Answers that were asked for and did not come.
    pub(crate) unanswered: AtomicU64,
    /// How often a watcher stopped reading.
    pub(crate) stopped_reading: AtomicU64,
    /// Nothing more is to be written and reported.
    pub(crate) done: watch::Sender<bool>,
    /// Nothing more is to be watched from this revision on.
    pub(crate) end: watch::Sender<Option<i64>>,
}

/// Who waited so long for a message had read all that came before.
const WAITED: Duration = Duration::from_millis(20);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(50);

fn connection(to: SocketAddr) -> Channel {
    endpoint(to).connect_timeout(Duration::from_secs(1)).connect_lazy()
}

/// Whether a call that failed so may have been done, or be done another time: the server is not able to, or is gone.
fn is_unanswered(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::ResourceExhausted => true,
        // What the transport says of a connection that broke. The server says who it is.
        Code::Unknown | Code::Internal => status.get_details_error_info().is_none(),
        _ => false,
    }
}

impl Clients {
    /// Clients of a store that is at `revision` or later.
    pub(crate) fn new(gates: Vec<SocketAddr>, revision: i64) -> Self {
        Self {
            gates,
            started: Instant::now(),
            answered: AtomicI64::new(revision),
            writes: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            stopped_reading: AtomicU64::new(0),
            done: watch::Sender::new(false),
            end: watch::Sender::new(None),
        }
    }

    fn any(&self, rng: &mut StdRng) -> Channel {
        connection(self.gates[rng.random_range(0..self.gates.len())])
    }

    /// Sends a write, with its request id and to any of these connections, until it is answered or given up.
    async fn persist(
        &self,
        write: Write,
        rng: &mut StdRng,
        gives_up: f64,
        mut next: impl FnMut(&mut StdRng) -> Channel,
    ) -> WriteRecord {
        let request_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string();
        let began = self.started.elapsed();
        let outcome = loop {
            let patience = Duration::from_millis(rng.random_range(300..6_000));
            match timeout(patience, send(next(rng), write.clone(), request_id.clone())).await {
                Ok(Ok((id, revision))) => {
                    self.answered.fetch_max(revision, Ordering::SeqCst);
                    self.writes.fetch_add(1, Ordering::SeqCst);
                    break Outcome::Acknowledged { id, revision };
                }
                Ok(Err(status)) if !is_unanswered(&status) => break Outcome::Refused(format!("{status:?}")),
                Ok(Err(_)) | Err(_) => {}
            }
            self.unanswered.fetch_add(1, Ordering::SeqCst);
            if rng.random_bool(gives_up) {
                break Outcome::Unknown;
            }
            sleep(AGAIN).await;
        };
        WriteRecord { write, request_id, began, ended: self.started.elapsed(), outcome }
    }

    /// Writes until nothing more is to be written.
    pub(crate) async fn write(self: Arc<Self>, lane: u64, mut rng: StdRng) -> Vec<WriteRecord> {
        let (mut known, mut records) = (Known::default(), Vec::new());
        let mut here = self.any(&mut rng);
        for count in 0.. {
            if *self.done.borrow() {
                break;
            }
            let write = known.propose(lane, count, &mut rng);
            let mut first = Some(here.clone());
            let next = |rng: &mut StdRng| {
                // The connection that was good, then any other.
                first.take().unwrap_or_else(|| {
                    here = self.any(rng);
                    here.clone()
                })
            };
            let record = self.persist(write.clone(), &mut rng, 0.1, next).await;
            match (&record.outcome, write) {
                (Outcome::Acknowledged { id, revision }, write) => known.answered(write, id.clone(), *revision),
                // Nobody knows what is there now.
                (_, Write::Update(id, _) | Write::Delete(id)) => drop(known.teams.remove(&id)),
                (_, Write::Create(_)) => {}
            }
            records.push(record);
            sleep(Duration::from_millis(rng.random_range(2..15))).await;
        }
        records
    }

    /// One write at one replica, which must do it in the end.
    pub(crate) async fn write_at(&self, gate: SocketAddr, name: String, mut rng: StdRng) -> WriteRecord {
        self.persist(Write::Create(name), &mut rng, 0.0, |_| connection(gate)).await
    }

    /// Watches until the end. What it was brought to is written to `seen`.
    pub(crate) async fn watch(self: Arc<Self>, mut node: Node, mut rng: StdRng) -> (Vec<Seen>, Node) {
        let mut seen = Vec::new();
        while !self.session(&mut node, &mut seen, &mut rng).await {
            node.close();
            sleep(AGAIN).await;
        }
        (seen, node)
    }

    /// One stream. Whether it was the last.
    async fn session(&self, node: &mut Node, seen: &mut Vec<Seen>, rng: &mut StdRng) -> bool {
        let gate = self.gates[rng.random_range(0..self.gates.len())];
        let mut to = endpoint(gate).connect_timeout(Duration::from_secs(1));
        let trickles = rng.random_bool(0.3);
        if trickles {
            to = to.initial_stream_window_size(512).initial_connection_window_size(512);
        }
        let resumes = !node.reducer.resume_token().is_empty();
        let at_least = if rng.random_bool(0.3) { self.answered.load(Ordering::SeqCst) } else { 0 };
        let mut request = node.resume();
        request.min_revision = request.min_revision.max(at_least);
        let begun = timeout(Duration::from_secs(6), node.send(to.connect_lazy(), request)).await;
        let (mode, reason, head) = match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(status)) => {
                assert!(is_unanswered(&status), "a stream was refused: {status:?}");
                return false;
            }
            Err(_) => return false,
        };
        seen.push(Seen::Begun { resumes, at_least, mode, reason, head });
        let mut left = rng.random_range(1..60_u32);
        // Since when the watcher is behind of what has come in, because it did not read.
        let mut behind_since = None;
        loop {
            let end = *self.end.borrow();
            if left == 0 && end.is_none() {
                return false;
            }
            left = left.saturating_sub(1);
            if rng.random_bool(0.02) && end.is_none() {
                self.stopped_reading.fetch_add(1, Ordering::SeqCst);
                behind_since.get_or_insert(self.started.elapsed());
                sleep(Duration::from_millis(rng.random_range(500..4_000))).await;
            }
            // Three heartbeats, and some time for a machine that is busy.
            let asked = self.started.elapsed();
            let progress = match timeout(3 * HEARTBEAT + Duration::from_secs(2), node.step()).await {
                Ok(Ok(Some(progress))) => progress,
                Ok(Ok(None)) | Err(_) => return false,
                Ok(Err(status)) => {
                    assert!(is_unanswered(&status), "a stream broke off: {status:?}");
                    return false;
                }
            };
            let came = self.started.elapsed();
            if came - asked > WAITED {
                behind_since = None;
            }
            // Where bytes trickle, a bookmark is on its way for as long as all that was before it.
            if let Progress::Bookmarked { revision, age: Some(age), .. } = progress
                && !trickles
            {
                seen.push(Seen::Bookmark { at: behind_since.unwrap_or(came), age, revision });
            }
            let applied = matches!(progress, Progress::Applied(_));
            if applied || matches!(progress, Progress::Bookmarked { .. }) {
                seen.push(Seen::Copy(node.reducer.state()));
            }
            if applied && rng.random_bool(0.1) && end.is_none() {
                // Before the bookmark, so that it shows more than its token says.
                return false;
            }
            if let Progress::Bookmarked { revision, verified: true, .. } = progress
                && end.is_some_and(|end| revision >= end)
            {
                return true;
            }
        }
    }

    /// Reports until nothing more is to be reported and all of it is acknowledged.
    pub(crate) async fn report(
        self: Arc<Self>,
        mut node: Reporter,
        mut rng: StdRng,
        progress: watch::Sender<reporter::Progress>,
    ) -> Reporter {
        let mut done = self.done.subscribe();
        loop {
            let patience = Duration::from_millis(rng.random_range(500..5_000));
            let here = self.any(&mut rng);
            if let Ok(true) = timeout(patience, node.session(here, &mut done, &progress)).await {
                break;
            }
            sleep(AGAIN).await;
        }
        node
    }
}
