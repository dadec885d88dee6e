//! The transitions of the one value.

use super::finding::PROOF;
use super::*;

fn health() -> (Health, watch::Receiver<Status>) {
    let (sender, receiver) = watch::channel(Status::Ready);
    (Health::new(Contact::shared(), sender), receiver)
}

fn corrupt(row: i64) -> StoreError {
    StoreError::Corrupt { table: "change_txn", id: row.to_string(), why: "is missing".to_owned() }
}

fn short() -> StoreError {
    StoreError::Short { detail: String::new() }
}

fn away() -> StoreError {
    StoreError::Away { detail: String::new() }
}

fn after(elapsed: Duration) -> impl Future<Output = ()> {
    tokio::time::advance(elapsed)
}

impl Health {
    /// A reading that fails as soon as it begins.
    fn fails(&mut self, reading: Reading, error: StoreError) {
        self.unread(reading, Instant::now(), error);
    }
}

#[tokio::test(start_paused = true)]
async fn corruption_is_proven_by_readings_that_all_find_it_for_some_time() {
    let (mut health, status) = health();
    let found_for = async |health: &mut Health, row: i64, time: Duration| {
        let since = Instant::now();
        while since.elapsed() < time {
            health.fails(Reading::Log, corrupt(row));
            after(Duration::from_millis(250)).await;
        }
    };
    found_for(&mut health, 7, PROOF).await;
    assert_eq!(*status.borrow(), Status::NotCurrent);
    assert!(matches!(health.usable(), Err(StoreError::NotCurrent)));
    // Another finding, which has to be found for as long.
    found_for(&mut health, 8, PROOF).await;
    assert_eq!(*status.borrow(), Status::NotCurrent);
    // A reading that finds nothing, nor comes to an end: the finding begins anew.
    for other in [short(), away()] {
        health.fails(Reading::Log, other);
        found_for(&mut health, 8, PROOF).await;
        assert_eq!(*status.borrow(), Status::NotCurrent);
    }
    health.fails(Reading::Log, corrupt(8));
    assert!(matches!(&*status.borrow(), Status::Over(Over::Corrupt(what)) if what.contains('8')));
    assert_eq!(health.reading(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_read_at_the_start_is_read_again_until_corruption_is_proven() {
    let started = Instant::now();
    let read = async || match started.elapsed() < PROOF / 2 {
        true => Err(corrupt(7)),
        false => Ok(started.elapsed()),
    };
    assert!(proven(read).await.unwrap() >= PROOF / 2);
    let started = Instant::now();
    let error = proven(async || Err::<(), _>(corrupt(7))).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }) && started.elapsed() >= PROOF, "{error:?}");
    let error = proven(async || Err::<(), _>(short())).await.unwrap_err();
    assert!(matches!(error, StoreError::Short { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn no_other_success_makes_a_replica_current() {
    let (mut health, status) = health();
    health.fails(Reading::Log, corrupt(7));
    health.reached();
    health.wrote();
    assert_eq!(*status.borrow(), Status::NotCurrent);
    health.not_written(&away());
    health.wrote();
    assert_eq!(*status.borrow(), Status::NotCurrent);
    health.current(Reading::Log);
    assert_eq!(*status.borrow(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn what_is_short_for_a_moment_is_no_reason_and_what_lasts_is() {
    let (mut health, status) = health();
    health.fails(Reading::Log, short());
    after(LASTS / 2).await;
    health.fails(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::Ready);
    health.current(Reading::Log);
    after(LASTS).await;
    health.fails(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::Ready);
    after(LASTS).await;
    health.fails(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::NotCurrent);
    health.current(Reading::Log);
    assert_eq!(*status.borrow(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_counted_from_the_beginning_of_the_first_reading_that_failed() {
    let (mut health, status) = health();
    let began = Instant::now();
    after(LASTS).await;
    health.unread(Reading::Log, began, short());
    assert_eq!(*status.borrow(), Status::NotCurrent);
}

#[tokio::test(start_paused = true)]
async fn two_failures_around_an_outage_do_not_last() {
    let (mut health, status) = health();
    health.fails(Reading::Log, short());
    health.fails(Reading::Log, away());
    after(LASTS).await;
    health.fails(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::ReadOnly);
    // What lasts after it does, though nothing has told that the database is back.
    after(LASTS).await;
    health.fails(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::NotCurrent);
}

#[tokio::test(start_paused = true)]
async fn a_commit_shows_that_writes_get_through_only_if_it_was_made() {
    let (mut health, status) = health();
    health.not_written(&StoreError::Unknown { what: "", detail: String::new() });
    health.resolved(false);
    assert_eq!(*status.borrow(), Status::ReadOnly);
    assert!(health.is_to_be_probed());
    health.resolved(true);
    assert_eq!(*status.borrow(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_takes_nothing_from_those_who_read() {
    let (mut health, status) = health();
    let contact = health.contact.clone();
    for _ in 0..20 {
        health.fails(Reading::Log, away());
        after(LASTS).await;
    }
    assert_eq!(*status.borrow(), Status::ReadOnly);
    assert_eq!(contact.age(), 20 * LASTS);
    assert!(matches!(health.usable(), Err(StoreError::Away { .. })));
    assert!(!health.is_to_be_probed());
    health.current(Reading::Log);
    assert_eq!((status.borrow().clone(), contact.age()), (Status::ReadOnly, Duration::ZERO));
    assert!(health.is_to_be_probed());
    health.wrote();
    assert_eq!(*status.borrow(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn memory_that_must_be_reloaded_is_not_made_good_by_the_log() {
    let (mut health, _status) = health();
    health.must_reload();
    health.current(Reading::Log);
    assert_eq!(health.reading(), Some(Reading::Tables));
    health.current(Reading::Tables);
    assert_eq!(health.reading(), Some(Reading::Log));
    // Nor is what was behind by the tables.
    health.fails(Reading::Tables, corrupt(7));
    health.current(Reading::Log);
    assert_eq!(health.reading(), Some(Reading::Tables));
    assert!(health.usable().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_outage_counts_whom_it_refuses() {
    let (mut health, status) = health();
    health.refused(5);
    for callers in [1, 0, 2] {
        health.not_written(&StoreError::Unavailable { what: "the disk is full", detail: String::new() });
        health.refused(callers);
        // Reading goes on, and says nothing of writing.
        health.current(Reading::Log);
        assert_eq!(*status.borrow(), Status::ReadOnly);
    }
    assert_eq!(health.outage.as_ref().map(|outage| outage.refused), Some(3));
    health.wrote();
    assert!(health.outage.is_none());
}
