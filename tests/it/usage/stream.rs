//! Usage on the watch stream: absolute values, joined, complete.

use std::collections::BTreeMap;

use tollgate::reducer::Progress;

use super::*;
use crate::watch::rig::Node;

pub(super) async fn follow(api: &Api, node: &mut Node) {
    let request = v1::WatchConfigRequest { include_usage: true, ..node.resume() };
    node.send(api.0.clone(), request).await.unwrap();
}

/// Reads on until the node has used so much of each limit, and returns all that it knows.
pub(super) async fn until(node: &mut Node, expected: &BTreeMap<String, i64>) {
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

pub(super) fn budgets(team: &v1::Team, key: &v1::VirtualKey) -> [String; 3] {
    [&team.budgets[0].id, &key.budgets[0].id, &key.provider_configs[0].budgets[0].id].map(ToString::to_string)
}

pub(super) fn without_customer(api: &Api) -> impl Future<Output = (v1::Team, v1::VirtualKey)> + use<> {
    let api = api.clone();
    async move {
        let (team, key) = hierarchy(&api).await;
        let cleared = v1::Team { customer_id: String::new(), revision: 0, ..team.clone() };
        api.update_team(cleared, &["customer_id"]).await.unwrap();
        (team, key)
    }
}

async fn reset_budgets(api: &Api, key_id: &str) {
    let reset = v1::UpdateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { id: key_id.to_owned(), ..Default::default() }),
        reset_budget_usage: true,
        ..Default::default()
    };
    VirtualKeyServiceClient::new(api.0.clone()).update_virtual_key(reset).await.unwrap();
}

#[tokio::test]
async fn a_node_is_told_all_that_is_used_and_then_what_changes() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = without_customer(&api).await;
    let incarnation = register(&api).await;
    let mut early = Node::new(&[]);
    follow(&api, &mut early).await;
    // The first update comes even if nothing is used.
    while early.expect().await != (Progress::Used { limits: Vec::new(), counted: Vec::new() }) {}

    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 600)])]).await;
    let used = |cost: i64| budgets(&team, &key).into_iter().map(|id| (id, cost)).collect::<BTreeMap<_, _>>();
    until(&mut early, &used(600)).await;
    // Crossing a threshold, and a reset.
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 900_000_000)])]).await;
    until(&mut early, &used(900_000_600)).await;
    reset_budgets(&api, &key.id).await;
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

    // What was counted before a stream begins is in its first update, however little that is.
    report(&api, vec![batch(incarnation, 3, vec![entry(&key.id, 1)])]).await;
    let mut later = Node::new(&[]);
    follow(&api, &mut later).await;
    while !matches!(later.expect().await, Progress::Used { .. }) {}
    let first =
        later.reducer.usage().values().find(|usage| usage.limit_id == key.budgets[0].id).map(|usage| usage.used);
    assert_eq!(first, Some(1));
    drop(later);
    // So is a reset, which lets requests through again.
    reset_budgets(&api, &key.id).await;
    let mut later = Node::new(&[]);
    follow(&api, &mut later).await;
    while !matches!(later.expect().await, Progress::Used { .. }) {}
    let first =
        later.reducer.usage().values().find(|usage| usage.limit_id == key.budgets[0].id).map(|usage| usage.used);
    assert_eq!(first.unwrap_or_default(), 0);
    drop(later);
    let left = BTreeMap::from([(team.budgets[0].id.clone(), 900_000_601)]);

    // Who comes later gets the same; who comes back after a restart too, and drops what is zero by now.
    let mut late = Node::new(&[]);
    follow(&api, &mut late).await;
    until(&mut late, &left).await;
    let api = rig.restart().await;
    follow(&api, &mut early).await;
    until(&mut early, &left).await;
    let nothing_more = batch(incarnation, 4, vec![entry(&key.id, 1)]);
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
