//! Budgets that are raised for a while (`temporary_increase`), by a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::explain_request::Key;

use super::stream::{follow, without_customer};
use super::thresholds::{events, of_team};
use super::*;
use crate::process::verify;
use crate::watch::rig::{Node, clock};

const NOON: i64 = 1_800_014_400_000_000;
const HOUR: i64 = 3_600_000_000;
const CENT: i64 = 10_000_000;

fn at(micros: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: micros / 1_000_000, nanos: 0 })
}

fn raised(team: &v1::Team, by: f64, until: Option<prost_types::Timestamp>) -> v1::Team {
    let budget = v1::Budget { temporary_increase: by, temporary_increase_until: until, ..team.budgets[0].clone() };
    v1::Team { budgets: vec![budget], revision: 0, ..team.clone() }
}

/// The limit of the team as a decision sees it: its ceiling, and whether it stops the request.
async fn explained(api: &Api, team: &v1::Team, key: &v1::VirtualKey) -> (i64, bool) {
    let request = v1::ExplainRequest {
        key: Some(Key::VirtualKeyId(key.id.clone())),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        ..Default::default()
    };
    let answer = DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner();
    let limit = answer.limits.iter().find(|limit| limit.id == team.budgets[0].id).unwrap();
    (limit.max, limit.blocks)
}

/// Reads the stream until it tells this ceiling of the team's budget.
async fn told(node: &mut Node, team: &v1::Team, max: i64) {
    let is_told = |node: &Node| {
        let mut usage = node.reducer.usage().values();
        usage.any(|usage| usage.limit_id == team.budgets[0].id && usage.max == max)
    };
    while !is_told(node) {
        node.expect().await;
    }
}

#[tokio::test]
async fn a_budget_is_raised_until_the_increase_ends_and_by_its_end_alone() {
    let now = Arc::new(AtomicI64::new(NOON));
    let mut rig = Rig::new();
    rig.clock = clock(&now);
    rig.start().await;
    let api = rig.api().await;
    let (team, key) = without_customer(&api).await;
    let mut node = Node::new(&[]);
    follow(&api, &mut node).await;
    now.store(NOON + HOUR, Ordering::SeqCst);
    let incarnation = register(&api).await;
    let spend = |sequence, cents: i64| batch(incarnation, sequence, vec![entry(&key.id, cents * CENT)]);
    report(&api, vec![spend(1, 75)]).await;
    told(&mut node, &team, 100 * CENT).await;

    let end = NOON + 5 * HOUR;
    let written = api.update_team(raised(&team, 0.5, at(end)), &["budgets"]).await.unwrap();
    let Some(Resource::Team(answer)) = written.resource else { panic!("no team") };
    let budget = &answer.budgets[0];
    assert_eq!((budget.max_limit, budget.temporary_increase, budget.effective_max_limit), (1.0, 0.5, 1.5));
    assert_eq!((budget.effective_max_limit_nano_usd, budget.temporary_increase_until), (150 * CENT, at(end)));
    told(&mut node, &team, 150 * CENT).await;
    report(&api, vec![spend(2, 45)]).await;
    assert_eq!(explained(&api, &team, &key).await, (150 * CENT, false), "120 of 150 cents");
    assert_eq!(events(&api, of_team(&team)).await, [(80, 120 * CENT, 150 * CENT)]);

    // Its end takes no revision, and is told to those who follow usage.
    let api = rig.restart().await;
    follow(&api, &mut node).await;
    now.store(end - 1, Ordering::SeqCst);
    assert_eq!(explained(&api, &team, &key).await, (150 * CENT, false));
    now.store(end, Ordering::SeqCst);
    assert_eq!(explained(&api, &team, &key).await, (100 * CENT, true));
    told(&mut node, &team, 100 * CENT).await;
    // What is counted after it is measured by the lower ceiling.
    report(&api, vec![spend(3, 1)]).await;
    let crossed = [(100, 121 * CENT, 100 * CENT), (90, 121 * CENT, 100 * CENT), (80, 120 * CENT, 150 * CENT)];
    assert_eq!(events(&api, of_team(&team)).await, crossed);

    // One that has ended may stay as it is, and be left out.
    let kept = v1::Team { name: "renamed".to_owned(), ..raised(&team, 0.5, at(end)) };
    api.update_team(kept, &["name", "budgets"]).await.unwrap();
    let written = api.update_team(raised(&team, 0.0, None), &["budgets"]).await.unwrap();
    let Some(Resource::Team(answer)) = written.resource else { panic!("no team") };
    assert_eq!((answer.budgets[0].temporary_increase, answer.budgets[0].temporary_increase_until), (0.0, None));
    drop((node, api));
    rig.stop().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}

#[tokio::test]
async fn an_increase_has_an_amount_and_an_end_in_the_future() {
    let now = Arc::new(AtomicI64::new(NOON));
    let mut rig = Rig::new();
    rig.clock = clock(&now);
    rig.start().await;
    let api = rig.api().await;
    let (team, _) = without_customer(&api).await;
    for (by, until, says) in [
        (0.5, None, "team.budgets[0].temporary_increase_until: is absent, but temporary_increase is set"),
        (0.0, at(NOON + HOUR), "team.budgets[0].temporary_increase: is 0, but temporary_increase_until is set"),
        (-1.0, at(NOON + HOUR), "team.budgets[0].temporary_increase: is -1; must be 0 for none"),
        (1e10, at(NOON + HOUR), "team.budgets[0].temporary_increase: is 10000000000; must be 0 for none"),
        (
            0.5,
            at(NOON),
            "team.budgets[0].temporary_increase_until: is 2027-01-15T12:00:00Z, which is not in the future",
        ),
    ] {
        let status = api.update_team(raised(&team, by, until), &["budgets"]).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{}", status.message());
    }
    drop(api);
    rig.stop().await;
}
