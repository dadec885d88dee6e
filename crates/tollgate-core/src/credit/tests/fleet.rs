//! A server, its nodes and their callers at random, in virtual time. It stops where a limit is exceeded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::{Book, Demand, Desk, Directive, Now, Outcome, Purse, Report, Reservation, Terms};
use crate::counters::CounterKey;
use crate::domain::{LimitKind, Timestamp};

/// How long a request waits for credit, in milliseconds.
const CREDIT_WAIT: u64 = 250;
/// How often in a row a caller is refused before it gives up.
const PATIENCE: u32 = 12;
pub(super) const BUDGET: i64 = 100_000;
const TEAM: i64 = 80_000;
const SLOTS: i64 = 30;

const SLOTS_FOR: Duration = Duration::from_secs(600);

fn limit(id: &str) -> CounterKey {
    let kind = if id == "slots" { LimitKind::Concurrency } else { LimitKind::Budget };
    CounterKey { limit_id: id.into(), kind, window_start: Timestamp::EPOCH }
}

/// An event at a node, by its place.
#[derive(Debug)]
enum Due {
    Call { node: usize, refusals: u32, cost: i64 },
    End { node: usize, incarnation: i64, process: u64, request: u64 },
    GiveUp { node: usize, process: u64, request: u64 },
    ToServer { node: usize, connection: u64, report: Report },
    Usage { node: usize, connection: u64, used: Vec<(CounterKey, i64)> },
    Counted { node: usize, connection: u64, used: Vec<(CounterKey, i64)> },
    ToNode { node: usize, connection: u64, directive: Directive },
    Tick { node: usize },
    Fault { node: usize },
}

/// The directions of a connection.
const TO_SERVER: usize = 0;
const TO_NODE: usize = 1;

struct Waiting {
    request: u64,
    refusals: u32,
    cost: i64,
}

#[derive(Default)]
struct Node {
    incarnation: i64,
    purse: Purse,
    process: u64,
    connection: u64,
    /// No message overtakes another on a connection: when the last one arrives, at the server and here.
    arrival: [u64; 2],
    open: BTreeMap<u64, (Reservation, i64)>,
    waiting: VecDeque<Waiting>,
}

pub(super) struct Simulation {
    random: StdRng,
    now: u64,
    order: u64,
    due: BinaryHeap<Reverse<(u64, u64)>>,
    what: BTreeMap<u64, Due>,
    book: Book,
    /// Another replica, which follows what is written.
    follower: Book,
    desk: Desk,
    nodes: Vec<Node>,
    incarnations: i64,
    connections: u64,
    callers: usize,
    spent: BTreeMap<CounterKey, i64>,
    faults_until: u64,
    grants: usize,
    recalls: usize,
}

impl Simulation {
    pub(super) fn new(nodes: usize, callers: usize, faults_until: u64, seed: u64) -> Self {
        let mut simulation = Self {
            random: StdRng::seed_from_u64(seed),
            now: 0,
            order: 0,
            due: BinaryHeap::new(),
            what: BTreeMap::new(),
            book: Book::default(),
            follower: Book::default(),
            desk: Desk::default(),
            nodes: Vec::new(),
            incarnations: nodes as i64,
            connections: 0,
            callers: nodes * callers,
            spent: BTreeMap::new(),
            faults_until,
            grants: 0,
            recalls: 0,
        };
        let ends = Timestamp::MAX;
        for (id, max) in [("team 0", TEAM), ("team 1", TEAM), ("budget", BUDGET), ("slots", SLOTS)] {
            let outcome = simulation.book.set_terms(&limit(id), Terms { max, ends, lease: None, raised_until: None });
            simulation.publish(outcome);
        }
        for node in 0..nodes {
            let purse = Purse::default().with_slots(SLOTS_FOR);
            simulation.nodes.push(Node { incarnation: node as i64 + 1, purse, ..Node::default() });
            simulation.connect(node);
            simulation.after(1_000, Due::Tick { node });
            for _ in 0..callers {
                simulation.call_again(node, 0, 0, 2_000);
            }
            let wait = simulation.random.random_range(0..5_000);
            simulation.after(wait, Due::Fault { node });
        }
        simulation
    }

    fn now(&self) -> Now {
        Now { at: Timestamp::from_micros(self.now as i64 * 1_000), elapsed: Duration::from_millis(self.now) }
    }

    fn after(&mut self, wait: u64, due: Due) {
        self.order += 1;
        self.due.push(Reverse((self.now + wait, self.order)));
        self.what.insert(self.order, due);
    }

    /// Runs until all callers have given up, and what is idle was given back.
    pub(super) fn run(&mut self) {
        let mut until = None;
        while let Some(Reverse((at, order))) = self.due.pop() {
            self.now = at;
            if self.callers == 0 && at > self.faults_until {
                let until = *until.get_or_insert(at + 30_000);
                if at > until {
                    return;
                }
            }
            if let Some(due) = self.what.remove(&order) {
                self.happen(due);
            }
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Call { node, refusals, cost } => {
                let request = self.order;
                self.nodes[node].waiting.push_back(Waiting { request, refusals, cost });
                let process = self.nodes[node].process;
                self.after(CREDIT_WAIT, Due::GiveUp { node, process, request });
                self.serve(node);
            }
            Due::GiveUp { node, process, request } => {
                let waiting = &mut self.nodes[node].waiting;
                let place = waiting.iter().position(|waiting| waiting.request == request);
                if let Some(Waiting { refusals, cost, .. }) = place.and_then(|place| waiting.remove(place))
                    && self.nodes[node].process == process
                {
                    self.refuse(node, refusals, cost);
                    self.serve(node);
                }
            }
            Due::End { node, incarnation, process, request } => {
                let own = &self.nodes[node];
                if (own.incarnation, own.process) == (incarnation, process) {
                    let used = self.random.random_range(50..=100);
                    self.settle(node, request, used);
                    self.call_again(node, 0, 0, 300);
                    self.serve(node);
                }
            }
            Due::ToServer { node, connection, report } if self.nodes[node].connection == connection => {
                let incarnation = self.nodes[node].incarnation;
                self.take(incarnation, report);
            }
            Due::Usage { node, connection, used } if self.nodes[node].connection == connection => {
                self.count(node, &used);
                self.send(node, TO_NODE, |connection| Due::Counted { node, connection, used });
            }
            Due::Counted { node, connection, used } if self.nodes[node].connection == connection => {
                used.iter().for_each(|(key, used)| self.nodes[node].purse.acknowledge(key, *used));
            }
            Due::ToNode { node, connection, directive } if self.nodes[node].connection == connection => {
                let news = matches!(directive, Directive::Welcome { .. } | Directive::Grant { .. });
                let now = self.now();
                let report = self.nodes[node].purse.take(directive, now);
                self.report(node, report);
                if self.nodes[node].purse.session().is_none() {
                    self.connect(node);
                } else if news {
                    self.serve(node);
                }
            }
            Due::ToServer { .. } | Due::Usage { .. } | Due::Counted { .. } | Due::ToNode { .. } => {}
            Due::Tick { node } => self.tick(node),
            Due::Fault { node } => self.fault(node),
        }
    }

    fn demands(cost: i64) -> [Demand; 3] {
        let demand = |id: &str, amount| Demand { key: limit(id), amount, guessed: false };
        [demand("budget", cost), demand(if cost % 2 == 0 { "team 0" } else { "team 1" }, cost), demand("slots", 1)]
    }

    /// Admits what can be admitted, and asks for credit for the first that cannot.
    fn serve(&mut self, node: usize) {
        let now = self.now();
        let own = &mut self.nodes[node];
        let mut admitted = Vec::new();
        own.waiting.retain(|Waiting { request, cost, .. }| {
            let reservation = own.purse.admit(&Self::demands(*cost), now);
            reservation.map(|it| admitted.push((*request, it, *cost))).is_err()
        });
        let mut demands = own.waiting.iter().map(|waiting| Self::demands(waiting.cost));
        let first = demands.next();
        let behind: Vec<_> = demands.flatten().collect();
        let report = first.and_then(|first| own.purse.want(&first, &behind));
        let (incarnation, process) = (own.incarnation, own.process);
        for (request, reservation, cost) in admitted {
            self.nodes[node].open.insert(request, (reservation, cost));
            let wait = self.random.random_range(10..400);
            self.after(wait, Due::End { node, incarnation, process, request });
        }
        let open: i64 = self.nodes.iter().map(|node| node.open.len() as i64).sum();
        assert!(open <= SLOTS, "{open} requests at once");
        self.report(node, report);
    }

    fn refuse(&mut self, node: usize, refusals: u32, cost: i64) {
        if refusals < PATIENCE {
            self.call_again(node, refusals + 1, cost, 1_000);
        } else {
            self.callers -= 1;
        }
    }

    fn call_again(&mut self, node: usize, refusals: u32, cost: i64, within: u64) {
        let wait = self.random.random_range(1..within);
        let cost = if cost == 0 { self.random.random_range(1..=400) } else { cost };
        self.after(wait, Due::Call { node, refusals, cost });
    }

    /// Ends a request that used so many percent of its estimate.
    fn settle(&mut self, node: usize, request: u64, percent: i64) {
        let now = self.now();
        let Some((reservation, cost)) = self.nodes[node].open.remove(&request) else { return };
        let used = cost * percent / 100;
        let used = |key: &CounterKey| if key.kind == LimitKind::Concurrency { 0 } else { used };
        for (key, _) in reservation.amounts() {
            *self.spent.entry(key.clone()).or_default() += used(key);
        }
        self.nodes[node].purse.settle(reservation, used, now);
        for (id, max) in [("budget", BUDGET), ("team 0", TEAM), ("team 1", TEAM)] {
            let spent = self.spent(id);
            assert!(spent <= max, "{id}: {spent} of {max} were spent");
        }
    }

    fn tick(&mut self, node: usize) {
        let now = self.now();
        let own = &mut self.nodes[node];
        let used = own.purse.used().map(|(key, used)| (key.clone(), used)).collect();
        let (tidied, renewed) = (own.purse.tidy(now), own.purse.renew(now));
        self.send(node, TO_SERVER, |connection| Due::Usage { node, connection, used });
        self.report(node, tidied);
        self.report(node, renewed);
        self.desk.tidy(now.at);
        self.after(1_000, Due::Tick { node });
    }

    /// A connection breaks, a node restarts with its outbox, or without it once all that it used is counted.
    fn fault(&mut self, node: usize) {
        if self.now > self.faults_until {
            return;
        }
        let kind = self.random.random_range(0..4);
        if kind > 0 {
            let open: Vec<_> = self.nodes[node].open.keys().copied().collect();
            for request in open {
                self.settle(node, request, 100);
                self.call_again(node, 0, 0, 500);
            }
            for Waiting { refusals, cost, .. } in std::mem::take(&mut self.nodes[node].waiting) {
                self.call_again(node, refusals, cost, 500);
            }
            let own = &mut self.nodes[node];
            own.process += 1;
            let used: Vec<_> = own.purse.used().map(|(key, used)| (key.clone(), used)).collect();
            let known = used.iter().map(|(key, used)| (key.clone(), *used, 0));
            own.purse = Purse::restore(0, known).with_slots(SLOTS_FOR);
            if kind == 1 {
                self.count(node, &used);
                let outcome = self.book.close(self.nodes[node].incarnation);
                self.publish(outcome);
                self.incarnations += 1;
                let purse = Purse::default().with_slots(SLOTS_FOR);
                (self.nodes[node].incarnation, self.nodes[node].purse) = (self.incarnations, purse);
            }
        }
        self.connect(node);
        let wait = self.random.random_range(1_000..10_000);
        self.after(wait, Due::Fault { node });
    }

    fn connect(&mut self, node: usize) {
        let now = self.now();
        self.connections += 1;
        let own = &mut self.nodes[node];
        (own.connection, own.arrival) = (self.connections, [0; 2]);
        let hello = own.purse.hello(self.connections, now);
        self.report(node, Some(hello));
    }

    fn report(&mut self, node: usize, report: Option<Report>) {
        if let Some(report) = report {
            self.send(node, TO_SERVER, |connection| Due::ToServer { node, connection, report });
        }
    }

    fn send(&mut self, node: usize, direction: usize, due: impl FnOnce(u64) -> Due) {
        let at = self.now + self.random.random_range(1..15);
        let Node { connection, arrival, .. } = &mut self.nodes[node];
        arrival[direction] = arrival[direction].max(at);
        let (wait, due) = (arrival[direction] - self.now, due(*connection));
        self.after(wait, due);
    }

    fn count(&mut self, node: usize, used: &[(CounterKey, i64)]) {
        let incarnation = self.nodes[node].incarnation;
        let before: Vec<_> = used.iter().map(|(key, _)| self.book.account(key, incarnation).used).collect();
        let outcome = self.book.set_used(incarnation, used);
        for ((key, used), before) in used.iter().zip(before) {
            let counted = self.book.counted(key) + (used - before).max(0);
            self.book.set_counted(key, counted);
            self.follower.set_counted(key, counted);
        }
        self.publish(outcome);
    }

    fn take(&mut self, incarnation: i64, report: Report) {
        let Now { at, .. } = self.now();
        let outcome = match report {
            Report::Hello(hello) => self.book.hello(incarnation, &hello, at),
            Report::Want { session, wants } => {
                let until = at.plus_micros(CREDIT_WAIT as i64 * 1_000);
                self.desk.want(&mut self.book, incarnation, session, wants, until, at)
            }
            Report::Return { session, returns } => self.book.give_back(incarnation, session, &returns),
            Report::Renew { session, sent, slots_for } => self.book.renew(incarnation, session, sent, slots_for, at),
        };
        self.publish(outcome);
    }

    /// Writes, sends, and tries once more what waits.
    fn publish(&mut self, outcome: Outcome) {
        let Outcome { changes, directives, recounted, freed } = outcome;
        assert!(recounted.is_empty(), "nothing was lost");
        changes.into_iter().for_each(|change| self.follower.apply(change));
        for (incarnation, directive) in directives {
            self.grants += usize::from(matches!(directive, Directive::Grant { .. }));
            self.recalls += usize::from(matches!(directive, Directive::Recall { .. }));
            if let Some(node) = self.nodes.iter().position(|node| node.incarnation == incarnation) {
                self.send(node, TO_NODE, |connection| Due::ToNode { node, connection, directive });
            }
        }
        if !freed.is_empty() && !self.desk.is_empty() {
            let at = self.now().at;
            let outcome = self.desk.retry(&mut self.book, at);
            self.publish(outcome);
        }
    }

    pub(super) fn spent(&self, id: &str) -> i64 {
        self.spent.get(&limit(id)).copied().unwrap_or_default()
    }

    /// Milliseconds, grants and recalls.
    pub(super) fn figures(&self) -> (u64, usize, usize) {
        (self.now, self.grants, self.recalls)
    }

    /// All that was spent is counted, and nothing else is held by anybody.
    pub(super) fn holds_nothing(&self) {
        for id in ["budget", "team 0", "team 1", "slots"] {
            assert_eq!(self.book.outstanding(&limit(id)), 0, "credit on {id} is outstanding");
            assert!(self.nodes.iter().all(|node| node.purse.reserved(&limit(id)) == 0), "{id} is reserved");
            assert_eq!(self.book.counted(&limit(id)), self.spent(id), "{id}");
        }
        assert!(self.book == self.follower, "who follows what is written has another book");
    }
}
