//! The credit of the node: its purse, and the requests that wait for credit. It knows no network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tollgate_core::counters::CounterKey;
use tollgate_core::credit::{Demand, Directive, Now, Purse, Report, Reservation, Short};
use tollgate_core::domain::LimitKind;
use tollgate_core::proto::v1::UsageEntry;

use crate::backlog::{CreditCounts, CreditStatus, Standing};
use crate::outbox::spending::{Spending, amount};

/// Requests that wait at once; more of them are refused without waiting.
const WAITING: usize = 10_000;
/// After so long a want is repeated that waits for others to give credit back: a server remembers one want of a node.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a request may wait for credit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a server to answer.
    pub(crate) usual: Duration,
    /// For other nodes to give credit back.
    pub(crate) recall: Duration,
}

/// See the module.
pub(crate) struct Credit {
    purse: Purse,
    /// How long the node may hold slots that is not heard.
    slots_for: Duration,
    standing: Standing,
    patience: Patience,
    waiting: BTreeMap<u64, Waiting>,
    /// The limits that a server was asked for.
    asked: BTreeMap<CounterKey, Asked>,
    /// The number of the next request that waits.
    next: u64,
    /// Reports to be sent, in their order, and who sends them.
    reports: Vec<Report>,
    news: Arc<Notify>,
    counts: CreditCounts,
}

/// A request that waits.
struct Waiting {
    demands: Vec<Demand>,
    since: Instant,
    until: Instant,
    wake: Arc<Notify>,
    /// Whether others hold credit that it lacks, and were asked to give it back.
    is_recalled: bool,
    /// The credit that it got.
    held: Option<Reservation>,
}

/// A limit that a server was asked for.
struct Asked {
    /// The request that waits for it.
    number: u64,
    amount: i64,
    at: Instant,
    /// Whether the server answered that it is not there, and that others were asked to give credit back.
    unmet: Option<bool>,
}

impl Credit {
    /// Goes on with what the outbox knows.
    pub(crate) fn new(spending: &Spending, slots_for: Duration, patience: Patience, news: Arc<Notify>) -> Self {
        Self {
            purse: Purse::restore(spending.session, spending.used()).with_slots(slots_for),
            slots_for,
            standing: if spending.session > 0 { Standing::Granted } else { Standing::Unknown },
            patience,
            waiting: BTreeMap::new(),
            asked: BTreeMap::new(),
            next: 0,
            reports: Vec::new(),
            news,
            counts: CreditCounts::default(),
        }
    }

    /// Spends nothing more: the incarnation is over.
    pub(crate) fn close(&mut self) {
        self.purse.close();
    }

    /// Begins anew: credit is of the incarnation that it was granted to.
    pub(crate) fn renew_incarnation(&mut self) {
        self.purse = Purse::default().with_slots(self.slots_for);
        self.asked.clear();
        self.reports.clear();
    }

    pub(crate) fn purse(&self) -> &Purse {
        &self.purse
    }

    /// Whether hard limits are decided by credit.
    pub(crate) fn is_needed(&self) -> bool {
        self.standing == Standing::Granted
    }

    /// The control plane grants this node no credit. Whether that is new.
    pub(crate) fn withhold(&mut self, why: String) -> bool {
        let withheld = Standing::Withheld(why);
        let is_new = self.standing != withheld;
        self.standing = withheld;
        is_new
    }

    /// Holds credit for a request in place of what it holds already, which is free again then. Nothing where no credit is needed.
    pub(crate) fn exchange(
        &mut self,
        before: [&mut Reservation; 2],
        demands: &[Demand],
        now: Now,
    ) -> Result<Reservation, Short> {
        let demands = if self.is_needed() { demands } else { &[] };
        let [one, other] = before;
        let held = self.purse.exchange(&[&*one, &*other], demands, now)?;
        let freed = [one, other].map(std::mem::take);
        if freed.iter().any(|freed| !freed.amounts().is_empty()) {
            self.serve_freed(now);
        }
        Ok(held)
    }

    /// Holds again what a request held before it was to hold `now_held`.
    pub(crate) fn exchange_back(&mut self, mut now_held: Reservation, before: &Reservation, now: Now) -> Reservation {
        let demand = |(key, amount): &(CounterKey, i64)| Demand { key: key.clone(), amount: *amount, guessed: false };
        let demands: Vec<_> = before.amounts().iter().map(demand).collect();
        let back = self.exchange([&mut now_held, &mut Reservation::default()], &demands, now);
        back.unwrap_or_else(|_| {
            // The window is over, and so is all credit of it.
            self.abandon(now_held, now);
            Reservation::default()
        })
    }

    /// Ends a request that used `entry`.
    pub(crate) fn settle(&mut self, held: Reservation, entry: &UsageEntry, uncovered: &[(CounterKey, i64)], now: Now) {
        self.purse.settle(held, |key| amount(entry, key.kind), now);
        uncovered.iter().for_each(|(key, used)| self.purse.charge(key.clone(), *used));
        self.serve_freed(now);
    }

    /// Ends a request that used nothing.
    pub(crate) fn abandon(&mut self, held: Reservation, now: Now) {
        self.purse.abandon(held, now);
        self.serve_freed(now);
    }

    /// Notes that the control plane has counted usage up to this much.
    pub(crate) fn acknowledge(&mut self, key: &CounterKey, used: i64) {
        self.purse.acknowledge(key, used);
    }

    /// Lets a request wait, which came at `since`: its number, and by whom it is woken. `None` if it has waited long enough,
    /// or if nobody can be asked.
    pub(crate) fn wait(&mut self, demands: Vec<Demand>, since: Instant, now: Now) -> Option<(u64, Arc<Notify>)> {
        if self.purse.session().is_none() || self.waiting.len() >= WAITING {
            return None;
        }
        let unmet = |demand: &Demand| self.asked.get(&demand.key).and_then(|asked| asked.unmet);
        let is_recalled = demands.iter().any(|demand| unmet(demand) == Some(true));
        let patience = if is_recalled { self.patience.recall } else { self.patience.usual };
        let until = since + patience;
        if until <= Instant::now() {
            self.counts.refused_while_held += u64::from(is_recalled);
            return None;
        }
        let (number, wake) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        let waiting = Waiting { demands, since, until, wake: Arc::clone(&wake), is_recalled, held: None };
        self.waiting.insert(number, waiting);
        self.serve(now);
        Some((number, wake))
    }

    /// Until when a request may wait; `None` if it need not wait any more, since it got credit or nobody can be asked.
    pub(crate) fn until(&self, number: u64) -> Option<Instant> {
        self.purse.session()?;
        self.waiting.get(&number).filter(|waiting| waiting.held.is_none()).map(|waiting| waiting.until)
    }

    /// Notes that the time of a request is up that waited.
    pub(crate) fn lapse(&mut self, number: u64) {
        let is_recalled = self.waiting.get(&number).is_some_and(|waiting| waiting.is_recalled);
        self.counts.refused_while_held += u64::from(is_recalled);
    }

    /// Lets a request wait no more. The credit that it got.
    pub(crate) fn leave(&mut self, number: u64) -> Reservation {
        self.asked.retain(|_, asked| asked.number != number);
        self.waiting.remove(&number).and_then(|waiting| waiting.held).unwrap_or_default()
    }

    /// Gives credit that is free again to those who wait: at other nodes first, if they asked for it.
    fn serve_freed(&mut self, now: Now) {
        let owed = self.purse.give_owed_back(now);
        self.report(owed);
        self.serve(now);
    }

    /// Gives credit to the requests that wait, the oldest first, and asks for what is lacking.
    fn serve(&mut self, now: Now) {
        let mut short = Vec::new();
        for (number, waiting) in self.waiting.iter_mut().filter(|(_, waiting)| waiting.held.is_none()) {
            match self.purse.admit(&waiting.demands, now) {
                Ok(held) => {
                    waiting.held = Some(held);
                    waiting.wake.notify_one();
                    self.asked.retain(|_, asked| asked.number != *number);
                }
                Err(Short(keys)) => short.push((*number, keys)),
            }
        }
        short.into_iter().for_each(|(number, keys)| self.ask(number, &keys, now));
    }

    /// Asks for the credit that a request lacks, unless an answer for another is still to come, or was that there is not even
    /// less than this.
    fn ask(&mut self, number: u64, lacking: &[CounterKey], now: Now) {
        let Some(Waiting { demands, .. }) = self.waiting.get(&number) else { return };
        let lacking: Vec<_> = demands.iter().filter(|demand| lacking.contains(&demand.key)).collect();
        let may_ask = |demand: &&Demand| match self.asked.get(&demand.key) {
            None => true,
            Some(asked) => asked.number != number && asked.unmet.is_some() && demand.amount < asked.amount,
        };
        if !lacking.iter().all(may_ask) {
            return;
        }
        let others = self.waiting.iter().filter(|(other, waiting)| **other != number && waiting.held.is_none());
        let behind: Vec<_> = others.flat_map(|(_, waiting)| waiting.demands.iter().cloned()).collect();
        let Some(report) = self.purse.want(demands, &behind) else { return };
        let renewal = if self.purse.lacks_time(demands, now) { self.purse.renew(now) } else { None };
        let at = Instant::now();
        for Demand { key, amount, .. } in lacking {
            self.asked.insert(key.clone(), Asked { number, amount: *amount, at, unmet: None });
        }
        self.counts.wants += 1;
        self.report(renewal);
        self.report(Some(report));
    }

    fn report(&mut self, report: Option<Report>) {
        if let Some(report) = report {
            self.reports.push(report);
            self.news.notify_one();
        }
    }

    /// Begins a connection with this number.
    pub(crate) fn hello(&mut self, connection: u64, now: Now) -> Report {
        self.asked.clear();
        self.reports.clear();
        self.purse.hello(connection, now)
    }

    /// Takes a directive. The session, if it begins one.
    pub(crate) fn take(&mut self, directive: Directive, now: Now) -> Option<i64> {
        match &directive {
            Directive::Grant { credits, .. } => {
                self.asked.retain(|key, _| credits.iter().all(|credit| credit.key != *key));
            }
            Directive::Unmet { keys, recalling, .. } => self.note_unmet(keys, *recalling),
            Directive::Recall { .. } => self.counts.recalls += 1,
            Directive::Welcome { .. } | Directive::Renewed { .. } | Directive::Stale { .. } | Directive::Closed => {}
        }
        let before = self.purse.session();
        let report = self.purse.take(directive, now);
        self.report(report);
        let begun = self.purse.session().filter(|session| before != Some(*session));
        if begun.is_some() {
            self.standing = Standing::Granted;
        }
        self.serve(now);
        begun
    }

    /// Takes the answer that these limits lack credit.
    fn note_unmet(&mut self, keys: &[CounterKey], recalling: bool) {
        let mut of = Vec::new();
        for key in keys {
            if let Some(asked) = self.asked.get_mut(key) {
                asked.unmet = Some(recalling);
                of.push(asked.number);
            }
        }
        // The other limits of the same want are answered too.
        self.asked.retain(|key, asked| keys.contains(key) || !of.contains(&asked.number));
        if recalling {
            for waiting in self.waiting.values_mut() {
                if waiting.demands.iter().any(|demand| keys.contains(&demand.key)) {
                    waiting.until = waiting.since + self.patience.recall;
                    waiting.is_recalled = true;
                }
            }
        }
    }

    /// The connection is lost: without a session, nothing is given back.
    pub(crate) fn disconnected(&mut self, now: Now) {
        if let Some(session) = self.purse.session() {
            self.purse.take(Directive::Stale { session }, now);
            self.waiting.values().for_each(|waiting| waiting.wake.notify_one());
        }
    }

    /// When a want is to be repeated.
    pub(crate) fn again_at(&self) -> Option<Instant> {
        self.asked.values().filter(|asked| asked.unmet == Some(true)).map(|asked| asked.at + AGAIN).min()
    }

    /// Repeats wants that wait for others to give credit back.
    pub(crate) fn ask_again(&mut self, now: Now) {
        let at = Instant::now();
        self.asked.retain(|_, asked| !(asked.unmet == Some(true) && asked.at + AGAIN <= at));
        self.serve(now);
    }

    /// Gives idle credit back, and forgets windows that are over.
    pub(crate) fn tidy(&mut self, now: Now) {
        let report = self.purse.tidy(now);
        self.report(report);
    }

    /// Gives all credit back that no request in flight holds.
    pub(crate) fn give_all_back(&mut self) {
        let report = self.purse.give_all_back();
        self.report(report);
    }

    /// Asks for more time, where credit expires.
    pub(crate) fn renew(&mut self, now: Now) {
        let report = self.purse.renew(now);
        self.report(report);
    }

    /// Admits nothing any more in a window that an edit has moved, and gives back what is idle there.
    pub(crate) fn move_window(&mut self, key: &CounterKey) {
        let report = self.purse.move_window(key);
        self.report(report);
    }

    /// The reports to be sent.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Counts a request that was refused for want of credit.
    pub(crate) fn count_refused(&mut self) {
        self.counts.refused += 1;
    }

    pub(crate) fn status(&self) -> CreditStatus {
        let held = |kind: LimitKind| {
            let accounts = self.purse.accounts().filter(|(key, _)| key.kind == kind);
            accounts.fold(0_i64, |sum, (_, account)| sum.saturating_add(account.outstanding()))
        };
        CreditStatus {
            standing: self.standing.clone(),
            session: self.purse.session(),
            nano_usd: held(LimitKind::Budget),
            tokens: held(LimitKind::Tokens),
            requests: held(LimitKind::Requests),
            slots: held(LimitKind::Concurrency),
            waiting: self.waiting.len(),
            counts: self.counts,
        }
    }
}
