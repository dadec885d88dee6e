//! Limits of provider keys (`docs/design/semantics.md §§3, 6, 8`): when they stop a request, what counts against them, and
//! how they are written.

use tollgate::proto::v1;
use tollgate::proto::v1::budget_service_client::BudgetServiceClient;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::explained_limit::Owner;
use tollgate::proto::v1::provider_service_client::ProviderServiceClient;
use tollgate::proto::v1::rate_limit_service_client::RateLimitServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tonic::{Code, Status};

use crate::process::verify;
use crate::usage::{batch, entry, register, report};
use crate::watch::api::Api;
use crate::watch::rig::Rig;

const PROVIDER: &str = "openai";

fn limited(id: &str, max_limit: f64) -> v1::ProviderKey {
    let budget = v1::Budget { max_limit, reset_duration: "10Y".to_owned(), ..Default::default() };
    let rate_limit = v1::RateLimit {
        request_max_limit: Some(1_000),
        request_reset_duration: Some("9Y".to_owned()),
        ..Default::default()
    };
    let (budgets, rate_limits) = (vec![budget], vec![rate_limit]);
    v1::ProviderKey { id: id.to_owned(), name: format!("name of {id}"), budgets, rate_limits, ..Default::default() }
}

fn without_limits(id: &str) -> v1::ProviderKey {
    v1::ProviderKey { id: id.to_owned(), ..Default::default() }
}

async fn provide(api: &Api, keys: Vec<v1::ProviderKey>) -> Result<v1::Provider, Status> {
    let provider = v1::Provider { id: PROVIDER.to_owned(), keys, ..Default::default() };
    match api.update_provider(provider, &["keys"]).await?.resource {
        Some(Resource::Provider(provider)) => Ok(provider),
        other => panic!("{other:?}"),
    }
}

async fn virtual_key(api: &Api, key_ids: &[&str]) -> v1::VirtualKey {
    let config = v1::VirtualKeyProviderConfig {
        provider: PROVIDER.to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["*".to_owned()],
        key_ids: key_ids.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    };
    let key = v1::VirtualKey { name: key_ids.concat(), provider_configs: vec![config], ..Default::default() };
    api.create_virtual_key(key).await.unwrap()
}

async fn explain(api: &Api, key: Option<&v1::VirtualKey>, provider_key_id: &str) -> v1::ExplainResponse {
    let request = v1::ExplainRequest {
        key: key.map(|key| Key::VirtualKeyId(key.id.clone())),
        provider: PROVIDER.to_owned(),
        model: "gpt-4o".to_owned(),
        provider_key_id: provider_key_id.to_owned(),
        ..Default::default()
    };
    DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner()
}

/// The provider key that the answer names, those whose limits were looked at, and what became of the request.
fn told(answer: &v1::ExplainResponse) -> (&str, Vec<&str>, v1::Decision) {
    let mut owners: Vec<_> = answer
        .limits
        .iter()
        .filter_map(|limit| match &limit.owner {
            Some(Owner::ProviderKeyId(id)) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    owners.dedup();
    (&answer.routing.as_ref().unwrap().key_id, owners, answer.decision())
}

/// Nano-dollars and requests that are counted for a provider key, by the lists of limits, from memory and from tables.
async fn counted(api: &Api, provider_key_id: &str) -> Vec<(i64, i64)> {
    let mut both = Vec::new();
    for from_memory in [true, false] {
        let provider_key_id = provider_key_id.to_owned();
        let request =
            v1::ListBudgetsRequest { from_memory, provider_key_id: provider_key_id.clone(), ..Default::default() };
        let budgets = BudgetServiceClient::new(api.0.clone()).list_budgets(request).await.unwrap().into_inner().budgets;
        let request = v1::ListRateLimitsRequest { from_memory, provider_key_id, ..Default::default() };
        let rates = RateLimitServiceClient::new(api.0.clone()).list_rate_limits(request).await.unwrap().into_inner();
        let each = budgets.iter().zip(&rates.rate_limits);
        both.push(each.map(|(budget, rate)| (budget.current_usage_nano_usd, rate.request_current_usage)).collect());
    }
    assert_eq!(both[0], both[1], "memory and tables tell the same");
    both.swap_remove(0)
}

#[tokio::test]
async fn a_request_is_stopped_by_the_limits_of_the_provider_key_that_it_uses() {
    let (mut rig, api) = Rig::started().await;
    provide(&api, vec![limited("one", 0.000_001), limited("two", 1.0), without_limits("three")]).await.unwrap();
    let (only, two, all) = (
        virtual_key(&api, &["one"]).await,
        virtual_key(&api, &["two", "three"]).await,
        virtual_key(&api, &["*"]).await,
    );
    let incarnation = register(&api).await;
    // Named; the only one that may be used; several; one that there is not.
    let named = v1::UsageEntry { provider_key_id: "two".to_owned(), ..entry(&all.id, 70) };
    let unheard = v1::UsageEntry { provider_key_id: "gone".to_owned(), ..entry(&only.id, 500) };
    let entries = vec![named, entry(&only.id, 1_000), entry(&two.id, 9), entry(&all.id, 9), entry("", 9), unheard];
    let acks = report(&api, vec![batch(incarnation, 1, entries)]).await;
    assert!(acks[0].rejected_entries.is_empty(), "{acks:?}");
    assert_eq!((counted(&api, "one").await, counted(&api, "two").await), (vec![(1_000, 1)], vec![(70, 1)]));
    assert_eq!(counted(&api, "three").await, []);

    use v1::Decision::{Allow, BudgetExceeded, ProviderKeyBlocked};
    for (key, asked, expected) in [
        (Some(&only), "", ("one", vec!["one"], BudgetExceeded)),
        (Some(&only), "one", ("one", vec!["one"], BudgetExceeded)),
        (Some(&only), "two", ("two", vec!["two"], ProviderKeyBlocked)),
        (Some(&two), "two", ("two", vec!["two"], Allow)),
        (Some(&two), "three", ("three", vec![], Allow)),
        (Some(&all), "one", ("one", vec!["one"], BudgetExceeded)),
        (None, "one", ("one", vec!["one"], BudgetExceeded)),
        (Some(&all), "", ("", vec![], Allow)),
        (None, "", ("", vec![], Allow)),
    ] {
        let answer = explain(&api, key, asked).await;
        assert_eq!(told(&answer), expected, "{asked:?}: {}", answer.reason);
    }
    let reason = explain(&api, Some(&only), "").await.reason;
    assert!(reason.contains("of provider key one: 0.000001 USD of 0.000001 USD used"), "{reason}");
    let reason = explain(&api, Some(&all), "").await.reason;
    assert!(reason.contains("limits of the provider keys of \"openai\" do not apply"), "{reason}");
    drop(api);
    let api = rig.restart().await;
    assert_eq!((counted(&api, "one").await, counted(&api, "two").await), (vec![(1_000, 1)], vec![(70, 1)]));
    assert_eq!(told(&explain(&api, Some(&only), "").await), ("one", vec!["one"], BudgetExceeded), "it is stored");
    drop(api);
    rig.stop().await;
    let (fits, said) = verify(&rig.database, &[]);
    assert!(fits, "{said}");
}

#[tokio::test]
async fn keys_that_are_sent_whole_keep_their_limits_and_what_goes_takes_its_limits_along() {
    let (mut rig, api) = Rig::started().await;
    let made = provide(&api, vec![limited("", 1.0), without_limits("three")]).await.unwrap();
    let [key, _] = &made.keys[..] else { panic!("two keys: {made:?}") };
    let incarnation = register(&api).await;
    let named = v1::UsageEntry { provider_key_id: key.id.clone(), ..entry("", 70) };
    report(&api, vec![batch(incarnation, 1, vec![named])]).await;
    assert_eq!(counted(&api, &key.id).await, [(70, 1)]);

    // As a file has them, which knows no ids.
    let again = provide(&api, vec![limited("", 1.0), without_limits("three")]).await.unwrap();
    assert_eq!((again.revision, &again.keys[0].id), (made.revision, &key.id), "it changes nothing");
    let raised = provide(&api, vec![without_limits("three"), limited("", 2.0)]).await.unwrap();
    let moved = &raised.keys[1];
    assert_eq!((&moved.id, &moved.budgets[0].id), (&key.id, &key.budgets[0].id));
    assert_eq!((moved.budgets[0].max_limit, moved.budgets[0].current_usage_nano_usd), (2.0, 70));
    let foreign = v1::ProviderKey { budgets: moved.budgets.clone(), ..without_limits("three") };
    let refused = provide(&api, vec![foreign, moved.clone()]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("keys[0].budgets[0].id"), "{}", refused.message());

    provide(&api, vec![without_limits("three")]).await.unwrap();
    assert_eq!(counted(&api, &key.id).await, []);
    let unfiltered = v1::ListBudgetsRequest::default();
    let left = BudgetServiceClient::new(api.0.clone()).list_budgets(unfiltered).await.unwrap().into_inner();
    assert_eq!(left.total_size, 0);
    drop(api);
    rig.stop().await;
    let (fits, said) = verify(&rig.database, &[]);
    assert!(fits, "{said}");
}

#[tokio::test]
async fn limits_of_provider_keys_follow_the_providers_calendar_are_corrected_and_set_to_zero() {
    let (mut rig, api) = Rig::started().await;
    let calendar = v1::Calendar { time_zone: "Asia/Kolkata".to_owned(), ..Default::default() };
    let mut key = limited("one", 1.0);
    key.budgets[0].reset_duration = "1Y".to_owned();
    key.budgets[0].alert_percents = vec![50];
    let provider = v1::Provider {
        id: PROVIDER.to_owned(),
        keys: vec![key],
        calendar_aligned: true,
        calendar: Some(calendar),
        ..Default::default()
    };
    api.update_provider(provider, &["keys", "calendar_aligned", "calendar"]).await.unwrap();
    let mut client = ProviderServiceClient::new(api.0.clone());
    let get = v1::GetProviderRequest { id: PROVIDER.to_owned(), ..Default::default() };
    let held = client.get_provider(get).await.unwrap().into_inner().provider.unwrap();
    let budget = &held.keys[0].budgets[0];
    assert!(budget.calendar_aligned, "{budget:?}");
    // Midnight there is 18:30 in UTC.
    assert_eq!(budget.last_reset.unwrap().seconds.rem_euclid(86_400), 18 * 3_600 + 30 * 60);

    let adjust = v1::AdjustUsageRequest {
        limit_id: budget.id.clone(),
        kind: v1::LimitKind::Budget.into(),
        delta: 600_000_000,
        reason: "used before".to_owned(),
        ..Default::default()
    };
    let mut usage = UsageServiceClient::new(api.0.clone());
    usage.adjust_usage(adjust).await.unwrap();
    assert_eq!(counted(&api, "one").await, [(600_000_000, 0)]);
    let request = v1::ListThresholdEventsRequest { provider_key_id: "one".to_owned(), ..Default::default() };
    let events = usage.list_threshold_events(request).await.unwrap().into_inner().events;
    assert_eq!(events.iter().map(|event| (&event.limit_id, event.percent)).collect::<Vec<_>>(), [(&budget.id, 50)]);

    let mut reset = async |budgets, rate_limits| {
        let request = v1::UpdateProviderRequest {
            provider: Some(v1::Provider { id: PROVIDER.to_owned(), ..Default::default() }),
            reset_budget_usage: budgets,
            reset_rate_limit_usage: rate_limits,
            ..Default::default()
        };
        client.update_provider(request).await.unwrap().into_inner().provider.unwrap()
    };
    let kept = reset(false, true).await;
    assert_eq!(kept.keys[0].budgets[0].current_usage_nano_usd, 600_000_000);
    let done = reset(true, false).await;
    assert_eq!(done.keys[0].budgets[0].current_usage_nano_usd, 0);
    assert!(done.revision > kept.revision, "it is in the audit trail");
    drop((api, client, usage));
    rig.stop().await;
}
