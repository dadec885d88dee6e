//! Each mistake that the design warns of is found.

use super::explore::explore;
use super::scenario::{Bug, Scenario};

/// Searches until the bound is broken. Without the mistake the same search finds nothing.
fn is_found(bug: Bug, scenario: Scenario) {
    let started = std::time::Instant::now();
    let found = explore(scenario, Some(bug), 2_000_000);
    println!("{bug:?}: {} states in {:?}: {:#?}", found.states, started.elapsed(), found.history);
    assert!(found.history.is_some(), "{bug:?} was not found in {} states", found.states);
    assert!(explore(scenario, None, found.states).history.is_none(), "{bug:?} is found where it was not planted");
}

const PLAIN: Scenario = Scenario { nodes: 2, max: 1, requests: 3, in_flight: 2, wants: 2, ..Scenario::NOTHING };

#[test]
fn a_grant_before_its_commit() {
    is_found(Bug::GrantBeforeCommit, PLAIN);
}

#[test]
fn relative_grants() {
    is_found(Bug::RelativeGrants, PLAIN);
}

#[test]
fn a_return_that_is_sent_before_the_purse_admits_less() {
    is_found(Bug::ReturnAfterSending, Scenario { returns: 1, ..PLAIN });
}

#[test]
fn a_return_of_an_older_session() {
    is_found(
        Bug::OldSessionsReturn,
        Scenario { restless: 1, requests: 2, in_flight: 1, returns: 1, reconnects: 1, restarts: 1, ..PLAIN },
    );
}

#[test]
fn a_grant_from_memory() {
    is_found(Bug::GrantedFromMemory, PLAIN);
}

#[test]
fn a_refund_of_a_dead_node_that_had_spent() {
    is_found(Bug::RefundOfTheDead, Scenario { losses: 1, ..PLAIN });
}

#[test]
fn credit_that_outlives_its_window() {
    is_found(Bug::CreditOutlivesItsWindow, Scenario { turns: true, ..PLAIN });
}

#[test]
fn a_settlement_in_the_later_window() {
    is_found(Bug::SettledInTheLaterWindow, Scenario { in_flight: 1, turns: true, returns: 1, ..PLAIN });
}

const RESTART: Scenario =
    Scenario { restless: 1, requests: 2, in_flight: 1, returns: 1, reconnects: 2, restarts: 1, ..PLAIN };

/// It needs optimised code, as the searches of every state.
#[test]
#[ignore = "it takes minutes"]
fn a_late_hello_that_gives_back() {
    is_found(Bug::HelloGivesBack, RESTART);
}

/// As [`a_late_hello_that_gives_back`].
#[test]
#[ignore = "it takes minutes"]
fn an_answer_to_the_hello_of_another_process() {
    is_found(Bug::AnyWelcome, RESTART);
}
