//! Whether the credit of hard limits contradicts itself: numbers only rise, accounts have their limits and incarnations, and
//! the tables have nothing that the journal did not lead to.

use std::collections::{HashMap, HashSet};

use super::Verification;
use crate::counters::CounterKey;
use crate::credit::{Account, Change, NodeRow};
use crate::store::RecordedUsage;

/// Adds the faults of what was recorded.
pub(super) fn check(recorded: &RecordedUsage, found: &mut Verification) {
    let registered: HashSet<i64> = recorded.watermarks.iter().map(|watermark| watermark.incarnation).collect();
    let mut rows =
        Rows { registered: &registered, pools: HashSet::new(), accounts: HashMap::new(), nodes: HashMap::new() };
    // The tables are a fold ahead of the oldest rows of the journal, so that only these are compared with each other.
    for change in recorded.journal.iter().flat_map(|entry| &entry.credit.changes) {
        rows.take(change, true, found);
    }
    let (accounts, nodes) = (std::mem::take(&mut rows.accounts), std::mem::take(&mut rows.nodes));
    // Limits and incarnations are folded before the accounts that rest on them.
    rows.pools.clear();
    for change in &recorded.credit {
        match change {
            Change::Account(key, incarnation, account) => {
                let last = accounts.get(&(key.clone(), *incarnation));
                if last.is_some_and(|last| falls(account, last)) {
                    found.fault(format!(
                        "credit: the account of incarnation {incarnation} on {key} is in the tables with more than its \
                         last change left"
                    ));
                }
            }
            Change::Node(incarnation, row) => {
                let is_later = |last: &NodeRow| last.session < row.session || (row.is_closed && !last.is_closed);
                if nodes.get(incarnation).is_some_and(is_later) {
                    found.fault(format!(
                        "credit: incarnation {incarnation} is in the tables with more than its last change left"
                    ));
                }
            }
            Change::Pool(..) | Change::Forgotten(_) => {}
        }
        rows.take(change, false, found);
    }
}

/// Whether one of the numbers of `after` is below that of `before`.
fn falls(before: &Account, after: &Account) -> bool {
    after.granted < before.granted || after.used < before.used || after.returned < before.returned
}

/// Rows that were read so far.
struct Rows<'a> {
    registered: &'a HashSet<i64>,
    pools: HashSet<CounterKey>,
    accounts: HashMap<(CounterKey, i64), Account>,
    nodes: HashMap<i64, NodeRow>,
}

impl Rows<'_> {
    /// Takes the next row, of the journal or of a table.
    fn take(&mut self, change: &Change, of_journal: bool, found: &mut Verification) {
        match change {
            Change::Pool(key, row) => {
                if row.terms.max < 0 || row.epoch < 0 {
                    found.fault(format!("credit: {key} has a ceiling or an epoch that cannot be"));
                }
                self.pools.insert(key.clone());
            }
            Change::Account(key, incarnation, account) => {
                let before = self.accounts.insert((key.clone(), *incarnation), *account);
                let Account { granted, used, returned } = *account;
                let has_session = of_journal || granted == 0 || self.nodes.contains_key(incarnation);
                let is_known = has_session && self.registered.contains(incarnation);
                // The journal may begin after the window was opened.
                let has_pool = of_journal || self.pools.contains(key);
                let is_possible = granted >= 0 && used >= 0 && returned >= 0;
                if !is_known || !has_pool || !is_possible || before.is_some_and(|before| falls(&before, account)) {
                    found.fault(format!(
                        "credit: the account of incarnation {incarnation} on {key} has a number that fell or cannot be, or \
                         its limit or incarnation is not in the tables"
                    ));
                }
            }
            Change::Node(incarnation, row) => {
                let before = self.nodes.insert(*incarnation, row.clone());
                let falls =
                    before.is_some_and(|before| row.session < before.session || (before.is_closed && !row.is_closed));
                if falls || !self.registered.contains(incarnation) {
                    found.fault(format!(
                        "credit: incarnation {incarnation} has a session that fell, was opened again, or was never registered"
                    ));
                }
            }
            Change::Forgotten(key) => {
                self.pools.remove(key);
                self.accounts.retain(|(of, _), _| of != key);
            }
        }
    }
}
