//! Credit follows the configuration: ceilings, windows that turn, and windows that edits move.

use std::time::Duration;

use tollgate_core::counters::{CounterKey, Dimension, add_dimensions};
use tollgate_core::credit::{Book, Directive, Hello, Want};
use tollgate_core::domain::{Customer, Id, LimitKind, LimitOwner, Limits, Path, Timestamp, Violations};
use tollgate_core::proto::v1;
use tollgate_core::wire::Wire as _;

const DAY: i64 = 86_400_000_000;

fn at(days: i64, micros: i64) -> Timestamp {
    Timestamp::from_micros(days * DAY + micros)
}

/// The limits of a customer with one budget of some nano-dollars, which are counted from the epoch.
fn limits(nanos: i64, reset_duration: &str) -> Limits {
    let budget = v1::Budget {
        id: "budget".to_owned(),
        max_limit: nanos as f64 / 1e9,
        reset_duration: reset_duration.to_owned(),
        ..Default::default()
    };
    let message = v1::Customer { name: "customer".to_owned(), budgets: vec![budget], ..Default::default() };
    let mut violations = Violations::new();
    let customer = Customer::parse(message, &Path::root("customer"), &mut violations);
    customer.unwrap_or_else(|| panic!("{violations:?}")).limits
}

fn dimension(limits: &Limits) -> Dimension<'_> {
    let mut found = Vec::new();
    add_dimensions(&LimitOwner::Customer(Id::new("customer")), limits, None, &mut found);
    found.swap_remove(0)
}

fn day(day: i64) -> CounterKey {
    CounterKey { limit_id: "budget".into(), kind: LimitKind::Budget, window_start: at(day, 0) }
}

/// A book in which incarnation 1 holds so much of the budget in the window of day 4.
fn holding(limits: &Limits, level: i64) -> Book {
    let mut book = Book::default();
    book.hello(1, &Hello { connection: 1, ..Hello::default() }, at(4, 1));
    book.review(&dimension(limits), true, None, at(4, 1), |_| 0);
    let want = Want { key: dimension(limits).counter(at(4, 1)), level, ahead: 0, guessed: false };
    book.want(1, 1, &[want], |_, left| left, at(4, 1));
    book
}

#[test]
fn a_window_opens_when_it_is_asked_for_and_never_before() {
    let limits = limits(10, "1d");
    let mut book = Book::default();
    assert!(book.review(&dimension(&limits), false, None, at(4, 1), |_| 3).changes.is_empty());
    assert_eq!(book.pool(&day(4)), None);
    let lease = Some(Duration::from_secs(60));
    book.review(&dimension(&limits), true, lease, at(4, 1), |_| 3);
    assert_eq!(
        (book.left(&day(4)), book.pool(&day(4)).map(|row| (row.terms.ends, row.terms.lease))),
        (7, Some((at(5, 0), lease)))
    );
    // Nothing is new.
    assert!(book.review(&dimension(&limits), true, lease, at(4, 1), |_| 3).changes.is_empty());
}

#[test]
fn a_lower_ceiling_recalls_and_a_turn_moves_nothing() {
    let mut book = holding(&limits(10, "1d"), 6);
    let lower = limits(5, "1d");
    let outcome = book.review(&dimension(&lower), false, None, at(4, 2), |_| 1);
    assert!(matches!(&outcome.directives[..], [(1, Directive::Recall { keys, .. })] if *keys == [day(4)]));
    assert_eq!(book.left(&day(4)), -2);
    book.review(&dimension(&lower), true, None, at(5, 1), |_| 0);
    assert_eq!((book.left(&day(5)), book.outstanding(&day(4))), (5, 6), "another window, another credit");
}

#[test]
fn what_an_edit_moves_counts_in_the_window_of_now_there_and_back() {
    let (short, long) = (limits(10, "1d"), limits(10, "3d"));
    let mut book = holding(&short, 6);
    book.review(&dimension(&long), false, None, at(4, 2), |_| 1);
    let moved = dimension(&long).counter(at(4, 2));
    assert_eq!(moved, day(3));
    assert_eq!((book.outstanding(&moved), book.left(&moved)), (6, 3));
    assert!(book.pool(&day(4)).is_some_and(|row| row.is_moved));
    // The same once more changes nothing.
    assert!(book.review(&dimension(&long), true, None, at(4, 3), |_| 1).changes.is_empty());
    book.review(&dimension(&short), false, None, at(4, 4), |_| 1);
    assert_eq!((book.outstanding(&day(4)), book.left(&day(4))), (6, 3), "it counts once");
}

#[test]
fn a_window_that_only_becomes_longer_stays() {
    let mut book = holding(&limits(10, "2d"), 6);
    book.review(&dimension(&limits(10, "4d")), false, None, at(4, 2), |_| 1);
    assert_eq!(book.pool(&day(4)).map(|row| (row.is_moved, row.terms.ends)), Some((false, at(8, 0))));
    assert_eq!(book.left(&day(4)), 3);
}
