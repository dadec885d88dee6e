//! Usage: counted once, durably, against every limit that it touches (`docs/design/usage.md`).

use tokio_stream::StreamExt as _;
use tollgate::proto::v1;
use tollgate::proto::v1::UsageAckStatus::{Applied, Duplicate, Gap, Rejected};
use tollgate::proto::v1::budget::Owner;
use tollgate::proto::v1::budget_service_client::BudgetServiceClient;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::rate_limit_service_client::RateLimitServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::Code;

use crate::watch::api::Api;
use crate::watch::rig::Rig;

mod adjust;
mod alerts;
mod calendars;
mod cli;
mod counted;
mod crash;
mod dimensions;
mod disk;
mod history;
mod increase;
mod model;
pub(crate) mod reporter;
mod resets;
mod seeded;
pub(crate) mod spend;
mod spend_cli;
mod spend_engines;
mod spend_metrics;
mod stream;
mod thresholds;
mod time;
mod turns;
mod verify;

pub(crate) const NODE: &str = "node-1";

fn budget(reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit: 1.0, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

pub(crate) fn entry(key: &str, cost_nano_usd: i64) -> v1::UsageEntry {
    v1::UsageEntry {
        virtual_key_id: key.to_owned(),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        requests: 1,
        input_tokens: 70,
        output_tokens: 30,
        cost_nano_usd,
        occurred_at: None,
        ..Default::default()
    }
}

pub(crate) fn batch(incarnation: i64, sequence: i64, entries: Vec<v1::UsageEntry>) -> v1::ReportUsageRequest {
    v1::ReportUsageRequest { node_id: NODE.to_owned(), incarnation, sequence, entries, ..Default::default() }
}

pub(crate) async fn register(api: &Api) -> i64 {
    let request = v1::RegisterNodeRequest { node_id: NODE.to_owned(), ..Default::default() };
    UsageServiceClient::new(api.0.clone()).register_node(request).await.unwrap().into_inner().incarnation
}

/// Sends batches on one stream and takes their acknowledgements.
pub(crate) async fn report(api: &Api, batches: Vec<v1::ReportUsageRequest>) -> Vec<v1::ReportUsageResponse> {
    let stream = tokio_stream::iter(batches);
    let acks = UsageServiceClient::new(api.0.clone()).report_usage(stream).await.unwrap().into_inner();
    acks.map(|ack| ack.unwrap()).collect().await
}

pub(crate) fn statuses(acks: &[v1::ReportUsageResponse]) -> Vec<(i64, v1::UsageAckStatus, i64)> {
    acks.iter().map(|ack| (ack.sequence, ack.status(), ack.expected_sequence)).collect()
}

/// Customer, team, key, provider config.
fn rank(budget: &v1::Budget) -> u8 {
    match budget.owner {
        Some(Owner::CustomerId(_)) => 0,
        Some(Owner::TeamId(_)) => 1,
        Some(Owner::VirtualKeyId(_)) => 2,
        Some(Owner::ProviderConfigId(_)) => 3,
        Some(Owner::ModelConfigId(_) | Owner::Provider(_) | Owner::ProviderKeyId(_)) | None => 4,
    }
}

/// What is counted against all budgets, by owner: customer, team, key, provider config.
pub(crate) async fn spent(api: &Api) -> Vec<i64> {
    let mut both = Vec::new();
    for from_memory in [true, false] {
        let request = v1::ListBudgetsRequest { from_memory, ..Default::default() };
        let budgets = BudgetServiceClient::new(api.0.clone()).list_budgets(request).await.unwrap().into_inner().budgets;
        let mut by_owner: Vec<_> = budgets.iter().map(|budget| (rank(budget), budget.current_usage_nano_usd)).collect();
        // The limits of one call are created at one instant, so that their order in the list is that of random ids.
        by_owner.sort_unstable();
        both.push(by_owner.into_iter().map(|(_, used)| used).collect::<Vec<_>>());
    }
    assert_eq!(both[0], both[1], "memory and tables tell the same");
    both.swap_remove(0)
}

/// A customer, its team and the team's key, each with a budget; the key also with a rate limit and a provider config that
/// has a budget. Returns the team and the key.
pub(crate) async fn hierarchy(api: &Api) -> (v1::Team, v1::VirtualKey) {
    let customer = v1::Customer { name: "customer".to_owned(), budgets: vec![budget("1d")], ..Default::default() };
    let customer = api.create_customer(customer).await.unwrap();
    let team = v1::Team {
        name: "team".to_owned(),
        customer_id: customer.id,
        budgets: vec![budget("1d")],
        ..Default::default()
    };
    let team = api.create_team(team).await.unwrap();
    let config = v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        allowed_models: vec!["gpt-4o".to_owned()],
        key_ids: vec!["*".to_owned()],
        budgets: vec![budget("1d")],
        ..Default::default()
    };
    let key = v1::VirtualKey {
        name: "key".to_owned(),
        team_id: team.id.clone(),
        budgets: vec![budget("1d")],
        rate_limits: vec![v1::RateLimit {
            token_max_limit: Some(1_000),
            token_reset_duration: Some("1d".to_owned()),
            request_max_limit: Some(10),
            request_reset_duration: Some("1d".to_owned()),
            ..Default::default()
        }],
        provider_configs: vec![config],
        ..Default::default()
    };
    let key = api.create_virtual_key(key).await.unwrap();
    (team, key)
}

#[tokio::test]
async fn a_batch_counts_once_whatever_is_sent_again_and_survives_a_restart() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let one = batch(incarnation, 1, vec![entry(&key.id, 1_000), entry(&key.id, 23)]);
    let two = batch(incarnation, 2, vec![entry(&key.id, 500)]);
    let three = batch(incarnation, 3, vec![entry(&key.id, 7)]);
    let acks = report(&api, vec![one.clone(), three.clone(), two.clone(), one.clone(), two.clone()]).await;
    let expected = [(1, Applied, 2), (3, Gap, 2), (2, Applied, 3), (1, Duplicate, 3), (2, Duplicate, 3)];
    assert_eq!(statuses(&acks), expected);
    assert_eq!(spent(&api).await, [1_523; 4], "customer, team, key and provider config");

    let api = rig.restart().await;
    assert_eq!(spent(&api).await, [1_523; 4]);
    let acks = report(&api, vec![two.clone(), three]).await;
    assert_eq!(statuses(&acks), [(2, Duplicate, 3), (3, Applied, 4)]);
    assert_eq!(spent(&api).await, [1_530; 4]);
    let limits = RateLimitServiceClient::new(api.0.clone());
    let limits = limits.clone().list_rate_limits(v1::ListRateLimitsRequest::default()).await.unwrap().into_inner();
    let used: Vec<_> =
        limits.rate_limits.iter().map(|limit| (limit.token_current_usage, limit.request_current_usage)).collect();
    assert_eq!(used, [(400, 4)]);

    // The last number with other content, an incarnation of nobody, and one of another node.
    let other = batch(incarnation, 3, vec![entry(&key.id, 8)]);
    let nobodys = batch(incarnation + 1, 1, Vec::new());
    let stolen = v1::ReportUsageRequest { node_id: "node-2".to_owned(), ..batch(incarnation, 4, Vec::new()) };
    let zeroth = batch(incarnation, 0, Vec::new());
    let acks = report(&api, vec![other, nobodys, stolen, zeroth]).await;
    assert!(acks.iter().all(|ack| ack.status() == Rejected && !ack.reason.is_empty()), "{acks:?}");
    assert_eq!(spent(&api).await, [1_530; 4]);

    // An older incarnation may still deliver.
    assert!(register(&api).await > incarnation);
    let acks = report(&api, vec![batch(incarnation, 4, vec![entry(&key.id, 1)])]).await;
    assert_eq!(statuses(&acks), [(4, Applied, 5)]);
    assert_eq!(spent(&api).await, [1_531; 4]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_refused_entry_loses_nothing_else_of_its_batch() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let entries = vec![
        entry("00000000-0000-7000-8000-000000000000", 1),
        entry(&key.id, 10),
        entry(&key.id, -1),
        v1::UsageEntry { input_tokens: i64::MAX, ..entry(&key.id, 100) },
        entry(&key.id, i64::MAX),
        entry(&key.id, 1_000),
        v1::UsageEntry { model: "o3".to_owned(), ..entry(&key.id, 10_000) },
        v1::UsageEntry { virtual_key_id: String::new(), ..entry("", 5) },
    ];
    let acks = report(&api, vec![batch(incarnation, 1, entries)]).await;
    assert_eq!(acks[0].status(), Applied);
    let rejected: Vec<_> = acks[0].rejected_entries.iter().map(|entry| entry.index).collect();
    assert_eq!(rejected, [0, 2, 3, 4], "{acks:?}");
    assert!(!acks[0].rejected_entries[0].reason.contains("0000"), "it might be a secret: {acks:?}");
    // The model o3 is none of the provider config's; traffic without a key has no limit here.
    assert_eq!(spent(&api).await, [11_010, 11_010, 11_010, 1_010]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn late_entries_count_against_budgets_and_not_against_rates() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let ago = |days: u64| {
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(days * 86_400);
        Some(prost_types::Timestamp::from(at))
    };
    let at = |occurred_at, cost| v1::UsageEntry { occurred_at, ..entry(&key.id, cost) };
    // Yesterday is the window before; it does not show in this one. A clock far ahead counts as now.
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(3 * 86_400);
    let entries = vec![at(ago(1), 1), at(ago(3), 20), at(Some(ahead.into()), 300)];
    let acks = report(&api, vec![batch(incarnation, 1, entries)]).await;
    assert_eq!((acks[0].status(), acks[0].late_entries), (Applied, 1), "{acks:?}");
    assert_eq!(spent(&api).await, [320; 4]);
    let request = v1::ListRateLimitsRequest::default();
    let limits = RateLimitServiceClient::new(api.0.clone()).list_rate_limits(request).await.unwrap().into_inner();
    assert_eq!(limits.rate_limits[0].request_current_usage, 1);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn usage_follows_its_limit_through_updates_and_a_deleted_key_still_counts_for_its_team() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 600)])]).await;

    // Another length: the current window takes along what it counted. Another ceiling: usage stays.
    let longer = v1::Budget { reset_duration: "2d".to_owned(), max_limit: 2.0, ..team.budgets[0].clone() };
    let changed = v1::Team { budgets: vec![longer], revision: 0, ..team.clone() };
    api.update_team(changed.clone(), &["budgets"]).await.unwrap();
    assert_eq!(spent(&api).await, [600; 4]);
    // Alignment that is switched on begins at zero; switched off, it goes on with what was counted.
    api.update_team(v1::Team { calendar_aligned: true, ..changed.clone() }, &["calendar_aligned"]).await.unwrap();
    assert_eq!(spent(&api).await, [600, 0, 600, 600]);
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 30)])]).await;
    api.update_team(changed, &["calendar_aligned"]).await.unwrap();
    assert_eq!(spent(&api).await, [630, 30, 630, 630]);

    // A key that is gone: its own limits are, the others count on, after a restart too.
    api.delete_virtual_key(&key.id).await.unwrap();
    let api = rig.restart().await;
    let acks = report(&api, vec![batch(incarnation, 3, vec![entry(&key.id, 4)])]).await;
    assert_eq!((acks[0].status(), acks[0].rejected_entries.len()), (Applied, 0));
    assert_eq!(spent(&api).await, [634, 34]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_limit_that_is_used_up_blocks_and_explain_tells() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let ask = v1::ExplainRequest {
        key: Some(v1::explain_request::Key::VirtualKeyId(key.id.clone())),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        ..Default::default()
    };
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    let before = decisions.explain(ask.clone()).await.unwrap().into_inner();
    assert_eq!(before.decision(), v1::Decision::Allow);
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 1_000_000_000)])]).await;
    let after = decisions.explain(ask).await.unwrap().into_inner();
    assert_eq!(after.decision(), v1::Decision::BudgetExceeded, "{}", after.reason);
    assert!(after.reason.contains("provider config"), "{}", after.reason);
    assert_eq!(after.revision, before.revision, "usage takes no revision");
    drop(decisions);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_cannot_be_a_batch_ends_the_stream_and_says_why() {
    let (mut rig, api) = Rig::started().await;
    let mut client = UsageServiceClient::new(api.0.clone());
    let status = client.register_node(v1::RegisterNodeRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let incarnation = register(&api).await;
    let large = batch(incarnation, 1, vec![v1::UsageEntry::default(); 10_001]);
    let after = batch(incarnation, 1, Vec::new());
    let mut acks = client.report_usage(tokio_stream::iter(vec![large, after])).await.unwrap().into_inner();
    let status = acks.message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("entries"), "{status:?}");
    drop((client, acks, api));
    rig.stop().await;
}

#[tokio::test]
async fn a_request_for_the_model_star_counts_once() {
    let (mut rig, api) = Rig::started().await;
    for provider in ["", "openai"] {
        let config = v1::ModelConfig {
            model_name: "*".to_owned(),
            provider: provider.to_owned(),
            scope: v1::ModelConfigScope::Global.into(),
            budgets: vec![budget("1d")],
            ..Default::default()
        };
        api.create_model_config(config).await.unwrap();
    }
    let incarnation = register(&api).await;
    for (sequence, model) in [(1, "*"), (2, "openai/*"), (3, "gpt-4o")] {
        let star = v1::UsageEntry { model: model.to_owned(), ..entry("", 5) };
        report(&api, vec![batch(incarnation, sequence, vec![star])]).await;
        assert_eq!(spent(&api).await, [sequence * 5; 2], "{model}");
    }
    drop(api);
    rig.stop().await;
}
