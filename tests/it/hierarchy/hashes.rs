//! Keys whose secrets nobody knows any more, which move from another gateway by their hashes.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;

use super::*;
use crate::contract::laws::fields;
use crate::watch::rig::{Rig, node};

const PRESENT: &str = "a-secret-of-another-gateway-that-some-service-holds";
const PREVIOUS: &str = "the-secret-before-that-another-service-still-holds";
const DAY: i64 = 86_400;

fn hash(secret: &str) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(secret))
}

/// So many seconds from now.
fn ahead(seconds: i64) -> Option<prost_types::Timestamp> {
    let seconds = tollgate::domain::Timestamp::now().parts().0 + seconds;
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn moved() -> v1::VirtualKey {
    v1::VirtualKey {
        value_sha256: hash(PRESENT),
        previous_value_sha256: hash(PREVIOUS),
        previous_value_expires_at: ahead(DAY),
        ..key("moved")
    }
}

/// The id of the key, and whether the secret is its previous one.
async fn lookup(api: &Api, value: &str) -> Option<(String, bool)> {
    let key = Some(v1::lookup_virtual_key_request::Key::Value(value.to_owned()));
    let request = v1::LookupVirtualKeyRequest { key };
    let found = VirtualKeyServiceClient::new(api.0.clone()).lookup_virtual_key(request).await.ok()?.into_inner();
    Some((found.virtual_key?.id, found.previous))
}

#[tokio::test]
async fn a_key_moves_by_the_hashes_of_its_secrets() {
    let (mut rig, api) = Rig::started().await;
    let made = api.create_virtual_key(moved()).await.unwrap();
    assert_eq!(made.value, "…");
    assert!(made.value_sha256.is_empty() && made.previous_value_sha256.is_empty(), "no answer has hashes");
    let mut watcher = node(&api, &[]).await;
    watcher.until(made.revision).await;
    let id = v1::ResourceKey { kind: v1::ResourceKind::VirtualKey.into(), id: made.id.clone() };
    let Some(Resource::VirtualKey(held)) = watcher.reducer.state().get(&id).and_then(|it| it.resource.clone()) else {
        panic!("no key");
    };
    assert_eq!((held.value_sha256, held.previous_value_sha256), (hash(PRESENT), hash(PREVIOUS)));
    let api = rig.restart().await;
    assert_eq!(lookup(&api, PRESENT).await, Some((made.id.clone(), false)));
    assert_eq!(lookup(&api, PREVIOUS).await, Some((made.id.clone(), true)));

    // Neither secret may be that of another key.
    for value in [PRESENT, PREVIOUS] {
        let second = v1::VirtualKey { value: value.to_owned(), ..key("second") };
        assert_eq!(api.create_virtual_key(second).await.unwrap_err().code(), tonic::Code::AlreadyExists);
    }
    let rotated = api.rotate(&made.id, None).await.unwrap();
    assert_eq!(lookup(&api, &rotated.value).await, Some((made.id, false)));
    assert_eq!(lookup(&api, PRESENT).await, None);
    drop((api, watcher));
    rig.stop().await;
}

#[tokio::test]
async fn hashes_that_say_no_secret_or_two_are_refused() {
    let (mut rig, api) = Rig::started().await;
    let at = |fields: &[&str]| fields.iter().map(|field| format!("virtual_key.{field}")).collect::<Vec<_>>();
    for (wrong, expected) in [
        (v1::VirtualKey { value_sha256: Bytes::from_static(b"short"), ..moved() }, vec!["value_sha256"]),
        (v1::VirtualKey { value: PRESENT.to_owned(), ..moved() }, vec!["value_sha256"]),
        (v1::VirtualKey { value_sha256: Bytes::new(), ..moved() }, vec!["previous_value_sha256"]),
        (v1::VirtualKey { previous_value_sha256: hash(PRESENT), ..moved() }, vec!["previous_value_sha256"]),
        (v1::VirtualKey { previous_value_sha256: Bytes::new(), ..moved() }, vec!["previous_value_expires_at"]),
        (v1::VirtualKey { previous_value_expires_at: None, ..moved() }, vec!["previous_value_expires_at"]),
        (v1::VirtualKey { previous_value_expires_at: ahead(-1), ..moved() }, vec!["previous_value_expires_at"]),
        (v1::VirtualKey { previous_value_expires_at: ahead(31 * DAY), ..moved() }, vec!["previous_value_expires_at"]),
    ] {
        assert_eq!(fields(&api.create_virtual_key(wrong).await.unwrap_err()), at(&expected));
    }
    let made = api.create_virtual_key(moved()).await.unwrap();
    let other = v1::VirtualKey { id: made.id, value_sha256: hash(PREVIOUS), ..Default::default() };
    let refused = api.update_virtual_key(other, &["value_sha256"]).await.unwrap_err();
    assert!(refused.message().contains("use RotateVirtualKey"), "{}", refused.message());
    drop(api);
    rig.stop().await;
}
