//! Admissions that move to another target, and the time and the news of a node.

use tollgate::decision::Verdict;
use tollgate::ledger::{Clock, Reading};
use tollgate_node::{NodeEvent, Refusal, RetargetError, Target, Used};

use super::admit::{COST, World};
use super::*;

fn to<'a>(provider: &'a str, model: &'a str) -> Target<'a> {
    Target { provider, model, ..Target::default() }
}

fn refusal(moved: Result<impl std::fmt::Debug, RetargetError>) -> Refusal {
    match moved.unwrap_err() {
        RetargetError::Refused(refused) => refused.refusal,
        RetargetError::Ended => panic!("it is open"),
    }
}

/// Nano-dollars that the control plane has counted against the provider configs of the key, in their order.
async fn counted(world: &World) -> Vec<i64> {
    let client = &mut VirtualKeyServiceClient::new(world.api.0.clone());
    let request = v1::GetVirtualKeyRequest { id: world.key.id.clone(), ..Default::default() };
    let key = client.get_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap();
    key.provider_configs.iter().map(|config| config.budgets[0].current_usage_nano_usd).collect()
}

/// A budget of 2 million for each of two providers.
async fn world() -> World {
    let mut world = World::new().await;
    let key = v1::VirtualKey {
        name: "two".to_owned(),
        provider_configs: vec![config("openai", Some(1.0), &["*"]), config("groq", None, &["llama"])],
        budgets: vec![budget(0.005)],
        ..Default::default()
    };
    world.key = made::<v1::VirtualKey>(&world.api, key).await;
    world
}

#[tokio::test]
async fn an_attempt_elsewhere_is_held_there_and_nowhere_else() {
    let world = world().await;
    let node = world.builder().start().await.unwrap();
    let most = Request {
        estimate: Estimate { cost_nano_usd: Some(1_500_000), ..world.request().estimate },
        ..world.request()
    };
    let llama =
        Target { estimate: Estimate { cost_nano_usd: Some(1_500_000), ..Estimate::default() }, ..to("groq", "llama") };
    let mut first = node.admit(&most).await.unwrap();
    assert!(node.admit(&most).await.is_err(), "both would not fit");
    // What it may not use, it does not get, and it stays what it was.
    assert_eq!(refusal(first.retarget(&to("groq", "gpt-4o")).await), Refusal::Decided(Verdict::ModelBlocked));
    assert_eq!(refusal(first.retarget(&to("anthropic", "")).await), Refusal::Decided(Verdict::ProviderBlocked));
    assert!(node.admit(&most).await.is_err());
    // Not even its own reservation is in its way.
    first.retarget(&to("openai", "o3")).await.unwrap();
    first.retarget(&llama).await.unwrap();
    assert_eq!((first.provider(), first.model()), ("groq", "llama"));
    assert_eq!(first.estimate().input_tokens, Some(2), "as it was");
    let second = node.admit(&most).await.unwrap();
    let id = second.id();
    assert_eq!(refusal(node.retarget(id, &llama).await), Refusal::Decided(Verdict::BudgetExceeded));
    let settled = first.settle(Used { cost_nano_usd: Some(1_000_000), ..Used::default() }).await.unwrap();
    assert_eq!(settled.cost_nano_usd, 1_000_000);
    assert_eq!(refusal(node.retarget(id, &llama).await), Refusal::Decided(Verdict::BudgetExceeded), "that is used now");
    second.abandon().unwrap();
    assert_eq!(node.retarget(id, &llama).await, Err(RetargetError::Ended));
    world.until_counted(1_000_000).await;
    assert_eq!(counted(&world).await, [0, 1_000_000]);
    assert_eq!(node.backlog().counts.uncovered, 0);

    // A target that was never asked for is counted where it was used, and told.
    let elsewhere = Used { provider: "groq".to_owned(), cost_nano_usd: Some(5), ..Used::default() };
    let elsewhere = Used { model: "llama".to_owned(), ..elsewhere };
    node.admit(&world.request()).await.unwrap().settle(elsewhere).await.unwrap();
    let same = Used { model: "openai/gpt-4o".to_owned(), cost_nano_usd: Some(7), ..Used::default() };
    node.admit(&world.request()).await.unwrap().settle(same).await.unwrap();
    world.until_counted(1_000_012).await;
    assert_eq!(counted(&world).await, [7, 1_000_005]);
    assert_eq!((node.backlog().counts.uncovered, node.backlog().in_flight), (1, 0));
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn what_was_in_flight_elsewhere_is_charged_there_after_a_crash() {
    let world = world().await;
    let node = world.builder().start().await.unwrap();
    let id = node.admit(&world.request()).await.unwrap().detach();
    let estimate = Estimate { cost_nano_usd: Some(3 * COST), ..Estimate::default() };
    let (explanation, held) = node.retarget(id, &Target { estimate, ..to("groq", "llama") }).await.unwrap();
    assert_eq!((&*explanation.provider, held.cost_nano_usd), ("groq", Some(3 * COST)));
    // It ends without a word, as if it were killed.
    drop(node);
    let started = async {
        loop {
            match world.builder().start().await {
                Ok(node) => break node,
                // The task of the one before may take a moment to end.
                Err(StartError::Directory(tollgate_node::DirectoryError::InUse { .. })) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    let node = soon(started).await;
    world.until_counted(3 * COST).await;
    assert_eq!(counted(&world).await, [0, 3 * COST]);
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

/// A node decides by the control plane's time: where the clock of its own machine is wrong, a key that has expired does not work
/// there. (PostgreSQL's own clock is the reference of its servers, and is right.)
#[tokio::test]
async fn a_node_goes_by_the_clock_of_its_control_plane() {
    let mut rig = Rig::new();
    let began = std::time::Instant::now();
    rig.clock =
        Clock::new(move || Reading { wall: Timestamp::now().plus_micros(3_600_000_000), steady: began.elapsed() });
    rig.start().await;
    let api = rig.api().await;
    let expires_at = std::time::SystemTime::now() + Duration::from_secs(2 * 3_600);
    let key = v1::VirtualKey {
        name: "key".to_owned(),
        provider_configs: vec![config("openai", Some(1.0), &["*"])],
        expires_at: Some(expires_at.into()),
        ..Default::default()
    };
    let key = made::<v1::VirtualKey>(&api, key).await;
    let node = Node::builder(format!("http://{}", rig.address())).start().await.unwrap();
    let request = Request { credential: Credential::Value(&key.value), model: "gpt-4o", ..Request::default() };
    assert!(node.decide(&request).is_allowed());
    let limit = |explanation: &Explanation| explanation.limits[0].window.start;
    let ours = limit(&node.decide(&request));
    let mut theirs = DecisionServiceClient::new(api.0.clone());
    let explained = theirs.explain(v1::ExplainRequest {
        key: Some(Key::VirtualKeyId(key.id.clone())),
        model: "gpt-4o".to_owned(),
        ..Default::default()
    });
    let explained = explained.await.unwrap().into_inner();
    let start = explained.limits[0].window_start.unwrap();
    assert_eq!(Timestamp::from_parts(start.seconds, start.nanos), Some(ours));
    if !crate::engine::on_postgres() {
        // The limit began an hour ahead of this machine; by its clock there is no window yet.
        assert!(ours > Timestamp::now());
    }
    node.shutdown().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_node_tells_what_happens_to_it() {
    let world = World::new().await;
    let node = world.builder().start().await.unwrap();
    let mut events = node.events();
    assert!(matches!(soon(events.next()).await, Some(NodeEvent::Status(Status::Ready { .. }))));
    let team = made::<v1::Team>(&world.api, v1::Team { name: "seen".to_owned(), ..Default::default() }).await;
    let NodeEvent::Changed { revision, changes } = soon(events.next()).await.unwrap() else { panic!("no change") };
    assert_eq!((revision, changes.len(), changes[0].key.id.as_str()), (team.revision, 1, team.id.as_str()));
    assert!(changes[0].before.is_none() && changes[0].after.is_some());
    let mut late = node.events();
    node.shutdown().await;
    assert_eq!(soon(events.next()).await, Some(NodeEvent::Status(Status::Stopped)));
    assert_eq!(soon(events.next()).await, None);
    assert_eq!(soon(late.next()).await, Some(NodeEvent::Status(Status::Stopped)));
    drop(node);
    assert_eq!(soon(late.next()).await, None);
    let World { mut rig, .. } = world;
    rig.stop().await;
}
