//! The nodes, as an operator sees them.

use super::*;
use crate::watch::rig::Rig;

async fn nodes(api: &Api) -> Vec<v1::Node> {
    let request = v1::ListNodesRequest::default();
    NodeServiceClient::new(api.0.clone()).list_nodes(request).await.unwrap().into_inner().nodes
}

async fn forget(api: &Api, node_id: &str, validate_only: bool) -> Result<Vec<v1::CreditAmount>, Status> {
    let request = v1::ForgetNodeRequest { node_id: node_id.to_owned(), incarnation: 0, validate_only };
    Ok(NodeServiceClient::new(api.0.clone()).forget_node(request).await?.into_inner().freed)
}

/// The one node, once it is as it is to be.
async fn once(api: &Api, is_so: impl Fn(&v1::Node) -> bool) -> v1::Node {
    soon(async {
        loop {
            let mut nodes = nodes(api).await;
            assert_eq!(nodes.len(), 1);
            let node = nodes.pop().unwrap();
            if is_so(&node) {
                return node;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_node_is_seen_with_what_it_tells_and_holds_and_after_it_is_gone() {
    let (mut rig, api) = Rig::started().await;
    let (_, budget) = limited(&api, 10).await;
    register(&api, "node").await;
    assert_eq!(once(&api, |_| true).await.state(), v1::NodeState::Gone, "it never had a session");
    let incarnation = nodes(&api).await[0].incarnation;
    let said = Hello { connection: 1, ..Hello::default() };
    let mut node = Node::resume(&api, "node", incarnation, said).await.unwrap();
    node.ask(&budget, 6).await.unwrap();
    let told = v1::NodeStatus {
        outbox_batches: 3,
        outbox_age: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        open_admissions: 4,
        last_error: "the disk is full".to_owned(),
        credit_refused: 5,
    };
    node.send(v1::node_report::Report::Status(told.clone())).await;
    node.send(v1::node_report::Report::AppliedRevision(1)).await;
    let seen = once(&api, |node| node.applied_revision == 1).await;
    assert_eq!((seen.node_id.as_str(), seen.version.as_str(), seen.incarnation), ("node", "1.2.3", incarnation));
    assert_eq!(seen.status, Some(told));
    // A kind that only a later node knows is shown by its number.
    let known = (seen.kinds.clone(), seen.features.clone());
    assert_eq!(known, (vec![v1::ResourceKind::VirtualKey.into(), 60], vec!["concurrency-limits".to_owned()]));
    assert_eq!(seen.credit_held, [v1::CreditAmount { kind: v1::LimitKind::Budget.into(), amount: 6 }]);
    assert!(!seen.replica.is_empty() && seen.last_seen.is_some() && seen.connected_at.is_some());
    // Goodbye.
    let Node { reports, mut answers, .. } = node;
    drop(reports);
    assert!(soon(answers.message()).await.unwrap().is_none());
    assert_eq!(once(&api, |node| node.state() == v1::NodeState::Gone).await.credit_held.len(), 1);
    // It is in the tables.
    let api = rig.restart().await;
    let gone = once(&api, |_| true).await;
    assert_eq!((gone.applied_revision, gone.connected_at), (1, seen.connected_at));
    assert_eq!((gone.kinds, gone.features, gone.status), (seen.kinds, seen.features, seen.status));
    rig.stop().await;
}

#[tokio::test]
async fn a_node_that_is_forgotten_frees_its_credit_and_has_to_register_anew() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 10).await.unwrap();
    let held = [v1::CreditAmount { kind: v1::LimitKind::Budget.into(), amount: 10 }];
    assert_eq!(forget(&api, "node", true).await.unwrap(), held);
    assert_eq!(standing(&api).await, (0, 10, 0), "nothing was done");
    assert_eq!(forget(&api, "node", false).await.unwrap(), held);
    assert_eq!(node.next().await.unwrap(), Directive::Closed);
    assert_eq!(standing(&api).await, (0, 0, 10));
    assert!(nodes(&api).await[0].closed);
    assert_eq!(forget(&api, "node", false).await.unwrap(), [], "there is nothing more");
    assert_eq!(forget(&api, "nobody", false).await.unwrap_err().code(), tonic::Code::NotFound);
    // Its usage is real.
    node.use_up(1, &key.id, 3, &[(budget.clone(), 3)]).await;
    assert_eq!(standing(&api).await, (3, 0, 7));
    let (reports, mut answers) = connect(&api).await;
    let said = hello("node", node.incarnation, 2, Hello { connection: 2, session: 1, ..Hello::default() });
    reports.send(request([v1::node_report::Report::Hello(said)])).await.unwrap();
    let answer = soon(answers.message()).await.unwrap().unwrap();
    assert!(matches!(answer.directives[0].directive, Some(v1::node_directive::Directive::Closed(_))), "{answer:?}");
    rig.stop().await;
}

#[tokio::test]
async fn lists_of_nodes_and_credit_are_paged() {
    let (mut rig, api) = Rig::started().await;
    let mut all = Vec::new();
    for name in ["b", "a", "c"] {
        let (_, budget) = limited(&api, 10 + all.len() as i64).await;
        let mut node = Node::new(&api, name).await;
        node.ask(&budget, 1).await.unwrap();
        all.push(node);
    }
    let mut client = NodeServiceClient::new(api.0.clone());
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListNodesRequest { page_size: 1, page_token, ..Default::default() };
        let page = client.list_nodes(request).await.unwrap().into_inner();
        names.extend(page.nodes.into_iter().map(|node| node.node_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
    let (mut holders, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListCreditRequest { page_size: 1, page_token, ..Default::default() };
        let page = client.list_credit(request).await.unwrap().into_inner();
        assert_eq!(page.limits.len(), 1);
        holders.extend(page.limits.into_iter().flat_map(|limit| limit.nodes).map(|node| node.node_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    holders.sort();
    assert_eq!(holders, ["a", "b", "c"]);
    let request = v1::ListCreditRequest { node_id: "b".to_owned(), ..Default::default() };
    assert_eq!(client.list_credit(request).await.unwrap().into_inner().limits.len(), 1);
    rig.stop().await;
}
