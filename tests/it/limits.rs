//! Limits as organisations have them (`docs/design/semantics.md §§1–3`): windows of several lengths beside each other,
//! prepaid money, locks.

use tollgate::proto::v1;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;

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

/// A key of a provider, with the limits of `key`.
async fn made(api: &Api, key: v1::VirtualKey) -> v1::VirtualKey {
    let config = v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    };
    api.create_virtual_key(v1::VirtualKey { name: "key".to_owned(), provider_configs: vec![config], ..key })
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
        rate_limit: Some(requests(60, "1m")),
        ..Default::default()
    };
    let key = made(&api, limited).await;
    let minute = key.rate_limit.clone().unwrap();
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
    let Some(v1::config_resource::Resource::VirtualKey(after)) = written.resource else { panic!("no key") };
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
            v1::VirtualKey { rate_limit: Some(requests(0, "1d")), ..Default::default() },
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
