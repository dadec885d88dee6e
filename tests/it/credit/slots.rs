//! Limits on requests that are open at once, whose slots nodes hold.

use std::time::Duration;

use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;

use super::*;
use crate::watch::rig::Rig;

/// A key that may have so many requests open at once, and its slots.
pub(super) async fn limited(api: &Api, max: i64) -> (v1::VirtualKey, CounterKey) {
    let limit = v1::RateLimit { concurrent_request_max_limit: Some(max), ..Default::default() };
    let config = v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    };
    let key = v1::VirtualKey {
        name: format!("key with {max} slots"),
        rate_limits: vec![limit],
        provider_configs: vec![config],
        ..Default::default()
    };
    let key = api.create_virtual_key(key).await.unwrap();
    let slots = CounterKey::slots(key.rate_limits[0].id.as_str().into());
    (key, slots)
}

/// A node that may hold slots for so long without being heard.
pub(super) async fn holder(api: &Api, node_id: &str, slots_for: Duration) -> Node {
    let incarnation = register(api, node_id).await;
    let hello = Hello { connection: 1, slots_for, ..Hello::default() };
    Node::resume(api, node_id, incarnation, hello).await.unwrap()
}

pub(super) const LONG: Duration = Duration::from_secs(3_600);

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
async fn as_many_slots_are_granted_as_there_are_and_explain_says_who_is_stopped() {
    let (mut rig, api) = Rig::started().await;
    let (key, slots) = limited(&api, 3).await;
    let (mut one, mut other) = (holder(&api, "one", LONG).await, holder(&api, "other", LONG).await);
    assert_eq!(explain(&api, &key).await.decision(), v1::Decision::Allow);
    assert!(one.ask(&slots, 2).await.is_some() && other.ask(&slots, 1).await.is_some());
    assert_eq!(other.ask(&slots, 2).await, None);
    let answer = explain(&api, &key).await;
    assert_eq!(answer.decision(), v1::Decision::ConcurrencyLimited);
    assert!(answer.reason.contains("3 of 3 requests at once are open"), "{}", answer.reason);
    let limit = &answer.limits[0];
    assert_eq!((limit.kind(), limit.used, limit.max, limit.remaining), (v1::LimitKind::Concurrency, 3, 3, 0));
    assert_eq!((limit.blocks, limit.next_reset), (true, None));
    let mut quota = tonic::Request::new(v1::GetVirtualKeyQuotaRequest {});
    quota.metadata_mut().insert("x-tg-vk", key.value.parse().unwrap());
    let quota = VirtualKeyServiceClient::new(api.0.clone()).get_virtual_key_quota(quota).await.unwrap().into_inner();
    assert_eq!(quota.rate_limits[0].concurrent_request_current_usage, 3);
    let [limit] = &credit(&api).await[..] else { panic!("one limit") };
    assert_eq!((limit.counted, limit.outstanding, limit.left, limit.window_end), (0, 3, 0, None));
    // It is asked for one, since another node lacks it.
    assert!(matches!(one.next().await.unwrap(), Directive::Recall { .. }));
    one.give_back(&slots, 1).await;
    assert!(matches!(other.next().await.unwrap(), Directive::Grant { .. }));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn slots_of_a_node_that_is_gone_come_back_when_its_time_is_up_and_its_other_credit_does_not() {
    let (mut rig, api) = Rig::started().await;
    let (key, slots) = limited(&api, 2).await;
    let (_, budget) = super::limited(&api, 10).await;
    let mut gone = holder(&api, "gone", Duration::from_secs(2)).await;
    assert!(gone.ask(&slots, 2).await.is_some() && gone.ask(&budget, 4).await.is_some());
    let Node { incarnation, session, .. } = gone;
    drop(gone);
    let mut node = holder(&api, "node", LONG).await;
    assert_eq!(node.ask(&slots, 1).await, None);
    soon(async {
        while node.ask(&slots, 1).await.is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let outstanding = |limits: Vec<v1::LimitCredit>| {
        limits.into_iter().map(|limit| (limit.key.as_ref().unwrap().kind(), limit.outstanding)).collect::<Vec<_>>()
    };
    let mut left = outstanding(credit(&api).await);
    left.sort();
    assert_eq!(left, [(v1::LimitKind::Budget, 4), (v1::LimitKind::Concurrency, 1)]);
    // It hears of it before it gets more.
    let said = Hello { connection: 2, session, slots_for: LONG, ..Hello::default() };
    let back = Node::resume(&api, "gone", incarnation, said).await.unwrap();
    let told = back.welcome.iter().find(|(told, _)| *told == slots).unwrap().1;
    assert_eq!((told.outstanding(), told.used), (0, 0));
    assert_eq!(explain(&api, &key).await.limits[0].used, 1);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn whoever_does_not_say_for_how_long_gets_no_slots_and_a_renewal_says_it_too() {
    let (mut rig, api) = Rig::started().await;
    let (_, slots) = limited(&api, 2).await;
    let mut node = Node::new(&api, "node").await;
    assert_eq!(node.ask(&slots, 1).await, None);
    let sent = Duration::from_secs(7);
    node.report(Report::Renew { session: node.session, sent, slots_for: LONG }).await;
    assert_eq!(node.next().await.unwrap(), Directive::Renewed { session: node.session, sent });
    assert!(node.ask(&slots, 1).await.is_some());
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_lower_limit_grants_no_slot_until_fewer_are_held() {
    let (mut rig, api) = Rig::started().await;
    let (key, slots) = limited(&api, 3).await;
    let mut node = holder(&api, "node", LONG).await;
    node.ask(&slots, 3).await.unwrap();
    let set = async |limit: v1::RateLimit| {
        let key = v1::VirtualKey { rate_limits: vec![limit], revision: 0, ..key.clone() };
        api.update_virtual_key(key, &["rate_limits"]).await.unwrap();
    };
    set(v1::RateLimit { concurrent_request_max_limit: Some(1), ..key.rate_limits[0].clone() }).await;
    assert!(matches!(node.next().await.unwrap(), Directive::Recall { .. }));
    assert_eq!(standing(&api).await, (0, 3, -2));
    node.give_back(&slots, 2).await;
    assert_eq!(node.ask(&slots, 4).await, None);
    node.give_back(&slots, 3).await;
    assert!(node.ask(&slots, 4).await.is_some());
    // A soft one has no slots.
    let soft = v1::Enforcement::Soft.into();
    set(v1::RateLimit { concurrent_request_max_limit: Some(9), enforcement: soft, ..key.rate_limits[0].clone() }).await;
    assert_eq!(node.ask(&slots, 5).await, None);
    assert_eq!(explain(&api, &key).await.limits[0].used, 0);
    drop(api);
    rig.stop().await;
}
