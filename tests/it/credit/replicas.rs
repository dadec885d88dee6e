//! Several servers on one database grant from one book.

use std::sync::Arc;

use super::*;
use crate::engine::{Database, on_postgres};
use crate::watch::rig::Rig;

async fn two() -> Option<[(Rig, Api); 2]> {
    if !on_postgres() {
        return None;
    }
    let database = Arc::new(Database::new());
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let mut rig = Rig::on(Arc::clone(&database));
        rig.start().await;
        let api = rig.api().await;
        replicas.push((rig, api));
    }
    <[(Rig, Api); 2]>::try_from(replicas).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_want_at_one_replica_recalls_what_a_node_of_another_holds() {
    let Some([(mut first, there), (mut second, here)]) = two().await else { return };
    let (_, budget) = limited(&there, 10).await;
    let (mut one, mut other) = (Node::new(&there, "one").await, Node::new(&here, "other").await);
    assert_eq!(one.ask(&budget, 8).await.map(|account| account.granted), Some(8));
    // The other replica has not heard of it yet, and grants nothing from its memory.
    assert_eq!(other.ask(&budget, 5).await, None);
    let recall = one.next().await.unwrap();
    assert_eq!(recall, Directive::Recall { session: one.session, keys: vec![budget.clone()] });
    one.give_back(&budget, 8).await;
    soon(async {
        loop {
            // It waited, or, where the machine is slow, asks once more.
            match tokio::time::timeout(std::time::Duration::from_millis(500), other.next()).await {
                Ok(Ok(Directive::Grant { credits, .. })) => {
                    assert_eq!(credits[0].account.granted, 5);
                    return;
                }
                Ok(Ok(Directive::Unmet { .. })) => {}
                Ok(answer) => panic!("{answer:?}"),
                Err(_) => other.want(&budget, 5).await,
            }
        }
    })
    .await;
    assert_eq!(standing(&here).await, (0, 5, 5));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_at_another_replica_ends_the_one_here() {
    let Some([(mut first, there), (mut second, here)]) = two().await else { return };
    let (_, budget) = limited(&there, 10).await;
    let mut old = Node::new(&there, "node").await;
    old.ask(&budget, 6).await.unwrap();
    let said = Hello { connection: 2, session: old.session, ..Hello::default() };
    let new = Node::resume(&here, "node", old.incarnation, said).await.unwrap();
    assert_eq!(new.welcome, [(budget.clone(), Account { granted: 6, used: 0, returned: 0 })]);
    assert_eq!(old.next().await.unwrap(), Directive::Stale { session: old.session });
    old.give_back(&budget, 6).await;
    assert_eq!(old.next().await.unwrap(), Directive::Stale { session: old.session });
    assert_eq!(standing(&there).await, (0, 6, 4));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_another_replica_forgets_is_told_here() {
    let Some([(mut first, there), (mut second, here)]) = two().await else { return };
    let (_, budget) = limited(&there, 10).await;
    let mut node = Node::new(&there, "node").await;
    node.ask(&budget, 6).await.unwrap();
    let request = v1::ForgetNodeRequest { node_id: "node".to_owned(), ..Default::default() };
    let freed = NodeServiceClient::new(here.0.clone()).forget_node(request).await.unwrap().into_inner().freed;
    assert_eq!(freed, [v1::CreditAmount { kind: v1::LimitKind::Budget.into(), amount: 6 }]);
    assert_eq!(node.next().await.unwrap(), Directive::Closed);
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_waits_for_nodes_of_another() {
    let Some([(mut first, there), (mut second, here)]) = two().await else { return };
    let (key, _) = limited(&there, 10).await;
    let node = Node::new(&there, "node").await;
    node.send(v1::node_report::Report::AppliedRevision(key.revision)).await;
    let request = v1::WaitForRevisionRequest {
        revision: key.revision,
        timeout: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        node_ids: vec!["node".to_owned()],
    };
    let mut client = v1::config_service_client::ConfigServiceClient::new(here.0.clone());
    let answer = soon(client.wait_for_revision(request)).await.unwrap().into_inner();
    assert_eq!((answer.reached, answer.node_count), (true, 1));
    first.stop().await;
    second.stop().await;
}
