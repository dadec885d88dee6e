//! Windows that turn and credit that expires, by a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tollgate::settings::{CreditSettings, LostCredit};

use super::*;
use crate::watch::rig::{Rig, clock};

const NOON: i64 = 1_800_014_400_000_000;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// A server at noon, and a key with a budget of ten nano-dollars an hour.
async fn at_noon(credit: CreditSettings) -> (Rig, Api, Arc<AtomicI64>, v1::VirtualKey) {
    let now = Arc::new(AtomicI64::new(NOON));
    let mut rig = Rig::new();
    (rig.clock, rig.settings.credit) = (clock(&now), credit);
    rig.start().await;
    let api = rig.api().await;
    let budget = v1::Budget { max_limit: 10e-9, reset_duration: "1h".to_owned(), ..v1::Budget::default() };
    let key = v1::VirtualKey { name: "key".to_owned(), budgets: vec![budget], ..v1::VirtualKey::default() };
    let key = api.create_virtual_key(key).await.unwrap();
    // Its first window began a moment after noon.
    now.store(NOON + SECOND, Ordering::SeqCst);
    (rig, api, now, key)
}

/// The window that begins so many hours after that of noon.
fn hour(key: &v1::VirtualKey, hours: i64) -> CounterKey {
    let first = window(&key.budgets[0]);
    CounterKey { window_start: first.window_start.plus_micros(hours * HOUR), ..first }
}

async fn counted(api: &Api, key: &CounterKey) -> (i64, i64) {
    let (seconds, nanos) = key.window_start.parts();
    let start = Some(prost_types::Timestamp { seconds, nanos });
    let limits = credit(api).await;
    let found = limits.iter().find(|limit| limit.key.as_ref().is_some_and(|key| key.window_start == start));
    found.map(|limit| (limit.counted, limit.outstanding)).unwrap()
}

#[tokio::test]
async fn a_new_window_has_credit_of_its_own_and_the_old_one_counts_what_comes_late() {
    let (mut rig, api, now, key) = at_noon(CreditSettings::default()).await;
    let mut node = Node::new(&api, "node").await;
    let [first, fourth] = [hour(&key, 0), hour(&key, 3)];
    node.ask(&first, 6).await.unwrap();
    now.store(NOON + 3 * HOUR + SECOND, Ordering::SeqCst);
    assert_eq!(node.ask(&first, 7).await, None, "the window is over");
    assert_eq!(node.ask(&fourth, 10).await.map(|account| account.granted), Some(10));
    // Three windows late, and still in its own.
    let entry = v1::UsageEntry {
        occurred_at: Some(prost_types::Timestamp { seconds: NOON / SECOND + 60, nanos: 0 }),
        ..crate::usage::entry(&key.id, 4)
    };
    let mut batch = crate::usage::batch(node.incarnation, 1, vec![entry]);
    batch.node_id.clone_from(&node.node_id);
    batch.credit_used = wire::render_credit_used([(&first, 4)]);
    let acks = crate::usage::report(&api, vec![batch]).await;
    assert_eq!((acks[0].status(), acks[0].late_entries), (v1::UsageAckStatus::Applied, 0));
    assert_eq!(counted(&api, &first).await, (4, 2));
    assert_eq!(counted(&api, &fourth).await, (0, 10));
    rig.stop().await;
}

#[tokio::test]
async fn credit_of_a_node_that_is_not_heard_is_freed_only_where_it_is_to_be() {
    let release = CreditSettings { lost_credit: LostCredit::Release, credit_ttl: Duration::from_secs(60) };
    let (mut rig, api, now, key) = at_noon(release).await;
    let mut node = Node::new(&api, "node").await;
    let first = hour(&key, 0);
    node.ask(&first, 10).await.unwrap();
    now.store(NOON + 50 * SECOND, Ordering::SeqCst);
    let sent = Duration::from_secs(50);
    node.report(Report::Renew { session: node.session, sent, slots_for: std::time::Duration::ZERO }).await;
    assert_eq!(node.next().await.unwrap(), Directive::Renewed { session: node.session, sent });
    now.store(NOON + 100 * SECOND, Ordering::SeqCst);
    assert_eq!(counted(&api, &first).await, (0, 10));
    now.store(NOON + 111 * SECOND, Ordering::SeqCst);
    // The server looks every few seconds.
    assert_eq!(node.next().await.unwrap(), Directive::Stale { session: node.session });
    assert_eq!(counted(&api, &first).await, (0, 0));
    // It has to say hello, and hears that it holds nothing.
    let node = node.again().await;
    assert_eq!(node.welcome, [(first, Account { granted: 10, used: 0, returned: 10 })]);
    rig.stop().await;
}
