//! The transitions of the one value.

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

#[tokio::test(start_paused = true)]
async fn corruption_is_proven_by_a_second_reading_only() {
    let (mut health, status) = health();
    health.unread(Reading::Log, corrupt(7));
    assert_eq!(*status.borrow(), Status::NotCurrent);
    assert!(matches!(health.usable(), Err(StoreError::NotCurrent)));
    // At once, which is no other reading.
    health.unread(Reading::Log, corrupt(7));
    assert_eq!(*status.borrow(), Status::NotCurrent);
    after(AGAIN).await;
    // Another finding, which has to be found twice too.
    health.unread(Reading::Log, corrupt(8));
    assert_eq!(*status.borrow(), Status::NotCurrent);
    after(AGAIN).await;
    health.unread(Reading::Log, corrupt(8));
    assert!(matches!(&*status.borrow(), Status::Over(Over::Corrupt(what)) if what.contains('8')));
    assert_eq!(health.reading(), None);
}

#[tokio::test(start_paused = true)]
async fn no_other_success_makes_a_replica_current() {
    let (mut health, status) = health();
    health.unread(Reading::Log, corrupt(7));
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
    health.unread(Reading::Log, short());
    after(LASTS / 2).await;
    health.unread(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::Ready);
    health.current(Reading::Log);
    after(LASTS).await;
    health.unread(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::Ready);
    after(LASTS).await;
    health.unread(Reading::Log, short());
    assert_eq!(*status.borrow(), Status::NotCurrent);
    health.current(Reading::Log);
    assert_eq!(*status.borrow(), Status::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_is_away_takes_nothing_from_those_who_read() {
    let (mut health, status) = health();
    let contact = health.contact.clone();
    for _ in 0..20 {
        health.unread(Reading::Log, away());
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
    health.unread(Reading::Tables, corrupt(7));
    health.current(Reading::Log);
    assert_eq!(health.reading(), Some(Reading::Tables));
    assert!(health.usable().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_outage_counts_what_it_refuses() {
    let (mut health, status) = health();
    for _ in 0..3 {
        health.not_written(&StoreError::Unavailable { what: "the disk is full", detail: String::new() });
        // Reading goes on, and says nothing of writing.
        health.current(Reading::Log);
        assert_eq!(*status.borrow(), Status::ReadOnly);
    }
    assert_eq!(health.outage.as_ref().map(|outage| outage.refused), Some(3));
    health.wrote();
    assert!(health.outage.is_none());
}
