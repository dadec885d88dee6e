//! Slots of a limit on requests that are open at once, in a world that has time: no more requests are open than may be, whatever
//! becomes of nodes, and no slot is ever used up.
//!
//! As in [`super::world`], the network never forgets. A step of time is half as long as slots may be held for; at each of them
//! the requests end whose time is up at their nodes.

use std::time::Duration;

use imbl::OrdSet;

use super::super::{Book, Demand, Directive, Now, Purse, Report, Reservation, Terms};
use super::explore::{History, search};
use super::scenario::Message;
use crate::counters::CounterKey;
use crate::domain::Timestamp;

const STEP: Duration = Duration::from_secs(5);
const SLOTS_FOR: Duration = Duration::from_secs(10);

/// How often each event may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Left {
    requests: u8,
    wants: u8,
    returns: u8,
    renewals: u8,
    connections: u8,
    restarts: u8,
    losses: u8,
    steps: u8,
    lowers: u8,
}

/// A mistake that the search must find.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Bug {
    /// The server frees the slots of a node a step before its time is up.
    FreedEarly,
    /// A request that ends has used its slot.
    UsedUp,
    /// A request may stay open as long as any other, though its node could not say so.
    OpenTooLong,
    /// A node that restarts tells the server that its slots are free, and does so late.
    HelloGivesBack,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Request(usize),
    /// The first request that is open ends.
    End(usize),
    /// It is given its whole time again.
    Touch(usize),
    Return(usize),
    Renew(usize),
    Connect(usize),
    /// With its outbox, and without.
    Restart(usize),
    Lose(usize),
    Deliver(Message),
    Step,
    /// The server frees what expired.
    Expire,
    /// An edit lowers the limit by one.
    Lower,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Node {
    incarnation: i64,
    purse: Purse,
    /// Each with the time at which it ends at the latest.
    open: Vec<(Duration, Reservation)>,
    connections: u8,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    bug: Option<Bug>,
    left: Left,
    max: i64,
    /// The greatest limit so far: requests that were admitted under it may still be open.
    greatest: i64,
    book: Book,
    nodes: Vec<Node>,
    network: OrdSet<Message>,
    incarnations: i64,
    time: Duration,
    /// Whether a slot was granted over the limit of the moment.
    is_over: bool,
}

fn slots() -> CounterKey {
    CounterKey::slots("slots".into())
}

fn demand() -> [Demand; 1] {
    [Demand { key: slots(), amount: 1, guessed: false }]
}

fn terms(max: i64) -> Terms {
    Terms { max, ends: Timestamp::MAX, lease: None, raised_until: None }
}

impl World {
    /// Two nodes that are connected.
    fn new(max: i64, left: Left, bug: Option<Bug>) -> Self {
        let mut book = Book::default();
        book.set_terms(&slots(), terms(max));
        let node = |incarnation| Node {
            incarnation,
            purse: Purse::default().with_slots(SLOTS_FOR),
            open: Vec::new(),
            connections: 0,
        };
        let (network, time, is_over) = Default::default();
        let (nodes, incarnations, greatest) = (vec![node(1), node(2)], 2, max);
        let mut world = Self { bug, left, max, greatest, book, nodes, network, incarnations, time, is_over };
        world.left.connections += 2;
        (0..2).for_each(|place| world.connect(place));
        for _ in 0..2 {
            world.network.clone().into_iter().for_each(|message| world.deliver(message));
        }
        world.network.clear();
        world
    }

    fn now(&self) -> Now {
        Now { at: Timestamp::EPOCH.plus_micros(self.time.as_micros() as i64), elapsed: self.time }
    }

    fn open(&self) -> i64 {
        self.nodes.iter().map(|node| node.open.len() as i64).sum()
    }

    /// Whether too many requests are open, or a slot is gone for ever.
    fn is_broken(&self) -> bool {
        let (left, out) = (self.book.left(&slots()), self.book.outstanding(&slots()));
        self.is_over || self.open() > self.greatest || left + out != self.max
    }

    fn send(&mut self, place: usize, report: Option<Report>) {
        let incarnation = self.nodes[place].incarnation;
        self.network.extend(report.map(|report| Message::ToServer(incarnation, report)));
    }

    fn request(&mut self, place: usize) {
        let (now, bug) = (self.now(), self.bug);
        let Node { purse, open, .. } = &mut self.nodes[place];
        match purse.admit(&demand(), now) {
            Ok(reservation) => {
                self.left.requests -= 1;
                open.push((deadline(purse, now, bug), reservation));
            }
            Err(_) if self.left.wants > 0 => {
                self.left.wants -= 1;
                let want = purse.want(&demand(), &[]);
                self.send(place, want);
            }
            Err(_) => {}
        }
    }

    /// Ends requests, and counts what they used at once.
    fn end(&mut self, place: usize, is_over: impl Fn(&Duration) -> bool) {
        let now = self.now();
        let used = i64::from(self.bug == Some(Bug::UsedUp));
        let Node { incarnation, purse, open, .. } = &mut self.nodes[place];
        for (_, reservation) in open.extract_if(.., |(until, _)| is_over(until)) {
            purse.settle(reservation, |_| used, now);
        }
        let used: Vec<_> = purse.used().map(|(key, used)| (key.clone(), used)).collect();
        let incarnation = *incarnation;
        self.book.set_used(incarnation, &used);
        let counted = (1..=self.incarnations).map(|it| self.book.account(&slots(), it).used).sum();
        self.book.set_counted(&slots(), counted);
    }

    fn connect(&mut self, place: usize) {
        self.left.connections -= 1;
        let now = self.now();
        let node = &mut self.nodes[place];
        node.connections += 1;
        let hello = node.purse.hello(node.connections.into(), now);
        self.send(place, Some(hello));
    }

    fn begin_anew(&mut self, place: usize, incarnation: i64) {
        self.end(place, |_| true);
        let node = &mut self.nodes[place];
        if self.bug == Some(Bug::HelloGivesBack) && incarnation == node.incarnation {
            let mut before = node.purse.clone();
            let given = before.give_all_back();
            self.send(
                place,
                given.map(|report| match report {
                    Report::Return { returns, .. } => Report::Return { session: 0, returns },
                    report => report,
                }),
            );
        }
        let node = &mut self.nodes[place];
        let session = node.purse.session().unwrap_or_default();
        if incarnation != node.incarnation {
            (node.incarnation, node.connections) = (incarnation, 0);
        }
        node.purse = Purse::restore(session, []).with_slots(SLOTS_FOR);
    }

    fn deliver(&mut self, message: Message) {
        let now = self.now();
        match message {
            Message::ToServer(incarnation, report) => {
                let before = self.book.account(&slots(), incarnation).granted;
                let outcome = match report {
                    Report::Hello(hello) => self.book.hello(incarnation, &hello, now.at),
                    Report::Want { session, wants } => {
                        self.book.want(incarnation, session, &wants, |_, left| left, now.at).1
                    }
                    Report::Return { session, returns } => {
                        // Of the bug.
                        let valid = self.book.node(incarnation).map_or(0, |node| node.session);
                        let session = if session == 0 { valid } else { session };
                        self.book.give_back(incarnation, session, &returns)
                    }
                    Report::Renew { session, sent, slots_for } => {
                        self.book.renew(incarnation, session, sent, slots_for, now.at)
                    }
                };
                let given = self.book.account(&slots(), incarnation).granted > before;
                self.is_over |= given && self.book.left(&slots()) < 0;
                self.tell(outcome.directives);
            }
            Message::ToNode(incarnation, directive) => {
                let Some(place) = self.nodes.iter().position(|node| node.incarnation == incarnation) else { return };
                let report = self.nodes[place].purse.take(directive, now);
                self.send(place, report);
            }
        }
    }

    fn tell(&mut self, directives: Vec<(i64, Directive)>) {
        // Nodes give back and ask at any time here.
        let is_news = |directive: &Directive| !matches!(directive, Directive::Unmet { .. } | Directive::Recall { .. });
        let news = directives.into_iter().filter(|(_, directive)| is_news(directive));
        self.network.extend(news.map(|(to, directive)| Message::ToNode(to, directive)));
    }
}

/// When a request ends at the latest that holds a slot from now on.
fn deadline(purse: &Purse, now: Now, bug: Option<Bug>) -> Duration {
    match bug {
        Some(Bug::OpenTooLong) => now.elapsed + SLOTS_FOR * 4 / 5,
        _ => purse.valid_until(&slots()).unwrap(),
    }
}

impl History for World {
    type Event = Event;

    fn spent(&self) -> i64 {
        self.open()
    }

    fn events(&self) -> Vec<Event> {
        let (mut events, left) = (Vec::new(), self.left);
        let mut may = |left: u8, event: Event| events.extend((left > 0).then_some(event));
        for (place, node) in self.nodes.iter().enumerate() {
            // One of them goes on as it is.
            let restless = |left| if place == 0 { left } else { 0 };
            may(left.requests, Event::Request(place));
            may(u8::from(!node.open.is_empty()), Event::End(place));
            may(u8::from(!node.open.is_empty()), Event::Touch(place));
            may(left.returns, Event::Return(place));
            may(left.renewals, Event::Renew(place));
            may(left.connections, Event::Connect(place));
            may(restless(left.restarts), Event::Restart(place));
            may(restless(left.losses), Event::Lose(place));
        }
        may(left.steps, Event::Step);
        may(1, Event::Expire);
        may(left.lowers, Event::Lower);
        events.extend(self.network.iter().cloned().map(Event::Deliver));
        events
    }

    fn happen(&mut self, event: Event) {
        let (now, bug) = (self.now(), self.bug);
        match event {
            Event::Request(place) => self.request(place),
            Event::End(place) => {
                let first = self.nodes[place].open[0].0;
                self.end(place, |until| *until == first);
            }
            Event::Touch(place) => {
                let Node { purse, open, .. } = &mut self.nodes[place];
                open[0].0 = open[0].0.max(deadline(purse, now, bug));
            }
            Event::Return(place) => {
                self.left.returns -= 1;
                let report = self.nodes[place].purse.give_all_back();
                self.send(place, report);
            }
            Event::Renew(place) => {
                self.left.renewals -= 1;
                let report = self.nodes[place].purse.renew(now);
                self.send(place, report);
            }
            Event::Connect(place) => self.connect(place),
            Event::Restart(place) => {
                self.left.restarts -= 1;
                self.begin_anew(place, self.nodes[place].incarnation);
            }
            Event::Lose(place) => {
                self.left.losses -= 1;
                self.incarnations += 1;
                self.begin_anew(place, self.incarnations);
            }
            Event::Deliver(message) => self.deliver(message),
            Event::Step => {
                self.left.steps -= 1;
                self.time += STEP;
                let time = self.time;
                (0..self.nodes.len()).for_each(|place| self.end(place, |until| *until <= time));
            }
            Event::Expire => {
                let early = if bug == Some(Bug::FreedEarly) { STEP } else { Duration::ZERO };
                let outcome = self.book.expire(now.at.plus_micros(early.as_micros() as i64));
                self.tell(outcome.directives);
            }
            Event::Lower => {
                self.left.lowers -= 1;
                self.max -= 1;
                self.book.set_terms(&slots(), terms(self.max));
            }
        }
    }
}

const PLAIN: Left = Left {
    requests: 2,
    wants: 2,
    returns: 0,
    renewals: 0,
    connections: 0,
    restarts: 0,
    losses: 0,
    steps: 0,
    lowers: 0,
};

/// Searches so many states, or all if there are fewer.
fn check(name: &str, max: i64, left: Left, most: usize) {
    let found = search(World::new(max, left, None), World::is_broken, most);
    println!("{name}: {} states, cut: {}", found.states, found.is_cut);
    assert!(found.history.is_none(), "{name}: {:#?}", found.history);
    assert!(found.spent == max, "{name}: {} of {max} were open at once", found.spent);
}

#[test]
fn no_more_requests_are_open_than_may_be() {
    for (name, max, left) in [
        ("nodes that give back", 1, Left { returns: 2, ..PLAIN }),
        ("time that passes", 1, Left { steps: 3, renewals: 1, ..PLAIN }),
        ("restarts", 1, Left { restarts: 1, connections: 1, returns: 1, ..PLAIN }),
        ("losses of the outbox", 1, Left { losses: 1, connections: 1, steps: 2, ..PLAIN }),
        ("an edit that lowers the limit", 2, Left { requests: 3, wants: 3, returns: 1, lowers: 1, ..PLAIN }),
    ] {
        check(name, max, left, 10_000);
    }
}

/// Searches until the promise is broken. Without the mistake the same search finds nothing.
fn is_found(bug: Bug, left: Left) {
    let found = search(World::new(1, left, Some(bug)), World::is_broken, 200_000);
    println!("{bug:?}: {} states: {:#?}", found.states, found.history);
    assert!(found.history.is_some(), "{bug:?} was not found in {} states", found.states);
    let without = search(World::new(1, left, None), World::is_broken, found.states);
    assert!(without.history.is_none(), "{bug:?} is found where it was not planted: {:#?}", without.history);
}

#[test]
fn a_slot_that_is_freed_before_the_deadline() {
    is_found(Bug::FreedEarly, Left { steps: 1, ..PLAIN });
}

#[test]
fn a_slot_that_counts_as_used() {
    is_found(Bug::UsedUp, PLAIN);
}

#[test]
fn a_request_that_outlives_the_time_of_its_node() {
    is_found(Bug::OpenTooLong, Left { steps: 2, connections: 1, ..PLAIN });
}

#[test]
fn a_restart_that_gives_slots_back_which_it_is_told_of() {
    is_found(Bug::HelloGivesBack, Left { restarts: 1, connections: 1, requests: 3, ..PLAIN });
}
