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
use tokio::time::Instant;

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
    found: watch::Sender<Found>,
    doubt: Notify,
}

/// What attempts to connect have found.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Whether the server was away at the last.
    away: bool,
    /// How many it answered.
    answers: u64,
}

impl Reach {
    /// A database without a server: a file.
    pub(super) fn of_file() -> Self {
        Self(None)
    }

    /// The server that these options lead to.
    pub(super) fn of_server(options: Arc<PgConnectOptions>) -> Self {
        Self(Some(Arc::new(Server { options, found: watch::Sender::default(), doubt: Notify::new() })))
    }

    /// Whether the server is known to be away.
    fn is_away(&self) -> bool {
        self.0.as_ref().is_some_and(|server| server.found.borrow().away)
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
        let mut found = server.found.subscribe();
        let waits_long = async {
            tokio::time::sleep(DOUBT).await;
            server.doubt.notify_one();
            std::future::pending().await
        };
        let gone = async {
            // The sender lives as long as the server does.
            drop(found.wait_for(|found| found.away).await);
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

    /// As [`Reach::unless_away`], for what a server that is there gives at once, such as a connection: where it answers
    /// others, it is waited for only as long as [`Store::FREE`].
    ///
    /// # Errors
    ///
    /// As [`Reach::unless_away`], and [`StoreError::Unavailable`].
    pub(super) async fn if_free<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let Some(server) = &self.0 else { return work.await };
        tokio::select! {
            biased;
            done = self.unless_away(work) => done,
            () = server.answers_others() => {
                Err(StoreError::Unavailable { what: Fault::Pool.text(), detail: String::new() })
            }
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
    /// Resolves when something has waited for [`Store::FREE`], and long enough after somebody else got an answer: whoever
    /// waits for so long has a doubt, so that somebody asks.
    async fn answers_others(&self) {
        let (began, mut found) = (Instant::now(), self.found.subscribe());
        let before = found.borrow().answers;
        // The sender lives as long as the server does.
        drop(found.wait_for(|found| found.answers > before).await);
        tokio::time::sleep_until((began + Store::FREE).max(Instant::now() + DOUBT)).await;
    }

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
    /// How long [`Reader::news`](super::Reader::news) wait for a connection where the server of the database answers others.
    pub const FREE: Duration = Duration::from_millis(750);

    /// Whether the server of the database is known to be away.
    pub fn is_away(&self) -> bool {
        self.reach.is_away()
    }

    /// Finds out whether the server is away whenever there is a doubt, and whether it is back, until it is dropped.
    pub async fn keep_reach(self: Arc<Self>) {
        let Some(server) = &self.reach.0 else { return };
        loop {
            if !server.found.borrow().away {
                server.doubt.notified().await;
            }
            let answers = server.answers().await;
            server.found.send_modify(|found| {
                found.away = !answers;
                found.answers += u64::from(answers);
            });
            tokio::time::sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach() -> (Reach, Arc<Server>) {
        let reach = Reach::of_server(Arc::default());
        let server = Arc::clone(reach.0.as_ref().unwrap());
        (reach, server)
    }

    async fn never() -> Result<(), StoreError> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_free_is_given_up_while_the_server_answers_others() {
        let (reach, server) = reach();
        let answers = async {
            server.doubt.notified().await;
            server.found.send_modify(|found| found.answers += 1);
            std::future::pending::<()>().await;
        };
        let started = Instant::now();
        let waited = tokio::select! {
            waited = reach.if_free(never()) => waited,
            () = answers => unreachable!("it is pending"),
        };
        assert!(matches!(waited, Err(StoreError::Unavailable { .. })), "{waited:?}");
        assert_eq!(started.elapsed().as_millis(), Store::FREE.as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_silent_server_does_not_give_is_waited_for_until_it_is_away() {
        let (reach, server) = reach();
        let found_away = async {
            server.doubt.notified().await;
            tokio::time::sleep(ANSWER).await;
            server.found.send_modify(|found| found.away = true);
        };
        let (waited, ()) = tokio::join!(reach.if_free(never()), found_away);
        assert!(matches!(waited, Err(StoreError::Away { .. })), "{waited:?}");
        assert!(reach.is_away());
    }
}
