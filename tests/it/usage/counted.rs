//! What a node is told of its own batches beside what limits have used: exactly those that are in the values.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollgate::reducer::Progress;

use super::stream::without_customer;
use super::*;
use crate::watch::rig::{Node, soon};

/// Batches of the node, and as many of others that count against the same limits.
const BATCHES: i64 = 400;

async fn follow(api: &Api, node: &mut Node, incarnations: Vec<i64>) {
    let request = v1::WatchConfigRequest { include_usage: true, incarnations, ..node.resume() };
    node.send(api.0.clone(), request).await.unwrap();
}

/// What the key's own budget has used, and how far the values have the batches of `incarnation`.
fn told(node: &Node, counted: &[v1::CountedBatches], key: &v1::VirtualKey, incarnation: i64) -> (i64, i64) {
    let budget = node.reducer.usage().values().find(|usage| usage.limit_id == key.budgets[0].id);
    let batches = counted.iter().find(|counted| counted.incarnation == incarnation);
    (budget.map_or(0, |budget| budget.used), batches.map_or(0, |batches| batches.sequence))
}

#[tokio::test]
async fn values_and_counted_batches_are_of_one_moment() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = without_customer(&api).await;
    let [own, other] = [register(&api).await, register(&api).await];
    let mut node = Node::new(&[]);
    follow(&api, &mut node, vec![own, own + 1_000]).await;
    // The node's batches cost 1, those of others nothing: they keep the server busy with the same counters.
    let is_over = Arc::new(AtomicBool::new(false));
    let (reporting, busy, over) = (api.clone(), key.id.clone(), Arc::clone(&is_over));
    let others = tokio::spawn(async move {
        for sequence in 1.. {
            report(&reporting, vec![batch(other, sequence, vec![entry(&busy, 0)])]).await;
            if over.load(Ordering::Relaxed) {
                break;
            }
        }
    });
    let (reporting, id) = (api.clone(), key.id.clone());
    let reports = tokio::spawn(async move {
        for sequence in 1..=BATCHES {
            report(&reporting, vec![batch(own, sequence, vec![entry(&id, 1)])]).await;
        }
    });
    let mut updates = 0;
    loop {
        let Progress::Used { counted, .. } = node.expect().await else { continue };
        let (used, sequence) = told(&node, &counted, &key, own);
        assert_eq!(used, sequence, "the values contain other batches than {counted:?}");
        assert!(counted.iter().all(|counted| counted.incarnation == own), "{counted:?}");
        updates += 1;
        if sequence == BATCHES {
            break;
        }
    }
    assert!(updates > 1, "{updates}");
    is_over.store(true, Ordering::Relaxed);
    soon(others).await.unwrap();
    soon(reports).await.unwrap();

    // A batch that moves nothing is told too: the node forgets it.
    let unknown = entry("00000000-0000-7000-8000-000000000000", 5);
    report(&api, vec![batch(own, BATCHES + 1, vec![unknown])]).await;
    loop {
        let Progress::Used { counted, .. } = node.expect().await else { continue };
        if told(&node, &counted, &key, own) == (BATCHES, BATCHES + 1) {
            break;
        }
    }
    // After a restart it is the same.
    let api = rig.restart().await;
    let mut node = Node::new(&[]);
    follow(&api, &mut node, vec![own]).await;
    loop {
        let Progress::Used { counted, .. } = node.expect().await else { continue };
        assert_eq!(told(&node, &counted, &key, own), (BATCHES, BATCHES + 1));
        break;
    }
    drop((node, api));
    rig.stop().await;
}

#[tokio::test]
async fn incarnations_without_usage_are_refused() {
    let (mut rig, api) = Rig::started().await;
    let request = v1::WatchConfigRequest { incarnations: vec![1], ..Default::default() };
    let mut client = v1::config_service_client::ConfigServiceClient::new(api.0.clone());
    let refused = client.watch_config(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("incarnations") && refused.message().contains("include_usage"), "{refused:?}");
    drop((client, api));
    rig.stop().await;
}
