//! Usage that updates set to zero.

use super::*;

#[tokio::test]
async fn a_reset_zeroes_the_budgets_of_its_owner_and_takes_a_revision() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let mut keys = VirtualKeyServiceClient::new(api.0.clone());
    let reset = |validate_only| v1::UpdateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { id: key.id.clone(), ..Default::default() }),
        reset_budget_usage: true,
        validate_only,
        ..Default::default()
    };
    // Nothing was counted yet, but what nodes are to report occurred before.
    let key = keys.update_virtual_key(reset(false)).await.unwrap().into_inner().virtual_key.unwrap();
    assert!(key.budgets[0].usage_reset_at.is_some());
    assert_eq!(key.rate_limits[0].usage_reset_at, None);

    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 600)])]).await;
    let tried = keys.update_virtual_key(reset(true)).await.unwrap().into_inner().virtual_key.unwrap();
    assert_eq!((tried.budgets[0].current_usage_nano_usd, tried.revision), (0, key.revision + 1));
    assert_eq!(spent(&api).await, [600; 4], "it was only tried");
    let done = keys.update_virtual_key(reset(false)).await.unwrap().into_inner().virtual_key.unwrap();
    assert_eq!((done.budgets[0].current_usage_nano_usd, done.revision), (0, key.revision + 1));
    assert_eq!(done.budgets[0].last_reset, key.budgets[0].last_reset, "no window moves");
    assert_eq!(spent(&api).await, [600, 600, 0, 0], "its own and those of its provider configs");
    let limit = &done.rate_limits[0];
    assert_eq!((limit.token_current_usage, limit.request_current_usage), (100, 1), "rate limits stay");

    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 5)])]).await;
    let request = v1::UpdateTeamRequest {
        team: Some(v1::Team { id: team.id, name: "renamed".to_owned(), ..Default::default() }),
        reset_budget_usage: true,
        ..Default::default()
    };
    TeamServiceClient::new(api.0.clone()).update_team(request).await.unwrap();
    let api = rig.restart().await;
    assert_eq!(spent(&api).await, [605, 0, 5, 5]);
    drop((api, keys));
    rig.stop().await;
}

#[tokio::test]
async fn a_dimension_that_was_left_out_begins_at_zero() {
    let (mut rig, api) = Rig::started().await;
    let long = || Some("1Y".to_owned());
    let both = v1::RateLimit {
        token_max_limit: Some(1_000),
        token_reset_duration: long(),
        request_max_limit: Some(10),
        request_reset_duration: long(),
        ..Default::default()
    };
    let team = v1::Team {
        name: "team".to_owned(),
        calendar_aligned: true,
        rate_limits: vec![both.clone()],
        ..Default::default()
    };
    let team = api.create_team(team).await.unwrap();
    let key = v1::VirtualKey { name: "key".to_owned(), team_id: team.id.clone(), ..Default::default() };
    let key = api.create_virtual_key(key).await.unwrap();
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 1)])]).await;
    let requests = v1::RateLimit { token_max_limit: None, token_reset_duration: None, ..both.clone() };
    for rate_limit in [requests, both] {
        let changed = v1::Team { id: team.id.clone(), rate_limits: vec![rate_limit], ..Default::default() };
        api.update_team(changed, &["rate_limits"]).await.unwrap();
    }
    let used = async |api: &Api| {
        let request = v1::ListRateLimitsRequest::default();
        let limits = RateLimitServiceClient::new(api.0.clone()).list_rate_limits(request).await.unwrap().into_inner();
        let limit = &limits.rate_limits[0];
        (limit.token_current_usage, limit.request_current_usage)
    };
    assert_eq!(used(&api).await.0, 0);
    let api = rig.restart().await;
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 1)])]).await;
    assert_eq!(used(&api).await, (100, 2));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn usage_of_before_a_reset_is_not_counted_after_it() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    // The windows began with the limits: usage of before that is of the windows before.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let reset = v1::UpdateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { id: key.id.clone(), ..Default::default() }),
        reset_budget_usage: true,
        ..Default::default()
    };
    let mut keys = VirtualKeyServiceClient::new(api.0.clone());
    let done = keys.update_virtual_key(reset).await.unwrap().into_inner().virtual_key.unwrap();
    let at = done.budgets[0].usage_reset_at.unwrap();
    let occurred = |millis: i64, cost| {
        let nanos = at.seconds * 1_000_000_000 + i64::from(at.nanos) + millis * 1_000_000;
        let (seconds, nanos) = (nanos / 1_000_000_000, i32::try_from(nanos % 1_000_000_000).unwrap());
        v1::UsageEntry { occurred_at: Some(prost_types::Timestamp { seconds, nanos }), ..entry(&key.id, cost) }
    };
    let acks = report(&api, vec![batch(incarnation, 1, vec![occurred(-300, 600), occurred(1, 7)])]).await;
    assert_eq!((acks[0].rejected_entries.len(), acks[0].late_entries), (0, 0));
    // Provider and team were not set to zero: they count both.
    assert_eq!(spent(&api).await, [607, 607, 7, 7]);
    let api = rig.restart().await;
    report(&api, vec![batch(incarnation, 2, vec![occurred(-1, 90), occurred(2_000, 3)])]).await;
    assert_eq!(spent(&api).await, [700, 700, 10, 10]);

    // An earlier configuration that comes back does not bring what went.
    let named = v1::UpdateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { id: key.id.clone(), name: "renamed".to_owned(), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
        ..Default::default()
    };
    let mut keys = VirtualKeyServiceClient::new(api.0.clone());
    keys.update_virtual_key(named).await.unwrap();
    let back = v1::ApplyOptions { rollback_to_revision: key.revision, ..Default::default() };
    crate::apply::apply(&api, back, Vec::new()).await.unwrap();
    let request = v1::GetVirtualKeyRequest { id: key.id.clone(), ..Default::default() };
    let back = keys.get_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap();
    assert_eq!((&back.name, back.budgets[0].usage_reset_at), (&key.name, Some(at)));
    report(&api, vec![batch(incarnation, 3, vec![occurred(-200, 60)])]).await;
    assert_eq!(spent(&api).await, [760, 760, 10, 10]);
    drop((api, keys));
    rig.stop().await;
    let (fits, said) = crate::process::verify(&rig.database, &[]);
    assert!(fits, "{said}");
}
