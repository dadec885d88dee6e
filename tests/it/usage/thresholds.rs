//! Limits that reach a threshold: recorded once per window, in the transaction that crossed it.

use super::*;

async fn page(api: &Api, request: v1::ListThresholdEventsRequest) -> v1::ListThresholdEventsResponse {
    UsageServiceClient::new(api.0.clone()).list_threshold_events(request).await.unwrap().into_inner()
}

/// Percentage, used and ceiling of all events of an owner, newest first.
pub(super) async fn events(api: &Api, request: v1::ListThresholdEventsRequest) -> Vec<(i32, i64, i64)> {
    let events = page(api, request).await.events;
    events.iter().map(|event| (event.percent, event.used, event.max)).collect()
}

pub(super) fn of_team(team: &v1::Team) -> v1::ListThresholdEventsRequest {
    v1::ListThresholdEventsRequest { team_id: team.id.clone(), ..Default::default() }
}

#[tokio::test]
async fn a_threshold_is_recorded_once_per_window_whatever_is_sent_again_or_reset() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let dollar = 1_000_000_000;
    let spend = |sequence, cost| batch(incarnation, sequence, vec![entry(&key.id, cost)]);
    report(&api, vec![spend(1, dollar * 8 / 10 - 1)]).await;
    assert_eq!(events(&api, of_team(&team)).await, []);
    report(&api, vec![spend(2, 1), spend(2, 1)]).await;
    assert_eq!(events(&api, of_team(&team)).await, [(80, 800_000_000, dollar)]);
    // One batch crosses two at once.
    report(&api, vec![spend(3, dollar)]).await;
    let all = [(100, 1_800_000_000, dollar), (90, 1_800_000_000, dollar), (80, 800_000_000, dollar)];
    assert_eq!(events(&api, of_team(&team)).await, all);

    let reset = v1::UpdateTeamRequest {
        team: Some(v1::Team { id: team.id.clone(), ..Default::default() }),
        reset_budget_usage: true,
        ..Default::default()
    };
    TeamServiceClient::new(api.0.clone()).update_team(reset).await.unwrap();
    let api = rig.restart().await;
    report(&api, vec![spend(4, 2 * dollar)]).await;
    assert_eq!(events(&api, of_team(&team)).await, all, "once per window");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_ceiling_that_is_lowered_below_what_is_used_is_recorded_too() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 500_000_000)])]).await;
    let lower = |max_limit| v1::Team {
        budgets: vec![v1::Budget { max_limit, ..team.budgets[0].clone() }],
        revision: 0,
        ..team.clone()
    };
    api.update_team(lower(0.55), &["budgets"]).await.unwrap();
    assert_eq!(events(&api, of_team(&team)).await, [(90, 500_000_000, 550_000_000), (80, 500_000_000, 550_000_000)]);
    api.update_team(lower(5.0), &["budgets"]).await.unwrap();
    api.update_team(lower(0.5), &["budgets"]).await.unwrap();
    let percents: Vec<_> = events(&api, of_team(&team)).await.iter().map(|(percent, ..)| *percent).collect();
    assert_eq!(percents, [100, 90, 80]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn thresholds_are_listed_by_owner_and_page_by_page() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 950_000_000)])]).await;
    let whole = page(&api, v1::ListThresholdEventsRequest::default()).await;
    // Customer, team, key and provider config, each at 80 and 90 percent; nothing of the rate limit.
    assert_eq!((whole.events.len(), whole.next_page_token.as_str()), (8, ""));
    let mut paged = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListThresholdEventsRequest { page_size: 3, page_token, ..Default::default() };
        let next = page(&api, request).await;
        paged.extend(next.events);
        page_token = next.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, whole.events);
    let owners: std::collections::HashSet<_> = paged.iter().map(|event| format!("{:?}", event.owner)).collect();
    assert_eq!(owners.len(), 4);

    let both = v1::ListThresholdEventsRequest { virtual_key_id: key.id.clone(), ..of_team(&team) };
    assert_eq!(events(&api, both).await, [], "a limit has one owner");
    let unknown = v1::ListThresholdEventsRequest { customer_id: "nobody".to_owned(), ..Default::default() };
    assert_eq!(events(&api, unknown).await, []);
    let foreign = v1::ListThresholdEventsRequest { page_token: "AAAA".to_owned(), ..Default::default() };
    let status = UsageServiceClient::new(api.0.clone()).list_threshold_events(foreign).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    drop(api);
    rig.stop().await;
}
