//! Accepted requests and their answers, remembered for 24 hours so that a retry is answered and not done again. Written
//! with the group that did them; asked and cleaned up by the ledger.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _,
};

use super::entity::request::{self, Column};
use super::error::StoreError;
use super::group::Remembered;
use super::persist::{Row, visit};
use super::script::Script;
use super::tx::{KEYS, be_patient};
use super::{Reader, Store};
use crate::domain::Timestamp;

/// For how long requests are remembered.
const MEMORY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

impl Row for request::Model {
    type Key = (String, String, String);

    fn key(&self) -> Self::Key {
        (self.caller.clone(), self.method.clone(), self.request_id.clone())
    }
}

/// Remembers requests. One that is still there from more than 24 hours ago is replaced.
pub(super) fn remember(script: &mut Script, requests: &[Remembered]) {
    let rows = requests.iter().map(|request| {
        let Remembered { caller, method, request_id, fingerprint, response, accepted_at } = request;
        request::Model {
            caller: caller.clone(),
            method: method.clone(),
            request_id: request_id.clone(),
            fingerprint: fingerprint.to_vec(),
            response: response.to_vec(),
            accepted_at: accepted_at.as_micros(),
            digest: request.digest().to_vec(),
        }
    });
    script.upsert(rows.collect());
}

/// A row as it is remembered.
pub(super) fn read(row: request::Model) -> Result<Remembered, StoreError> {
    let fingerprint = row.fingerprint.as_slice().try_into();
    let corrupt = |_| StoreError::corrupt("request", &row.request_id, "the fingerprint is not 32 bytes long");
    Ok(Remembered {
        fingerprint: fingerprint.map_err(corrupt)?,
        caller: row.caller,
        method: row.method,
        request_id: row.request_id,
        response: row.response.into(),
        accepted_at: Timestamp::from_micros(row.accepted_at),
    })
}

/// What was accepted at this time or before is forgotten at `now`.
pub(super) fn since(now: Timestamp) -> Timestamp {
    now.plus_micros(-MEMORY_MICROS)
}

/// Those of the requests that were accepted within the 24 hours before `now`.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    requests: &[(&str, &str, &str)],
    now: Timestamp,
) -> Result<Vec<Remembered>, StoreError> {
    let mut found = Vec::new();
    let since = since(now).as_micros();
    for chunk in requests.chunks(KEYS) {
        let these = Expr::tuple([Column::Caller, Column::Method, Column::RequestId].map(Expr::col))
            .in_tuples(chunk.iter().copied());
        let select = request::Entity::find().filter(these).filter(Column::AcceptedAt.gt(since));
        let rows = select.all(connection).await.map_err(|error| StoreError::reading("request", &error))?;
        for row in rows {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

impl Reader {
    /// Hands everything that is remembered to `take`, each with the hash that was recorded of it: empty if an earlier
    /// version remembered it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn remembered(&self, mut take: impl FnMut(&Remembered, &[u8])) -> Result<(), StoreError> {
        let tx = self.begin_read().await?;
        be_patient(&tx.0).await?;
        visit(&tx, "request", request::Entity::find().into_model::<request::Model>(), |mut row| {
            let recorded = std::mem::take(&mut row.digest);
            take(&read(row)?, &recorded);
            Ok(())
        })
        .await
    }
}

impl Store {
    /// Forgets at most `limit` requests that were accepted before `before`; returns how many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn forget_requests(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let key = [Column::Caller, Column::Method, Column::RequestId];
        let old = request::Entity::find()
            .select_only()
            .columns(key)
            .filter(Column::AcceptedAt.lt(before.as_micros()))
            .limit(limit)
            .into_query();
        let forget = request::Entity::delete_many().filter(Expr::tuple(key.map(Expr::col)).in_subquery(old));
        let tx = self.begin_write().await?;
        let result = self.in_time(async { Ok(forget.exec(&tx).await?.rows_affected) }).await;
        self.reach.finish(tx, result).await
    }
}
