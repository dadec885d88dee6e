//! Waiting until all nodes decide with a revision.

use tollgate::proto::v1::config_service_client::ConfigServiceClient;

use super::*;
use crate::watch::rig::Rig;

async fn wait(api: &Api, request: v1::WaitForRevisionRequest) -> Result<v1::WaitForRevisionResponse, Status> {
    Ok(soon(ConfigServiceClient::new(api.0.clone()).wait_for_revision(request)).await?.into_inner())
}

fn at(revision: i64) -> v1::WaitForRevisionRequest {
    let timeout = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    v1::WaitForRevisionRequest { revision, timeout, node_ids: Vec::new() }
}

fn at_once(revision: i64) -> v1::WaitForRevisionRequest {
    v1::WaitForRevisionRequest { timeout: Some(prost_types::Duration::default()), ..at(revision) }
}

#[tokio::test]
async fn the_answer_comes_when_the_last_node_knows_and_names_those_that_do_not() {
    let (mut rig, api) = Rig::started().await;
    let (key, _) = limited(&api, 10).await;
    let [one, other] = [Node::new(&api, "one").await, Node::new(&api, "other").await];
    one.send(v1::node_report::Report::AppliedRevision(key.revision)).await;
    let lagging = soon(async {
        loop {
            let answer = wait(&api, at_once(key.revision)).await.unwrap();
            if answer.node_count == 1 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!lagging.reached);
    let names: Vec<_> = lagging.lagging_nodes.iter().map(|node| (node.node_id.as_str(), node.incarnation)).collect();
    assert_eq!(names, [("other", other.incarnation)]);
    assert_eq!(lagging.lagging_nodes[0].cannot_admit_after, None, "it has no bound to its copy's age");

    let waiting = tokio::spawn({
        let (api, revision) = (Api(api.0.clone()), key.revision);
        async move { wait(&api, at(revision)).await.unwrap() }
    });
    other.send(v1::node_report::Report::AppliedRevision(key.revision + 5)).await;
    let answer = soon(waiting).await.unwrap();
    assert_eq!((answer.reached, answer.node_count, answer.lagging_nodes.len()), (true, 2, 0));

    // Of those that are named, all: one that nobody knows is behind.
    let node_ids = vec!["one".to_owned(), "nobody".to_owned()];
    let answer = wait(&api, v1::WaitForRevisionRequest { node_ids, ..at_once(key.revision) }).await.unwrap();
    assert_eq!((answer.reached, answer.node_count), (false, 1));
    assert_eq!(answer.lagging_nodes[0], v1::LaggingNode { node_id: "nobody".to_owned(), ..Default::default() });
    rig.stop().await;
}

#[tokio::test]
async fn a_node_whose_copy_has_an_age_says_when_it_admits_nothing_any_more() {
    let (mut rig, api) = Rig::started().await;
    let (key, _) = limited(&api, 10).await;
    let incarnation = register(&api, "node").await;
    let (reports, mut answers) = connect(&api).await;
    let said = hello("node", incarnation, 1, Hello { connection: 1, ..Hello::default() });
    let max_staleness = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let said = v1::NodeHello { max_staleness, ..said };
    reports.send(request([v1::node_report::Report::Hello(said)])).await.unwrap();
    soon(answers.message()).await.unwrap().unwrap();
    let answer = soon(async {
        loop {
            let answer = wait(&api, at_once(key.revision)).await.unwrap();
            if !answer.reached {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let lagging = &answer.lagging_nodes[0];
    let (seen, ends) = (lagging.last_seen.unwrap(), lagging.cannot_admit_after.unwrap());
    assert_eq!((ends.seconds - seen.seconds, ends.nanos), (3_600, seen.nanos));

    // Its stream may have proven its copy until then, however long its session is silent.
    let (later, _) = limited(&api, 11).await;
    let lagging = &wait(&api, at_once(later.revision)).await.unwrap().lagging_nodes[0];
    let changes = v1::ListChangesRequest { page_size: 1, ..Default::default() };
    let changes = ConfigServiceClient::new(api.0.clone()).list_changes(changes).await.unwrap().into_inner();
    let made = changes.changes[0].commit_time.unwrap();
    let ends = lagging.cannot_admit_after.unwrap();
    assert_eq!(changes.changes[0].revision, later.revision);
    assert_eq!((ends.seconds - made.seconds, ends.nanos), (3_600, made.nanos));
    rig.stop().await;
}

#[tokio::test]
async fn a_revision_that_never_was_is_an_error() {
    let (mut rig, api) = Rig::started().await;
    let (key, _) = limited(&api, 10).await;
    for revision in [0, -1, key.revision + 1] {
        assert_eq!(wait(&api, at(revision)).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
    assert!(wait(&api, at(key.revision)).await.unwrap().reached, "nobody is there who does not know");
    rig.stop().await;
}
