//! Single rules of the book and the purse.

use std::time::Duration;

use super::super::{Account, Answer, Book, Demand, Directive, Hello, Now, Outcome, Purse, Report, Short, Terms};
use super::{key, now, terms};
use crate::counters::CounterKey;
use crate::domain::Timestamp;

/// Gives a node's message to the book, and what the book says to that node to its purse. What is said to others stays.
fn exchange(book: &mut Book, purse: &mut Purse, incarnation: i64, report: Option<Report>, now: Now) -> Outcome {
    let mut outcome = match report {
        Some(Report::Hello(hello)) => book.hello(incarnation, &hello, now.at),
        Some(Report::Want { session, wants }) => book.want(incarnation, session, &wants, |_, left| left, now.at).1,
        Some(Report::Return { session, returns }) => book.give_back(incarnation, session, &returns),
        Some(Report::Renew { session, sent, slots_for }) => book.renew(incarnation, session, sent, slots_for, now.at),
        None => Outcome::default(),
    };
    let (own, others) = std::mem::take(&mut outcome.directives).into_iter().partition(|(to, _)| *to == incarnation);
    outcome.directives = others;
    let own: Vec<(i64, Directive)> = own;
    for (_, directive) in own {
        let report = purse.take(directive, now);
        if report.is_some() {
            exchange(book, purse, incarnation, report, now);
        }
    }
    outcome
}

fn connected(book: &mut Book, incarnation: i64) -> Purse {
    let mut purse = Purse::default().with_slots(SLOTS_FOR);
    let hello = purse.hello(1, now(0));
    exchange(book, &mut purse, incarnation, Some(hello), now(0));
    purse
}

/// How long a node may hold slots that is not heard.
const SLOTS_FOR: Duration = Duration::from_secs(60);

fn demand(key: CounterKey, amount: i64) -> Demand {
    Demand { key, amount, guessed: false }
}

fn ask(book: &mut Book, purse: &mut Purse, incarnation: i64, demands: &[Demand], now: Now) -> Outcome {
    let want = purse.want(demands, &[]);
    exchange(book, purse, incarnation, want, now)
}

fn later(now: Now, seconds: u64) -> Now {
    let micros = i64::try_from(seconds * 1_000_000).unwrap();
    Now { at: now.at.plus_micros(micros), elapsed: now.elapsed + Duration::from_secs(seconds) }
}

/// The terms of a budget of 10 that is raised to 20 for a minute.
fn raised(now: Now) -> Terms {
    let until = later(self::now(0), 60).at;
    Terms { max: if now.at < until { 20 } else { 10 }, raised_until: Some(until), ..terms(0, 10) }
}

#[test]
fn credit_of_a_raised_ceiling_ends_with_the_increase() {
    let (mut book, early, late) = (Book::default(), now(0), later(now(0), 60));
    book.set_terms(&key(0), raised(early));
    let (mut purse, mut other) = (connected(&mut book, 1), connected(&mut book, 2));
    ask(&mut book, &mut purse, 1, &[demand(key(0), 15)], early);
    let reservation = purse.admit(&[demand(key(0), 4)], early).unwrap();
    // Its last moment, and the first after it.
    let last = Now { at: late.at.plus_micros(-1), ..late };
    assert!(purse.clone().admit(&[demand(key(0), 1)], last).is_ok());
    assert!(purse.admit(&[demand(key(0), 1)], late).is_err());
    book.set_terms(&key(0), raised(late));
    assert_eq!(book.left(&key(0)), -5);
    let report = purse.tidy(late);
    exchange(&mut book, &mut purse, 1, report, late);
    assert_eq!((book.outstanding(&key(0)), book.left(&key(0))), (4, 6), "what is in flight is covered");
    // Credit that is granted now is by the ceiling without the increase, and is spent.
    ask(&mut book, &mut other, 2, &[demand(key(0), 7)], late);
    assert!(other.admit(&[demand(key(0), 7)], late).is_err());
    ask(&mut book, &mut purse, 1, &[demand(key(0), 6)], late);
    assert!(purse.admit(&[demand(key(0), 6)], late).is_ok());
    purse.settle(reservation, |_| 4, late);
    assert!(purse.tidy(late).is_none(), "nothing is idle");
}

#[test]
fn credit_of_a_raised_ceiling_that_comes_late_or_to_another_process_is_not_spent_after_the_increase() {
    let (mut book, early, late) = (Book::default(), now(0), later(now(0), 60));
    book.set_terms(&key(0), raised(early));
    let mut purse = connected(&mut book, 1);
    let Some(Report::Want { session, wants }) = purse.want(&[demand(key(0), 15)], &[]) else { panic!("no session") };
    let granted = book.want(1, session, &wants, |_, left| left, early.at).1.directives.remove(0).1;
    // On its way when the increase ends.
    assert!(purse.tidy(late).is_none());
    purse.take(granted, late);
    assert!(purse.admit(&[demand(key(0), 1)], late).is_err());
    // A process that starts then knows nothing of the increase but what the welcome says.
    book.set_terms(&key(0), raised(late));
    let mut next = Purse::restore(session, []);
    let hello = next.hello(2, late);
    exchange(&mut book, &mut next, 1, Some(hello), late);
    assert_eq!((next.account(&key(0)).returned, book.left(&key(0))), (15, 10));
    assert!(next.admit(&[demand(key(0), 1)], late).is_err());
    ask(&mut book, &mut next, 1, &[demand(key(0), 10)], late);
    assert!(next.admit(&[demand(key(0), 10)], late).is_ok());
}

#[test]
fn a_grant_after_the_increase_gives_back_what_was_granted_before() {
    let (mut book, early, late) = (Book::default(), now(0), later(now(0), 60));
    book.set_terms(&key(0), raised(early));
    let mut purse = connected(&mut book, 1);
    ask(&mut book, &mut purse, 1, &[demand(key(0), 15)], early);
    book.set_terms(&key(0), raised(late));
    // The node is not tidy yet: its first want is for what it seems to hold.
    ask(&mut book, &mut purse, 1, &[demand(key(0), 5)], late);
    assert_eq!((purse.account(&key(0)).returned, book.left(&key(0))), (15, 10));
    assert!(purse.admit(&[demand(key(0), 5)], late).is_err());
    ask(&mut book, &mut purse, 1, &[demand(key(0), 5)], late);
    assert!(purse.admit(&[demand(key(0), 5)], late).is_ok());
}

#[test]
fn what_no_credit_was_held_for_is_kept_apart_and_moves_with_what_is_counted() {
    let mut book = Book::default();
    book.set_terms(&key(0), terms(0, 10));
    book.add_uncovered(&key(0), 4);
    // Told as used later, and counted before.
    book.add_uncovered(&key(0), -1);
    assert_eq!((book.uncovered(&key(0), 9), book.uncovered(&key(0), 2)), (3, 2));
    assert!(book.add_uncovered(&key(0), 0).changes.is_empty() && book.add_uncovered(&key(7), 1).changes.is_empty());
    book.set_terms(&key(1), terms(1, 10));
    book.move_window(&key(0), &key(1));
    assert_eq!(book.uncovered(&key(1), 9), 3);
    let mut copy = Book::default();
    book.rows().for_each(|row| copy.apply(row));
    assert_eq!(copy.uncovered(&key(1), 9), 3);
}

#[test]
fn a_want_that_lacks_one_limit_takes_nothing_of_the_others() {
    let mut book = Book::default();
    let narrow = CounterKey { limit_id: "narrow".into(), ..key(0) };
    book.set_terms(&key(0), terms(0, 10));
    book.set_terms(&narrow, terms(0, 1));
    let mut purse = connected(&mut book, 1);
    let before = book.clone();
    let both = |amount| [demand(key(0), amount), demand(narrow.clone(), amount)];
    assert_eq!(ask(&mut book, &mut purse, 1, &both(2), now(0)), Outcome::default());
    assert!(book == before && purse.admit(&both(2), now(0)).is_err());
    ask(&mut book, &mut purse, 1, &both(1), now(0));
    assert!(purse.admit(&both(1), now(0)).is_ok());
}

#[test]
fn a_request_that_moves_does_not_compete_with_itself_and_keeps_what_it_has_where_it_cannot() {
    let mut book = Book::default();
    let other = CounterKey { limit_id: "other".into(), ..key(0) };
    book.set_terms(&key(0), terms(0, 10));
    book.set_terms(&other, terms(0, 5));
    let mut purse = connected(&mut book, 1);
    let now = now(0);
    let both = |amount| [demand(key(0), 10), demand(other.clone(), amount)];
    ask(&mut book, &mut purse, 1, &both(5), now);
    let first = purse.admit(&[demand(key(0), 10)], now).unwrap();
    let moved = purse.exchange(&[&first], &both(5), now).unwrap();
    assert_eq!((purse.reserved(&key(0)), purse.reserved(&other)), (10, 5));
    assert_eq!(purse.exchange(&[&moved], &both(6), now), Err(Short(vec![other.clone()])));
    assert_eq!((purse.reserved(&key(0)), purse.reserved(&other)), (10, 5));
    purse.abandon(moved, now);
    assert_eq!((purse.reserved(&key(0)), purse.reserved(&other)), (0, 0));
}

#[test]
fn a_guess_is_met_with_all_that_is_left_once_nobody_else_holds_any() {
    let mut book = Book::default();
    book.set_terms(&key(0), terms(0, 10));
    let (mut other, mut purse) = (connected(&mut book, 1), connected(&mut book, 2));
    ask(&mut book, &mut other, 1, &[demand(key(0), 1)], now(0));
    let guess = [Demand { guessed: true, ..demand(key(0), 50) }];
    let outcome = ask(&mut book, &mut purse, 2, &guess, now(0));
    let [(1, recall)] = &outcome.directives[..] else { panic!("{outcome:?}") };
    let answer = other.take(recall.clone(), now(0));
    exchange(&mut book, &mut other, 1, answer, now(0));
    ask(&mut book, &mut purse, 2, &guess, now(0));
    let reservation = purse.admit(&guess, now(0)).unwrap();
    assert_eq!(reservation.amounts(), [(key(0), 10)]);
    assert!(purse.admit(&guess, now(0)).is_err(), "one request alone");
    assert!(purse.admit(&[demand(key(0), 1)], now(0)).is_err());
}

#[test]
fn idle_credit_is_given_back_after_five_seconds_and_what_is_in_flight_is_not() {
    let mut book = Book::default();
    book.set_terms(&key(0), terms(0, 10));
    let mut purse = connected(&mut book, 1);
    ask(&mut book, &mut purse, 1, &[demand(key(0), 7)], now(0));
    let reservation = purse.admit(&[demand(key(0), 3)], now(0)).unwrap();
    assert!(purse.tidy(later(now(0), 4)).is_none());
    let report = purse.tidy(later(now(0), 5));
    exchange(&mut book, &mut purse, 1, report, now(0));
    assert_eq!(book.outstanding(&key(0)), 3);
    purse.settle(reservation, |_| 2, later(now(0), 6));
    let report = purse.give_all_back();
    exchange(&mut book, &mut purse, 1, report, now(0));
    book.set_used(1, &[(key(0), 2)]);
    assert_eq!(book.account(&key(0), 1), Account { granted: 7, used: 2, returned: 5 });
    assert_eq!(purse.account(&key(0)), book.account(&key(0), 1));
}

#[test]
fn a_lower_limit_recalls_and_a_window_that_moved_keeps_what_is_out() {
    let mut book = Book::default();
    book.set_terms(&key(0), terms(0, 10));
    let mut purse = connected(&mut book, 1);
    ask(&mut book, &mut purse, 1, &[demand(key(0), 6)], now(0));
    let outcome = book.set_terms(&key(0), terms(0, 5));
    assert!(matches!(&outcome.directives[..], [(1, Directive::Recall { keys, .. })] if *keys == [key(0)]));
    book.set_terms(&key(1), terms(1, 10));
    book.move_window(&key(0), &key(1));
    assert_eq!((book.outstanding(&key(1)), book.left(&key(1))), (6, 4));
    let _reservation = purse.admit(&[demand(key(0), 2)], now(0)).unwrap();
    let report = purse.move_window(&key(0));
    exchange(&mut book, &mut purse, 1, report, now(0));
    assert_eq!(book.left(&key(1)), 8, "what is in flight is still covered");
    assert!(purse.admit(&[demand(key(0), 1)], now(0)).is_err());
    assert!(!book.forget(&key(0)).0, "a settlement is still to come");
    book.set_used(1, &[(key(0), 2)]);
    assert!(book.forget(&key(0)).0);
}

#[test]
fn credit_with_a_lease_ends_at_the_node_before_the_server_frees_it() {
    let mut book = Book::default();
    let lease = Duration::from_secs(60);
    book.set_terms(&key(0), Terms { lease: Some(lease), ..terms(0, 10) });
    let mut purse = connected(&mut book, 1);
    ask(&mut book, &mut purse, 1, &[demand(key(0), 10)], now(0));
    let one = [demand(key(0), 1)];
    assert!(purse.admit(&one, later(now(0), 47)).is_ok());
    assert!(purse.admit(&one, later(now(0), 48)).is_err());
    // A renewal counts from when it was sent.
    let report = purse.renew(later(now(0), 50));
    exchange(&mut book, &mut purse, 1, report, later(now(0), 55));
    assert_eq!(purse.valid_until(&key(0)), Some(Duration::from_secs(98)));
    assert_eq!(book.expire(later(now(0), 114).at), Outcome::default());
    assert_eq!(book.expire(later(now(0), 115).at).freed, [key(0)]);
    assert_eq!(book.outstanding(&key(0)), 0);
    // The node is told before it gets more.
    ask(&mut book, &mut purse, 1, &one, later(now(0), 116));
    assert_eq!(purse.session(), None);
    let hello = purse.hello(2, later(now(0), 117));
    exchange(&mut book, &mut purse, 1, Some(hello), later(now(0), 117));
    assert!(purse.admit(&one, later(now(0), 117)).is_err());
}

#[test]
fn a_slot_is_free_again_when_its_request_ends() {
    let (mut book, slots) = (Book::default(), CounterKey::slots("slots".into()));
    book.set_terms(&slots, Terms { ends: Timestamp::MAX, ..terms(0, 2) });
    let mut purse = connected(&mut book, 1);
    let slot = [demand(slots.clone(), 1)];
    for _ in 0..5 {
        ask(&mut book, &mut purse, 1, &[demand(slots.clone(), 2)], now(0));
        let both = [(); 2].map(|()| purse.admit(&slot, now(0)).unwrap());
        assert!(purse.admit(&slot, now(0)).is_err());
        both.into_iter().for_each(|reservation| purse.settle(reservation, |_| 0, now(0)));
    }
    assert_eq!(book.account(&slots, 1).granted, 2);
}

#[test]
fn slots_of_a_node_that_is_not_heard_are_free_when_its_time_is_up_and_not_before() {
    let (mut book, slots) = (Book::default(), CounterKey::slots("slots".into()));
    book.set_terms(&slots, Terms { ends: Timestamp::MAX, ..terms(0, 2) });
    let (mut purse, mut other) = (connected(&mut book, 1), connected(&mut book, 2));
    let slot = [demand(slots.clone(), 1)];
    ask(&mut book, &mut purse, 1, &[demand(slots.clone(), 2)], now(0));
    assert_eq!(purse.renewal(), Some(SLOTS_FOR / 8));
    let _open = purse.admit(&slot, later(now(0), 47)).unwrap();
    assert_eq!(purse.valid_until(&slots), Some(Duration::from_secs(48)));
    assert!(purse.admit(&slot, later(now(0), 48)).is_err());
    // Whoever asked for no time since asks for it before it asks for a slot.
    assert!(other.lacks_time(&slot, later(now(0), 50)) && !other.lacks_time(&[demand(key(0), 1)], later(now(0), 50)));
    let report = other.renew(later(now(0), 50));
    exchange(&mut book, &mut other, 2, report, later(now(0), 50));
    assert!(!other.lacks_time(&slot, later(now(0), 57)) && other.lacks_time(&slot, later(now(0), 58)));
    assert_eq!(book.expire(later(now(0), 59).at), Outcome::default());
    ask(&mut book, &mut other, 2, &slot, later(now(0), 59));
    assert!(other.admit(&slot, later(now(0), 59)).is_err());
    let outcome = book.expire(later(now(0), 60).at);
    assert!(matches!(outcome.directives[..], [(1, Directive::Stale { .. })]), "{outcome:?}");
    ask(&mut book, &mut other, 2, &slot, later(now(0), 60));
    assert!(other.admit(&slot, later(now(0), 60)).is_ok());
    // To one whose time is up nothing is granted, though its session is valid.
    ask(&mut book, &mut other, 2, &[demand(slots.clone(), 2)], later(now(0), 110));
    assert_eq!(book.account(&slots, 2).granted, 1);
}

#[test]
fn a_node_that_is_full_lets_others_have_the_next_slot() {
    let (mut book, slots) = (Book::default(), CounterKey::slots("slots".into()));
    book.set_terms(&slots, Terms { ends: Timestamp::MAX, ..terms(0, 2) });
    let (mut purse, mut other) = (connected(&mut book, 1), connected(&mut book, 2));
    let slot = [demand(slots.clone(), 1)];
    ask(&mut book, &mut purse, 1, &[demand(slots.clone(), 2)], now(0));
    let [one, two] = [(); 2].map(|()| purse.admit(&slot, now(0)).unwrap());
    let outcome = ask(&mut book, &mut other, 2, &slot, now(0));
    let [(1, recall)] = &outcome.directives[..] else { panic!("{outcome:?}") };
    assert_eq!(purse.take(recall.clone(), now(0)), None);
    purse.settle(one, |_| 0, now(0));
    let report = purse.give_owed_back(now(0));
    exchange(&mut book, &mut purse, 1, report, now(0));
    assert!(purse.admit(&slot, now(0)).is_err());
    ask(&mut book, &mut other, 2, &slot, now(0));
    assert!(other.admit(&slot, now(0)).is_ok());
    // One for each time that it is asked.
    purse.settle(two, |_| 0, now(0));
    assert_eq!(purse.give_owed_back(now(0)), None);
    assert!(purse.admit(&slot, now(0)).is_ok());
}

#[test]
fn a_message_of_an_earlier_process_takes_no_time_from_slots() {
    let mut book = Book::default();
    let hello = |connection, slots_for| Hello { connection, slots_for, ..Hello::default() };
    book.hello(1, &hello(1, SLOTS_FOR), now(0).at);
    book.hello(1, &hello(2, SLOTS_FOR / 2), now(0).at);
    let until = book.node(1).map(|node| node.slots_until);
    assert_eq!(until, Some(later(now(0), SLOTS_FOR.as_secs()).at));
}

#[test]
fn a_server_that_lost_commits_books_them_again_and_waits_for_the_others() {
    let mut book = Book::default();
    book.set_terms(&key(0), terms(0, 10));
    let (mut purse, mut other) = (connected(&mut book, 1), connected(&mut book, 2));
    ask(&mut book, &mut other, 2, &[demand(key(0), 1)], now(0));
    let backup = book.clone();
    ask(&mut book, &mut purse, 1, &[demand(key(0), 6)], now(0));
    let reservation = purse.admit(&[demand(key(0), 4)], now(0)).unwrap();
    purse.settle(reservation, |_| 4, now(0));
    book.set_used(1, &[(key(0), 4)]);
    purse.acknowledge(&key(0), 4);

    let mut book = backup;
    let hello = purse.hello(2, now(0));
    let outcome = exchange(&mut book, &mut purse, 1, Some(hello), now(0));
    assert_eq!(outcome.recounted, [(key(0), 4)]);
    assert_eq!(book.account(&key(0), 1), Account { granted: 6, used: 4, returned: 0 });
    assert!(matches!(outcome.directives[..], [(2, Directive::Stale { .. })]));
    let want = |purse: &Purse, amount| match purse.want(&[demand(key(0), amount)], &[]) {
        Some(Report::Want { session, wants }) => (session, wants),
        _ => panic!("no session"),
    };
    let answer = |book: &mut Book, purse: &Purse, now: Now| {
        let (session, wants) = want(purse, 4);
        book.clone().want(1, session, &wants, |_, left| left, now.at).0
    };
    assert_eq!(answer(&mut book, &purse, now(0)), Answer::Unmet { recalling: true });
    assert_eq!(answer(&mut book, &purse, later(now(0), 60)), Answer::Met);
    let hello = other.hello(2, now(0));
    exchange(&mut book, &mut other, 2, Some(hello), now(0));
    assert_eq!(answer(&mut book, &purse, now(0)), Answer::Met);
}

#[test]
fn a_closed_incarnation_gets_nothing_and_its_usage_still_counts() {
    let mut book = Book::default();
    book.set_terms(&key(0), terms(0, 10));
    let mut purse = connected(&mut book, 1);
    ask(&mut book, &mut purse, 1, &[demand(key(0), 10)], now(0));
    assert_eq!(book.close(1).freed, [key(0)]);
    assert_eq!(book.left(&key(0)), 10);
    book.set_used(1, &[(key(0), 3)]);
    assert_eq!((book.account(&key(0), 1).used, book.outstanding(&key(0))), (3, 0));
    ask(&mut book, &mut purse, 1, &[demand(key(0), 11)], now(0));
    assert!(purse.is_closed() && purse.admit(&[demand(key(0), 1)], now(0)).is_err());
}

#[test]
fn a_hello_that_is_repeated_begins_no_other_session() {
    let mut book = Book::default();
    let mut purse = Purse::default();
    let Report::Hello(hello) = purse.hello(7, now(0)) else { panic!("no hello") };
    let first = book.hello(1, &hello, now(0).at).directives;
    assert_eq!(book.hello(1, &hello, now(0).at).directives, first);
    // A server that lost sessions never gives one again that the node had.
    let Report::Hello(hello) = Purse::restore(41, []).hello(8, now(0)) else { panic!("no hello") };
    let welcome = Book::default().hello(1, &hello, Timestamp::EPOCH).directives;
    assert!(matches!(welcome[..], [(1, Directive::Welcome { session: 42, .. })]));
}
