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
    QuerySelect as _,
};

use super::credit::{self, CreditGroup, get_key, put_key};
use super::entity::usage_journal::{Column, Entity, Model};
use super::entity::{head, usage_counter, usage_node};
use super::error::StoreError;
use super::persist::{Row, each};
use super::script::Script;
use super::tx::ReadTx;
use super::usage::{UsageGroup, Watermark, counter_row};
use super::varint::{get, put, take};
use super::{Store, spend, threshold};
use crate::counters::{Counter, CounterKey};
use crate::seeded::{self, Bug};

/// The format of a row's body.
const FORMAT: u8 = 2;
/// The format of servers that knew of no credit, which stands at the end.
const WITHOUT_CREDIT: u8 = 1;

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
    /// What it did to credit.
    pub credit: CreditGroup,
}

impl Row for Model {
    type Key = i64;

    fn key(&self) -> Self::Key {
        self.version
    }
}

/// Adds what makes a group durable to `script`, which must begin where usage stands.
pub(super) fn append(script: &mut Script, group: &UsageGroup) {
    let UsageGroup { from_version, from_mark, version, mark, moved, watermarks, spend: spent, credit } = group;
    if version == from_version {
        return;
    }
    let at_its_place = head::Entity::update_many()
        .col_expr(head::Column::UsageVersion, Expr::value(*version))
        .col_expr(head::Column::UsageMark, Expr::value(*mark))
        .filter(head::Column::Id.eq(1))
        .filter(head::Column::UsageVersion.eq(*from_version))
        .filter(head::Column::UsageMark.eq(*from_mark));
    script.push::<head::Entity>(&at_its_place, 1);
    let apart = seeded::is(Bug::WatermarkApart);
    let watermarks = watermarks.iter().filter(|_| !apart);
    let watermarks = watermarks.map(|it| (it.incarnation, it.sequence, it.fingerprint)).collect::<Vec<_>>();
    let body = encode(*from_version, &moved.counters, &watermarks, credit);
    let (version, from_version, from_mark) = (*version, *from_version, *from_mark);
    script.insert(vec![Model { version, from_version, body, from_mark }]);
    spend::append(script, version, spent);
    threshold::record(script, &moved.crossings);
}

/// The journal after `version`, in order.
pub(super) async fn read(tx: &ReadTx, version: i64) -> Result<Vec<JournalEntry>, StoreError> {
    let mut entries: Vec<JournalEntry> = Vec::new();
    visit(tx, version, |entry| entries.push(entry)).await?;
    Ok(entries)
}

/// Hands the journal after `version` to `take`, in order, without holding more than a row of it.
pub(super) async fn visit(tx: &ReadTx, version: i64, mut take: impl FnMut(JournalEntry)) -> Result<(), StoreError> {
    let select = Entity::find().filter(Column::Version.gt(version)).order_by(Column::Version, Order::Asc);
    let mut last = None;
    each(tx, "usage_journal", select.into_model::<Model>(), |row| {
        let corrupt = |why: &str| StoreError::corrupt("usage_journal", row.version, why);
        if last.is_some_and(|last| last != row.from_version) {
            return Err(corrupt("the row before it is missing"));
        }
        let (counters, watermarks, credit) =
            decode(row.from_version, &row.body).ok_or_else(|| corrupt("it is cut or changed"))?;
        let Model { version, from_version, body: _, from_mark } = row;
        last = Some(version);
        take(JournalEntry { from_version, from_mark, version, counters, watermarks, credit });
        Ok(())
    })
    .await
}

/// The usage version that the journal begins at, if it has anything.
pub(super) async fn begins(tx: &ReadTx) -> Result<Option<i64>, StoreError> {
    let first = Entity::find().select_only().column(Column::FromVersion).order_by(Column::Version, Order::Asc);
    let first = first.limit(1).into_tuple::<i64>().one(&tx.0).await;
    first.map_err(|error| StoreError::reading("usage_journal", &error))
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

/// Counts, then counters (limit, kind, window, used, version less `from_version`), then watermarks, then credit.
fn encode(
    from_version: i64,
    counters: &[(CounterKey, Counter)],
    watermarks: &[(i64, i64, [u8; 32])],
    credit: &CreditGroup,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(16 + counters.len() * 36 + watermarks.len() * 44);
    body.push(FORMAT);
    put(&mut body, counters.len() as u64);
    for (key, Counter { used, version }) in counters {
        put_key(&mut body, key);
        put(&mut body, *used as u64);
        put(&mut body, version.wrapping_sub(from_version) as u64);
    }
    put(&mut body, watermarks.len() as u64);
    for (incarnation, sequence, fingerprint) in watermarks {
        put(&mut body, *incarnation as u64);
        put(&mut body, *sequence as u64);
        body.extend(fingerprint);
    }
    credit::encode(&mut body, credit);
    body
}

type Decoded = (Vec<(CounterKey, Counter)>, Vec<(i64, i64, [u8; 32])>, CreditGroup);

fn decode(from_version: i64, body: &[u8]) -> Option<Decoded> {
    let mut rest = body;
    let [format] = take::<1>(&mut rest)?;
    if ![FORMAT, WITHOUT_CREDIT].contains(&format) {
        return None;
    }
    let mut counters = Vec::new();
    for _ in 0..get(&mut rest)? {
        let key = get_key(&mut rest)?;
        let used = get(&mut rest)? as i64;
        let version = from_version.wrapping_add(get(&mut rest)? as i64);
        counters.push((key, Counter { used, version }));
    }
    let mut watermarks = Vec::new();
    for _ in 0..get(&mut rest)? {
        watermarks.push((get(&mut rest)? as i64, get(&mut rest)? as i64, take::<32>(&mut rest)?));
    }
    let credit = if format == FORMAT { credit::decode(&mut rest)? } else { CreditGroup::default() };
    rest.is_empty().then_some((counters, watermarks, credit))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::credit::{Account, Change, NodeRow, PoolRow, Terms};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{LimitKind, Timestamp};

    fn key() -> impl Strategy<Value = CounterKey> {
        let id = prop_oneof![any::<u128>().prop_map(|id| uuid::Uuid::from_u128(id).to_string()), ".{0,40}"];
        let kind = proptest::sample::select(LimitKind::ALL.to_vec());
        (id, kind, any::<i64>()).prop_map(|(id, kind, start)| CounterKey {
            limit_id: id.as_str().into(),
            kind,
            window_start: Timestamp::from_micros(start),
        })
    }

    fn counter() -> impl Strategy<Value = (CounterKey, Counter)> {
        (key(), 0..i64::MAX, 0..i64::MAX).prop_map(|(key, used, version)| (key, Counter { used, version }))
    }

    fn change() -> impl Strategy<Value = Change> {
        let time = || any::<i64>().prop_map(Timestamp::from_micros);
        let lease = proptest::option::of((0..u64::from(u32::MAX)).prop_map(Duration::from_micros));
        let raised = proptest::option::of(time());
        let terms = (any::<i64>(), time(), lease, raised);
        let terms = terms.prop_map(|(max, ends, lease, raised_until)| Terms { max, ends, lease, raised_until });
        let lists = (vec(key(), 0..3), proptest::collection::btree_set(0..i64::MAX, 0..3));
        let uncovered = prop_oneof![Just(0), any::<i64>()];
        let pool = (terms, lists, any::<bool>(), any::<i64>(), time(), uncovered).prop_map(
            |(terms, (carried, awaited), is_moved, epoch, awaited_until, uncovered)| PoolRow {
                terms,
                carried,
                is_moved,
                epoch,
                awaited,
                awaited_until,
                uncovered,
            },
        );
        let account = (any::<i64>(), any::<i64>(), any::<i64>());
        let account = account.prop_map(|(granted, used, returned)| Account { granted, used, returned });
        let until = prop_oneof![Just(Timestamp::EPOCH), time()];
        let node = (any::<i64>(), any::<u64>(), time(), any::<bool>(), until);
        let node = node.prop_map(|(session, connection, seen, is_closed, slots_until)| NodeRow {
            session,
            connection,
            seen,
            is_closed,
            slots_until,
        });
        prop_oneof![
            (key(), pool).prop_map(|(key, row)| Change::Pool(key, row)),
            (key(), any::<i64>(), account).prop_map(|(key, incarnation, account)| Change::Account(
                key,
                incarnation,
                account
            )),
            (any::<i64>(), node).prop_map(|(incarnation, node)| Change::Node(incarnation, node)),
            key().prop_map(Change::Forgotten),
        ]
    }

    fn credit() -> impl Strategy<Value = CreditGroup> {
        (vec(change(), 0..6), vec((any::<i64>(), key()), 0..3))
            .prop_map(|(changes, recalls)| CreditGroup { changes, recalls })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_and_what_is_cut_is_noticed(
            from in 0..i64::MAX,
            counters in vec(counter(), 0..20),
            watermarks in vec((0..i64::MAX, 0..i64::MAX, any::<[u8; 32]>()), 0..5),
            credit in credit(),
            cut in any::<proptest::sample::Index>(),
        ) {
            let body = encode(from, &counters, &watermarks, &credit);
            prop_assert_eq!(decode(from, &body[..cut.index(body.len())]), None);
            prop_assert_eq!(decode(from, &body), Some((counters.clone(), watermarks.clone(), credit)));
            // As a server wrote it that knew of no credit.
            let mut earlier = encode(from, &counters, &watermarks, &CreditGroup::default());
            earlier.truncate(earlier.len() - 2);
            earlier[0] = WITHOUT_CREDIT;
            prop_assert_eq!(decode(from, &earlier), Some((counters, watermarks, CreditGroup::default())));
        }

        #[test]
        fn anything_at_all_is_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(0, &bytes);
        }
    }
}
