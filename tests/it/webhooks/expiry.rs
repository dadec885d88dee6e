//! Keys that are about to expire and nodes that are not heard any more, by a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollgate::domain::Timestamp;

use super::receiver::{Answer, Receiver};
use super::*;
use crate::watch::rig::clock;

const DAY: i64 = 24 * 3_600 * 1_000_000;

#[tokio::test]
async fn keys_that_expire_and_nodes_that_are_silent_are_told_of_once() {
    let now = Arc::new(AtomicI64::new(Timestamp::now().as_micros()));
    let mut rig = Rig::new();
    rig.settings.webhooks.allow_private = true;
    rig.clock = clock(&now);
    rig.start().await;
    let mut api = rig.api().await;
    let mut receiver = Receiver::start(&[Answer::Status(200)]).await;
    let events = [WebhookEvent::KeyExpiring, WebhookEvent::NodeSilent];
    let webhook = create(&api.0, webhook("ops", &receiver.url(), &events)).await;
    let node = crate::credit::Node::new(&api, "holder").await;
    let seconds = (now.load(Ordering::SeqCst) + 10 * DAY) / 1_000_000;
    let expires_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
    let key = v1::VirtualKey { name: "short".to_owned(), expires_at, ..Default::default() };
    let key = api.create_virtual_key(key).await.unwrap();

    now.fetch_add(20 * 1_000_000, Ordering::SeqCst);
    let silent = receiver.next().await.json();
    assert_eq!((&silent["type"], &silent["data"]["node_id"]), (&"node.silent".into(), &"holder".into()));
    for (days, step) in [(7, 3 * DAY), (1, 6 * DAY)] {
        now.fetch_add(step, Ordering::SeqCst);
        // Keys are looked at when something has changed.
        api.team(&days.to_string()).await;
        let told = receiver.next().await.json();
        assert_eq!((&told["type"], &told["data"]["within_days"]), (&"key.expiring".into(), &days.into()));
        assert_eq!(told["data"]["virtual_key_id"], key.id.as_str());
    }
    // Whoever goes on knows what was told.
    drop((api, node));
    rig.stop().await;
    rig.start().await;
    api = rig.api().await;
    let id = test(&api.0, &webhook).await;
    assert_eq!(receiver.next().await.id(), id);
    let told = deliveries(&api.0, &webhook.id).await;
    assert_eq!(told.iter().filter(|it| it.event() == WebhookEvent::KeyExpiring).count(), 2);
    drop(api);
    rig.stop().await;
}
