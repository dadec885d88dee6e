//! A limit in one window at the server, and the credit that is out on it.

use std::collections::BTreeSet;
use std::time::Duration;

use imbl::OrdMap;

use super::Account;
use crate::counters::CounterKey;
use crate::domain::Timestamp;

/// The terms of a limit in one window, from the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Terms {
    /// The ceiling.
    pub max: i64,
    /// When the window ends.
    pub ends: Timestamp,
    /// How long after the last renewal credit is freed; `None` to hold it until its window ends.
    pub lease: Option<Duration>,
    /// Until when a temporary increase raises the ceiling in this window, or did: credit that was granted before is not spent
    /// after it.
    pub raised_until: Option<Timestamp>,
}

/// The row of a limit in one window.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PoolRow {
    /// From the configuration.
    pub terms: Terms,
    /// The windows whose open credit counts here, since an edit moved the limit from them to this one.
    pub carried: Vec<CounterKey>,
    /// Whether an edit moved the limit to another window: nothing is granted here any more.
    pub is_moved: bool,
    /// Rises whenever it shows that the server lost commits.
    pub epoch: i64,
    /// The incarnations that have to say hello, since commits were lost, before anything is granted.
    pub awaited: BTreeSet<i64>,
    /// When they are waited for no longer.
    pub awaited_until: Timestamp,
    /// The amount that was counted and that no node told as used of its credit. Below 0 where nodes told of usage that was not
    /// counted.
    pub uncovered: i64,
}

impl PoolRow {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            carried: Vec::new(),
            is_moved: false,
            epoch: 0,
            awaited: BTreeSet::new(),
            awaited_until: Timestamp::EPOCH,
            uncovered: 0,
        }
    }

    /// Whether credit may be granted at all.
    pub(super) fn grants(&self, now: Timestamp) -> bool {
        let is_awaiting = !self.awaited.is_empty() && now < self.awaited_until;
        !self.is_moved && !is_awaiting && now < self.terms.ends
    }
}

/// A limit in one window: its row, what was counted, and the accounts on it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Pool {
    pub(super) row: PoolRow,
    pub(super) counted: i64,
    accounts: OrdMap<i64, Account>,
    /// The sum over the accounts.
    outstanding: i64,
}

impl Pool {
    pub(super) fn new(row: PoolRow) -> Self {
        Self { row, counted: 0, accounts: OrdMap::new(), outstanding: 0 }
    }

    pub(super) fn account(&self, incarnation: i64) -> Account {
        self.accounts.get(&incarnation).copied().unwrap_or_default()
    }

    /// The only way in which an account changes.
    pub(super) fn put(&mut self, incarnation: i64, account: Account) {
        let before = self.accounts.insert(incarnation, account).unwrap_or_default();
        self.outstanding = self.outstanding.saturating_sub(before.outstanding()).saturating_add(account.outstanding());
    }

    pub(super) fn outstanding(&self) -> i64 {
        self.outstanding
    }

    /// The incarnations that hold credit.
    pub(super) fn holders(&self) -> impl Iterator<Item = i64> {
        self.accounts.iter().filter(|(_, account)| account.outstanding() > 0).map(|(incarnation, _)| *incarnation)
    }

    /// The account of each incarnation that ever had credit or used some.
    pub(super) fn accounts(&self) -> impl Iterator<Item = (i64, Account)> {
        self.accounts.iter().map(|(incarnation, account)| (*incarnation, *account))
    }

    /// The incarnations that ever had credit or used some.
    pub(super) fn incarnations(&self) -> impl Iterator<Item = i64> {
        self.accounts.keys().copied()
    }
}
