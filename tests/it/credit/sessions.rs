//! Sessions: who may begin one, and that an older one has no effect.

use tonic::Code;

use super::*;
use crate::access::support::{caller, closed, make, token};
use crate::watch::rig::Rig;

async fn refused(api: &Api, first: v1::node_report::Report) -> Status {
    let (reports, mut answers) = connect(api).await;
    reports.send(request([first])).await.unwrap();
    soon(answers.message()).await.unwrap_err()
}

fn first_hello() -> Hello {
    Hello { connection: 1, ..Hello::default() }
}

#[tokio::test]
async fn a_session_begins_with_a_hello_of_a_registered_incarnation_and_has_no_other() {
    let (mut rig, api) = Rig::started().await;
    let incarnation = register(&api, "node").await;
    let status = refused(&api, v1::node_report::Report::AppliedRevision(1)).await;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    for (node_id, incarnation) in [("node", incarnation + 1), ("another", incarnation)] {
        let said = hello(node_id, incarnation, 1, first_hello());
        let status = refused(&api, v1::node_report::Report::Hello(said)).await;
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    }
    let mut node = Node::resume(&api, "node", incarnation, first_hello()).await.unwrap();
    node.send(v1::node_report::Report::Hello(hello("node", incarnation, 2, first_hello()))).await;
    assert_eq!(node.next_message().await.unwrap_err().code(), Code::InvalidArgument);
    rig.stop().await;
}

#[tokio::test]
async fn an_older_session_gives_nothing_back_and_gets_nothing() {
    let (mut rig, api) = Rig::started().await;
    let (_, budget) = limited(&api, 10).await;
    let mut old = Node::new(&api, "node").await;
    old.ask(&budget, 6).await.unwrap();
    // A second process with the same incarnation: the first does not know of it.
    let mut new = old.again().await;
    assert_eq!(new.welcome, [(budget.clone(), Account { granted: 6, used: 0, returned: 0 })]);
    old.give_back(&budget, 6).await;
    assert_eq!(new.ask(&budget, 7).await.map(|account| account.granted), Some(7));
    assert_eq!(standing(&api).await, (0, 7, 3));
    // The server ended the first, or tells it.
    match old.next().await {
        Ok(directive) => assert_eq!(directive, Directive::Stale { session: old.session }),
        Err(status) => assert_eq!(status.code(), Code::Unavailable),
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_report_with_the_number_of_another_session_is_answered_as_stale() {
    let (mut rig, api) = Rig::started().await;
    let (_, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 6).await.unwrap();
    let session = node.session + 7;
    for report in [
        Report::Return { session, returns: vec![Returned { key: budget.clone(), returned: 6 }] },
        Report::Want { session, wants: vec![Want { key: budget.clone(), level: 9, ahead: 0, guessed: false }] },
        Report::Renew { session, sent: std::time::Duration::from_secs(1), slots_for: std::time::Duration::ZERO },
    ] {
        node.report(report).await;
        assert_eq!(node.next().await.unwrap(), Directive::Stale { session });
    }
    assert_eq!(standing(&api).await, (0, 6, 4));
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_ends_says_so_and_credit_stays() {
    let (mut rig, api) = Rig::started().await;
    let (_, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 6).await.unwrap();
    let ended = rig.ask_to_stop();
    let last = node.next_message().await.unwrap();
    assert!(matches!(last, v1::node_directive::Directive::GoAway(_)), "{last:?}");
    soon(ended).await.unwrap().unwrap();
    rig.start().await;
    assert_eq!(standing(&rig.api().await).await, (0, 6, 4));
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_lost_commits_books_what_the_node_remembers() {
    let (mut rig, api) = Rig::started().await;
    let (_, budget) = limited(&api, 10).await;
    let node = Node::new(&api, "node").await;
    // As if it had been granted and counted by a history that is lost.
    let stated = vec![tollgate::credit::Stated { key: budget.clone(), granted: 6, acknowledged: 4 }];
    let said = Hello { connection: 2, session: 40, stated, ..Hello::default() };
    let node = Node::resume(&api, "node", node.incarnation, said).await.unwrap();
    assert_eq!(node.session, 41);
    assert_eq!(node.welcome, [(budget, Account { granted: 6, used: 4, returned: 0 })]);
    assert_eq!(standing(&api).await, (4, 2, 4));
    assert_eq!(credit(&api).await[0].epoch, 1);
    // It is in the tables, too.
    let api = rig.restart().await;
    assert_eq!(standing(&api).await, (4, 2, 4));
    rig.stop().await;
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_node_speaks_for_that_node_alone() {
    let (mut rig, channel) = closed().await;
    let bound = v1::Token { node_id: "node".to_owned(), ..token("of-node", v1::Role::Node) };
    let bound = caller(&channel, &make(&channel, bound).await.unwrap().value);
    let free = caller(&channel, &make(&channel, token("free", v1::Role::Node)).await.unwrap().value);
    let register = |caller: &crate::access::support::Caller, node_id: &'static str| {
        let mut client = UsageServiceClient::new(caller.clone());
        async move {
            let request = v1::RegisterNodeRequest { node_id: node_id.to_owned(), ..Default::default() };
            client.register_node(request).await.unwrap().into_inner().incarnation
        }
    };
    let (own, others) = (register(&bound, "node").await, register(&free, "another").await);
    let said = |node_id: &str, incarnation: i64| {
        request([v1::node_report::Report::Hello(hello(node_id, incarnation, 1, first_hello()))])
    };
    let first = |caller: &crate::access::support::Caller, message: v1::ConnectRequest| {
        let mut client = NodeServiceClient::new(caller.clone());
        async move {
            // The stream stays open, as that of a node does.
            let open = tokio_stream::StreamExt::chain(tokio_stream::iter([message]), tokio_stream::pending());
            soon(client.connect(open).await.unwrap().into_inner().message()).await.map(drop)
        }
    };
    first(&bound, said("node", own)).await.unwrap();
    first(&free, said("another", others)).await.unwrap();
    assert_eq!(first(&bound, said("another", others)).await.unwrap_err().code(), Code::PermissionDenied);
    // The incarnation is of whoever registered it.
    assert_eq!(first(&free, said("node", own)).await.unwrap_err().code(), Code::FailedPrecondition);
    rig.stop().await;
}
