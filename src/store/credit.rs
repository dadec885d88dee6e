//! Credit of hard limits: its rows in the journal of usage, and in the tables that they are folded into.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::credit::{Account, Change, NodeRow, PoolRow, RowKey, Terms};
use sea_orm::EntityTrait as _;

use super::WriteTx;
use super::entity::{credit_account, credit_node, credit_pool};
use super::error::StoreError;
use super::persist::{Row, rows};
use super::script::Script;
use super::tx::ReadTx;
use super::usage::{kind, number};
use super::varint::{get, put, take};
use crate::counters::CounterKey;
use crate::domain::{LimitId, Timestamp};

const UUID: u8 = 1;
const TEXT: u8 = 0;

/// What a transaction does to credit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CreditGroup {
    /// The rows as they are to be, in order.
    pub changes: Vec<Change>,
    /// The incarnations that are asked to give credit back, each with the limit and window: for the server that each of them
    /// is connected to.
    pub recalls: Vec<(i64, CounterKey)>,
}

impl CreditGroup {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.recalls.is_empty()
    }

    /// Adds what comes after it.
    pub fn append(&mut self, next: Self) {
        self.changes.extend(next.changes);
        self.recalls.extend(next.recalls);
    }
}

impl Row for credit_pool::Model {
    type Key = (String, i32, i64);

    fn key(&self) -> Self::Key {
        (self.limit_id.clone(), self.kind, self.window_start)
    }
}

impl Row for credit_account::Model {
    type Key = (String, i32, i64, i64);

    fn key(&self) -> Self::Key {
        (self.limit_id.clone(), self.kind, self.window_start, self.incarnation)
    }
}

impl Row for credit_node::Model {
    type Key = i64;

    fn key(&self) -> Self::Key {
        self.incarnation
    }
}

/// The rows of the tables, in an order in which a book can take them.
pub(super) async fn load(tx: &ReadTx) -> Result<Vec<Change>, StoreError> {
    let mut changes = Vec::new();
    for row in rows(tx, credit_node::Entity::find()).await? {
        let credit_node::Model { incarnation, session, connection, last_seen, is_closed, slots_until } = row;
        let (connection, seen) = (connection.cast_unsigned(), Timestamp::from_micros(last_seen));
        let slots_until = Timestamp::from_micros(slots_until);
        changes.push(Change::Node(incarnation, NodeRow { session, connection, seen, is_closed, slots_until }));
    }
    for row in rows(tx, credit_pool::Entity::find()).await? {
        changes.push(pool(&row)?);
    }
    for row in rows(tx, credit_account::Entity::find()).await? {
        let key = key_of("credit_account", row.limit_id, row.kind, row.window_start)?;
        let account = Account { granted: row.granted, used: row.used, returned: row.returned };
        changes.push(Change::Account(key, row.incarnation, account));
    }
    Ok(changes)
}

fn key_of(table: &'static str, limit_id: String, number: i32, start: i64) -> Result<CounterKey, StoreError> {
    let kind = kind(number).ok_or_else(|| StoreError::corrupt(table, &limit_id, "its kind is unknown"))?;
    Ok(CounterKey { limit_id: limit_id.as_str().into(), kind, window_start: Timestamp::from_micros(start) })
}

fn pool(row: &credit_pool::Model) -> Result<Change, StoreError> {
    let key = key_of("credit_pool", row.limit_id.clone(), row.kind, row.window_start)?;
    let corrupt = || StoreError::corrupt("credit_pool", &row.limit_id, "a list is cut or changed");
    let whole = |mut rest: &[u8]| {
        let keys = get_keys(&mut rest)?;
        rest.is_empty().then_some(keys)
    };
    let carried = whole(&row.carried).ok_or_else(corrupt)?;
    let mut rest = row.awaited.as_slice();
    let awaited = get_incarnations(&mut rest).filter(|_| rest.is_empty()).ok_or_else(corrupt)?;
    let micros = |micros: i64| Duration::from_micros(micros.unsigned_abs());
    let (max, ends) = (row.max, Timestamp::from_micros(row.window_end));
    let row = PoolRow {
        terms: Terms {
            max,
            ends,
            lease: row.valid_for.map(micros),
            raised_until: row.raised_until.map(Timestamp::from_micros),
        },
        carried,
        is_moved: row.is_moved,
        epoch: row.epoch,
        awaited,
        awaited_until: Timestamp::from_micros(row.awaited_until),
        uncovered: row.uncovered,
    };
    Ok(Change::Pool(key, row))
}

fn pool_row(key: &CounterKey, row: &PoolRow) -> credit_pool::Model {
    let PoolRow { terms, carried, is_moved, epoch, awaited, awaited_until, uncovered } = row;
    let Terms { max, ends, lease, raised_until } = terms;
    let (mut keys, mut incarnations) = (Vec::new(), Vec::new());
    put_keys(&mut keys, carried);
    put_incarnations(&mut incarnations, awaited);
    credit_pool::Model {
        limit_id: key.limit_id.to_string(),
        kind: number(key.kind),
        window_start: key.window_start.as_micros(),
        max: *max,
        window_end: ends.as_micros(),
        valid_for: lease.map(micros),
        carried: keys,
        is_moved: *is_moved,
        epoch: *epoch,
        awaited: incarnations,
        awaited_until: awaited_until.as_micros(),
        uncovered: *uncovered,
        raised_until: raised_until.map(|until| until.as_micros()),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Adds rows of credit to a script: as they are now, or nothing in place of those that are forgotten.
pub(super) fn write(script: &mut Script, rows: &[(RowKey, Option<Change>)]) {
    use credit_account::Column::{Kind, LimitId, WindowStart};
    let (mut pools, mut accounts, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut no_pools, mut no_accounts) = (Vec::new(), Vec::new());
    for (place, row) in rows {
        match (row, place) {
            (Some(Change::Pool(key, row)), _) => pools.push(pool_row(key, row)),
            (Some(Change::Account(key, incarnation, account)), _) => {
                let (limit_id, kind, window_start, incarnation) = account_key(key, *incarnation);
                let Account { granted, used, returned } = *account;
                accounts.push(credit_account::Model {
                    limit_id,
                    kind,
                    window_start,
                    incarnation,
                    granted,
                    used,
                    returned,
                });
            }
            (Some(Change::Node(incarnation, row)), _) => {
                let NodeRow { session, connection, seen, is_closed, slots_until } = *row;
                nodes.push(credit_node::Model {
                    incarnation: *incarnation,
                    session,
                    connection: connection.cast_signed(),
                    last_seen: seen.as_micros(),
                    is_closed,
                    slots_until: slots_until.as_micros(),
                });
            }
            (Some(Change::Forgotten(key)), _) | (None, RowKey::Pool(key)) => {
                no_pools.push((key.limit_id.to_string(), number(key.kind), key.window_start.as_micros()));
            }
            (None, RowKey::Account(key, incarnation)) => no_accounts.push(account_key(key, *incarnation)),
            // Incarnations are never forgotten.
            (None, RowKey::Node(_)) => {}
        }
    }
    script.remove::<credit_account::Model>(no_accounts);
    // With all accounts on them.
    script.remove_under::<credit_account::Model>(&[LimitId, Kind, WindowStart], no_pools.clone());
    script.remove::<credit_pool::Model>(no_pools);
    script.upsert(nodes);
    script.upsert(pools);
    script.upsert(accounts);
}

fn account_key(key: &CounterKey, incarnation: i64) -> (String, i32, i64, i64) {
    (key.limit_id.to_string(), number(key.kind), key.window_start.as_micros(), incarnation)
}

impl WriteTx {
    /// Writes rows of credit, as they are in memory, into their tables, and ends the transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn fold_credit(self, rows: &[(RowKey, Option<Change>)]) -> Result<(), StoreError> {
        let mut script = Script::new(self.backend());
        write(&mut script, rows);
        self.write(std::iter::once(script), &super::commit::Begins::default()).await
    }
}

/// Appends a limit and window. Ids of limits are UUIDs, which are half as long in binary.
pub(super) fn put_key(body: &mut Vec<u8>, key: &CounterKey) {
    match &key.limit_id {
        LimitId::Uuid(uuid) => {
            body.push(UUID);
            body.extend(uuid);
        }
        LimitId::Text(text) => {
            body.push(TEXT);
            put(body, text.len() as u64);
            body.extend(text.as_bytes());
        }
    }
    put(body, number(key.kind) as u64);
    put_time(body, key.window_start);
}

/// Reads a limit and window off; `None` if there is none.
pub(super) fn get_key(rest: &mut &[u8]) -> Option<CounterKey> {
    let limit_id = match take::<1>(rest)? {
        [UUID] => LimitId::Uuid(take::<16>(rest)?),
        [TEXT] => {
            let length = usize::try_from(get(rest)?).ok()?;
            let (text, after) = rest.split_at_checked(length)?;
            *rest = after;
            std::str::from_utf8(text).ok()?.into()
        }
        _ => return None,
    };
    let kind = kind(i32::try_from(get(rest)?).ok()?)?;
    Some(CounterKey { limit_id, kind, window_start: get_time(rest)? })
}

fn put_time(body: &mut Vec<u8>, time: Timestamp) {
    body.extend(time.as_micros().to_le_bytes());
}

fn get_time(rest: &mut &[u8]) -> Option<Timestamp> {
    Some(Timestamp::from_micros(i64::from_le_bytes(take::<8>(rest)?)))
}

fn get_number(rest: &mut &[u8]) -> Option<i64> {
    Some(get(rest)?.cast_signed())
}

fn get_bool(rest: &mut &[u8]) -> Option<bool> {
    match take::<1>(rest)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn put_keys(body: &mut Vec<u8>, keys: &[CounterKey]) {
    put(body, keys.len() as u64);
    keys.iter().for_each(|key| put_key(body, key));
}

fn get_keys(rest: &mut &[u8]) -> Option<Vec<CounterKey>> {
    (0..get(rest)?).map(|_| get_key(rest)).collect()
}

fn put_incarnations(body: &mut Vec<u8>, incarnations: &BTreeSet<i64>) {
    put(body, incarnations.len() as u64);
    incarnations.iter().for_each(|incarnation| put(body, incarnation.cast_unsigned()));
}

fn get_incarnations(rest: &mut &[u8]) -> Option<BTreeSet<i64>> {
    (0..get(rest)?).map(|_| get_number(rest)).collect()
}

const POOL: u8 = 0;
const ACCOUNT: u8 = 1;
const NODE: u8 = 2;
const FORGOTTEN: u8 = 3;
/// As `NODE`, of one that may hold slots, and until when.
const NODE_WITH_SLOTS: u8 = 4;
/// As `POOL`, of a limit whose ceiling is raised for a while, or of which usage was counted that no credit was held for.
const POOL_WITH_MORE: u8 = 5;

/// Appends what a transaction does to credit.
pub(super) fn encode(body: &mut Vec<u8>, CreditGroup { changes, recalls }: &CreditGroup) {
    put(body, changes.len() as u64);
    for change in changes {
        match change {
            Change::Pool(key, row) => {
                let PoolRow { terms, carried, is_moved, epoch, awaited, awaited_until, uncovered } = row;
                let Terms { max, ends, lease, raised_until } = terms;
                let has_more = raised_until.is_some() || *uncovered != 0;
                body.push(if has_more { POOL_WITH_MORE } else { POOL });
                put_key(body, key);
                put(body, max.cast_unsigned());
                put_time(body, *ends);
                put(body, lease.map_or(0, |lease| micros(lease).cast_unsigned().saturating_add(1)));
                put_keys(body, carried);
                body.push(u8::from(*is_moved));
                put(body, epoch.cast_unsigned());
                put_incarnations(body, awaited);
                put_time(body, *awaited_until);
                if has_more {
                    put(body, uncovered.cast_unsigned());
                    body.push(u8::from(raised_until.is_some()));
                    raised_until.iter().for_each(|until| put_time(body, *until));
                }
            }
            Change::Account(key, incarnation, Account { granted, used, returned }) => {
                body.push(ACCOUNT);
                put_key(body, key);
                for number in [incarnation, granted, used, returned] {
                    put(body, number.cast_unsigned());
                }
            }
            Change::Node(incarnation, NodeRow { session, connection, seen, is_closed, slots_until }) => {
                let has_slots = *slots_until != Timestamp::EPOCH;
                body.push(if has_slots { NODE_WITH_SLOTS } else { NODE });
                put(body, incarnation.cast_unsigned());
                put(body, session.cast_unsigned());
                put(body, *connection);
                put_time(body, *seen);
                body.push(u8::from(*is_closed));
                if has_slots {
                    put_time(body, *slots_until);
                }
            }
            Change::Forgotten(key) => {
                body.push(FORGOTTEN);
                put_key(body, key);
            }
        }
    }
    put(body, recalls.len() as u64);
    for (incarnation, key) in recalls {
        put(body, incarnation.cast_unsigned());
        put_key(body, key);
    }
}

/// Reads it off; `None` if there is none.
pub(super) fn decode(rest: &mut &[u8]) -> Option<CreditGroup> {
    let changes = (0..get(rest)?).map(|_| decode_change(rest)).collect::<Option<_>>()?;
    let recalls = (0..get(rest)?).map(|_| Some((get_number(rest)?, get_key(rest)?))).collect::<Option<_>>()?;
    Some(CreditGroup { changes, recalls })
}

fn decode_change(rest: &mut &[u8]) -> Option<Change> {
    Some(match take::<1>(rest)? {
        [tag @ (POOL | POOL_WITH_MORE)] => {
            let key = get_key(rest)?;
            let (max, ends) = (get_number(rest)?, get_time(rest)?);
            let lease = get(rest)?.checked_sub(1).map(Duration::from_micros);
            let (carried, is_moved, epoch) = (get_keys(rest)?, get_bool(rest)?, get_number(rest)?);
            let (awaited, awaited_until) = (get_incarnations(rest)?, get_time(rest)?);
            let (uncovered, raised_until) = match tag {
                POOL => (0, None),
                _ => (get_number(rest)?, if get_bool(rest)? { Some(get_time(rest)?) } else { None }),
            };
            let terms = Terms { max, ends, lease, raised_until };
            Change::Pool(key, PoolRow { terms, carried, is_moved, epoch, awaited, awaited_until, uncovered })
        }
        [ACCOUNT] => {
            let (key, incarnation) = (get_key(rest)?, get_number(rest)?);
            let (granted, used, returned) = (get_number(rest)?, get_number(rest)?, get_number(rest)?);
            Change::Account(key, incarnation, Account { granted, used, returned })
        }
        [tag @ (NODE | NODE_WITH_SLOTS)] => {
            let (incarnation, session) = (get_number(rest)?, get_number(rest)?);
            let (connection, seen, is_closed) = (get(rest)?, get_time(rest)?, get_bool(rest)?);
            let slots_until = if tag == NODE_WITH_SLOTS { get_time(rest)? } else { Timestamp::EPOCH };
            Change::Node(incarnation, NodeRow { session, connection, seen, is_closed, slots_until })
        }
        [FORGOTTEN] => Change::Forgotten(get_key(rest)?),
        _ => return None,
    })
}
