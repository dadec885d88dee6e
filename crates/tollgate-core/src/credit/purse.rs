//! The node's side: the credit that one incarnation holds, and the requests that it covers.

use std::collections::BTreeMap;
use std::time::Duration;

use super::held::Held;
use super::{Account, Credit, Directive, Hello, Report, Returned, Stated, Want};
use crate::counters::CounterKey;
use crate::domain::{LimitKind, Timestamp};

/// How long credit lies idle before it is given back.
const IDLE: Duration = Duration::from_secs(5);

/// The time at a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// By the server's clock, as far as the node knows it: decides the window.
    pub at: Timestamp,
    /// By the node's monotonic clock: decides what is idle and what has expired.
    pub elapsed: Duration,
}

/// The amount that a request may use of one hard limit in the window of its admission. Soft limits are never asked of a purse.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demand {
    /// The limit and window.
    pub key: CounterKey,
    /// The estimate. A request with a budget in its chain demands at least 1, unless its price is explicitly 0.
    pub amount: i64,
    /// Whether the estimate is a guess, which never refuses alone.
    pub guessed: bool,
}

/// The credit that a request in flight holds. It ends in [`Purse::settle`] or [`Purse::abandon`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Reservation(Vec<(CounterKey, i64)>);

impl Reservation {
    /// The limits, each in the window of the admission, and what is held of them.
    pub fn amounts(&self) -> &[(CounterKey, i64)] {
        &self.0
    }
}

/// Why a request cannot be admitted: these limits lack credit. Ask for it with [`Purse::want`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Short(pub Vec<CounterKey>);

/// The credit of one incarnation of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Purse {
    /// The connection of the last hello, and when that was sent.
    connection: u64,
    hello_sent: Duration,
    /// The session, while it is valid.
    session: Option<i64>,
    last_session: i64,
    /// When the last message was sent that the server answered.
    renewed: Option<Duration>,
    /// How long after such a message slots may be held.
    slots_for: Duration,
    is_closed: bool,
    held: BTreeMap<CounterKey, Held>,
}

impl Purse {
    /// Goes on after a restart with what the outbox knows: the last session, and per limit and window what was used and the
    /// part of it that was acknowledged. Requests that were in flight must be among what was used. The purse admits nothing
    /// until a server has told it what it holds.
    pub fn restore(session: i64, used: impl IntoIterator<Item = (CounterKey, i64, i64)>) -> Self {
        let held = used.into_iter().map(|(key, used, acknowledged)| {
            let account = Account { used, ..Account::default() };
            (key, Held { account, acknowledged, ..Held::unknown() })
        });
        Self { last_session: session, held: held.collect(), ..Self::default() }
    }

    /// Holds slots of limits on requests that are open at once, each for at most four fifths of this time after the sending of
    /// the last message that was answered. Without, it is never granted one.
    pub fn with_slots(self, slots_for: Duration) -> Self {
        Self { slots_for, ..self }
    }

    /// Begins a connection, whose number no other of the incarnation may have had, across restarts too.
    pub fn hello(&mut self, connection: u64, now: Now) -> Report {
        (self.connection, self.hello_sent, self.session) = (connection, now.elapsed, None);
        let stated = self.held.iter().map(|(key, held)| {
            let Held { account: Account { granted, .. }, acknowledged, .. } = held;
            Stated { key: key.clone(), granted: *granted, acknowledged: *acknowledged }
        });
        let (session, slots_for) = (self.last_session, self.slots_for);
        Report::Hello(Hello { connection, session, stated: stated.collect(), slots_for })
    }

    /// Takes a message of the server, and gives the answer to it. Those of other connections and sessions change nothing.
    pub fn take(&mut self, directive: Directive, now: Now) -> Option<Report> {
        match directive {
            Directive::Welcome { connection, session, credits } if connection == self.connection => {
                // A repeated answer to the same hello is no news.
                if self.session == Some(session) {
                    return None;
                }
                (self.session, self.last_session) = (Some(session), session);
                self.renewed = Some(self.hello_sent);
                let told: BTreeMap<_, _> =
                    credits.iter().map(|credit| (credit.key.clone(), credit.account.returned)).collect();
                self.learn(credits, true, now);
                let own = self.held.iter().map(|(key, held)| (key.clone(), held.account.returned));
                // The server may not have heard of them, or have lost them.
                let unknown = own.filter(|(key, returned)| *returned > told.get(key).copied().unwrap_or_default());
                let returns: Vec<_> = unknown.map(|(key, returned)| Returned { key, returned }).collect();
                (!returns.is_empty()).then_some(Report::Return { session, returns })
            }
            Directive::Grant { session, credits } if self.session == Some(session) => {
                let returns = self.learn(credits, false, now);
                (!returns.is_empty()).then_some(Report::Return { session, returns })
            }
            Directive::Recall { session, keys } if self.session == Some(session) => {
                for key in keys.iter().filter(|key| key.kind == LimitKind::Concurrency) {
                    if let Some(held) = self.held.get_mut(key) {
                        held.recall(now.elapsed);
                    }
                }
                self.give_back(|key, _| keys.contains(key))
            }
            Directive::Renewed { session, sent } if self.session == Some(session) => {
                self.renewed = self.renewed.max(Some(sent));
                None
            }
            Directive::Stale { session } if self.session == Some(session) => {
                self.session = None;
                None
            }
            Directive::Closed => {
                self.close();
                None
            }
            Directive::Welcome { .. }
            | Directive::Grant { .. }
            | Directive::Unmet { .. }
            | Directive::Recall { .. }
            | Directive::Renewed { .. }
            | Directive::Stale { .. } => None,
        }
    }

    /// Admits nothing any more: the incarnation is over.
    pub fn close(&mut self) {
        (self.session, self.is_closed) = (None, true);
    }

    /// Takes what a server told; what is given back, since an increase is over.
    fn learn(&mut self, credits: Vec<Credit>, is_welcome: bool, now: Now) -> Vec<Returned> {
        let mut returns = Vec::new();
        for credit in credits {
            let key = credit.key.clone();
            let held = self.held.entry(key.clone()).or_insert_with(Held::unknown);
            if held.learn(credit, is_welcome, now.elapsed) {
                returns.push(Returned { key, returned: held.account.returned });
            }
        }
        returns
    }

    /// Holds credit for a request on all of these limits, or on none.
    ///
    /// # Errors
    ///
    /// Some of the limits lack credit.
    pub fn admit(&mut self, demands: &[Demand], now: Now) -> Result<Reservation, Short> {
        let covers = |demand: &Demand| {
            let held = self.held.get(&demand.key)?;
            let is_valid = !self.is_closed
                && !held.is_moved
                && now.at < held.ends
                && !held.outlives_increase(now.at)
                && !self.has_expired(&demand.key, held, now);
            is_valid.then(|| held.covers(demand)).flatten().map(|amount| (demand.key.clone(), amount))
        };
        let amounts: Vec<_> = demands.iter().filter_map(covers).collect();
        if amounts.len() < demands.len() {
            let is_short = |demand: &&Demand| !amounts.iter().any(|(key, _)| *key == demand.key);
            return Err(Short(demands.iter().filter(is_short).map(|demand| demand.key.clone()).collect()));
        }
        for (key, amount) in &amounts {
            if let Some(held) = self.held.get_mut(key) {
                held.reserve(*amount, now.elapsed);
            }
        }
        Ok(Reservation(amounts))
    }

    /// Holds credit on these limits in place of what a request holds already: it does not compete with itself. What it held is
    /// free again then.
    ///
    /// # Errors
    ///
    /// The request holds what it held before, since some of the limits lack credit.
    pub fn exchange(&mut self, before: &[&Reservation], demands: &[Demand], now: Now) -> Result<Reservation, Short> {
        let reserve = |purse: &mut Self, sign: i64| {
            for (key, amount) in before.iter().flat_map(|reservation| &reservation.0) {
                if let Some(held) = purse.held.get_mut(key) {
                    held.reserve(sign * amount, now.elapsed);
                }
            }
        };
        reserve(self, -1);
        self.admit(demands, now).inspect_err(|_| reserve(self, 1))
    }

    /// Ends a request with what it used of each limit that it held. It counts in the window in which it was admitted, however
    /// late it ends. Of a limit on concurrent requests a request uses 0: what it held is free again.
    pub fn settle(&mut self, reservation: Reservation, used: impl Fn(&CounterKey) -> i64, now: Now) {
        for (key, amount) in reservation.0 {
            let used = used(&key);
            if let Some(held) = self.held.get_mut(&key) {
                held.reserved = held.reserved.saturating_sub(amount);
                held.account.used = held.account.used.saturating_add(used);
                held.touched = now.elapsed;
            }
        }
    }

    /// Ends a request that used nothing.
    pub fn abandon(&mut self, reservation: Reservation, now: Now) {
        self.settle(reservation, |_| 0, now);
    }

    /// Notes usage of a limit that no reservation was made for: its request was admitted before the limit applied to it.
    pub fn charge(&mut self, key: CounterKey, used: i64) {
        let held = self.held.entry(key).or_insert_with(Held::unknown);
        held.account.used = held.account.used.saturating_add(used);
    }

    /// Asks for what the request needs that has waited longest for credit, on all of its limits or on none, and if there is
    /// enough, for the requests that wait behind it; `None` while no session is valid.
    pub fn want(&self, first: &[Demand], behind: &[Demand]) -> Option<Report> {
        let session = self.session?;
        let wants = first.iter().map(|Demand { key, amount, guessed }| {
            let unknown = Held::unknown();
            let held = self.held.get(key).unwrap_or(&unknown);
            let Account { used, returned, .. } = held.account;
            let level = used.saturating_add(returned).saturating_add(held.reserved).saturating_add(*amount);
            let behind = behind.iter().filter(|demand| demand.key == *key);
            let waiting = behind.fold(*amount, |sum, demand| sum.saturating_add(demand.amount));
            // A slot serves one request after the other.
            let ahead = if key.kind == LimitKind::Concurrency { waiting } else { waiting.max(held.pace.most()) };
            Want { key: key.clone(), level, ahead, guessed: *guessed && held.reserved == 0 }
        });
        Some(Report::Want { session, wants: wants.collect() })
    }

    /// Gives back what was idle for five seconds and what a window left over that has ended, and forgets windows of which
    /// nobody needs to know any more.
    pub fn tidy(&mut self, now: Now) -> Option<Report> {
        let report = self.give_back(|_, held| {
            now.at >= held.ends || held.outlives_increase(now.at) || now.elapsed >= held.touched + IDLE
        });
        if self.session.is_some() {
            self.held.values_mut().for_each(|held| held.lower(now.at));
        }
        if self.session.is_some() && report.is_none() {
            self.held.retain(|_, held| !held.is_over(now.at));
        }
        report
    }

    /// Gives slots back that are free again and that others wait for, before a request that waits here gets them: otherwise a
    /// node that is always full would never let others have one.
    pub fn give_owed_back(&mut self, now: Now) -> Option<Report> {
        let report = self.give_back(|_, held| held.owed_until.is_some_and(|until| now.elapsed < until));
        if let Some(Report::Return { returns, .. }) = &report {
            for returned in returns {
                if let Some(held) = self.held.get_mut(&returned.key) {
                    held.owed_until = None;
                }
            }
        }
        report
    }

    /// Gives everything back that no request in flight holds: at the end of the node.
    pub fn give_all_back(&mut self) -> Option<Report> {
        self.give_back(|_, _| true)
    }

    /// Admits nothing in a window any more, since an edit moved the limit to another, and gives back what is idle in it. To be
    /// called when the revision of the edit is applied. Requests in flight stay covered by the old window's credit.
    pub fn move_window(&mut self, key: &CounterKey) -> Option<Report> {
        if let Some(held) = self.held.get_mut(key) {
            held.is_moved = true;
        }
        self.give_back(|own, _| own == key)
    }

    /// The purse admits less before anybody is told. Without a session nothing is given back: the server would drop it, and
    /// whoever starts from the outbox would not know of it.
    fn give_back(&mut self, mut which: impl FnMut(&CounterKey, &Held) -> bool) -> Option<Report> {
        let session = self.session?;
        let given = self.held.iter_mut().filter_map(|(key, held)| {
            let any = which(key, held) && held.give_back();
            any.then(|| Returned { key: key.clone(), returned: held.account.returned })
        });
        let returns: Vec<_> = given.collect();
        (!returns.is_empty()).then_some(Report::Return { session, returns })
    }

    /// Asks for more time for credit that expires.
    pub fn renew(&self, now: Now) -> Option<Report> {
        Some(Report::Renew { session: self.session?, sent: now.elapsed, slots_for: self.slots_for })
    }

    /// How often more time is to be asked for; `None` if no credit expires.
    pub fn renewal(&self) -> Option<Duration> {
        let lease = |(key, held): (&CounterKey, &Held)| match key.kind {
            LimitKind::Concurrency => (held.account.outstanding() > 0).then(|| self.slot_renewal()),
            _ => held.lease.map(|lease| lease / 4),
        };
        self.held.iter().filter_map(lease).min()
    }

    /// Whether more time is to be asked for before a slot is: the node had none for so long that it asked for none.
    pub fn lacks_time(&self, demands: &[Demand], now: Now) -> bool {
        let wants_slot = demands.iter().any(|demand| demand.key.kind == LimitKind::Concurrency);
        wants_slot && self.renewed.is_none_or(|renewed| now.elapsed >= renewed + self.slot_renewal())
    }

    /// Often enough that a request which holds a slot may be open for two thirds of the time that slots may be held for.
    fn slot_renewal(&self) -> Duration {
        self.slots_for / 8
    }

    /// Until when credit may be used, by the node's monotonic clock; `None` if it does not expire. A request that holds a slot
    /// must end by then.
    pub fn valid_until(&self, key: &CounterKey) -> Option<Duration> {
        self.held.get(key).and_then(|held| self.expires(key, held))
    }

    /// The node stops at 0.8 of the lease, counted from the sending of a message that the server answered: earlier than the
    /// server, which counts from when it answered.
    fn expires(&self, key: &CounterKey, held: &Held) -> Option<Duration> {
        let lease = match key.kind {
            LimitKind::Concurrency => Some(self.slots_for),
            _ => held.lease,
        };
        lease.map(|lease| self.renewed.map_or(Duration::ZERO, |renewed| renewed + lease * 4 / 5))
    }

    fn has_expired(&self, key: &CounterKey, held: &Held, now: Now) -> bool {
        self.expires(key, held).is_some_and(|expires| now.elapsed >= expires)
    }

    /// The usage of each limit in each window, cumulative: to be sent with each usage batch that holds it, and to be kept
    /// in the outbox.
    pub fn used(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        self.held.iter().map(|(key, held)| (key, held.account.used))
    }

    /// Notes that a server has counted usage up to this much.
    pub fn acknowledge(&mut self, key: &CounterKey, used: i64) {
        if let Some(held) = self.held.get_mut(key) {
            held.acknowledged = held.acknowledged.max(used);
        }
    }

    /// The session, while it is valid: without one, [`hello`](Self::hello) is due.
    pub fn session(&self) -> Option<i64> {
        self.session
    }

    /// Whether the server closed the incarnation: the node has to register a new one.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// The account on a limit in a window, as the node knows it.
    pub fn account(&self, key: &CounterKey) -> Account {
        self.held.get(key).map(|held| held.account).unwrap_or_default()
    }

    /// Whether anything is known of a limit in a window.
    pub fn knows(&self, key: &CounterKey) -> bool {
        self.held.contains_key(key)
    }

    /// All accounts, by limit and window.
    pub fn accounts(&self) -> impl Iterator<Item = (&CounterKey, &Account)> {
        self.held.iter().map(|(key, held)| (key, &held.account))
    }

    /// The amount of a limit in a window that requests in flight hold.
    pub fn reserved(&self, key: &CounterKey) -> i64 {
        self.held.get(key).map_or(0, |held| held.reserved)
    }
}
