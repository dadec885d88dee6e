//! Limits on requests that are open at once.

use std::sync::atomic::{AtomicI64, Ordering};

use tollgate_core::decision::Verdict;
use tonic::Status;

use super::*;
use crate::refused::Refusal;

const SLOTS: i64 = 3;

/// A key that may have so many requests open at once.
async fn limited(max: i64, enforcement: v1::Enforcement) -> Rig {
    Rig::with(|key| {
        key.rate_limits = vec![v1::RateLimit {
            concurrent_request_max_limit: Some(max),
            enforcement: enforcement.into(),
            ..Default::default()
        }];
        key.budgets.clear();
    })
    .await
}

impl Rig {
    fn slots(&self) -> CounterKey {
        self.limit(LimitKind::Concurrency, Timestamp::EPOCH)
    }
}

/// Requests that are open, and the most that ever were.
#[derive(Default)]
struct Open {
    now: AtomicI64,
    most: AtomicI64,
}

/// Makes so many requests, one after the other, each until it is admitted.
fn caller(engine: Arc<Engine>, key_id: String, open: Arc<Open>, requests: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut done = 0;
        while done < requests {
            let request =
                Request { credential: Credential::VirtualKeyId(&key_id), model: "openai/gpt-4o", ..Request::default() };
            match engine.admit(&request).await {
                Ok(granted) => {
                    let now = open.now.fetch_add(1, Ordering::SeqCst) + 1;
                    open.most.fetch_max(now, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(rand::random_range(1..30))).await;
                    open.now.fetch_sub(1, Ordering::SeqCst);
                    granted.settle(used(COST)).await.unwrap();
                    done += 1;
                }
                Err(refused) => {
                    assert_eq!(refused.refusal, Refusal::Decided(Verdict::ConcurrencyLimited), "{refused:?}");
                    assert_eq!((refused.http_status(), refused.retry_after.is_some()), (429, true));
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    })
}

/// Every message about credit comes twice, and connections are cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_never_have_more_requests_open_than_may_be_and_all_get_through() {
    let rig = limited(SLOTS, v1::Enforcement::Hard).await;
    rig.control.state().repeats = true;
    let (open, mut nodes, mut callers) = (Arc::new(Open::default()), Vec::new(), Vec::new());
    for _ in 0..4 {
        let node = rig.node(None).await;
        let caller = || caller(Arc::clone(&node.engine), rig.key_id.clone(), Arc::clone(&open), 20);
        callers.extend([caller(), caller()]);
        nodes.push(node);
    }
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        rig.control.cut();
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(open.most.load(Ordering::SeqCst), SLOTS);
    assert_eq!(rig.control.state().counted(&rig.slots()), 0);
    assert!(rig.control.state().book.left(&rig.slots()) >= 0);
    for node in &nodes {
        node.engine.give_all_credit_back();
    }
    until("all slots come back", || rig.control.state().book.outstanding(&rig.slots()) == 0).await;
}

#[tokio::test]
async fn a_request_waits_for_a_slot_and_gets_the_one_that_is_free_again() {
    let rig = limited(1, v1::Enforcement::Hard).await;
    let (one, other) = (rig.node(None).await, rig.node(None).await);
    let first = one.admit(&rig).await.unwrap();
    assert_eq!(one.engine.backlog().credit.slots, 1);
    let (waited, ()) = tokio::join!(other.admit(&rig), async {
        until("it is asked for", || rig.control.state().recalls > 0).await;
        first.settle(used(COST)).await.unwrap();
    });
    let refused = one.admit(&rig).await.unwrap_err();
    let limit = refused.limit().unwrap();
    assert_eq!((limit.kind, limit.used, limit.max), (LimitKind::Concurrency, 0, 1), "{refused:?}");
    assert!(refused.for_credit && refused.reason.contains("holds no further slot"), "{refused:?}");
    waited.unwrap().abandon().unwrap();
    one.admit(&rig).await.unwrap();
}

#[tokio::test]
async fn a_soft_limit_counts_the_requests_of_each_node() {
    let rig = limited(2, v1::Enforcement::Soft).await;
    let nodes = [rig.node(None).await, rig.node(None).await];
    for node in &nodes {
        let open = [node.admit(&rig).await.unwrap(), node.admit(&rig).await.unwrap()];
        let refused = node.admit(&rig).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.for_credit, refused.limit().unwrap().used), (429, false, 2));
        assert!(refused.retry_after.is_some(), "any of them may end soon");
        let [first, second] = open;
        first.settle(used(COST)).await.unwrap();
        let third = node.admit(&rig).await.unwrap();
        assert!(node.admit(&rig).await.is_err());
        drop((second, third));
        node.admit(&rig).await.unwrap();
    }
    assert_eq!(rig.control.state().book.outstanding(&rig.slots()), 0);
}

#[tokio::test]
async fn a_limit_that_is_tried_refuses_nothing_and_a_lock_everything() {
    let rig = limited(1, v1::Enforcement::Shadow).await;
    let node = rig.node(None).await;
    let open = [node.admit(&rig).await.unwrap(), node.admit(&rig).await.unwrap()];
    let told = open.each_ref().map(|granted| granted.explanation().limits[0].would_block);
    assert_eq!(told, [false, true]);
    let rig = limited(0, v1::Enforcement::Hard).await;
    let refused = rig.node(None).await.admit(&rig).await.unwrap_err();
    assert_eq!((refused.for_credit, refused.retry_after), (false, None), "{refused:?}");
}

#[tokio::test]
async fn slots_of_a_process_that_ended_are_there_once_the_next_one_has_said_hello() {
    let (rig, directory) = (limited(2, v1::Enforcement::Hard).await, tempfile::TempDir::new().unwrap());
    let node = rig.node(Some(directory.path())).await;
    for _ in 0..2 {
        node.admit(&rig).await.unwrap().detach();
    }
    node.crash().await;
    let other = rig.node(None).await;
    assert!(other.admit(&rig).await.is_err());
    let node = rig.node(Some(directory.path())).await;
    node.reconnected().await;
    let _open = [other.admit(&rig).await.unwrap(), other.admit(&rig).await.unwrap()];
    assert_eq!(rig.control.state().book.account(&rig.slots(), 1).used, 0, "no slot is used up");
}

/// A server that did not hear of it frees its slot then.
#[tokio::test]
async fn a_request_that_holds_a_slot_ends_when_the_node_was_not_heard_for_so_long() {
    let ttl = Duration::from_secs(10);
    let rig = limited(1, v1::Enforcement::Hard).await;
    let node = rig.node_with(None, Policy { admission_ttl: ttl, ..rig.policy(OnOutage::Refuse) }).await;
    let open = node.admit(&rig).await.unwrap();
    rig.control.state().refusal = Some(Status::unavailable("there is no database"));
    rig.control.cut();
    until("the session is lost", || node.engine.session().is_none()).await;
    tokio::time::sleep(ttl * 22 / 100).await;
    // Slots may be held for one and a half times as long, of which the node takes four fifths.
    assert!(open.touch());
    assert!(node.engine.time_left(open.id()).unwrap() <= ttl * 98 / 100);
    rig.control.state().refusal = None;
    until("there is a session", || node.engine.session().is_some()).await;
    assert!(open.touch());
    assert!(node.engine.time_left(open.id()).unwrap() > ttl * 98 / 100);
}

#[tokio::test]
async fn without_a_session_a_node_that_goes_on_keeps_to_the_limit_by_itself() {
    let rig = limited(2, v1::Enforcement::Hard).await;
    let node = rig.node_of(None, OnOutage::Admit).await;
    rig.control.state().refusal = Some(Status::unavailable("there is no database"));
    rig.control.cut();
    until("the session is lost", || node.engine.session().is_none()).await;
    let _open = [node.admit(&rig).await.unwrap(), node.admit(&rig).await.unwrap()];
    let refused = node.admit(&rig).await.unwrap_err();
    assert_eq!((refused.http_status(), refused.for_credit), (429, false), "{refused:?}");
}
