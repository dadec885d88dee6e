//! Usage on the watch stream when windows turn, by a clock that the test sets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::stream::{budgets, follow, until, without_customer};
use super::*;
use crate::watch::rig::{Node, clock};

const NOON: i64 = 1_800_014_400_000_000;
const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;

/// A server whose clock the test sets, limits of a day that begin at noon, and a node that follows them.
async fn by_clock() -> (Rig, Api, Arc<AtomicI64>, (v1::Team, v1::VirtualKey), Node) {
    let now = Arc::new(AtomicI64::new(NOON));
    let mut rig = Rig::new();
    rig.clock = clock(&now);
    rig.start().await;
    let api = rig.api().await;
    let limited = without_customer(&api).await;
    let mut node = Node::new(&[]);
    follow(&api, &mut node).await;
    now.store(NOON + MINUTE, Ordering::SeqCst);
    (rig, api, now, limited, node)
}

#[tokio::test]
async fn what_came_early_is_told_when_its_window_begins() {
    let (mut rig, api, now, (team, key), mut node) = by_clock().await;
    let incarnation = register(&api).await;
    let used = |cost: i64| budgets(&team, &key).into_iter().map(|id| (id, cost)).collect::<BTreeMap<_, _>>();
    // First with nothing in the window before, then with something that comes after it.
    for (day, spent, before) in [(1, 0, 0), (2, 7, 57)] {
        let turn = NOON + day * DAY;
        now.store(turn - MINUTE, Ordering::SeqCst);
        let seconds = (turn + 2 * MINUTE) / 1_000_000;
        let occurred_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
        let early = v1::UsageEntry { occurred_at, ..entry(&key.id, 50) };
        report(&api, vec![batch(incarnation, day, vec![early])]).await;
        if spent != 0 {
            report(&api, vec![batch(incarnation, day + 1, vec![entry(&key.id, spent)])]).await;
            until(&mut node, &used(before)).await;
        }
        now.store(turn + MINUTE, Ordering::SeqCst);
        until(&mut node, &used(50)).await;
    }
    drop((node, api));
    rig.stop().await;
}

#[tokio::test]
async fn a_window_that_was_made_longer_is_told_when_it_turns() {
    let (mut rig, api, now, (team, key), mut node) = by_clock().await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 600)])]).await;
    let longer = v1::Budget { reset_duration: "2d".to_owned(), ..team.budgets[0].clone() };
    let changed = v1::Team { budgets: vec![longer], revision: 0, ..team.clone() };
    api.update_team(changed, &["budgets"]).await.unwrap();
    now.store(NOON + DAY + MINUTE, Ordering::SeqCst);
    until(&mut node, &BTreeMap::from([(team.budgets[0].id.clone(), 600)])).await;
    now.store(NOON + 2 * DAY + MINUTE, Ordering::SeqCst);
    until(&mut node, &BTreeMap::new()).await;
    drop((node, api));
    rig.stop().await;
}

#[tokio::test]
async fn a_window_that_turns_is_told_at_once_and_counts_as_zero() {
    let (mut rig, api, now, (team, key), mut node) = by_clock().await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 600)])]).await;
    let used = |cost: i64| budgets(&team, &key).into_iter().map(|id| (id, cost)).collect::<BTreeMap<_, _>>();
    until(&mut node, &used(600)).await;
    now.store(NOON + DAY + MINUTE, Ordering::SeqCst);
    until(&mut node, &BTreeMap::new()).await;
    let turned = node.reducer.usage().values().find(|usage| usage.limit_id == team.budgets[0].id).unwrap();
    assert_eq!(turned.used, 0);
    assert!(turned.window_start.unwrap().seconds >= (NOON + DAY) / 1_000_000, "{turned:?}");
    assert_eq!(spent(&api).await, [0; 4]);
    // What was consumed before the turn counts in the window before; what is consumed now, in this one.
    let late = v1::UsageEntry {
        occurred_at: Some(prost_types::Timestamp { seconds: (NOON + MINUTE) / 1_000_000, nanos: 0 }),
        ..entry(&key.id, 50)
    };
    let acks = report(&api, vec![batch(incarnation, 2, vec![late, entry(&key.id, 7)])]).await;
    assert_eq!(acks[0].late_entries, 0);
    until(&mut node, &used(7)).await;
    drop((node, api));
    rig.stop().await;
}
