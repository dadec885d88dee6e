//! The journal of usage: what each transaction made of the counters, and how far it took the nodes' batches, in one row.
//!
//! A group of batches touches as many counters as it has entries, and more. Written as rows, each in a page of its own,
//! they would cost a hundred times as much as one row that holds them all. So that one row is what makes them durable, and
//! later they are folded into their tables, each counter once however often it moved. Values are absolute: a row that was
//! folded already and is read again changes nothing. A reader of the tables alone is a fold behind.
//!
//! Rows stay one fold longer than they must, so that other replicas, which follow the journal, seldom find that what they
//! lack is folded already.

use sea_orm::sea_query::{Expr, Order};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};

use super::entity::usage_journal::{Column, Entity, Model};
use super::entity::{head, usage_counter, usage_node};
use super::error::StoreError;
use super::persist::{Row, rows};
use super::script::Script;
use super::tx::ReadTx;
use super::usage::{UsageGroup, Watermark, counter_row, kind, number};
use super::varint::{get, put, take};
use super::{Store, spend, threshold};
use crate::counters::{Counter, CounterKey};
use crate::domain::{LimitId, Timestamp};
use crate::seeded::{self, Bug};

/// The format of a row's body.
const FORMAT: u8 = 1;
const UUID: u8 = 1;
const TEXT: u8 = 0;

/// What a row of the journal holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JournalEntry {
    /// The usage version that the transaction began at.
    pub from_version: i64,
    /// The mark of the transaction that led there. No other has it, so that a restored store that comes to the same version
    /// has another. 0 if the row was written by a server that knew of no marks.
    pub from_mark: i64,
    /// The usage version that it led to.
    pub version: i64,
    /// The counters that it moved, as they were then.
    pub counters: Vec<(CounterKey, Counter)>,
    /// Incarnations whose batches it counted: the number of the last, and its hash.
    pub watermarks: Vec<(i64, i64, [u8; 32])>,
}

impl Row for Model {
    type Key = i64;

    fn key(&self) -> Self::Key {
        self.version
    }
}

/// Adds what makes a group durable to `script`, which must begin where usage stands.
pub(super) fn append(script: &mut Script, group: &UsageGroup) {
    let UsageGroup { from_version, from_mark, version, mark, moved, watermarks, spend: spent } = group;
    if version == from_version {
        return;
    }
    let at_its_place = head::Entity::update_many()
        .col_expr(head::Column::UsageVersion, Expr::value(*version))
        .col_expr(head::Column::UsageMark, Expr::value(*mark))
        .filter(head::Column::Id.eq(1))
        .filter(head::Column::UsageVersion.eq(*from_version))
        .filter(head::Column::UsageMark.eq(*from_mark));
    script.push(&at_its_place, 1);
    let apart = seeded::is(Bug::WatermarkApart);
    let watermarks = watermarks.iter().filter(|_| !apart);
    let watermarks = watermarks.map(|it| (it.incarnation, it.sequence, it.fingerprint)).collect::<Vec<_>>();
    let body = encode(*from_version, &moved.counters, &watermarks);
    let (version, from_version, from_mark) = (*version, *from_version, *from_mark);
    script.insert(vec![Model { version, from_version, body, from_mark }]);
    spend::append(script, version, spent);
    threshold::record(script, &moved.crossings);
}

/// The journal after `version`, in order.
pub(super) async fn read(tx: &ReadTx, version: i64) -> Result<Vec<JournalEntry>, StoreError> {
    let select = Entity::find().filter(Column::Version.gt(version)).order_by(Column::Version, Order::Asc);
    let mut entries: Vec<JournalEntry> = Vec::new();
    for row in rows(tx, select).await? {
        let corrupt = |why: &str| StoreError::corrupt("usage_journal", row.version, why);
        if entries.last().is_some_and(|last| last.version != row.from_version) {
            return Err(corrupt("the row before it is missing"));
        }
        let (counters, watermarks) =
            decode(row.from_version, &row.body).ok_or_else(|| corrupt("it is cut or changed"))?;
        let Model { version, from_version, body: _, from_mark } = row;
        entries.push(JournalEntry { from_version, from_mark, version, counters, watermarks });
    }
    Ok(entries)
}

impl Store {
    /// Writes counters and watermarks, as they are in memory, into their tables. What is newer there stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn fold_usage(
        &self,
        counters: &[(CounterKey, Counter)],
        watermarks: &[Watermark],
    ) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(fold(&tx, counters, watermarks)).await;
        self.reach.finish(tx, result).await
    }

    /// Forgets the journal up to `version`, all of which must have been folded.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn cut_journal(&self, version: i64) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let cut = Entity::delete_many().filter(Column::Version.lte(version));
        let result = self.in_time(async { Ok(cut.exec(&tx).await.map(drop)?) }).await;
        self.reach.finish(tx, result).await
    }
}

async fn fold(
    tx: &DatabaseTransaction,
    counters: &[(CounterKey, Counter)],
    watermarks: &[Watermark],
) -> Result<(), StoreError> {
    let rows = counters.iter().map(|(key, counter)| counter_row(key, *counter));
    let mut script = Script::new(tx.get_database_backend());
    script.upsert_newer(rows.collect(), usage_counter::Column::Version);
    script.run(tx).await?;
    for Watermark { incarnation, sequence, fingerprint, .. } in watermarks {
        usage_node::Entity::update_many()
            .col_expr(usage_node::Column::LastSequence, Expr::value(*sequence))
            .col_expr(usage_node::Column::LastFingerprint, Expr::value(fingerprint.to_vec()))
            .filter(usage_node::Column::Incarnation.eq(*incarnation))
            .filter(usage_node::Column::LastSequence.lt(*sequence))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Counts, then counters (id, kind, window, used, version less `from_version`), then watermarks. Ids of limits are UUIDs,
/// which are half as long in binary.
fn encode(from_version: i64, counters: &[(CounterKey, Counter)], watermarks: &[(i64, i64, [u8; 32])]) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 + counters.len() * 36 + watermarks.len() * 44);
    body.push(FORMAT);
    put(&mut body, counters.len() as u64);
    for (key, Counter { used, version }) in counters {
        match &key.limit_id {
            LimitId::Uuid(uuid) => {
                body.push(UUID);
                body.extend(uuid);
            }
            LimitId::Text(text) => {
                body.push(TEXT);
                put(&mut body, text.len() as u64);
                body.extend(text.as_bytes());
            }
        }
        put(&mut body, number(key.kind) as u64);
        body.extend(key.window_start.as_micros().to_le_bytes());
        put(&mut body, *used as u64);
        put(&mut body, version.wrapping_sub(from_version) as u64);
    }
    put(&mut body, watermarks.len() as u64);
    for (incarnation, sequence, fingerprint) in watermarks {
        put(&mut body, *incarnation as u64);
        put(&mut body, *sequence as u64);
        body.extend(fingerprint);
    }
    body
}

type Decoded = (Vec<(CounterKey, Counter)>, Vec<(i64, i64, [u8; 32])>);

fn decode(from_version: i64, body: &[u8]) -> Option<Decoded> {
    let mut rest = body;
    if take::<1>(&mut rest)? != [FORMAT] {
        return None;
    }
    let mut counters = Vec::new();
    for _ in 0..get(&mut rest)? {
        let limit_id = match take::<1>(&mut rest)? {
            [UUID] => LimitId::Uuid(take::<16>(&mut rest)?),
            [TEXT] => {
                let length = usize::try_from(get(&mut rest)?).ok()?;
                let (text, after) = rest.split_at_checked(length)?;
                rest = after;
                std::str::from_utf8(text).ok()?.into()
            }
            _ => return None,
        };
        let kind = kind(i32::try_from(get(&mut rest)?).ok()?)?;
        let window_start = Timestamp::from_micros(i64::from_le_bytes(take::<8>(&mut rest)?));
        let used = get(&mut rest)? as i64;
        let version = from_version.wrapping_add(get(&mut rest)? as i64);
        counters.push((CounterKey { limit_id, kind, window_start }, Counter { used, version }));
    }
    let mut watermarks = Vec::new();
    for _ in 0..get(&mut rest)? {
        watermarks.push((get(&mut rest)? as i64, get(&mut rest)? as i64, take::<32>(&mut rest)?));
    }
    rest.is_empty().then_some((counters, watermarks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::LimitKind;

    fn counter() -> impl Strategy<Value = (CounterKey, Counter)> {
        let id = prop_oneof![any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string()), ".{0,40}"];
        let kind = proptest::sample::select(vec![LimitKind::Tokens, LimitKind::Requests, LimitKind::Budget]);
        (id, kind, any::<i64>(), 0..i64::MAX, 0..i64::MAX).prop_map(|(id, kind, start, used, version)| {
            let window_start = Timestamp::from_micros(start);
            (CounterKey { limit_id: id.as_str().into(), kind, window_start }, Counter { used, version })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_and_what_is_cut_is_noticed(
            from in 0..i64::MAX,
            counters in proptest::collection::vec(counter(), 0..20),
            watermarks in proptest::collection::vec((0..i64::MAX, 0..i64::MAX, any::<[u8; 32]>()), 0..5),
            cut in any::<proptest::sample::Index>(),
        ) {
            let body = encode(from, &counters, &watermarks);
            prop_assert_eq!(decode(from, &body), Some((counters, watermarks)));
            prop_assert_eq!(decode(from, &body[..cut.index(body.len())]), None);
        }

        #[test]
        fn anything_at_all_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(0, &bytes);
        }
    }
}
