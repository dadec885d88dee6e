//! Corrections of what limits have counted (`docs/design/usage.md §3`).

use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::explain_request::Key;

use super::thresholds::{events, of_team};
use super::*;
use crate::process::verify;

const DOLLAR: i64 = 1_000_000_000;

fn refund(limit_id: &str, delta: i64) -> v1::AdjustUsageRequest {
    v1::AdjustUsageRequest {
        limit_id: limit_id.to_owned(),
        kind: v1::LimitKind::Budget.into(),
        delta,
        reason: "a refund".to_owned(),
        ..Default::default()
    }
}

async fn adjust(api: &Api, request: v1::AdjustUsageRequest) -> Result<v1::AdjustUsageResponse, tonic::Status> {
    Ok(UsageServiceClient::new(api.0.clone()).adjust_usage(request).await?.into_inner())
}

async fn decision(api: &Api, key: &v1::VirtualKey) -> v1::Decision {
    let request = v1::ExplainRequest {
        key: Some(Key::VirtualKeyId(key.id.clone())),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        ..Default::default()
    };
    DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner().decision()
}

#[tokio::test]
async fn a_refund_lets_requests_through_again_and_is_audited_with_its_reason() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, DOLLAR)])]).await;
    for budgets in [&key.budgets, &key.provider_configs[0].budgets] {
        adjust(&api, refund(&budgets[0].id, -DOLLAR / 2)).await.unwrap();
    }
    assert_eq!(decision(&api, &key).await, v1::Decision::BudgetExceeded, "the team's budget is used up");

    let team_budget = &team.budgets[0].id;
    let trial = v1::AdjustUsageRequest { validate_only: true, ..refund(team_budget, -DOLLAR / 4) };
    let tried = adjust(&api, trial).await.unwrap();
    assert_eq!(tried.adjustment.unwrap().used, DOLLAR / 4 * 3);
    assert_eq!(decision(&api, &key).await, v1::Decision::BudgetExceeded, "a trial changes nothing");
    let request_id = "0190a8f0-0000-7000-8000-000000000001".to_owned();
    let once = v1::AdjustUsageRequest { request_id, ..refund(team_budget, -DOLLAR / 4) };
    let answer = adjust(&api, once.clone()).await.unwrap();
    assert_eq!(adjust(&api, once).await.unwrap(), answer, "what is sent again changes nothing");
    let made = answer.adjustment.clone().unwrap();
    assert_eq!((made.used_before, made.used, made.delta), (DOLLAR, DOLLAR / 4 * 3, -DOLLAR / 4));

    // The customer's budget is left.
    let customers = v1::ListBudgetsRequest { customer_id: team.customer_id.clone(), ..Default::default() };
    let budgets = BudgetServiceClient::new(api.0.clone()).list_budgets(customers).await.unwrap().into_inner().budgets;
    let emptied = adjust(&api, refund(&budgets[0].id, -5 * DOLLAR)).await.unwrap().adjustment.unwrap();
    assert_eq!((emptied.used_before, emptied.used), (DOLLAR, 0), "never below 0");
    assert_eq!(decision(&api, &key).await, v1::Decision::Allow);

    let trail = v1::ListChangesRequest { id: team.id.clone(), ..Default::default() };
    let changes = ConfigServiceClient::new(api.0.clone()).list_changes(trail).await.unwrap().into_inner().changes;
    assert_eq!(changes.len(), 2, "created and adjusted");
    assert_eq!((changes[0].revision, changes[0].adjustment.as_ref()), (answer.revision, Some(&made)));
    assert_eq!(
        (made.reason.as_str(), changes[0].method.as_str()),
        ("a refund", "tollgate.v1.UsageService/AdjustUsage")
    );
    assert_eq!(changes[1].adjustment, None);

    let api = rig.restart().await;
    assert_eq!(spent(&api).await, [0, DOLLAR / 4 * 3, DOLLAR / 2, DOLLAR / 2]);
    drop(api);
    rig.stop().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}

#[tokio::test]
async fn what_is_brought_along_counts_as_if_it_had_been_reported() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    adjust(&api, refund(&team.budgets[0].id, DOLLAR / 10 * 9)).await.unwrap();
    let both = [(90, DOLLAR / 10 * 9, DOLLAR), (80, DOLLAR / 10 * 9, DOLLAR)];
    assert_eq!(events(&api, of_team(&team)).await, both);
    let tokens = v1::AdjustUsageRequest { kind: v1::LimitKind::Tokens.into(), ..refund(&key.rate_limits[0].id, 1_000) };
    adjust(&api, tokens).await.unwrap();
    assert_eq!(decision(&api, &key).await, v1::Decision::TokenLimited);
    // What changes nothing takes no revision.
    let requests =
        v1::AdjustUsageRequest { kind: v1::LimitKind::Requests.into(), ..refund(&key.rate_limits[0].id, -7) };
    let before = adjust(&api, requests.clone()).await.unwrap();
    assert_eq!((before.adjustment.as_ref().unwrap().used, before), (0, adjust(&api, requests).await.unwrap()));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_adjusted_is_refused_with_everything_that_is_wrong() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let of_team = team.budgets[0].id.as_str();
    report(&api, vec![batch(register(&api).await, 1, vec![entry(&key.id, 1)])]).await;
    let unknown = adjust(&api, refund("0190a8f0-0000-7000-8000-000000000001", 1)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    assert!(unknown.message().starts_with("limit \"0190a8f0-0000"), "{}", unknown.message());
    let tokens = |request| v1::AdjustUsageRequest { kind: v1::LimitKind::Tokens.into(), ..request };
    for (request, fields) in [
        (v1::AdjustUsageRequest::default(), &["limit_id", "kind", "delta", "reason"][..]),
        (v1::AdjustUsageRequest { reason: "a\nb".to_owned(), ..refund(of_team, 1) }, &["reason"]),
        (v1::AdjustUsageRequest { reason: "x".repeat(1_025), ..refund(of_team, 1) }, &["reason"]),
        (tokens(refund(of_team, 1)), &["kind"]),
        (refund(of_team, i64::MAX), &["delta"]),
    ] {
        let status = adjust(&api, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = tonic_types::StatusExt::get_error_details(&status);
        let wrong: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|it| it.field.clone()).collect();
        assert_eq!(wrong, fields);
    }
    drop(api);
    rig.stop().await;
}
