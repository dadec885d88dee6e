//! Usage on the watch stream: absolute values, joined, complete.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollgate::watch::Progress;

use super::*;
use crate::watch::rig::{Node, clock};

async fn follow(api: &Api, node: &mut Node) {
    let token = node.reducer.connect().to_owned();
    let request = v1::WatchConfigRequest { include_usage: true, ..node.request(&token) };
    node.send(api.0.clone(), request).await.unwrap();
}

/// Reads on until the node has used so much of each limit, and returns all that it knows.
async fn until(node: &mut Node, expected: &BTreeMap<String, i64>) {
    loop {
        let held: BTreeMap<String, i64> = node
            .reducer
            .usage()
            .values()
            .filter(|usage| usage.kind() == v1::LimitKind::Budget && usage.used != 0)
            .map(|usage| (usage.limit_id.clone(), usage.used))
            .collect();
        if held == *expected {
            return;
        }
        node.expect().await;
    }
}

fn budgets(team: &v1::Team, key: &v1::VirtualKey) -> [String; 3] {
    [&team.budgets[0].id, &key.budgets[0].id, &key.provider_configs[0].budgets[0].id].map(ToString::to_string)
}

fn without_customer(api: &Api) -> impl Future<Output = (v1::Team, v1::VirtualKey)> + use<> {
    let api = api.clone();
    async move {
        let (team, key) = hierarchy(&api).await;
        let cleared = v1::Team { customer_id: String::new(), revision: 0, ..team.clone() };
        api.update_team(cleared, &["customer_id"]).await.unwrap();
        (team, key)
    }
}

#[tokio::test]
async fn a_node_is_told_all_that_is_used_and_then_what_changes() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = without_customer(&api).await;
    let incarnation = register(&api).await;
    let mut early = Node::new(&[]);
    follow(&api, &mut early).await;
    // The first update comes even if nothing is used.
    while early.expect().await != Progress::Used(Vec::new()) {}

    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 600)])]).await;
    let used = |cost: i64| budgets(&team, &key).into_iter().map(|id| (id, cost)).collect::<BTreeMap<_, _>>();
    until(&mut early, &used(600)).await;
    // Crossing a threshold, and a reset.
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 900_000_000)])]).await;
    until(&mut early, &used(900_000_600)).await;
    let reset = v1::UpdateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { id: key.id.clone(), ..Default::default() }),
        reset_budget_usage: true,
        ..Default::default()
    };
    VirtualKeyServiceClient::new(api.0.clone()).update_virtual_key(reset).await.unwrap();
    let left = BTreeMap::from([(team.budgets[0].id.clone(), 900_000_600)]);
    until(&mut early, &left).await;

    // A ceiling that moves is told beside what is used.
    let budget = v1::Budget { max_limit: 4.0, ..team.budgets[0].clone() };
    let raised = v1::Team { budgets: vec![budget], revision: 0, ..team.clone() };
    api.update_team(raised, &["budgets"]).await.unwrap();
    let max = |node: &Node| node.reducer.usage().values().find(|u| u.limit_id == team.budgets[0].id).map(|u| u.max);
    while max(&early) != Some(4_000_000_000) {
        early.expect().await;
    }

    // Who comes later gets the same; who comes back after a restart too, and drops what is zero by now.
    let mut late = Node::new(&[]);
    follow(&api, &mut late).await;
    until(&mut late, &left).await;
    let api = rig.restart().await;
    follow(&api, &mut early).await;
    until(&mut early, &left).await;
    let nothing_more = batch(incarnation, 3, vec![entry(&key.id, 1)]);
    report(&api, vec![nothing_more]).await;
    let more = used(1).into_iter().map(|(id, used)| (id.clone(), used + left.get(&id).copied().unwrap_or_default()));
    until(&mut early, &more.collect()).await;
    // A stream that did not ask is told nothing of it.
    let mut quiet = Node::new(&[]);
    let (.., head) = quiet.connect(&api).await.unwrap();
    quiet.until_proved(head).await;
    assert!(quiet.reducer.usage().is_empty());
    drop((early, late, quiet, api));
    rig.stop().await;
}

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
