//! Hints between servers that share a database: a notification after each commit, outside of the transaction. Nothing
//! rests on them; a database without notifications only makes others learn of a commit at their next poll.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgListener, PgPool};
use sea_orm::{ConnectionTrait as _, DbErr, Statement};

use super::connect::Engine;
use super::error::StoreError;
use super::tx::PATIENCE;
use super::{Reader, Store};
use crate::domain::Timestamp;

/// The name of the notifications.
const CHANNEL: &str = "tollgate";
/// How long to wait before listening anew.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to believe that there is nothing to hear: a connection that is half-open says nothing for ever.
const SILENCE: Duration = Duration::from_secs(60);

async fn listener(listeners: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(listeners).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

impl Store {
    /// Tells others soon that something was committed.
    pub fn announce(&self) {
        self.announced.notify_one();
    }

    /// Calls `hint` whenever another server says that it committed something, and says so for this one; until it is
    /// dropped.
    pub async fn listen(self: Arc<Self>, hint: impl Fn() + Send + Sync) {
        let Engine::Postgres(listeners) = &*self.engine else { return };
        let name = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
        let listening = async {
            loop {
                // Why it fails shows elsewhere, if it matters.
                if let Ok(Ok(mut listener)) = tokio::time::timeout(PATIENCE, listener(listeners)).await {
                    // What was missed while nobody listened.
                    hint();
                    while let Ok(Ok(notification)) = tokio::time::timeout(SILENCE, listener.recv()).await {
                        if notification.payload() != name {
                            hint();
                        }
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let announcing = async {
            loop {
                self.announced.notified().await;
                let backend = self.readers.backend();
                let sql = "SELECT pg_notify($1, $2)";
                let notify = Statement::from_sql_and_values(backend, sql, [CHANNEL.into(), name.as_str().into()]);
                // A hint that is lost costs others some time, no more.
                drop(self.in_time(async { Ok(self.readers.get().query_one_raw(notify).await?) }).await);
            }
        };
        tokio::join!(listening, announcing);
    }
}

impl Reader {
    /// The time of the database.
    ///
    /// # Errors
    ///
    /// [`StoreError::Away`] or [`StoreError::Unavailable`].
    pub async fn time(&self) -> Result<Timestamp, StoreError> {
        if !self.is_shared() {
            return Ok(Timestamp::now());
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let asked = std::time::Instant::now();
        let ask = Statement::from_string(self.readers.backend(), sql);
        let row = self.in_time(async { Ok(self.readers.get().query_one_raw(ask).await?) }).await?;
        let micros = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
        let micros = micros.ok_or_else(|| DbErr::RecordNotFound("the time".to_owned()))?;
        let half = i64::try_from(asked.elapsed().as_micros() / 2).unwrap_or(0);
        Ok(Timestamp::from_micros(micros.saturating_add(half)))
    }
}
