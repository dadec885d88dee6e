//! Laws of create, get, update and delete.

use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::laws::{fields, on_every_kind, reason};
use super::subject::{Ask, How, Subject};
use crate::watch::rig::Rig;

const REQUEST: &str = "0190a8f0-0000-7000-8000-000000000001";
const OTHER: &str = "0190a8f0-0000-7000-8000-000000000002";

/// The store's revision, by a change that is deleted again.
async fn head<S: Subject>(channel: &Channel) -> i64 {
    let id = S::create(channel.clone(), S::sample(90), How::default()).await.unwrap();
    S::delete(channel.clone(), S::id(&id), 0, How::default()).await.unwrap()
}

/// As it is read back: the value of a key is shown once.
async fn read<S: Subject>(channel: &Channel, id: &str) -> S::Message {
    let stored = S::get(channel.clone(), id, false).await.unwrap();
    let held = S::get(channel.clone(), id, true).await.unwrap();
    assert_eq!(stored, held, "memory and tables");
    stored
}

async fn created<S: Subject>(channel: &Channel, n: usize) -> S::Message {
    let created = S::create(channel.clone(), S::sample(n), How::default()).await.unwrap();
    read::<S>(channel, S::id(&created)).await
}

async fn what_is_created_is_read_and_survives_a_restart<S: Subject>(rig: &mut Rig, channel: Channel) {
    let one = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    let read_back = read::<S>(&channel, S::id(&one)).await;
    assert_eq!(read_back, one);
    let again = rig.restart().await.0;
    assert_eq!(read::<S>(&again, S::id(&one)).await, read_back);
}

async fn an_update_changes_what_its_mask_names<S: Subject>(_: &mut Rig, channel: Channel) {
    let before = created::<S>(&channel, 1).await;
    let mut desired = before.clone();
    let field = S::change(&mut desired);
    let after = S::update(channel.clone(), desired.clone(), How::mask(&[field])).await.unwrap();
    assert_eq!(read::<S>(&channel, S::id(&before)).await, after);
    let (mut expected, mut got) = (before.clone(), after.clone());
    S::change(&mut expected);
    assert!(*S::revision(&mut got) > *S::revision(&mut expected));
    // A named field that is empty is cleared, and nothing else is touched.
    let cleared = S::update(channel.clone(), S::bare(&before), How::mask(&[field])).await.unwrap();
    assert_ne!(cleared, after);
}

async fn what_get_answered_can_be_sent_back_and_changes_nothing<S: Subject>(_: &mut Rig, channel: Channel) {
    let stored = created::<S>(&channel, 1).await;
    for how in [How::default(), How::mask(&["*"])] {
        let same = S::update(channel.clone(), stored.clone(), how).await.unwrap();
        assert_eq!(same, stored, "it took no revision");
    }
}

async fn a_mask_that_names_no_writable_field_is_refused<S: Subject>(_: &mut Rig, channel: Channel) {
    let stored = created::<S>(&channel, 1).await;
    let paths = ["nonsense", "created_at", "revision", "id", "budgets.max_limit"];
    let refused = S::update(channel.clone(), stored.clone(), How::mask(&paths)).await.unwrap_err();
    let expected: Vec<String> = (0..paths.len()).map(|index| format!("update_mask.paths[{index}]")).collect();
    assert_eq!(fields(&refused), expected);
    assert_eq!(read::<S>(&channel, S::id(&stored)).await, stored);
}

async fn a_stale_revision_is_aborted_with_both<S: Subject>(_: &mut Rig, channel: Channel) {
    let mut stored = created::<S>(&channel, 1).await;
    let actual = *S::revision(&mut stored);
    *S::revision(&mut stored) = actual - 1;
    let field = S::change(&mut stored);
    let update = S::update(channel.clone(), stored.clone(), How::mask(&[field])).await.unwrap_err();
    let delete = S::delete(channel.clone(), S::id(&stored), actual - 1, How::default()).await.unwrap_err();
    for status in [update, delete] {
        assert_eq!(reason(&status, Code::Aborted), "REVISION_MISMATCH");
        let details = status.get_error_details();
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!((&metadata["expected"], &metadata["actual"]), (&(actual - 1).to_string(), &actual.to_string()));
    }
    S::delete(channel.clone(), S::id(&stored), actual, How::default()).await.unwrap();
}

async fn what_is_deleted_is_not_found<S: Subject>(_: &mut Rig, channel: Channel) {
    let stored = created::<S>(&channel, 1).await;
    let id = S::id(&stored);
    S::delete(channel.clone(), id, 0, How::default()).await.unwrap();
    let mut errors = vec![S::delete(channel.clone(), id, 0, How::default()).await.unwrap_err()];
    for from_memory in [false, true] {
        errors.push(S::get(channel.clone(), id, from_memory).await.unwrap_err());
    }
    let mut desired = S::bare(&stored);
    let field = S::change(&mut desired);
    errors.push(S::update(channel.clone(), desired, How::mask(&[field])).await.unwrap_err());
    for status in errors {
        assert_eq!(reason(&status, Code::NotFound), "NOT_FOUND");
        assert_eq!(status.get_error_details().resource_info().unwrap().resource_name, id);
    }
}

async fn a_second_of_the_same_is_refused_and_takes_no_revision<S: Subject>(_: &mut Rig, channel: Channel) {
    let mut first = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
    let refused = S::create(channel.clone(), S::sample(1), How::default()).await.unwrap_err();
    assert_eq!(reason(&refused, Code::AlreadyExists), "ALREADY_EXISTS");
    assert_eq!(refused.get_error_details().resource_info().unwrap().resource_name, S::id(&first));
    let mut next = S::create(channel.clone(), S::sample(2), How::default()).await.unwrap();
    assert_eq!(*S::revision(&mut next), *S::revision(&mut first) + 1);
}

async fn a_retry_with_its_request_id_does_nothing_again<S: Subject>(rig: &mut Rig, channel: Channel) {
    let first = S::create(channel.clone(), S::sample(1), How::id(REQUEST)).await.unwrap();
    let channel = rig.restart().await.0;
    let again = S::create(channel.clone(), S::sample(1), How::id(REQUEST)).await.unwrap();
    assert_eq!(S::id(&again), S::id(&first));
    let other = S::create(channel.clone(), S::sample(2), How::id(REQUEST)).await.unwrap_err();
    assert_eq!(reason(&other, Code::InvalidArgument), "REQUEST_ID_REUSED");
    let malformed = S::create(channel.clone(), S::sample(2), How::id("not a UUID")).await.unwrap_err();
    assert_eq!(fields(&malformed), ["request_id"]);

    let deleted = S::delete(channel.clone(), S::id(&first), 0, How::id(OTHER)).await.unwrap();
    assert_eq!(S::delete(channel.clone(), S::id(&first), 0, How::id(OTHER)).await.unwrap(), deleted);
    // A refused call is not remembered.
    let id = "0190a8f0-0000-7000-8000-000000000003";
    S::delete(channel.clone(), S::id(&first), 0, How::id(id)).await.unwrap_err();
    S::create(channel.clone(), S::sample(1), How::default()).await.unwrap();
}

async fn validate_only_answers_and_changes_nothing<S: Subject>(_: &mut Rig, channel: Channel) {
    let stored = created::<S>(&channel, 1).await;
    let before = head::<S>(&channel).await;
    S::create(channel.clone(), S::sample(2), How::validate()).await.unwrap();
    let empty = S::create(channel.clone(), S::Message::default(), How::validate()).await.unwrap_err();
    reason(&empty, Code::InvalidArgument);
    let mut desired = stored.clone();
    let field = S::change(&mut desired);
    let how = How { validate_only: true, ..How::mask(&[field]) };
    assert_ne!(S::update(channel.clone(), desired, how).await.unwrap(), stored);
    S::delete(channel.clone(), S::id(&stored), 0, How::validate()).await.unwrap();
    assert_eq!(read::<S>(&channel, S::id(&stored)).await, stored);
    assert_eq!(head::<S>(&channel).await, before + 2);
    assert_eq!(S::list(channel, Ask::default()).await.unwrap().items.iter().filter(|it| **it == stored).count(), 1);
}

async fn an_absent_resource_or_id_is_named<S: Subject>(_: &mut Rig, channel: Channel) {
    let refused = S::update(channel.clone(), S::Message::default(), How::default()).await.unwrap_err();
    let field = fields(&refused).remove(0);
    assert!(field.starts_with(S::FIELD), "{field}");
    assert_eq!(fields(&S::get(channel.clone(), "", false).await.unwrap_err()), ["id"]);
    assert_eq!(fields(&S::delete(channel.clone(), "", 0, How::default()).await.unwrap_err()), ["id"]);
    let empty = S::create(channel, S::Message::default(), How::default()).await.unwrap_err();
    assert!(fields(&empty).iter().all(|field| field.starts_with(S::FIELD)));
}

macro_rules! laws {
    ($($law:ident on $($kind:ident)*;)*) => {
        mod laws {
            $(#[tokio::test]
            async fn $law() {
                use super::$law as law;
                super::on_every_kind!(law $(, $kind)*);
            })*
        }
    };
}

laws! {
    what_is_created_is_read_and_survives_a_restart on;
    an_update_changes_what_its_mask_names on;
    what_get_answered_can_be_sent_back_and_changes_nothing on;
    a_mask_that_names_no_writable_field_is_refused on;
    a_stale_revision_is_aborted_with_both on;
    what_is_deleted_is_not_found on;
    a_retry_with_its_request_id_does_nothing_again on;
    validate_only_answers_and_changes_nothing on;
    an_absent_resource_or_id_is_named on;
    a_second_of_the_same_is_refused_and_takes_no_revision
        on Customer Team VirtualKey McpClient Provider RoutingRule ModelConfig;
}
