//! The bound of hard limits, as it is listed, and what lies outside of it.

use tokio::time::{Duration, sleep};

use super::*;
use crate::watch::rig::Rig;

/// Counted, uncovered and granted of the one limit on which there is credit.
async fn bound(api: &Api) -> (i64, i64, i64) {
    let limits = credit(api).await;
    let [limit] = &limits[..] else { panic!("{limits:?}") };
    assert_eq!(limit.granted, limit.nodes.iter().map(|node| node.granted).sum::<i64>());
    (limit.counted, limit.uncovered, limit.granted)
}

#[tokio::test]
async fn usage_that_no_credit_was_held_for_is_listed_apart() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 100).await;
    // A client that only reports.
    let plain = Node::new(&api, "plain").await;
    plain.use_up(1, &key.id, 4, &[]).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 20).await.unwrap();
    assert_eq!(bound(&api).await, (4, 4, 20), "from before credit was first asked for");
    plain.use_up(2, &key.id, 3, &[]).await;
    assert_eq!(bound(&api).await, (7, 7, 20));
    // Of a batch that is told of later, as of batches that are made together.
    node.use_up(1, &key.id, 2, &[]).await;
    assert_eq!(bound(&api).await, (9, 9, 20));
    node.use_up(2, &key.id, 3, &[(budget.clone(), 5)]).await;
    assert_eq!(bound(&api).await, (12, 7, 20));
    // Requests that the limit did not apply to yet when they were admitted.
    let mut batch = crate::usage::batch(node.incarnation, 3, vec![crate::usage::entry(&key.id, 3)]);
    batch.node_id.clone_from(&node.node_id);
    batch.credit_used = wire::render_credit_used([(&budget, 8)]);
    batch.credit_used[0].uncovered = 2;
    for status in [v1::UsageAckStatus::Applied, v1::UsageAckStatus::Duplicate] {
        assert_eq!(crate::usage::report(&api, vec![batch.clone()]).await[0].status(), status);
    }
    assert_eq!(bound(&api).await, (15, 9, 20));
    let request = v1::ForgetNodeRequest { node_id: "node".to_owned(), ..Default::default() };
    NodeServiceClient::new(api.0.clone()).forget_node(request).await.unwrap();
    node.use_up(4, &key.id, 1, &[(budget.clone(), 9)]).await;
    assert_eq!(bound(&api).await, (16, 10, 20));
    let api = rig.restart().await;
    assert_eq!(bound(&api).await, (16, 10, 20));
    rig.stop().await;
}

#[tokio::test]
async fn usage_of_a_limit_that_is_not_hard_meanwhile_is_uncovered() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 100).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 20).await.unwrap();
    let enforce = async |enforcement: v1::Enforcement| {
        let mut budget = key.budgets[0].clone();
        budget.set_enforcement(enforcement);
        let key = v1::VirtualKey { budgets: vec![budget], revision: 0, ..key.clone() };
        api.update_virtual_key(key, &["budgets"]).await.unwrap();
    };
    enforce(v1::Enforcement::Soft).await;
    let plain = Node::new(&api, "plain").await;
    plain.use_up(1, &key.id, 4, &[]).await;
    enforce(v1::Enforcement::Hard).await;
    node.ask(&budget, 30).await.unwrap();
    let (counted, uncovered, _) = bound(&api).await;
    assert_eq!((counted, uncovered), (4, 4));
    rig.stop().await;
}

#[tokio::test]
async fn credit_of_a_raised_ceiling_ends_with_the_increase() {
    let (mut rig, api) = Rig::started().await;
    let until = std::time::SystemTime::now() + Duration::from_secs(2);
    let budget = v1::Budget {
        max_limit: 10e-9,
        reset_duration: "10Y".to_owned(),
        temporary_increase: 10e-9,
        temporary_increase_until: Some(until.into()),
        ..v1::Budget::default()
    };
    let key = v1::VirtualKey { name: "raised".to_owned(), budgets: vec![budget], ..v1::VirtualKey::default() };
    let budget = window(&api.create_virtual_key(key).await.unwrap().budgets[0]);
    let (mut node, mut other) = (Node::new(&api, "node").await, Node::new(&api, "other").await);
    node.want(&budget, 15).await;
    let Directive::Grant { credits, .. } = node.next().await.unwrap() else { panic!("no grant") };
    let raised = (credits[0].max, credits[0].raised_until.is_some(), credits[0].is_raised);
    assert_eq!(raised, (20, true, true));
    // Until then the other node may have what is left of it.
    assert!(other.ask(&budget, 5).await.is_some());
    sleep(until.duration_since(std::time::SystemTime::now()).unwrap_or_default() + Duration::from_millis(100)).await;
    assert_eq!(other.ask(&budget, 6).await, None);
    node.give_back(&budget, 15).await;
    other.give_back(&budget, 5).await;
    other.want(&budget, 15).await;
    // It may have got the 6 before it asked for 15, and been asked for what it held over the ceiling of now.
    let credit = loop {
        match other.next().await.unwrap() {
            Directive::Recall { keys, .. } => assert_eq!(keys, std::slice::from_ref(&budget)),
            Directive::Grant { credits, .. } => {
                let credit = &credits[0];
                assert_eq!((credit.max, credit.raised_until.is_some(), credit.is_raised), (10, true, false));
                if credit.account.granted != 6 {
                    break credit.account;
                }
            }
            other => panic!("a want was answered with {other:?}"),
        }
    };
    assert_eq!(credit.granted, 15);
    assert_eq!(other.ask(&budget, 16).await, None);
    rig.stop().await;
}
