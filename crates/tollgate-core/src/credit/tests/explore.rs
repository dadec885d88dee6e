//! A search through all that can happen in a small world, the shortest histories first.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher, Hash};

use super::scenario::{Bug, Event, Scenario};
use super::world::World;

/// A world whose histories can be searched.
pub(super) trait History: Clone + Hash {
    /// Something that happens in it.
    type Event: Clone;

    /// All that can happen next.
    fn events(&self) -> Vec<Self::Event>;
    fn happen(&mut self, event: Self::Event);
    /// The most that was spent.
    fn spent(&self) -> i64;
}

/// The end of a search.
#[derive(Debug)]
pub(super) struct Found<E> {
    /// How many different states were reached.
    pub(super) states: usize,
    /// The most that was spent.
    pub(super) spent: i64,
    /// The shortest history that breaks the bound, if there is any.
    pub(super) history: Option<Vec<E>>,
    /// Whether there were more states than were allowed.
    pub(super) is_cut: bool,
}

pub(super) fn explore(scenario: Scenario, bug: Option<Bug>, most: usize) -> Found<Event> {
    search(World::new(scenario, bug), |world| world.is_broken(&scenario), most)
}

/// Searches all histories that begin with a world.
pub(super) fn search<W: History>(first: W, is_broken: impl Fn(&W) -> bool, most: usize) -> Found<W::Event> {
    let hash = |world: &W| BuildHasherDefault::<DefaultHasher>::default().hash_one(world);
    let mut seen = HashSet::from([hash(&first)]);
    // Where each state came from.
    let mut origins: Vec<(usize, Option<W::Event>)> = vec![(0, None)];
    let mut border = VecDeque::from([(0, first)]);
    let mut spent = 0;
    while let Some((place, world)) = border.pop_front() {
        for event in world.events() {
            let mut next = world.clone();
            next.happen(event.clone());
            if !seen.insert(hash(&next)) {
                continue;
            }
            origins.push((place, Some(event)));
            spent = spent.max(next.spent());
            let (reached, states) = (origins.len() - 1, seen.len());
            if is_broken(&next) {
                return Found { states, spent, history: Some(history(origins, reached)), is_cut: false };
            }
            if states >= most {
                return Found { states, spent, history: None, is_cut: true };
            }
            border.push_back((reached, next));
        }
    }
    Found { states: seen.len(), spent, history: None, is_cut: false }
}

fn history<E>(mut origins: Vec<(usize, Option<E>)>, mut place: usize) -> Vec<E> {
    let mut events = Vec::new();
    while let (before, Some(event)) = std::mem::take(&mut origins[place]) {
        events.push(event);
        place = before;
    }
    events.reverse();
    events
}

const SMALL: Scenario =
    Scenario { nodes: 2, max: 2, requests: 3, in_flight: 2, wants: 3, returns: 1, ..Scenario::NOTHING };

/// Worlds that show each part of the protocol.
const SCENARIOS: [(&str, Scenario); 6] = [
    ("restarts and reconnects", Scenario { max: 1, requests: 2, reconnects: 1, restarts: 1, ..SMALL }),
    ("losses of the outbox", Scenario { max: 1, requests: 2, losses: 1, ..SMALL }),
    ("windows that turn", Scenario { max: 1, wants: 4, turns: true, ..SMALL }),
    ("an edit that moves the window", Scenario { moves: true, wants: 4, ..SMALL }),
    ("an edit that lowers the limit", Scenario { returns: 2, lowers: 1, ..SMALL }),
    (
        "requests that use more than they reserved",
        Scenario { max: 4, requests: 6, wants: 5, returns: 0, overrun: 1, ..SMALL },
    ),
];

fn check(name: &str, scenario: Scenario, most: usize) -> Found<Event> {
    let started = std::time::Instant::now();
    let found = explore(scenario, None, most);
    let Found { states, spent, is_cut, history } = &found;
    println!(
        "{name}: {states} states in {:?}, at most {spent} of {} spent, cut: {is_cut}",
        started.elapsed(),
        scenario.max
    );
    assert!(history.is_none(), "{name}: {history:#?}");
    found
}

#[test]
fn small_worlds_never_spend_more_than_the_bound() {
    for (name, scenario) in SCENARIOS {
        check(name, scenario, 3_000);
    }
}

/// It takes some minutes and gigabytes: `cargo test --package tollgate-core --lib --config
/// profile.dev.package.tollgate-core.opt-level=2 credit::tests::explore -- --ignored --nocapture`.
#[test]
#[ignore = "every state of each world is searched"]
fn every_state_of_small_worlds_is_within_the_bound() {
    let search = |(name, scenario)| {
        let found = check(name, scenario, 3_000_000);
        assert!(!found.is_cut, "{name} has more states");
    };
    std::thread::scope(|threads| {
        SCENARIOS.map(|world| threads.spawn(move || search(world))).map(|it| it.join().unwrap())
    });
}

/// As [`every_state_of_small_worlds_is_within_the_bound`]: three nodes, and larger worlds up to a number of states.
#[test]
#[ignore = "a million states of each world are searched"]
fn a_million_states_of_larger_worlds_are_within_the_bound() {
    let all = Scenario { reconnects: 1, restarts: 1, losses: 1, returns: 2, wants: 5, requests: 5, ..SMALL };
    let worlds = [
        ("three nodes", Scenario { nodes: 3, max: 1, ..SMALL }),
        ("everything, and turns", Scenario { turns: true, ..all }),
        ("everything, and moves", Scenario { moves: true, ..all }),
        ("everything, and overruns", Scenario { overrun: 1, ..all }),
    ];
    let search = |(name, scenario)| drop(check(name, scenario, 1_000_000));
    std::thread::scope(|threads| worlds.map(|world| threads.spawn(move || search(world))).map(|it| it.join().unwrap()));
}
