//! A small world of one limit, a server and a few nodes, and all that can happen in it next.
//!
//! The network never forgets: a message that was sent can be delivered at any later time, any number of times, in any order,
//! or never. So loss, duplicates and reordering need no events of their own. A replica of the server has nothing of its own
//! (both work from the committed rows, each message in one transaction), so that a message that goes to another replica is one
//! that is delivered here; a replica that dies after its commit is one whose directives are never delivered.
//! Usage goes to the server at once or never: it is cumulative, so that an old message of it says less, and nothing else.

use imbl::OrdSet;

use super::super::{Account, Book, Change, Demand, Directive, Purse, Report, Reservation, Returned};
use super::explore::History;
use super::scenario::{Bug, Event, Message, Scenario};
use super::{key, now, terms};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Node {
    incarnation: i64,
    purse: Purse,
    /// Requests in flight, each with the window in which it was really admitted.
    open: Vec<(usize, Reservation)>,
    /// How many connections it had.
    connections: u8,
    /// The window that it is in.
    window: i64,
    /// Of the bug: whether it sent a return and has not raised its own number.
    owes: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct World {
    bug: Option<Bug>,
    /// The events that may still happen.
    left: Scenario,
    book: Book,
    /// Of the bug: what another replica remembers.
    memory: Book,
    nodes: Vec<Node>,
    network: OrdSet<Message>,
    incarnations: i64,
    /// The window that the server is in.
    window: i64,
    is_moved: bool,
    /// The amounts that requests really used, and that those in flight may use, by the window of their admission.
    spent: [i64; 2],
    open: [i64; 2],
    /// Whether a grant went over the limit of the moment.
    is_over: bool,
}

impl World {
    pub(super) fn new(scenario: Scenario, bug: Option<Bug>) -> Self {
        let mut book = Book::default();
        book.set_terms(&key(0), terms(0, scenario.max));
        let node = |place: usize| Node {
            incarnation: place as i64 + 1,
            purse: Purse::default(),
            open: Vec::new(),
            connections: 0,
            window: 0,
            owes: false,
        };
        let mut world = Self {
            bug,
            left: scenario,
            memory: Book::default(),
            book,
            nodes: (0..scenario.nodes).map(node).collect(),
            network: OrdSet::new(),
            incarnations: scenario.nodes as i64,
            window: 0,
            is_moved: false,
            spent: [0; 2],
            open: [0; 2],
            is_over: false,
        };
        // The first connections of nodes that never had another bring nothing new.
        for place in 0..scenario.nodes {
            world.connect(place);
        }
        for message in world.network.clone() {
            world.deliver(message);
        }
        for message in world.network.clone() {
            world.deliver(message);
        }
        world.network = OrdSet::new();
        world.memory = world.book.clone();
        world
    }

    /// Whether more was spent than the bound allows, `scenario` being that of the beginning.
    pub(super) fn is_broken(&self, scenario: &Scenario) -> bool {
        let bound = scenario.max + self.incarnations * scenario.in_flight as i64 * scenario.overrun;
        let is_within = |spent: i64, open: i64| spent <= bound && (scenario.overrun > 0 || spent + open <= bound);
        let [first, second] = [(self.spent[0], self.open[0]), (self.spent[1], self.open[1])];
        let both = (first.0 + second.0, first.1 + second.1);
        let windows = if scenario.moves { vec![both] } else { vec![first, second] };
        self.is_over || !windows.into_iter().all(|(spent, open)| is_within(spent, open))
    }

    fn request(&mut self, place: usize) {
        let bug = self.bug;
        let Node { incarnation, purse, open, window, .. } = &mut self.nodes[place];
        let demand = |window| [Demand { key: key(window), amount: 1, guessed: false }];
        let mut admitted = purse.admit(&demand(*window), now(*window));
        if bug == Some(Bug::CreditOutlivesItsWindow) && admitted.is_err() {
            admitted = purse.admit(&demand(0), now(0));
        }
        match admitted {
            Ok(reservation) => {
                self.left.requests -= 1;
                self.open[*window as usize] += 1;
                open.push((*window as usize, reservation));
            }
            Err(_) if self.left.wants > 0 => {
                if let Some(report) = purse.want(&demand(*window), &[]) {
                    self.left.wants -= 1;
                    self.network.insert(Message::ToServer(*incarnation, report));
                }
            }
            Err(_) => {}
        }
    }

    fn settle(&mut self, place: usize, more: i64) {
        let Node { purse, open, window, .. } = &mut self.nodes[place];
        let ((admitted, reservation), amount) = (open.remove(0), 1 + more);
        self.open[admitted] -= 1;
        self.spent[admitted] += amount;
        if self.bug == Some(Bug::SettledInTheLaterWindow) && *window == 1 {
            purse.abandon(reservation, now(1));
            purse.charge(key(1), amount);
        } else {
            purse.settle(reservation, |_| amount, now(*window));
        }
    }

    fn counted(&self, window: i64) -> i64 {
        (1..=self.incarnations).map(|it| self.book.account(&key(window), it).used).sum()
    }

    fn count(&mut self, place: usize) {
        let Node { incarnation, purse, .. } = &mut self.nodes[place];
        let used: Vec<_> = purse.used().map(|(key, used)| (key.clone(), used)).collect();
        self.book.set_used(*incarnation, &used);
        used.iter().for_each(|(key, used)| purse.acknowledge(key, *used));
        // An edit that moved the window moves what is counted, too.
        let counted = [self.counted(0), self.counted(1)];
        let counted = if self.is_moved { [0, counted[0] + counted[1]] } else { counted };
        self.book.set_counted(&key(0), counted[0]);
        self.book.set_counted(&key(1), counted[1]);
    }

    fn give_back(&mut self, place: usize) {
        let Node { incarnation, purse, owes, .. } = &mut self.nodes[place];
        let is_late = self.bug == Some(Bug::ReturnAfterSending);
        let report = if is_late { purse.clone().give_all_back() } else { purse.give_all_back() };
        *owes |= is_late && report.is_some();
        self.network.extend(report.map(|report| Message::ToServer(*incarnation, report)));
    }

    fn connect(&mut self, place: usize) {
        let Node { incarnation, purse, connections, window, .. } = &mut self.nodes[place];
        *connections += 1;
        let report = purse.hello(u64::from(*connections), now(*window));
        self.network.insert(Message::ToServer(*incarnation, report));
        let returned = purse.account(&key(0)).returned;
        if self.bug == Some(Bug::HelloGivesBack) && returned > 0 {
            let report = Report::Return { session: 0, returns: vec![Returned { key: key(0), returned }] };
            self.network.insert(Message::ToServer(*incarnation, report));
        }
    }

    fn restart(&mut self, place: usize) {
        self.left.restarts -= 1;
        while !self.nodes[place].open.is_empty() {
            self.settle(place, 0);
        }
        let Node { purse, owes, .. } = &mut self.nodes[place];
        let used: Vec<_> = purse.used().map(|(key, used)| (key.clone(), used, 0)).collect();
        (*purse, *owes) = (Purse::restore(purse.session().unwrap_or_default(), used), false);
    }

    fn lose(&mut self, place: usize) {
        self.left.losses -= 1;
        while !self.nodes[place].open.is_empty() {
            self.settle(place, 0);
        }
        self.incarnations += 1;
        let node = &mut self.nodes[place];
        let gone = node.incarnation;
        (node.incarnation, node.purse, node.owes, node.connections) = (self.incarnations, Purse::default(), false, 0);
        self.network =
            self.network.iter().filter(|it| !matches!(it, Message::ToNode(to, _) if *to == gone)).cloned().collect();
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::ToServer(incarnation, report) => self.take(incarnation, report),
            Message::ToNode(incarnation, directive) => {
                let Some(node) = self.nodes.iter_mut().find(|node| node.incarnation == incarnation) else { return };
                let directive = match directive {
                    Directive::Grant { session, mut credits } if self.bug == Some(Bug::RelativeGrants) => {
                        for credit in &mut credits {
                            credit.account.granted += node.purse.account(&credit.key).granted;
                        }
                        Directive::Grant { session, credits }
                    }
                    Directive::Welcome { session, credits, .. } if self.bug == Some(Bug::AnyWelcome) => {
                        Directive::Welcome { connection: node.connections.into(), session, credits }
                    }
                    directive => directive,
                };
                let report = node.purse.take(directive, now(node.window));
                self.network.extend(report.map(|report| Message::ToServer(incarnation, report)));
            }
        }
    }

    fn take(&mut self, incarnation: i64, report: Report) {
        let at = now(self.window).at;
        let outcome = match report {
            Report::Hello(hello) => self.book.hello(incarnation, &hello, at),
            Report::Want { session, wants } => {
                let before = self.book.clone();
                let (_, mut outcome) = self.book.want(incarnation, session, &wants, |_, left| left, at);
                for want in &wants {
                    let granted = self.book.account(&want.key, incarnation).granted;
                    let given = granted - before.account(&want.key, incarnation).granted;
                    self.is_over |= given > 0 && self.book.left(&want.key) < 0;
                    if self.bug == Some(Bug::RelativeGrants) {
                        outcome.directives.iter_mut().for_each(|(_, directive)| make_relative(directive, given));
                    }
                }
                outcome
            }
            Report::Return { session, returns } => {
                let valid = self.bug == Some(Bug::OldSessionsReturn) || session == 0;
                let session = if valid { self.session(incarnation) } else { session };
                self.book.give_back(incarnation, session, &returns)
            }
            Report::Renew { .. } => return,
        };
        self.send(outcome.directives);
    }

    /// The session that is valid at the server.
    fn session(&self, incarnation: i64) -> i64 {
        let valid = |session: &i64| self.book.clone().give_back(incarnation, *session, &[]).directives.is_empty();
        (1..).find(valid).unwrap_or_default()
    }

    fn send(&mut self, directives: Vec<(i64, Directive)>) {
        for (incarnation, directive) in directives {
            match directive {
                Directive::Welcome { .. } | Directive::Grant { .. } | Directive::Stale { .. } => {
                    self.network.insert(Message::ToNode(incarnation, directive));
                }
                // Nodes give back and ask at any time here.
                Directive::Unmet { .. } | Directive::Recall { .. } | Directive::Renewed { .. } | Directive::Closed => {}
            }
        }
    }
}

impl History for World {
    type Event = Event;

    fn spent(&self) -> i64 {
        if self.is_moved { self.spent.iter().sum() } else { self.spent[0].max(self.spent[1]) }
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if self.left.requests > 0 && node.open.len() < self.left.in_flight {
                events.push(Event::Request(place));
            }
            if !node.open.is_empty() {
                events.extend((0..=self.left.overrun).map(|more| Event::Settle(place, more)));
            }
            if node.purse.used().any(|(key, used)| used > self.book.account(key, node.incarnation).used) {
                events.push(Event::Count(place));
            }
            let is_restless = place < self.left.restless;
            if is_restless && self.left.returns > 0 {
                events.push(Event::Return(place));
            }
            if is_restless && node.connections <= self.left.reconnects {
                events.push(Event::Connect(place));
            }
            if is_restless && self.left.restarts > 0 {
                events.push(Event::Restart(place));
            }
            if is_restless && self.left.losses > 0 {
                events.push(Event::Lose(place));
            }
            if node.window == 0 && (self.left.turns || self.is_moved) {
                events.push(Event::Turn(place));
            }
            if node.owes {
                events.push(Event::Raise(place));
            }
        }
        if self.left.turns && self.window == 0 {
            events.push(Event::TurnServer);
        }
        if self.left.moves && !self.is_moved {
            events.push(Event::Move);
        }
        if self.left.lowers > 0 {
            events.push(Event::Lower);
        }
        for message in &self.network {
            events.push(Event::Deliver(message.clone()));
            if matches!(message, Message::ToServer(_, Report::Want { .. })) {
                match self.bug {
                    Some(Bug::GrantBeforeCommit) => events.push(Event::DeliverUncommitted(message.clone())),
                    Some(Bug::GrantedFromMemory) => events.push(Event::DeliverToStaleReplica(message.clone())),
                    _ => {}
                }
            }
        }
        if self.bug == Some(Bug::RefundOfTheDead) {
            let alive = |incarnation| self.nodes.iter().any(|node| node.incarnation == incarnation);
            events.extend((1..=self.incarnations).filter(|it| !alive(*it)).map(Event::Refund));
        }
        events
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request(place) => self.request(place),
            Event::Settle(place, more) => self.settle(place, more),
            Event::Count(place) => self.count(place),
            Event::Return(place) => {
                self.left.returns -= 1;
                self.give_back(place);
            }
            Event::Connect(place) => self.connect(place),
            Event::Deliver(message) => self.deliver(message),
            Event::Restart(place) => self.restart(place),
            Event::Lose(place) => self.lose(place),
            Event::Turn(place) => {
                self.nodes[place].window = 1;
                if self.is_moved {
                    let Node { purse, incarnation, .. } = &mut self.nodes[place];
                    let report = purse.move_window(&key(0)).map(|report| Message::ToServer(*incarnation, report));
                    self.network.extend(report);
                }
            }
            Event::TurnServer => {
                self.window = 1;
                self.book.set_terms(&key(1), terms(1, self.left.max));
            }
            Event::Move => {
                (self.is_moved, self.window) = (true, 1);
                self.book.set_terms(&key(1), terms(1, self.left.max));
                // The ledger carries what was counted.
                self.book.set_counted(&key(1), self.counted(0));
                self.book.move_window(&key(0), &key(1));
            }
            Event::Lower => {
                self.left.max -= std::mem::take(&mut self.left.lowers);
                self.book.set_terms(&key(self.window), terms(self.window, self.left.max));
            }
            Event::DeliverUncommitted(message) => {
                let before = self.book.clone();
                self.deliver(message);
                self.book = before;
            }
            Event::DeliverToStaleReplica(message) => {
                let Message::ToServer(incarnation, Report::Want { session, wants }) = message else { return };
                let mut memory = self.memory.clone();
                let (_, outcome) = memory.want(incarnation, session, &wants, |_, left| left, now(self.window).at);
                outcome.changes.into_iter().for_each(|change| self.book.apply(change));
                self.memory = memory;
                self.send(outcome.directives);
            }
            Event::Raise(place) => {
                self.nodes[place].owes = false;
                self.nodes[place].purse.give_all_back();
            }
            Event::Refund(incarnation) => {
                let mut account = self.book.account(&key(0), incarnation);
                account.void();
                self.book.apply(Change::Account(key(0), incarnation, account));
            }
        }
    }
}

fn make_relative(directive: &mut Directive, given: i64) {
    if let Directive::Grant { credits, .. } = directive {
        credits.iter_mut().for_each(|credit| credit.account = Account { granted: given, ..credit.account });
    }
}
