//! Corrections of what limits have counted (`docs/design/usage.md §3`).

use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::explain_request::Key;

use super::spend::timestamp;
use super::thresholds::{events, of_team};
use super::*;
use crate::contract::subject::{How, Subject};
use crate::process::verify;

const DOLLAR: i64 = 1_000_000_000;

pub(super) fn refund(limit_id: &str, delta: i64) -> v1::AdjustUsageRequest {
    v1::AdjustUsageRequest {
        limit_id: limit_id.to_owned(),
        kind: v1::LimitKind::Budget.into(),
        delta,
        reason: "a refund".to_owned(),
        ..Default::default()
    }
}

pub(super) async fn adjust(
    api: &Api,
    request: v1::AdjustUsageRequest,
) -> Result<v1::AdjustUsageResponse, tonic::Status> {
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

const HOUR: i64 = 3_600_000_000;

/// All spend from the hour before this one to the next one, and what was corrected.
fn around_now() -> v1::ListSpendRequest {
    let hour = tollgate::usage::hour(tollgate::domain::Timestamp::now()).as_micros();
    v1::ListSpendRequest { from: timestamp(hour - HOUR), to: timestamp(hour + 2 * HOUR), ..Default::default() }
}

async fn spend(api: &Api, request: v1::ListSpendRequest) -> v1::ListSpendResponse {
    UsageServiceClient::new(api.0.clone()).list_spend(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn corrections_are_listed_beside_spend_and_are_in_no_sum() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let model = v1::ModelConfig {
        model_name: "gpt-4o".to_owned(),
        provider: "openai".to_owned(),
        scope: v1::ModelConfigScope::Global.into(),
        budgets: vec![budget("1d")],
        ..Default::default()
    };
    let model = v1::ModelConfig::create(api.0.clone(), model, How::default()).await.unwrap();
    let two_models = vec![entry(&key.id, 40), v1::UsageEntry { model: "o3".to_owned(), ..entry(&key.id, 2) }];
    report(&api, vec![batch(register(&api).await, 1, two_models)]).await;
    let of_customer = v1::ListBudgetsRequest { customer_id: team.customer_id.clone(), ..Default::default() };
    let of_customer = BudgetServiceClient::new(api.0.clone()).list_budgets(of_customer).await.unwrap().into_inner();
    let tokens = v1::AdjustUsageRequest { kind: v1::LimitKind::Tokens.into(), ..refund(&key.rate_limits[0].id, 100) };
    let mut made = Vec::new();
    for request in [
        refund(&of_customer.budgets[0].id, 1),
        refund(&team.budgets[0].id, -2),
        tokens,
        refund(&key.provider_configs[0].budgets[0].id, 4),
        refund(&model.budgets[0].id, 5),
    ] {
        made.push(adjust(&api, request).await.unwrap());
    }
    adjust(&api, refund(&team.budgets[0].id, -40)).await.unwrap();
    // What changes nothing is no correction.
    adjust(&api, refund(&team.budgets[0].id, -1)).await.unwrap();

    let first = spend(&api, v1::ListSpendRequest { page_size: 1, group_by: vec!["model".to_owned()], ..around_now() });
    let first = first.await;
    assert_eq!(first.total.as_ref().unwrap().cost_nano_usd, 42, "as it was reported");
    assert_eq!(first.total.as_ref().unwrap().input_tokens, 140);
    let mut listed = first.adjustments.clone();
    listed.reverse();
    let last = listed.pop().unwrap();
    assert_eq!((last.adjustment.as_ref().unwrap().used_before, last.adjustment.as_ref().unwrap().used), (40, 0));
    for (made, listed) in made.iter().zip(&listed) {
        assert_eq!((&listed.adjustment, listed.revision), (&made.adjustment, made.revision));
        assert_eq!((listed.actor.as_str(), listed.commit_time.is_some()), ("anonymous", true));
    }
    let owners = |of: &[v1::SpendAdjustment]| {
        let owner = |it: &v1::SpendAdjustment| it.owner.clone().unwrap();
        of.iter().map(|it| (owner(it).kind(), owner(it).id)).collect::<Vec<_>>()
    };
    let of = |kind, id: &str| (kind, id.to_owned());
    let customers = of(v1::ResourceKind::Customer, &team.customer_id);
    let teams = of(v1::ResourceKind::Team, &team.id);
    let keys = of(v1::ResourceKind::VirtualKey, &key.id);
    let models = of(v1::ResourceKind::ModelConfig, &model.id);
    let all = [&models, &keys, &keys, &teams, &customers].map(Clone::clone);
    assert_eq!(owners(&first.adjustments)[1..], all);
    let group_by = vec!["model".to_owned()];
    let rest = v1::ListSpendRequest { page_size: 1, group_by, page_token: first.next_page_token, ..around_now() };
    assert_eq!(spend(&api, rest).await.adjustments, [], "on the first page only");

    let customer_id = team.customer_id.clone();
    let [provider, model_name] = ["openai", "gpt-4o"].map(ToOwned::to_owned);
    let (openai, none) = (v1::ListSpendRequest { provider: provider.clone(), ..around_now() }, Vec::new());
    let before = v1::ListSpendRequest {
        from: timestamp(around_now().from.unwrap().seconds * 1_000_000 - HOUR),
        to: around_now().from,
        ..Default::default()
    };
    for (request, expected) in [
        (
            v1::ListSpendRequest { customer_id: customer_id.clone(), ..around_now() },
            vec![&teams, &keys, &keys, &teams, &customers],
        ),
        (v1::ListSpendRequest { team_id: team.id.clone(), ..around_now() }, vec![&teams, &keys, &keys, &teams]),
        (v1::ListSpendRequest { virtual_key_id: key.id.clone(), ..around_now() }, vec![&keys, &keys]),
        (openai.clone(), vec![&models]),
        (v1::ListSpendRequest { model: model_name, ..openai.clone() }, vec![&models]),
        (v1::ListSpendRequest { model: "o3".to_owned(), ..openai.clone() }, none.clone()),
        (v1::ListSpendRequest { customer_id, ..openai }, none.clone()),
        (before, none),
    ] {
        let listed = spend(&api, request.clone()).await;
        assert_eq!(owners(&listed.adjustments).iter().collect::<Vec<_>>(), expected, "{request:?}");
        assert!(!listed.more_adjustments);
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_list_of_corrections_that_is_cut_says_so() {
    let (mut rig, api) = Rig::started().await;
    let (team, _) = hierarchy(&api).await;
    let reason = "\u{1f980}".repeat(1_024);
    let calls = (1..=260)
        .map(|_| adjust(&api, v1::AdjustUsageRequest { reason: reason.clone(), ..refund(&team.budgets[0].id, 1) }));
    for made in futures_util::future::join_all(calls).await {
        made.unwrap();
    }
    let listed = spend(&api, around_now()).await;
    assert!(listed.more_adjustments && listed.adjustments.len() > 200 && listed.adjustments.len() < 260);
    let revisions: Vec<_> = listed.adjustments.iter().map(|it| it.revision).collect();
    assert!(
        revisions.windows(2).all(|pair| pair[0] == pair[1] + 1),
        "newest first, none left out between: {revisions:?}"
    );
    drop(api);
    rig.stop().await;
}
