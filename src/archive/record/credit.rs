//! Credit as it stands on a line.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Fields;
use crate::counters::CounterKey;
use crate::credit::{Account, Change, NodeRow, PoolRow, Terms};
use crate::domain::Timestamp;
use crate::proto::export::v1 as file;
use crate::proto::export::v1::line::Line as Content;
use crate::proto::v1;
use crate::store::Record;
use crate::wire::{self, timestamp};

pub(super) fn render(change: &Change) -> Content {
    match change {
        Change::Node(incarnation, NodeRow { session, connection, seen, is_closed, slots_until }) => {
            Content::CreditNode(file::CreditNode {
                incarnation: *incarnation,
                session: *session,
                connection: *connection,
                last_seen: Some(timestamp(*seen)),
                closed: *is_closed,
                slots_until: (*slots_until != Timestamp::EPOCH).then(|| timestamp(*slots_until)),
            })
        }
        Change::Pool(key, row) => {
            let PoolRow { terms, carried, is_moved, epoch, awaited, awaited_until, uncovered } = row;
            let Terms { max, ends, lease, raised_until } = terms;
            Content::CreditPool(file::CreditPool {
                key: Some(wire::render_credit_key(key)),
                max: *max,
                window_end: Some(timestamp(*ends)),
                valid_for: lease.map(wire::render_duration),
                carried: carried.iter().map(wire::render_credit_key).collect(),
                moved: *is_moved,
                epoch: *epoch,
                awaited: awaited.iter().copied().collect(),
                awaited_until: Some(timestamp(*awaited_until)),
                uncovered: *uncovered,
                raised_until: raised_until.map(timestamp),
            })
        }
        Change::Account(key, incarnation, Account { granted, used, returned }) => {
            Content::CreditAccount(file::CreditAccount {
                key: Some(wire::render_credit_key(key)),
                incarnation: *incarnation,
                granted: *granted,
                used: *used,
                returned: *returned,
            })
        }
        // A store holds no row of it; a line of it has no limit, and is refused.
        Change::Forgotten(_) => Content::CreditPool(file::CreditPool::default()),
    }
}

pub(super) fn parse_node(node: file::CreditNode, fields: &mut Fields<'_>) -> Record {
    let file::CreditNode { incarnation, session, connection, last_seen, closed, slots_until } = node;
    let (session, seen) = (fields.at_least(0, session, "session"), fields.time(last_seen, "last_seen"));
    let slots_until = slots_until.map_or(Timestamp::EPOCH, |until| fields.time(Some(until), "slots_until"));
    Record::Credit(Change::Node(incarnation, NodeRow { session, connection, seen, is_closed: closed, slots_until }))
}

pub(super) fn parse_pool(pool: file::CreditPool, fields: &mut Fields<'_>) -> Option<Record> {
    let file::CreditPool {
        key,
        max,
        window_end,
        valid_for,
        carried,
        moved,
        epoch,
        awaited,
        awaited_until,
        uncovered,
        raised_until,
    } = pool;
    let lease = valid_for.map(|span| {
        Duration::try_from(span).unwrap_or_else(|_| {
            fields.0.add("valid_for", "is no span of time");
            Duration::ZERO
        })
    });
    let max = fields.at_least(0, max, "max");
    let raised_until = raised_until.map(|until| fields.time(Some(until), "raised_until"));
    let terms = Terms { max, ends: fields.time(window_end, "window_end"), lease, raised_until };
    let carried: Option<Vec<CounterKey>> = carried.into_iter().map(|key| parse_key(Some(key), fields)).collect();
    let row = PoolRow {
        terms,
        carried: carried?,
        is_moved: moved,
        epoch: fields.at_least(0, epoch, "epoch"),
        awaited: awaited.into_iter().collect::<BTreeSet<_>>(),
        awaited_until: fields.time(awaited_until, "awaited_until"),
        uncovered,
    };
    Some(Record::Credit(Change::Pool(parse_key(key, fields)?, row)))
}

pub(super) fn parse_account(account: file::CreditAccount, fields: &mut Fields<'_>) -> Option<Record> {
    let file::CreditAccount { key, incarnation, granted, used, returned } = account;
    let account = Account {
        granted: fields.at_least(0, granted, "granted"),
        used: fields.at_least(0, used, "used"),
        returned: fields.at_least(0, returned, "returned"),
    };
    Some(Record::Credit(Change::Account(parse_key(key, fields)?, incarnation, account)))
}

fn parse_key(key: Option<v1::CreditKey>, fields: &mut Fields<'_>) -> Option<CounterKey> {
    let v1::CreditKey { limit_id, kind, window_start } = key.unwrap_or_default();
    fields.counter(&limit_id, kind, window_start, "key.")
}
