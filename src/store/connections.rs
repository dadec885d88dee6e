//! The connections for one purpose, and how they are replaced when they are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use sea_orm::{DatabaseConnection, DbBackend};

use super::Store;

/// How often the connections are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long none may be had before those that are there are taken to be lost: longer than one takes to be given back.
const LOST: Duration = Duration::from_secs(5);
/// How long closing may take, on PostgreSQL: connections that are lost are never given back.
const CLOSE: Duration = Duration::from_secs(2);

/// The connections for one purpose.
pub(super) struct Connections {
    name: &'static str,
    pool: ArcSwap<Pooled>,
    /// Makes others.
    again: Option<Box<dyn Fn() -> Pooled + Send + Sync>>,
}

/// A pool, and what of it is in use.
pub(super) struct Pooled {
    pub(super) connection: DatabaseConnection,
    pub(super) uses: Arc<Uses>,
}

/// How connections of a pool are used.
#[derive(Default)]
pub(super) struct Uses {
    /// How many are.
    now: AtomicU32,
    /// How often one was.
    ever: AtomicU64,
}

impl Uses {
    /// A connection is handed out.
    pub(super) fn begin(&self) {
        self.now.fetch_add(1, Ordering::Relaxed);
        self.ever.fetch_add(1, Ordering::Relaxed);
    }

    /// It is given back.
    pub(super) fn end(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// That none could be had.
struct Stuck {
    since: Instant,
    /// How often one could until then.
    ever: u64,
}

/// How busy the connections for one purpose are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    /// The purpose.
    pub name: &'static str,
    /// Connections that wait for work.
    pub idle: u32,
    /// Connections that are at work.
    pub busy: u32,
    /// The most that there may be.
    pub max: u32,
}

impl Connections {
    /// Connections that are never lost.
    pub(super) fn kept(name: &'static str, connection: DatabaseConnection) -> Self {
        let pool = ArcSwap::from_pointee(Pooled { connection, uses: Arc::default() });
        Self { name, pool, again: None }
    }

    /// Connections that `make` makes, when they are needed, and others instead when they are lost.
    pub(super) fn replaceable(name: &'static str, make: impl Fn() -> Pooled + Send + Sync + 'static) -> Self {
        Self { name, pool: ArcSwap::from_pointee(make()), again: Some(Box::new(make)) }
    }

    /// The connections as they are now: not to be held longer than for one use.
    pub(super) fn get(&self) -> DatabaseConnection {
        self.pool.load().connection.clone()
    }

    /// The engine.
    pub(super) fn backend(&self) -> DbBackend {
        self.pool.load().connection.get_database_backend()
    }

    /// Closes them, but for those that are lost.
    pub(super) async fn close(&self) {
        let closing = self.get().close();
        if self.again.is_some() {
            drop(tokio::time::timeout(CLOSE, closing).await);
        } else {
            drop(closing.await);
        }
    }

    fn pool(&self) -> Pool {
        let (size, idle, max) = size(&self.pool.load().connection);
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(size);
        Pool { name: self.name, idle, busy: size - idle, max }
    }

    /// Replaces the pool if most of its places have been taken for some time by connections that nobody uses, while none
    /// could be had, and if others can be had: where the database is away, places are taken by connections to be.
    ///
    /// The driver asks each connection that is given back whether it still is one, and waits for the answer for ever: if the
    /// network goes silent at that moment, its place is lost until the system gives the connection up, after a quarter of
    /// an hour or so.
    async fn replace_if_lost(&self, stuck: &mut Option<Stuck>) {
        let Some(again) = &self.again else { return };
        let pooled = self.pool.load_full();
        let Pool { busy, max, .. } = self.pool();
        let lost = busy.saturating_sub(pooled.uses.now.load(Ordering::Relaxed));
        let ever = pooled.uses.ever.load(Ordering::Relaxed);
        if lost.saturating_mul(2) <= max {
            *stuck = None;
            return;
        }
        let since = match stuck {
            Some(then) if then.ever == ever => then.since,
            _ => stuck.insert(Stuck { since: Instant::now(), ever }).since,
        };
        if since.elapsed() < LOST {
            return;
        }
        let others = again();
        if others.connection.get_postgres_connection_pool().acquire().await.is_ok() {
            self.pool.store(Arc::new(others));
            tracing::info!(pool = self.name, lost, "connections to the database are lost: others are made instead");
            drop(tokio::time::timeout(CLOSE, pooled.connection.clone().close()).await);
        }
        *stuck = None;
    }
}

fn size(connection: &DatabaseConnection) -> (u32, usize, u32) {
    match connection.get_database_backend() {
        DbBackend::Sqlite => {
            let pool = connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        DbBackend::Postgres => {
            let pool = connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        // Not among the engines of this build.
        _ => (0, 0, 0),
    }
}

impl Store {
    /// The state of the connections.
    pub fn pools(&self) -> [Pool; 2] {
        [self.writer.pool(), self.readers.pool()]
    }

    /// Replaces connections that are lost, until it is dropped.
    pub async fn keep_connected(self: Arc<Self>) {
        let look = async |connections: &Connections| {
            let mut stuck = None;
            loop {
                tokio::time::sleep(LOOK).await;
                connections.replace_if_lost(&mut stuck).await;
            }
        };
        tokio::join!(look(&self.writer), look(&self.readers));
    }
}
