//! Single promises of a node that holds credit.

use tonic::Status;

use super::*;
use crate::admission::Target;
use crate::backlog::Standing;
use crate::outbox::record;

/// Admits and settles until the request is refused. How often, and the refusal.
async fn spend(node: &TestNode, rig: &Rig) -> (i64, Refused) {
    let mut count = 0;
    loop {
        match node.admit(rig).await {
            Ok(granted) => drop(granted.settle(used(COST)).await.unwrap()),
            Err(refused) => return (count, refused),
        }
        count += 1;
    }
}

#[tokio::test]
async fn what_a_node_used_and_had_in_flight_is_known_after_a_restart() {
    let (rig, directory) = (Rig::new().await, tempfile::TempDir::new().unwrap());
    let node = rig.node(Some(directory.path())).await;
    for _ in 0..30 {
        node.admit(&rig).await.unwrap().settle(used(COST)).await.unwrap();
    }
    // These are charged at their estimate when the node starts again.
    for _ in 0..10 {
        node.admit(&rig).await.unwrap().detach();
    }
    node.crash().await;
    let node = rig.node(Some(directory.path())).await;
    let (count, refused) = spend(&node, &rig).await;
    assert_eq!((count, refused.http_status()), (60, 402), "{refused:?}");
    node.delivered().await;
    let budget = rig.budget();
    let state = rig.control.state();
    assert_eq!((state.counted(&budget), state.book.outstanding(&budget)), (MAX, 0));
    assert_eq!(state.book.account(&budget, 1).used, MAX, "it is the same incarnation");
}

/// What was admitted last may have been in the cache of a disk that failed: all that the node held counts as used.
#[tokio::test]
async fn after_a_failure_of_the_machine_a_node_begins_anew_without_its_credit() {
    let (rig, directory) = (Rig::new().await, tempfile::TempDir::new().unwrap());
    let node = rig.node(Some(directory.path())).await;
    let much =
        Request { estimate: Estimate { cost_nano_usd: Some(20 * COST), ..rig.request().estimate }, ..rig.request() };
    node.engine.admit(&much).await.unwrap().abandon().unwrap();
    node.crash().await;
    let (mut outbox, _) = Outbox::open(Some(directory.path()), 1 << 30).unwrap();
    let elsewhere = record::Session { session: 1, boot_id: "another".to_owned(), ..Default::default() };
    outbox.write(vec![record::Event::Session(elsewhere).into()]).unwrap();
    outbox.close();
    let node = rig.node(Some(directory.path())).await;
    until("another incarnation", || node.engine.backlog().incarnation == Some(2)).await;
    node.reconnected().await;
    assert_eq!(spend(&node, &rig).await.0, MAX / COST - 20);
}

#[tokio::test]
async fn credit_is_called_back_from_a_node_that_does_not_use_it() {
    let rig = Rig::new().await;
    let (one, other) = (rig.node(None).await, rig.node(None).await);
    // It holds more than it needs: half of what is left, ahead of its needs.
    let behind =
        Request { estimate: Estimate { cost_nano_usd: Some(60 * COST), ..rig.request().estimate }, ..rig.request() };
    one.engine.admit(&behind).await.unwrap().abandon().unwrap();
    let granted = other.engine.admit(&behind).await.unwrap();
    assert!(rig.control.state().recalls > 0);
    // There is nothing to call back now.
    let refused = one.engine.admit(&behind).await.unwrap_err();
    assert!(refused.for_credit && refused.retry_after.is_some(), "{refused:?}");
    assert_eq!((refused.http_status(), refused.limit().unwrap().max), (402, MAX));
    // A request that waits does not delay one whose credit is there.
    let (waits, goes) = tokio::join!(one.engine.admit(&behind), async {
        let granted = one.admit(&rig).await.unwrap();
        granted.settle(used(COST)).await.unwrap();
    });
    assert_eq!((waits.is_err(), goes), (true, ()));
    granted.settle(used(60 * COST)).await.unwrap();
    assert_eq!(one.engine.backlog().credit.counts.refused, 2);
}

#[tokio::test]
async fn without_a_session_a_node_spends_what_it_holds() {
    let rig = Rig::new().await;
    let (refuses, admits) = (rig.node(None).await, rig.node_of(None, OnOutage::Admit).await);
    let much =
        Request { estimate: Estimate { cost_nano_usd: Some(20 * COST), ..rig.request().estimate }, ..rig.request() };
    for node in [&refuses, &admits] {
        node.engine.admit(&much).await.unwrap().abandon().unwrap();
    }
    rig.control.state().refusal = Some(Status::unavailable("there is no database"));
    rig.control.cut();
    for node in [&refuses, &admits] {
        until("the session is lost", || node.engine.session().is_none()).await;
    }
    let (count, refused) = spend(&refuses, &rig).await;
    assert_eq!((count, refused.for_credit), (20, true), "{refused:?}");
    // As far as this one knows, all the rest is there too.
    assert_eq!(spend(&admits, &rig).await.0, MAX / COST);
}

#[tokio::test]
async fn a_control_plane_without_sessions_has_hard_limits_decided_as_soft_ones() {
    let rig = Rig::new().await;
    rig.control.state().refusal = Some(Status::unimplemented("what is a session?"));
    let node = rig.node(None).await;
    let Standing::Withheld(why) = node.engine.backlog().credit.standing else { panic!("it is not known") };
    assert!(why.contains("what is a session?"), "{why}");
    let (count, refused) = spend(&node, &rig).await;
    assert_eq!((count, refused.for_credit), (MAX / COST, false));
}

#[tokio::test]
async fn a_closed_incarnation_registers_anew_and_what_it_used_is_counted() {
    let (rig, directory) = (Rig::new().await, tempfile::TempDir::new().unwrap());
    let node = rig.node(Some(directory.path())).await;
    let open = node.admit(&rig).await.unwrap();
    node.admit(&rig).await.unwrap().settle(used(COST)).await.unwrap();
    rig.control.close(1);
    until("another incarnation", || node.engine.backlog().incarnation == Some(2)).await;
    node.reconnected().await;
    open.settle(used(COST)).await.unwrap();
    assert_eq!(spend(&node, &rig).await.0, MAX / COST - 2);
    node.delivered().await;
    let budget = rig.budget();
    assert_eq!(rig.control.state().counted(&budget), MAX);
}

#[tokio::test]
async fn a_request_counts_in_the_window_of_its_admission() {
    let limits = v1::RateLimit {
        request_max_limit: Some(20),
        request_reset_duration: Some("1m".to_owned()),
        ..Default::default()
    };
    let rig = Rig::with(|key| key.rate_limits = vec![limits]).await;
    let node = rig.node(None).await;
    let open = node.admit(&rig).await.unwrap();
    for _ in 0..19 {
        node.admit(&rig).await.unwrap().settle(used(COST)).await.unwrap();
    }
    assert!(node.admit(&rig).await.is_err());
    let (first, budget) = (rig.limit(LimitKind::Requests, node.engine.now()), rig.budget());
    node.engine.clock().begin(node.engine.now().plus_micros(60_000_000));
    rig.control.state().ahead += 60_000_000;
    let second = rig.limit(LimitKind::Requests, node.engine.now());
    assert_ne!(first, second);
    open.settle(used(COST)).await.unwrap();
    for _ in 0..20 {
        node.admit(&rig).await.unwrap().settle(used(COST)).await.unwrap();
    }
    assert!(node.admit(&rig).await.is_err());
    node.delivered().await;
    let state = rig.control.state();
    assert_eq!([&first, &second, &budget].map(|key| state.counted(key)), [20, 20, 40 * COST]);
    assert_eq!([&first, &second].map(|key| state.book.outstanding(key)), [0, 0]);
}

#[tokio::test]
async fn a_guess_does_not_refuse_alone() {
    let rig = Rig::new().await;
    let node = rig.node(None).await;
    // The price is not known: 0.01 USD are expected, much more than the budget has.
    let guess = Request { estimate: Estimate::of(2, Some(3)), ..rig.request() };
    let granted = node.engine.admit(&guess).await.unwrap();
    assert!(node.engine.admit(&guess).await.is_err(), "another is in flight");
    granted.settle(used(MAX - COST)).await.unwrap();
    node.engine.admit(&guess).await.unwrap().settle(used(COST)).await.unwrap();
    assert_eq!(node.engine.admit(&guess).await.unwrap_err().http_status(), 402);
}

#[tokio::test]
async fn a_node_that_leaves_gives_all_back_and_one_that_is_idle_too() {
    let rig = Rig::new().await;
    let (leaves, stays) = (rig.node(None).await, rig.node(None).await);
    for node in [&leaves, &stays] {
        node.admit(&rig).await.unwrap().settle(used(COST)).await.unwrap();
        node.delivered().await;
    }
    let budget = rig.budget();
    leaves.leave.send_replace(true);
    leaves.left.clone().wait_for(|left| *left).await.unwrap();
    assert_eq!(rig.control.state().book.account(&budget, 1).outstanding(), 0);
    until("idle credit is back", || rig.control.state().book.outstanding(&budget) == 0).await;
    // What it decides with is known at once, and not at the next status.
    stays.engine.applied_revision(77, Some(&[]));
    until("the revision is known", || rig.control.state().applied.get(&2) == Some(&77)).await;
}

/// All of the key's budget is in flight: the request does not compete with itself, and waits only for the credit of its new target.
#[tokio::test]
async fn a_request_that_moves_takes_its_credit_along() {
    let budget = || v1::Budget { max_limit: MAX as f64 / 1e9, reset_duration: "1h".to_owned(), ..Default::default() };
    let of = |provider| v1::VirtualKeyProviderConfig { budgets: vec![budget()], ..config(provider, Some(1.0)) };
    let rig = Rig::with(|key| key.provider_configs = vec![of("openai"), of("groq")]).await;
    let node = rig.node(None).await;
    let whole = Request { estimate: Estimate { cost_nano_usd: Some(MAX), ..rig.request().estimate }, ..rig.request() };
    let mut granted = node.engine.admit(&whole).await.unwrap();
    granted.retarget(&Target { provider: "groq", model: "llama", ..Target::default() }).await.unwrap();
    assert_eq!(granted.provider(), "groq");
    let key = rig.world.config.get::<VirtualKey>(&rig.key_id).unwrap().clone();
    let [before, after] = [0, 1].map(|place| {
        let id = &key.resource.provider_configs[place].limits.budgets[0].id;
        rig.world.config.limit(id, LimitKind::Budget).unwrap().counter(node.engine.now())
    });
    until("what it held before is given back", || rig.control.state().book.outstanding(&before) == 0).await;
    granted.settle(used(MAX)).await.unwrap();
    node.delivered().await;
    let shared = rig.budget();
    let state = rig.control.state();
    assert_eq!([&shared, &before, &after].map(|key| state.counted(key)), [MAX, 0, MAX]);
    assert_eq!([&shared, &after].map(|key| state.book.outstanding(key)), [0, 0]);
}
