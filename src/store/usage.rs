//! Counted usage: counters, and how far each node's batches have been counted. Both are made durable in one row of the
//! `journal`, so that a batch is counted if and only if its number is.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::credit::{Change, RowKey};
use sea_orm::sea_query::{Expr, ExprTrait as _, IntoValueTuple as _};
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _};

use super::credit::{self, CreditGroup};
use super::entity::{former_key, head, usage_counter, usage_node};
use super::error::StoreError;
use super::journal::{self, JournalEntry};
use super::persist::{Row, each, rows};
use super::script::Script;
use super::snapshot::UsageNode;
use super::tx::KEYS;
use super::{Reader, Store};
use crate::counters::{Counter, CounterKey, CounterKeys, Counters};
use crate::domain::{Id, KeyOwner, LimitKind, Timestamp};
use crate::state::Moved;
use crate::usage::{FormerKey, SpendTally};

/// How far the batches of an incarnation of a node have been counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watermark {
    /// The incarnation.
    pub incarnation: i64,
    /// The node that it is of.
    pub node_id: Box<str>,
    /// The caller that registered it, and may deliver it; empty for any.
    pub registered_by: Box<str>,
    /// Number of the last batch that was counted; 0 for none.
    pub sequence: i64,
    /// Hash of that batch.
    pub fingerprint: [u8; 32],
    /// The store that it registered at, if that is another one.
    pub store_id: Option<Box<str>>,
}

/// A node that registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// Its name.
    pub node_id: String,
    /// Version of its program.
    pub version: String,
    /// What else it says of itself, as JSON.
    pub metadata: String,
    /// The caller that registers it; empty where callers are not told apart.
    pub registered_by: String,
    /// When.
    pub at: Timestamp,
}

/// What a transaction does to usage.
#[derive(Default, Debug)]
pub struct UsageGroup {
    /// The usage version that it begins at.
    pub from_version: i64,
    /// The mark of the transaction that led there.
    pub from_mark: i64,
    /// The usage version that it leads to; the same if it does nothing.
    pub version: i64,
    /// Its own mark, which no other transaction has.
    pub mark: i64,
    /// The counters as they are to be, and the thresholds that they cross.
    pub moved: Moved,
    /// The watermarks as they are to be.
    pub watermarks: Vec<Watermark>,
    /// What is added to spend.
    pub spend: SpendTally,
    /// What it does to credit.
    pub credit: CreditGroup,
}

/// All usage, read in one snapshot.
#[derive(Default)]
pub struct LoadedUsage {
    /// All counters.
    pub counters: Counters,
    /// All watermarks.
    pub watermarks: Vec<Watermark>,
    /// Deleted keys that still count.
    pub former_keys: Vec<(Box<str>, FormerKey)>,
    /// The rows of credit, in order.
    pub credit: Vec<Change>,
    /// What of it is in the journal and may not be in the tables yet.
    pub unfolded: Unfolded,
    /// The versions that usage went through, as far as the journal tells, each with the mark of its transaction.
    pub passed: Vec<(i64, i64)>,
}

/// What is to be folded into the tables: which counters, and the watermarks of which incarnations.
#[derive(Default, Debug)]
pub struct Unfolded {
    /// The counters.
    pub counters: CounterKeys,
    /// The incarnations.
    pub incarnations: HashSet<i64>,
    /// The rows of credit.
    pub credit: BTreeSet<RowKey>,
    /// How many changes of both the journal has.
    pub changes: usize,
}

const NO_BATCH: [u8; 32] = [0; 32];

impl Row for usage_counter::Model {
    type Key = (String, i32, i64);

    fn key(&self) -> Self::Key {
        (self.limit_id.clone(), self.kind, self.window_start)
    }
}

impl Row for usage_node::Model {
    type Key = i64;

    fn key(&self) -> Self::Key {
        self.incarnation
    }
}

impl Row for former_key::Model {
    type Key = String;

    fn key(&self) -> Self::Key {
        self.virtual_key_id.clone()
    }
}

pub(super) const fn number(kind: LimitKind) -> i32 {
    match kind {
        LimitKind::Tokens => 1,
        LimitKind::Requests => 2,
        LimitKind::Budget => 3,
        LimitKind::Concurrency => 4,
    }
}

pub(super) const fn kind(number: i32) -> Option<LimitKind> {
    match number {
        1 => Some(LimitKind::Tokens),
        2 => Some(LimitKind::Requests),
        3 => Some(LimitKind::Budget),
        4 => Some(LimitKind::Concurrency),
        _ => None,
    }
}

/// Remembers who owned deleted keys.
pub(super) fn remember_former(script: &mut Script, former: &[(Box<str>, FormerKey)]) {
    let rows = former.iter().map(|(id, FormerKey { owner, deleted_at })| {
        let (team_id, customer_id) = match owner {
            Some(KeyOwner::Team(id)) => (Some(id.to_string()), None),
            Some(KeyOwner::Customer(id)) => (None, Some(id.to_string())),
            None => (None, None),
        };
        former_key::Model { virtual_key_id: id.to_string(), team_id, customer_id, deleted_at: deleted_at.as_micros() }
    });
    script.upsert(rows.collect());
}

impl Store {
    /// Registers a node; returns its incarnation.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Unknown`]: then a number may be lost, which is harmless.
    pub async fn register_node(&self, registration: Registration) -> Result<i64, StoreError> {
        let Registration { node_id, version, metadata, registered_by, at } = registration;
        let tx = self.begin_write().await?;
        let result = async {
            let moved = head::Entity::update_many()
                .col_expr(head::Column::LastIncarnation, Expr::col(head::Column::LastIncarnation).add(1))
                .filter(head::Column::Id.eq(1))
                .exec(&tx)
                .await?;
            if moved.rows_affected != 1 {
                return Err(StoreError::corrupt("head", 1, "it is missing"));
            }
            let head = head::Entity::find_by_id(1).one(&tx).await?;
            let head = head.ok_or_else(|| StoreError::corrupt("head", 1, "it is missing"))?;
            let row = usage_node::Model {
                incarnation: head.last_incarnation,
                node_id,
                version,
                metadata,
                registered_at: at.as_micros(),
                last_sequence: 0,
                last_fingerprint: NO_BATCH.to_vec(),
                registered_by,
                store_id: String::new(),
            };
            let mut script = Script::new(tx.get_database_backend());
            script.insert(vec![row]);
            script.run(&tx).await?;
            Ok(head.last_incarnation)
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }

    /// Forgets windows, and keys that were deleted before `former_before`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn forget_usage(&self, counters: &[CounterKey], former_before: Timestamp) -> Result<(), StoreError> {
        use usage_counter::Column::{Kind, LimitId, WindowStart};
        let tx = self.begin_write().await?;
        let result = async {
            for chunk in counters.chunks(KEYS) {
                let keys = chunk.iter().map(|key| {
                    (key.limit_id.to_string(), number(key.kind), key.window_start.as_micros()).into_value_tuple()
                });
                let columns = [LimitId, Kind, WindowStart].map(Expr::col);
                let these = Expr::tuple(columns).in_tuples(keys);
                usage_counter::Entity::delete_many().filter(these).exec(&tx).await?;
            }
            let old = former_key::Column::DeletedAt.lt(former_before.as_micros());
            former_key::Entity::delete_many().filter(old).exec(&tx).await?;
            Ok(())
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }
}

impl Reader {
    /// All usage.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn load_usage(&self) -> Result<LoadedUsage, StoreError> {
        let tx = self.begin_read().await?;
        let mut loaded = LoadedUsage::default();
        let head = rows(&tx, head::Entity::find_by_id(1)).await?.pop();
        let (version, mark) = head.map_or((0, 0), |head| (head.usage_version, head.usage_mark));
        let mut counters = Vec::new();
        each(&tx, "usage_counter", usage_counter::Entity::find().into_model::<usage_counter::Model>(), |row| {
            counters.push(counter(&row)?);
            Ok(())
        })
        .await?;
        let mut journaled: HashMap<i64, (i64, [u8; 32])> = HashMap::new();
        let mut counted = Counters::restore(0, counters, []);
        let journal = journal::read(&tx, 0).await?;
        if journal.last().is_some_and(|last| last.version != version) {
            return Err(StoreError::corrupt("usage_journal", version, "the last row is missing"));
        }
        loaded.passed.push((version, mark));
        loaded.credit = credit::load(&tx).await?;
        for JournalEntry { from_version, from_mark, version: _, counters, watermarks, credit } in journal {
            loaded.passed.push((from_version, from_mark));
            loaded.unfolded.changes += counters.len() + watermarks.len() + credit.changes.len();
            loaded.unfolded.credit.extend(credit.changes.iter().map(Change::row));
            loaded.credit.extend(credit.changes);
            loaded.unfolded.counters.extend(counters.iter().map(|(key, _)| key.clone()));
            counted.set(counters);
            journaled
                .extend(watermarks.into_iter().map(|(incarnation, sequence, hash)| (incarnation, (sequence, hash))));
        }
        counted.reach(version, mark);
        counted.commit();
        loaded.unfolded.incarnations.extend(journaled.keys());
        for row in rows(&tx, usage_node::Entity::find()).await? {
            let mut watermark = watermark(row)?;
            if let Some((sequence, fingerprint)) = journaled.get(&watermark.incarnation) {
                (watermark.sequence, watermark.fingerprint) = (*sequence, *fingerprint);
            }
            counted.batches().insert(watermark.incarnation, watermark.sequence);
            loaded.watermarks.push(watermark);
        }
        loaded.counters = counted;
        for row in rows(&tx, former_key::Entity::find()).await? {
            loaded.former_keys.push(former_key(row));
        }
        Ok(loaded)
    }
}

/// A counter of the tables.
pub(super) fn counter(row: &usage_counter::Model) -> Result<(CounterKey, Counter), StoreError> {
    let corrupt = || StoreError::corrupt("usage_counter", &row.limit_id, "its kind is unknown");
    let key = CounterKey {
        kind: kind(row.kind).ok_or_else(corrupt)?,
        limit_id: row.limit_id.as_str().into(),
        window_start: Timestamp::from_micros(row.window_start),
    };
    Ok((key, Counter { used: row.used, version: row.version }))
}

/// A watermark of the tables.
pub(super) fn watermark(row: usage_node::Model) -> Result<Watermark, StoreError> {
    let corrupt = |_| StoreError::corrupt("usage_node", row.incarnation, "its hash is not 32 bytes long");
    Ok(Watermark {
        incarnation: row.incarnation,
        node_id: row.node_id.as_str().into(),
        registered_by: row.registered_by.as_str().into(),
        sequence: row.last_sequence,
        fingerprint: row.last_fingerprint.as_slice().try_into().map_err(corrupt)?,
        store_id: (!row.store_id.is_empty()).then(|| row.store_id.into()),
    })
}

/// A node that registered at another store as a row.
pub(super) fn node_row(node: UsageNode) -> usage_node::Model {
    let UsageNode { incarnation, registration, sequence, fingerprint, store_id } = node;
    let Registration { node_id, version, metadata, registered_by, at } = registration;
    usage_node::Model {
        incarnation,
        node_id,
        version,
        metadata,
        registered_at: at.as_micros(),
        last_sequence: sequence,
        last_fingerprint: fingerprint.to_vec(),
        registered_by,
        store_id: store_id.into(),
    }
}

/// A counter as a row.
pub(super) fn counter_row(key: &CounterKey, counter: Counter) -> usage_counter::Model {
    usage_counter::Model {
        limit_id: key.limit_id.to_string(),
        kind: number(key.kind),
        window_start: key.window_start.as_micros(),
        used: counter.used,
        version: counter.version,
    }
}

/// The owner of a deleted key.
pub(super) fn former_key(row: former_key::Model) -> (Box<str>, FormerKey) {
    let team = row.team_id.map(|id| KeyOwner::Team(Id::new(id)));
    let owner = team.or_else(|| row.customer_id.map(|id| KeyOwner::Customer(Id::new(id))));
    (row.virtual_key_id.into(), FormerKey { owner, deleted_at: Timestamp::from_micros(row.deleted_at) })
}
