//! The servers of a database: each tells the others of itself, through the database.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Clock, Failing, Status, Turn};
use crate::domain::Timestamp;
use crate::state::State;
use crate::store::{Reader, Replica, Store, StoreError};

/// Between two reports of a server.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a server that is not heard any more is remembered.
const REMEMBERED_MICROS: i64 = 3_600 * 1_000_000;

/// The source of this server's row in the table of servers. Cloning shares it.
#[derive(Clone)]
pub struct Presence {
    id: Arc<str>,
    name: Arc<str>,
    started_at: Timestamp,
    states: watch::Receiver<Arc<State>>,
    status: watch::Receiver<Status>,
    clock: Clock,
}

impl Presence {
    /// Of the server with this name, which starts now.
    pub(super) fn new(
        name: Arc<str>,
        states: watch::Receiver<Arc<State>>,
        status: watch::Receiver<Status>,
        clock: Clock,
    ) -> Self {
        let id = uuid::Uuid::now_v7().to_string().into();
        Self { id, name, started_at: clock.now(), states, status, clock }
    }

    /// The id of this server.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// This server, now.
    fn own(&self) -> Replica {
        Replica {
            id: self.id.as_ref().into(),
            name: self.name.as_ref().into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_at: self.started_at,
            last_seen: self.clock.now(),
            revision: self.states.borrow().revision(),
            is_current: matches!(*self.status.borrow(), Status::Ready | Status::ReadOnly),
        }
    }

    /// All servers of the database, by name, then id: this one as it is now, others as they told last.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn replicas(&self, store: &Reader) -> Result<Vec<Replica>, StoreError> {
        let mut replicas = if store.is_shared() { store.replicas().await? } else { Vec::new() };
        replicas.retain(|replica| *replica.id != *self.id);
        replicas.push(self.own());
        replicas.sort_unstable_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(replicas)
    }

    /// Tells the other servers of this one, until `stop`, and then that it is gone.
    pub(super) async fn run(self, store: Arc<Store>, stop: CancellationToken) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = Failing::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = interval.tick() => {}
            }
            let own = self.own();
            let forgotten = own.last_seen.plus_micros(-REMEMBERED_MICROS);
            match failing.note(store.write_replica(&own, forgotten).await) {
                Some(Turn::Fails(error)) => {
                    tracing::warn!(error = %error.report(), "other servers cannot be told of this one; trying again");
                }
                Some(Turn::Recovers) => tracing::info!("other servers are told of this one again"),
                None => {}
            }
        }
        if let Err(error) = store.remove_replica(&self.id).await {
            // The others see it silent, and forget it.
            tracing::debug!(error = %error.report(), "other servers cannot be told that this one ends");
        }
    }
}
