//! The outbox: what is told once, who sends what, and what goes.

use super::*;
use crate::domain::WebhookEvent;

const EVENT: WebhookEvent = WebhookEvent::KeyExpiring;

fn delivery(id: &str, webhook_id: &str, seconds: i64) -> Delivery {
    Delivery::new(id.into(), webhook_id, EVENT, "{}".into(), at(seconds))
}

async fn put_all(store: &Store, deliveries: Vec<Delivery>, seconds: i64) -> u64 {
    let new = deliveries.into_iter().map(|delivery| (delivery, None)).collect();
    store.put_deliveries(EVENT, new, at(seconds)).await.unwrap()
}

async fn listed(store: &Store, state: DeliveryState) -> Vec<String> {
    let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
    let found = store.list_deliveries(&filter, None, 20_000).await.unwrap();
    found.into_iter().map(|it| it.id.into()).collect()
}

#[tokio::test]
async fn a_webhook_is_told_once() {
    let bench = Bench::new().await;
    let told = |mark| Some(Told { subject: "key".into(), mark });
    let put = async |new: Vec<(Delivery, Option<Told>)>| {
        assert_eq!(bench.store.put_deliveries(EVENT, new, at(1)).await.unwrap(), 0);
        listed(&bench.store, DeliveryState::Waiting).await
    };
    assert_eq!(put(vec![(delivery("1", "a", 1), told(7))]).await, ["1"]);
    let again = vec![
        (delivery("2", "a", 1), told(7)),
        (delivery("3", "a", 1), told(8)),
        (delivery("4", "b", 1), told(7)),
        (delivery("1", "a", 1), None),
    ];
    assert_eq!(put(again).await, ["4", "3", "1"], "neither what was told nor an id that is there");
    bench.store.close().await;
}

#[tokio::test]
async fn a_delivery_is_leased_to_one_at_a_time() {
    let bench = Bench::new().await;
    let store = &bench.store;
    let deliveries = [("1", "a", 0), ("2", "a", 0), ("3", "a", 0), ("4", "b", 0), ("5", "b", 100), ("6", "c", 0)];
    put_all(store, deliveries.map(|(id, webhook, seconds)| delivery(id, webhook, seconds)).to_vec(), 0).await;
    let lease = async |webhooks: &[(&str, u64)], now: i64, limit: u64| {
        let leased = store.lease_deliveries(webhooks, at(now), at(now + 20), limit).await.unwrap();
        leased.iter().map(|it| it.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(lease(&[("a", 2), ("b", 2)], 1, 32).await, ["1", "2", "4"], "two for each, and what is due");
    assert_eq!(lease(&[("a", 2), ("b", 2)], 2, 32).await, ["3"]);
    assert_eq!(lease(&[("a", 2), ("b", 2)], 3, 32).await, [""; 0]);
    assert_eq!(lease(&[("a", 9), ("b", 9)], 22, 2).await, ["1", "2"], "those of a server that is gone");
    let mut done = delivery("1", "a", 0);
    (done.state, done.attempts, done.finished_at) = (DeliveryState::Delivered, 1, Some(at(23)));
    let mut later = delivery("2", "a", 0);
    (later.attempts, later.last_error, later.next_attempt_at) = (1, "no".into(), at(60));
    store.settle_deliveries(&[done, later]).await.unwrap();
    assert_eq!(lease(&[("a", 9)], 59, 9).await, ["3"]);
    assert_eq!(lease(&[("a", 9)], 60, 9).await, ["2"]);
    store.end_leases().await.unwrap();
    assert_eq!(lease(&[("a", 9)], 61, 9).await, ["3", "2"]);
    assert_eq!(store.outbox_standing().await.unwrap(), OutboxStanding { waiting: 5, oldest: Some(at(0)) });
    bench.store.close().await;
}

#[tokio::test]
async fn the_outbox_has_an_end() {
    let bench = Bench::new().await;
    let store = &bench.store;
    let many = (0..10_003).map(|number| delivery(&number.to_string(), "a", 0)).collect();
    assert_eq!(put_all(store, many, 0).await, 3, "the oldest are given up");
    assert_eq!(listed(store, DeliveryState::Failed).await, ["2", "1", "0"]);
    assert_eq!(put_all(store, vec![delivery("b", "b", 200), delivery("gone", "c", 100)], 200).await, 0);

    let tidy = |now, given_up, forgotten| {
        store.tidy_deliveries(Tidy {
            now: at(now),
            existing: &["a", "b"],
            given_up: at(given_up),
            forgotten: at(forgotten),
            untold: at(0),
        })
    };
    assert_eq!(tidy(150, 0, 0).await.unwrap(), 0, "a webhook that is new may not be known to all servers");
    assert_eq!(tidy(200, 50, 0).await.unwrap(), 10_001, "the old ones, and one without its webhook");
    assert_eq!(listed(store, DeliveryState::Waiting).await, ["b"]);
    assert_eq!(listed(store, DeliveryState::Failed).await.len(), 10_004);
    assert_eq!(tidy(300, 50, 100).await.unwrap(), 0);
    assert_eq!(listed(store, DeliveryState::Failed).await.len(), 10_001, "what was over at 0 is forgotten");
    bench.store.close().await;
}
