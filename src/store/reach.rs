//! Whether the database's server can be reached: found out once, for all who use the store.
//!
//! The driver's pool tries for seconds to connect to a server that refuses, and a connection to a silent network is waited
//! for until its time is over. So whoever fails or waits reports a doubt; one task then connects by itself, outside of the
//! pool, and says for all whether the server is away. As long as it is, everything that would use it fails at once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{DbErr, RuntimeErr};
use tokio::sync::{Notify, watch};

use super::Store;
use super::error::{Fault, StoreError};
use super::tx::PATIENCE;

/// How long something may wait for the server before that is a doubt.
const DOUBT: Duration = Duration::from_millis(300);
/// How long the server may take to answer a new connection. With [`DOUBT`], a silence is known within 2 seconds.
const ANSWER: Duration = Duration::from_millis(1_500);
/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(250);

/// The one answer to whether the server can be reached. Clones share it.
#[derive(Clone)]
pub struct Reach(Option<Arc<Server>>);

struct Server {
    options: Arc<PgConnectOptions>,
    away: watch::Sender<bool>,
    doubt: Notify,
}

impl Reach {
    /// A database without a server: a file.
    pub(super) fn of_file() -> Self {
        Self(None)
    }

    /// The server that these options lead to.
    pub(super) fn of_server(options: Arc<PgConnectOptions>) -> Self {
        Self(Some(Arc::new(Server { options, away: watch::Sender::new(false), doubt: Notify::new() })))
    }

    /// Says that the server may be away.
    pub(super) fn doubt(&self) {
        if let Some(server) = &self.0 {
            server.doubt.notify_one();
        }
    }

    /// The result of `work`, unless the server is away or goes away meanwhile.
    ///
    /// # Errors
    ///
    /// Those of `work`, and [`StoreError::Away`].
    pub(super) async fn unless_away<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // Pinned once and lent: each future that owned it would be larger by all of it.
        let mut work = pin!(work);
        let Some(server) = &self.0 else { return work.await };
        let mut away = server.away.subscribe();
        let waits_long = async {
            tokio::time::sleep(DOUBT).await;
            server.doubt.notify_one();
            std::future::pending().await
        };
        let gone = async {
            // The sender lives as long as the server does.
            drop(away.wait_for(|away| *away).await);
        };
        tokio::select! {
            biased;
            () = gone => Err(StoreError::Away { detail: "connecting anew failed too".to_owned() }),
            done = &mut work => done.inspect_err(|error| if matches!(error, StoreError::Away { .. }) {
                server.doubt.notify_one();
            }),
            never = waits_long => never,
        }
    }

    /// As [`Reach::unless_away`], for work that the server has some time for: where a connection is half-open, nothing
    /// else would ever end it.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.in_time_of(PATIENCE, work).await
    }

    /// As [`Reach::in_time`], with `patience`.
    pub(super) async fn in_time_of<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let work = pin!(work);
        if self.0.is_none() {
            return work.await;
        }
        let late = |_| StoreError::Away { detail: "it does not answer".to_owned() };
        self.unless_away(async { tokio::time::timeout(patience, work).await.map_err(late)? }).await
    }
}

impl Server {
    /// Whether the server answers a new connection. One that answers with a refusal is there.
    async fn answers(&self) -> bool {
        let connect = async { self.options.connect().await?.close().await };
        match tokio::time::timeout(ANSWER, connect).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => Fault::of(&DbErr::Conn(RuntimeErr::SqlxError(error.into()))) != Fault::Away,
            Err(_) => false,
        }
    }
}

impl Store {
    /// Finds out whether the server is away whenever there is a doubt, and whether it is back, until it is dropped.
    pub async fn keep_reach(self: Arc<Self>) {
        let Some(server) = &self.reach.0 else { return };
        loop {
            if !*server.away.borrow() {
                server.doubt.notified().await;
            }
            let away = !server.answers().await;
            server.away.send_if_modified(|known| std::mem::replace(known, away) != away);
            tokio::time::sleep(AGAIN).await;
        }
    }
}
