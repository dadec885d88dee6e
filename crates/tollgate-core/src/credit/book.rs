//! The server's side: what was granted to whom, and the rule that never lets it be too much.

use imbl::{OrdMap, OrdSet};

use super::pool::{Pool, PoolRow, Terms};
use super::{Account, Credit, Directive, Returned, Want};
use crate::counters::CounterKey;
use crate::domain::{LimitKind, Timestamp};

/// The row of an incarnation of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct NodeRow {
    /// The session that is valid: rises with each hello.
    pub session: i64,
    /// The connection that began it.
    pub connection: u64,
    /// When the node was last heard.
    pub seen: Timestamp,
    /// Whether it was closed: it gets nothing any more.
    pub is_closed: bool,
    /// Until when it may hold slots of limits on requests that are open at once, as it said. Only rises, so that a message of an
    /// earlier process does no harm.
    pub slots_until: Timestamp,
}

/// A row to write. Values are absolute: a change that is applied twice changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A limit in one window.
    Pool(CounterKey, PoolRow),
    /// The account of an incarnation on it.
    Account(CounterKey, i64, Account),
    /// An incarnation.
    Node(i64, NodeRow),
    /// A limit in one window, with all accounts on it, is forgotten.
    Forgotten(CounterKey),
}

/// The consequences of an event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// The rows to write, in this order, in the transaction of the event.
    pub changes: Vec<Change>,
    /// The directives to send, each with its incarnation, once that transaction is committed.
    pub directives: Vec<(i64, Directive)>,
    /// Counters to set in that transaction, since commits were lost that had raised them.
    pub recounted: Vec<(CounterKey, i64)>,
    /// The limits of which credit was freed: wants that wait for them may be met now.
    pub freed: Vec<CounterKey>,
}

impl Outcome {
    /// Takes the consequences of the next event.
    pub fn append(&mut self, next: Self) {
        self.changes.extend(next.changes);
        self.directives.extend(next.directives);
        self.recounted.extend(next.recounted);
        self.freed.extend(next.freed);
    }
}

/// The fate of a want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It was met.
    Met,
    /// It was not met; whether others were asked to give credit back.
    Unmet {
        /// Whether waiting may help.
        recalling: bool,
    },
    /// It was dropped: its session is not valid.
    Dropped,
}

/// All credit of a store. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Book {
    pub(super) pools: OrdMap<CounterKey, Pool>,
    pub(super) nodes: OrdMap<i64, NodeRow>,
    /// The accounts of each incarnation.
    pub(super) by_node: OrdMap<i64, OrdSet<CounterKey>>,
}

impl Book {
    /// Takes a row that was committed: after a start, and of other replicas.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Pool(key, row) => match self.pools.get_mut(&key) {
                Some(pool) => pool.row = row,
                None => drop(self.pools.insert(key, Pool::new(row))),
            },
            Change::Account(key, incarnation, account) => {
                if let Some(pool) = self.pools.get_mut(&key) {
                    pool.put(incarnation, account);
                    self.by_node.entry(incarnation).or_default().insert(key);
                }
            }
            Change::Node(incarnation, row) => drop(self.nodes.insert(incarnation, row)),
            Change::Forgotten(key) => {
                if let Some(pool) = self.pools.remove(&key) {
                    for incarnation in pool.incarnations() {
                        self.by_node.entry(incarnation).or_default().remove(&key);
                    }
                }
            }
        }
    }

    pub(super) fn write(&mut self, change: Change, outcome: &mut Outcome) {
        self.apply(change.clone());
        outcome.changes.push(change);
    }

    /// Takes what the configuration says of a limit in a window: when credit is first asked for, and when it is edited. An
    /// edit that leaves less than is out recalls it.
    pub fn set_terms(&mut self, key: &CounterKey, terms: Terms) -> Outcome {
        let mut outcome = Outcome::default();
        let row = match self.pools.get(key) {
            Some(pool) if pool.row.terms == terms => return outcome,
            Some(pool) => PoolRow { terms, ..pool.row.clone() },
            None => PoolRow::new(terms),
        };
        self.write(Change::Pool(key.clone(), row), &mut outcome);
        outcome.freed.push(key.clone());
        if self.left(key) < 0 {
            self.recall(key, None, &mut outcome);
        }
        outcome
    }

    /// Takes what was counted in a window, as the counter of the usage journal has it, in the transaction that counts.
    pub fn set_counted(&mut self, key: &CounterKey, counted: i64) {
        if let Some(pool) = self.pools.get_mut(key) {
            pool.counted = counted;
        }
    }

    /// Takes the cumulative usage that a node sends with a usage batch, in the transaction that counts the batch. Usage of
    /// any session is taken: it is real.
    pub fn set_used(&mut self, incarnation: i64, used: &[(CounterKey, i64)]) -> Outcome {
        let mut outcome = Outcome::default();
        for (key, used) in used {
            self.raise(key, incarnation, &Account { used: *used, ..Account::default() }, &mut outcome);
        }
        outcome
    }

    /// Takes what was counted in a window beyond what nodes told as used of their credit; less than 0 where they tell of usage
    /// that was counted before.
    pub fn add_uncovered(&mut self, key: &CounterKey, amount: i64) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(pool) = self.pools.get(key).filter(|_| amount != 0) {
            let uncovered = pool.row.uncovered.saturating_add(amount);
            self.write(Change::Pool(key.clone(), PoolRow { uncovered, ..pool.row.clone() }), &mut outcome);
        }
        outcome
    }

    /// The amount that was counted in a window and that no credit was held for.
    pub fn uncovered(&self, key: &CounterKey, counted: i64) -> i64 {
        self.pools.get(key).map_or(0, |pool| pool.row.uncovered.min(counted).max(0))
    }

    /// Takes credit back that a node returns.
    pub fn give_back(&mut self, incarnation: i64, session: i64, returns: &[Returned]) -> Outcome {
        let mut outcome = Outcome::default();
        if self.has_session(incarnation, session, &mut outcome) {
            for Returned { key, returned } in returns {
                let to = Account { returned: *returned, ..Account::default() };
                self.raise(key, incarnation, &to, &mut outcome);
            }
        }
        outcome
    }

    /// Raises the numbers of an account; those that are higher already stay.
    pub(super) fn raise(&mut self, key: &CounterKey, incarnation: i64, to: &Account, outcome: &mut Outcome) {
        let Some(pool) = self.pools.get(key) else { return };
        let before = pool.account(incarnation);
        let mut account = before;
        account.raise(to);
        if account != before {
            self.write(Change::Account(key.clone(), incarnation, account), outcome);
            if account.outstanding() < before.outstanding() {
                outcome.freed.push(key.clone());
            }
        }
    }

    /// Grants all that is wanted or nothing. `share` is how much of a limit one node may be granted ahead of its needs.
    pub fn want(
        &mut self,
        incarnation: i64,
        session: i64,
        wants: &[Want],
        share: impl Fn(&CounterKey, i64) -> i64,
        now: Timestamp,
    ) -> (Answer, Outcome) {
        let mut outcome = Outcome::default();
        if !self.has_session(incarnation, session, &mut outcome) {
            return (Answer::Dropped, outcome);
        }
        let (mut next, mut credits, mut lacking) = (self.clone(), Vec::new(), Vec::new());
        for want in wants {
            match next.grant(incarnation, want, &share, now, &mut outcome) {
                Some(credit) => credits.push(credit),
                None => lacking.push(want.key.clone()),
            }
        }
        if lacking.is_empty() {
            *self = next;
            outcome.directives.push((incarnation, Directive::Grant { session, credits }));
            return (Answer::Met, outcome);
        }
        outcome = Outcome::default();
        for key in &lacking {
            self.recall(key, Some(incarnation), &mut outcome);
        }
        let recalling = !outcome.directives.is_empty();
        outcome.directives.push((incarnation, Directive::Unmet { session, keys: lacking, recalling }));
        (Answer::Unmet { recalling }, outcome)
    }

    /// The rule: what was counted, what is out and what is granted are never more than the limit.
    fn grant(
        &mut self,
        incarnation: i64,
        want: &Want,
        share: impl Fn(&CounterKey, i64) -> i64,
        now: Timestamp,
        outcome: &mut Outcome,
    ) -> Option<Credit> {
        let Want { key, level, ahead, guessed } = want;
        let pool = self.pools.get(key)?;
        let mut account = pool.account(incarnation);
        let needed = level.saturating_sub(account.base());
        // A slot that is granted to a node whose time is up would be freed at once.
        let is_in_time = key.kind != LimitKind::Concurrency || now < self.slots_until(incarnation);
        let left = if pool.row.grants(now) && is_in_time { self.left(key).max(0) } else { 0 };
        let is_alone = self.outstanding(key) == account.outstanding();
        let given = if needed <= 0 {
            0
        } else if needed <= left {
            needed.max((*ahead).min(share(key, left))).min(left)
        } else if *guessed && is_alone && left.saturating_add(account.outstanding()) > 0 {
            left
        } else {
            return None;
        };
        if given > 0 {
            account.granted = account.base().saturating_add(given);
            self.write(Change::Account(key.clone(), incarnation, account), outcome);
        }
        self.credit(key, incarnation, now)
    }

    /// The credit of an incarnation, as it is told at the time `now`.
    pub(super) fn credit(&self, key: &CounterKey, incarnation: i64, now: Timestamp) -> Option<Credit> {
        let pool = self.pools.get(key)?;
        let Terms { max, ends, lease, raised_until } = pool.row.terms;
        let account = pool.account(incarnation);
        let alone = self.left(key) <= 0 && self.outstanding(key) == account.outstanding();
        let is_raised = raised_until.is_some_and(|until| now < until);
        Some(Credit { key: key.clone(), account, max, ends, lease, alone, raised_until, is_raised })
    }

    /// The credit that is left to grant; negative where an edit lowered the limit or requests used more than they reserved.
    pub fn left(&self, key: &CounterKey) -> i64 {
        let Some(pool) = self.pools.get(key) else { return 0 };
        pool.row.terms.max.saturating_sub(pool.counted.saturating_add(self.outstanding(key)))
    }

    /// All credit that may still be spent on a limit in a window, in windows that it was moved from, too.
    pub fn outstanding(&self, key: &CounterKey) -> i64 {
        let pools = self.related(key).filter_map(|key| self.pools.get(key));
        pools.fold(0, |sum, pool| sum.saturating_add(pool.outstanding()))
    }

    /// A window, and those that the limit was moved from.
    fn related<'a>(&'a self, key: &'a CounterKey) -> impl Iterator<Item = &'a CounterKey> {
        let carried = self.pools.get(key).into_iter().flat_map(|pool| &pool.row.carried);
        std::iter::once(key).chain(carried)
    }

    /// The usage that was counted in a window.
    pub fn counted(&self, key: &CounterKey) -> i64 {
        self.pools.get(key).map_or(0, |pool| pool.counted)
    }

    /// The account of an incarnation.
    pub fn account(&self, key: &CounterKey, incarnation: i64) -> Account {
        self.pools.get(key).map(|pool| pool.account(incarnation)).unwrap_or_default()
    }

    /// Until when an incarnation may hold slots.
    pub(super) fn slots_until(&self, incarnation: i64) -> Timestamp {
        self.nodes.get(&incarnation).map_or(Timestamp::EPOCH, |node| node.slots_until)
    }

    /// The windows in which an incarnation has an account.
    pub(super) fn keys(&self, incarnation: i64) -> impl Iterator<Item = &CounterKey> {
        self.by_node.get(&incarnation).into_iter().flatten()
    }

    /// Asks all who hold credit for it, but not `asker`.
    fn recall(&self, key: &CounterKey, asker: Option<i64>, outcome: &mut Outcome) {
        for key in self.related(key) {
            let holders = self.pools.get(key).into_iter().flat_map(Pool::holders);
            for incarnation in holders.filter(|holder| Some(*holder) != asker) {
                if let Some(NodeRow { session, .. }) = self.nodes.get(&incarnation) {
                    let recall = Directive::Recall { session: *session, keys: vec![key.clone()] };
                    outcome.directives.push((incarnation, recall));
                }
            }
        }
    }

    /// Whether a message is of the session that is valid. The node is told where it is not.
    pub(super) fn has_session(&self, incarnation: i64, session: i64, outcome: &mut Outcome) -> bool {
        let answer = match self.nodes.get(&incarnation) {
            Some(node) if node.is_closed => Directive::Closed,
            Some(node) if node.session == session => return true,
            Some(_) | None => Directive::Stale { session },
        };
        outcome.directives.push((incarnation, answer));
        false
    }
}
