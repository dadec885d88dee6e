//! Ceilings of teams and customers, and whether these are active.

use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::*;
use crate::contract::laws::fields;
use crate::watch::rig::Rig;

fn ceiling(providers: &[&str], allowed: &[&str], blocked: &[&str]) -> v1::ModelCeiling {
    v1::ModelCeiling {
        allowed_providers: listed(providers),
        allowed_models: listed(allowed),
        blocked_models: listed(blocked),
    }
}

#[tokio::test]
async fn no_team_may_use_opus_and_a_customer_has_two_providers() {
    let (mut rig, api) = Rig::started().await;
    let ceiled = ceiling(&["openai", "anthropic"], &[], &[]);
    let above = api.create_customer(v1::Customer { model_ceiling: Some(ceiled.clone()), ..customer("Acme") });
    let above = above.await.unwrap();
    assert_eq!((above.is_active, above.model_ceiling), (Some(true), Some(ceiled)));
    let below = ceiling(&[], &["gpt-4*", "o3"], &["gpt-4-32k"]);
    let below = v1::Team { model_ceiling: Some(below), ..team("Search", &above.id) };
    let below = api.create_team(below).await.unwrap();
    let held = api.create_virtual_key(v1::VirtualKey { team_id: below.id.clone(), ..key("notebook") }).await.unwrap();
    assert_eq!(explain(&api, &held, "gpt-4o").await.decision(), v1::Decision::Allow);
    let answer = explain(&api, &held, "gpt-4-32k").await;
    assert_eq!(answer.decision(), v1::Decision::ModelBlocked);
    assert!(
        answer.reason.starts_with("team \"Search\" forbids model \"gpt-4-32k\" of \"openai\""),
        "{}",
        answer.reason
    );

    // It outlives a restart, is replaced whole, and cleared by a mask that names it.
    let api = rig.restart().await;
    assert_eq!(explain(&api, &held, "gpt-4-32k").await.decision(), v1::Decision::ModelBlocked);
    let only = Some(ceiling(&[], &[], &["o*"]));
    let replaced = v1::Team { id: below.id.clone(), model_ceiling: only.clone(), ..Default::default() };
    assert_eq!(update_team(&api, replaced, &["model_ceiling"]).await.model_ceiling, only);
    assert_eq!(explain(&api, &held, "gpt-4-32k").await.decision(), v1::Decision::Allow);
    assert_eq!(explain(&api, &held, "o3").await.decision(), v1::Decision::ModelBlocked);
    let cleared = v1::Team { id: below.id.clone(), ..Default::default() };
    let cleared = update_team(&api, cleared, &["model_ceiling"]).await;
    assert_eq!(cleared.model_ceiling, None);
    let empty = v1::Team { id: below.id, model_ceiling: Some(v1::ModelCeiling::default()), ..Default::default() };
    assert_eq!(update_team(&api, empty, &["model_ceiling"]).await, cleared, "an empty ceiling is none");
    assert_eq!(explain(&api, &held, "o3").await.decision(), v1::Decision::Allow);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn keys_below_what_is_not_active_do_not_work() {
    let (mut rig, api) = Rig::started().await;
    let above = api.create_customer(customer("Acme")).await.unwrap();
    let below = api.create_team(team("Search", &above.id)).await.unwrap();
    let held = api.create_virtual_key(v1::VirtualKey { team_id: below.id.clone(), ..key("notebook") }).await.unwrap();
    let off = v1::Customer { id: above.id.clone(), is_active: Some(false), ..Default::default() };
    api.update_customer(off, &["is_active"]).await.unwrap();
    assert_eq!(explain(&api, &held, "gpt-4o").await.decision(), v1::Decision::CustomerInactive);
    let mut quota = tonic::Request::new(v1::GetVirtualKeyQuotaRequest {});
    quota.metadata_mut().insert("x-tg-vk", held.value.parse().unwrap());
    let quota = VirtualKeyServiceClient::new(api.0.clone()).get_virtual_key_quota(quota).await.unwrap().into_inner();
    assert!(!quota.is_active, "the key asks, and is told that it does not work");

    // Cleared, a flag is what it is by default.
    api.update_customer(v1::Customer { id: above.id, ..Default::default() }, &["is_active"]).await.unwrap();
    assert_eq!(explain(&api, &held, "gpt-4o").await.decision(), v1::Decision::Allow);
    let off = v1::Team { id: below.id.clone(), is_active: Some(false), ..Default::default() };
    assert_eq!(update_team(&api, off, &["is_active"]).await.is_active, Some(false));
    let api = rig.restart().await;
    assert_eq!(explain(&api, &held, "gpt-4o").await.decision(), v1::Decision::TeamInactive);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_ceiling_names_what_exists_and_can_match() {
    let (mut rig, api) = Rig::started().await;
    let with = |ceiling| v1::Team { model_ceiling: Some(ceiling), ..team("Search", "") };
    for (ceiling, at) in [
        (ceiling(&[], &["gpt*4"], &[]), "allowed_models[0]"),
        (ceiling(&[], &["*", "gpt-4o"], &[]), "allowed_models[0]"),
        (ceiling(&[], &[], &["o3", "o3"]), "blocked_models[1]"),
        (ceiling(&[], &[], &["o3", " "]), "blocked_models[1]"),
        (ceiling(&["openai", "openai"], &[], &[]), "allowed_providers[1]"),
    ] {
        let refused = api.create_team(with(ceiling)).await.unwrap_err();
        assert_eq!(fields(&refused), [format!("team.model_ceiling.{at}")]);
    }
    let refused = api.create_team(with(ceiling(&["nobody"], &[], &[]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("team.model_ceiling.allowed_providers[0]"), "{}", refused.message());

    // What a ceiling names stays.
    let mine = v1::Provider { name: "mine".to_owned(), ..Default::default() };
    api.create_provider(mine).await.unwrap();
    let held = api.create_team(with(ceiling(&["mine"], &[], &[]))).await.unwrap();
    let refused = api.delete_provider("mine").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let details = refused.get_error_details();
    let users: Vec<_> = details.precondition_failure().unwrap().violations.iter().map(|it| &it.subject).collect();
    assert!(users.len() == 1 && users[0].contains(&held.id), "{users:?}");
    drop(api);
    rig.stop().await;
}
