//! Limits as organisations have them (`docs/design/semantics.md §§1–3`): windows of several lengths beside each other,
//! several rate limits, prepaid money, locks.

use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::{Code, Status};

use crate::usage::{batch, entry, register, report};
use crate::watch::api::Api;
use crate::watch::rig::Rig;

fn budget(max_limit: f64, reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

fn requests(max_limit: i64, reset_duration: &str) -> v1::RateLimit {
    v1::RateLimit {
        request_max_limit: Some(max_limit),
        request_reset_duration: Some(reset_duration.to_owned()),
        ..Default::default()
    }
}

fn tokens(max_limit: i64, reset_duration: &str) -> v1::RateLimit {
    v1::RateLimit {
        token_max_limit: Some(max_limit),
        token_reset_duration: Some(reset_duration.to_owned()),
        ..Default::default()
    }
}

fn config() -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }
}

/// A key of a provider, with the limits of `key`.
async fn made(api: &Api, key: v1::VirtualKey) -> v1::VirtualKey {
    api.create_virtual_key(v1::VirtualKey { name: "key".to_owned(), provider_configs: vec![config()], ..key })
        .await
        .unwrap()
}

async fn explain(api: &Api, key: &v1::VirtualKey) -> v1::ExplainResponse {
    let request = v1::ExplainRequest {
        key: Some(Key::VirtualKeyId(key.id.clone())),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        ..Default::default()
    };
    DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn five_hundred_dollars_a_month_on_the_calendar_and_sixty_requests_a_minute() {
    let (mut rig, api) = Rig::started().await;
    let limited = v1::VirtualKey {
        calendar_aligned: true,
        budgets: vec![budget(500.0, "1M")],
        rate_limits: vec![requests(60, "1m")],
        ..Default::default()
    };
    let key = made(&api, limited).await;
    let minute = key.rate_limits[0].clone();
    assert!(key.budgets[0].calendar_aligned && !minute.calendar_aligned);
    let seconds = |time: &Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert_eq!(seconds(&key.budgets[0].last_reset) % 86_400, 0, "a month begins at midnight");
    assert_eq!(seconds(&minute.request_next_reset) - seconds(&minute.request_last_reset), 60);
    let answer = explain(&api, &key).await;
    assert_eq!(answer.decision(), v1::Decision::Allow);
    assert_eq!(answer.limits.iter().map(|limit| limit.max).collect::<Vec<_>>(), [60, 500_000_000_000]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn prepaid_money_is_never_reset_and_is_added_to_by_raising_it() {
    let (mut rig, api) = Rig::started().await;
    let key = made(&api, v1::VirtualKey { budgets: vec![budget(10.0, "never")], ..Default::default() }).await;
    assert_eq!((key.budgets[0].last_reset, key.budgets[0].next_reset), (key.budgets[0].created_at, None));
    let answer = explain(&api, &key).await;
    assert_eq!((answer.decision(), answer.limits[0].next_reset), (v1::Decision::Allow, None));
    let more = v1::VirtualKey { id: key.id.clone(), budgets: vec![budget(15.0, "never")], ..Default::default() };
    let written = api.update_virtual_key(more, &["budgets"]).await.unwrap();
    let Some(Resource::VirtualKey(after)) = written.resource else { panic!("no key") };
    assert_eq!((&after.budgets[0].id, after.budgets[0].max_limit), (&key.budgets[0].id, 15.0));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_limit_of_zero_is_a_lock() {
    let (mut rig, api) = Rig::started().await;
    for (locked, decision, says) in [
        (
            v1::VirtualKey { budgets: vec![budget(0.0, "never")], ..Default::default() },
            v1::Decision::BudgetExceeded,
            "0.000000 USD of 0.000000 USD used; never resets",
        ),
        (
            v1::VirtualKey { rate_limits: vec![requests(0, "1d")], ..Default::default() },
            v1::Decision::RequestLimited,
            "0 requests of 0 used; resets at",
        ),
    ] {
        let key = made(&api, locked).await;
        let answer = explain(&api, &key).await;
        assert_eq!(answer.decision(), decision);
        assert!(answer.reason.contains(says), "{}", answer.reason);
        api.delete_virtual_key(&key.id).await.unwrap();
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn several_rate_limits_of_one_owner_all_count_and_the_first_that_is_used_up_decides() {
    let (mut rig, api) = Rig::started().await;
    // Windows that last as long as the test, however long that takes.
    let rate_limits = vec![requests(1_500, "10Y"), requests(2, "9Y"), tokens(1_000, "8Y")];
    let key = made(&api, v1::VirtualKey { rate_limits, ..Default::default() }).await;
    let [day, minute, tokens] = &key.rate_limits[..] else { panic!("three rate limits: {key:?}") };
    let answer = explain(&api, &key).await;
    assert_eq!(answer.decision(), v1::Decision::Allow);
    let told: Vec<_> = answer.limits.iter().map(|limit| (&limit.id, limit.max)).collect();
    assert_eq!(told, [(&tokens.id, 1_000), (&minute.id, 2), (&day.id, 1_500)]);

    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 1), entry(&key.id, 1)])]).await;
    let mut quota = tonic::Request::new(v1::GetVirtualKeyQuotaRequest {});
    quota.metadata_mut().insert("x-tg-vk", key.value.parse().unwrap());
    let quota = VirtualKeyServiceClient::new(api.0.clone()).get_virtual_key_quota(quota).await.unwrap().into_inner();
    let used: Vec<_> =
        quota.rate_limits.iter().map(|it| (&it.id, it.token_current_usage, it.request_current_usage)).collect();
    assert_eq!(used, [(&day.id, 0, 2), (&minute.id, 0, 2), (&tokens.id, 200, 0)]);
    let answer = explain(&api, &key).await;
    assert_eq!(answer.decision(), v1::Decision::RequestLimited);
    assert!(answer.reason.contains(&minute.id), "{}", answer.reason);
    drop(api);
    rig.stop().await;
}

/// The key with other rate limits.
async fn limited(api: &Api, id: &str, rate_limits: Vec<v1::RateLimit>) -> Result<v1::VirtualKey, Status> {
    let key = v1::VirtualKey { id: id.to_owned(), rate_limits, ..Default::default() };
    match api.update_virtual_key(key, &["rate_limits"]).await?.resource {
        Some(Resource::VirtualKey(key)) => Ok(key),
        other => panic!("no key: {other:?}"),
    }
}

fn ids(key: &v1::VirtualKey) -> Vec<&str> {
    key.rate_limits.iter().map(|limit| limit.id.as_str()).collect()
}

#[tokio::test]
async fn rate_limits_without_ids_take_the_place_of_those_like_them_then_of_the_rest_in_order() {
    let (mut rig, api) = Rig::started().await;
    let all = || vec![requests(15, "1m"), requests(1_500, "1d"), tokens(10, "1h")];
    let key = made(&api, v1::VirtualKey { rate_limits: all(), ..Default::default() }).await;
    let [minute, day, hour] = ids(&key)[..] else { panic!("three rate limits: {key:?}") };

    let same = limited(&api, &key.id, all()).await.unwrap();
    assert_eq!((ids(&same), same.revision), (ids(&key), key.revision), "applied twice is applied once");
    let spelled = vec![requests(15, "60s"), requests(1_500, "24h"), tokens(10, "60m")];
    assert_eq!(ids(&limited(&api, &key.id, spelled).await.unwrap()), [minute, day, hour], "lengths, not spellings");
    let reversed = all().into_iter().rev().collect();
    assert_eq!(ids(&limited(&api, &key.id, reversed).await.unwrap()), [hour, day, minute], "in the client's order");
    // None is like the first two, which take the rest in order.
    let others = vec![requests(15, "5m"), tokens(10, "2h"), requests(9, "1m"), tokens(1, "9h")];
    let after = limited(&api, &key.id, others).await.unwrap();
    let [five, two, one, new] = ids(&after)[..] else { panic!("four rate limits: {after:?}") };
    assert_eq!([five, two, one], [hour, day, minute]);
    assert!(![minute, day, hour].contains(&new));
    // Ids come first, wherever they stand.
    let named = v1::RateLimit { id: minute.to_owned(), ..requests(2, "1h") };
    let after = limited(&api, &key.id, vec![requests(9, "1m"), named.clone()]).await.unwrap();
    assert_eq!(ids(&after), [hour, minute]);
    for (bad, violation) in [
        (vec![named.clone(), v1::RateLimit { id: minute.to_owned(), ..tokens(2, "1h") }], "is named twice"),
        (vec![v1::RateLimit { id: day.to_owned(), ..named }], "is not the id of a rate limit of this owner"),
    ] {
        let refused = limited(&api, &key.id, bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(violation), "{}", refused.message());
    }
    assert!(limited(&api, &key.id, Vec::new()).await.unwrap().rate_limits.is_empty());
    drop(api);
    rig.stop().await;
}

fn at_once(max_limit: i64) -> v1::RateLimit {
    v1::RateLimit { concurrent_request_max_limit: Some(max_limit), ..Default::default() }
}

#[tokio::test]
async fn a_limit_on_requests_at_once_stands_alone_or_beside_others_and_an_owner_has_one() {
    let (mut rig, api) = Rig::started().await;
    let all = || vec![requests(15, "1m"), at_once(3)];
    let key = made(&api, v1::VirtualKey { rate_limits: all(), ..Default::default() }).await;
    let [minute, open] = ids(&key)[..] else { panic!("two rate limits: {key:?}") };
    let alone = &key.rate_limits[1];
    assert_eq!((alone.concurrent_request_max_limit, alone.enforcement()), (Some(3), v1::Enforcement::Hard));
    assert_eq!((&alone.alert_percents[..], alone.request_last_reset, alone.calendar_aligned), (&[][..], None, false));
    let again = limited(&api, &key.id, all().into_iter().rev().collect()).await.unwrap();
    assert_eq!(ids(&again), [open, minute], "each takes the place of the one like it");
    let again = limited(&api, &key.id, key.rate_limits.clone()).await.unwrap();
    assert_eq!(ids(&again), [minute, open], "as it was answered");
    let both = v1::RateLimit { concurrent_request_max_limit: Some(5), ..requests(15, "1m") };
    let one = limited(&api, &key.id, vec![both]).await.unwrap();
    assert_eq!((ids(&one), one.rate_limits[0].concurrent_request_max_limit), (vec![minute], Some(5)));

    for (bad, violation) in [
        (vec![at_once(-1)], "rate_limits[0].concurrent_request_max_limit: is -1; must be at least 0"),
        (vec![at_once(1), at_once(2)], "rate_limits[1].concurrent_request_max_limit: is set in another rate limit too"),
        (
            vec![v1::RateLimit { alert_percents: vec![50], ..at_once(1) }],
            "rate_limits[0].alert_percents: is set, but nothing is recorded",
        ),
        (vec![v1::RateLimit::default()], "or concurrent_request_max_limit, or leave the entry out"),
    ] {
        let refused = limited(&api, &key.id, bad).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(violation), "{}", refused.message());
    }
    let adjust = v1::AdjustUsageRequest {
        limit_id: minute.to_owned(),
        kind: v1::LimitKind::Concurrency.into(),
        delta: 1,
        reason: "a slot".to_owned(),
        ..Default::default()
    };
    let refused = UsageServiceClient::new(api.0.clone()).adjust_usage(adjust).await.unwrap_err();
    assert!(refused.message().contains("is no unit that this limit counts"), "{}", refused.message());
    drop(api);
    let api = rig.restart().await;
    assert_eq!(explain(&api, &key).await.limits[0].max, 5, "it is stored");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_reset_of_rate_limits_zeroes_all_of_them_and_leaves_budgets_and_windows_alone() {
    let (mut rig, api) = Rig::started().await;
    let both = v1::RateLimit {
        request_max_limit: Some(9),
        request_reset_duration: Some("9Y".to_owned()),
        ..tokens(900, "8Y")
    };
    let config = v1::VirtualKeyProviderConfig { rate_limits: vec![tokens(900, "8Y")], ..config() };
    let limited = v1::VirtualKey {
        name: "key".to_owned(),
        budgets: vec![budget(1.0, "10Y")],
        rate_limits: vec![both, requests(9, "10Y")],
        provider_configs: vec![config],
        ..Default::default()
    };
    let key = api.create_virtual_key(limited).await.unwrap();
    let mut keys = VirtualKeyServiceClient::new(api.0.clone());
    let mut reset = async || {
        let virtual_key = Some(v1::VirtualKey { id: key.id.clone(), ..Default::default() });
        let request = v1::UpdateVirtualKeyRequest { virtual_key, reset_rate_limit_usage: true, ..Default::default() };
        keys.update_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap()
    };
    let first = reset().await;
    assert_eq!(first.revision, key.revision + 1, "what is reported later may have occurred before");

    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 7)])]).await;
    let mut done = reset().await;
    assert_eq!(done.revision, first.revision + 1, "it is in the audit trail");
    let configs = done.provider_configs.iter_mut().flat_map(|config| &mut config.rate_limits);
    for limit in done.rate_limits.iter_mut().chain(configs) {
        assert!(limit.usage_reset_at.take().is_some());
    }
    assert_eq!(done.rate_limits, key.rate_limits, "as they were before anything was counted");
    assert_eq!(done.provider_configs[0].rate_limits, key.provider_configs[0].rate_limits);
    assert_eq!(done.budgets[0].current_usage_nano_usd, 7, "budgets stay");
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 7)])]).await;
    drop(keys);
    let api = rig.restart().await;
    let told: Vec<_> = explain(&api, &key).await.limits.iter().map(|limit| limit.used).collect();
    assert_eq!(told, [100, 100, 1, 1, 14], "counted from zero on");
    drop(api);
    rig.stop().await;
}
