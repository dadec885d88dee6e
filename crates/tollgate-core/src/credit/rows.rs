//! The rows of a book, to be read: by whoever writes them, and by whoever shows them.

use std::ops::Bound;

use super::pool::PoolRow;
use super::{Account, Book, Change, NodeRow};
use crate::counters::CounterKey;
use crate::domain::{LimitId, LimitKind, Timestamp};

/// The place of a row. Those come first that others rest on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RowKey {
    /// A limit in one window.
    Pool(CounterKey),
    /// An incarnation.
    Node(i64),
    /// The account of an incarnation on a limit.
    Account(CounterKey, i64),
}

impl Change {
    /// The place of the row.
    pub fn row(&self) -> RowKey {
        match self {
            Self::Pool(key, _) | Self::Forgotten(key) => RowKey::Pool(key.clone()),
            Self::Account(key, incarnation, _) => RowKey::Account(key.clone(), *incarnation),
            Self::Node(incarnation, _) => RowKey::Node(*incarnation),
        }
    }
}

impl Book {
    /// The row as it is now; `None` if it is forgotten.
    pub fn row(&self, row: &RowKey) -> Option<Change> {
        match row {
            RowKey::Pool(key) => self.pool(key).map(|pool| Change::Pool(key.clone(), pool.clone())),
            RowKey::Account(key, incarnation) => {
                let account = self.pools.get(key)?.accounts().find(|(of, _)| of == incarnation)?.1;
                Some(Change::Account(key.clone(), *incarnation, account))
            }
            RowKey::Node(incarnation) => self.node(*incarnation).map(|node| Change::Node(*incarnation, node.clone())),
        }
    }

    /// All rows, in an order in which another book can take them.
    pub fn rows(&self) -> impl Iterator<Item = Change> {
        let nodes = self.nodes.iter().map(|(incarnation, node)| Change::Node(*incarnation, node.clone()));
        let pools = self.pools.iter().flat_map(|(key, pool)| {
            let accounts = pool.accounts().map(|(of, account)| Change::Account(key.clone(), of, account));
            std::iter::once(Change::Pool(key.clone(), pool.row.clone())).chain(accounts)
        });
        nodes.chain(pools)
    }

    /// The row of a limit in a window.
    pub fn pool(&self, key: &CounterKey) -> Option<&PoolRow> {
        self.pools.get(key).map(|pool| &pool.row)
    }

    /// All limits in all windows, in the order of their keys, after `after`.
    pub fn pools_after(&self, after: Option<&CounterKey>) -> impl Iterator<Item = (&CounterKey, &PoolRow)> {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        self.pools.range((from, Bound::Unbounded)).map(|(key, pool)| (key, &pool.row))
    }

    /// The windows of a limit.
    pub fn windows(&self, limit_id: &LimitId, kind: LimitKind) -> impl Iterator<Item = &CounterKey> {
        let at = |window_start| CounterKey { limit_id: limit_id.clone(), kind, window_start };
        self.pools.range(at(Timestamp::MIN)..=at(Timestamp::MAX)).map(|(key, _)| key)
    }

    /// The accounts on a limit in a window, by incarnation.
    pub fn accounts(&self, key: &CounterKey) -> impl Iterator<Item = (i64, Account)> {
        self.pools.get(key).into_iter().flat_map(|pool| pool.accounts())
    }

    /// The row of an incarnation; `None` if it never had a session.
    pub fn node(&self, incarnation: i64) -> Option<&NodeRow> {
        self.nodes.get(&incarnation)
    }

    /// The windows in which an incarnation has an account, and the account.
    pub fn accounts_of(&self, incarnation: i64) -> impl Iterator<Item = (&CounterKey, Account)> {
        self.keys(incarnation).map(move |key| (key, self.account(key, incarnation)))
    }
}
