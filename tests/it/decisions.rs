//! `DecisionService` over the wire, and what deletions take along (`docs/design/semantics.md §5`).

use tollgate::proto::v1;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::contract::subject::{How, Subject};
use crate::watch::api::Api;
use crate::watch::rig::{Rig, node};

fn rule(scope: v1::RoutingScope, scope_id: &str, priority: i32, model: &str) -> v1::RoutingRule {
    v1::RoutingRule {
        name: format!("to {model}"),
        cel_expression: "model == 'large' && headers[\"X-Tier\"] == 'free'".to_owned(),
        targets: vec![v1::RoutingTarget { model: Some(model.to_owned()), weight: 1.0, ..Default::default() }],
        scope: scope.into(),
        scope_id: scope_id.to_owned(),
        priority,
        ..Default::default()
    }
}

async fn made<S: Subject>(api: &Api, message: S::Message) -> S::Message {
    S::create(api.0.clone(), message, How::default()).await.unwrap()
}

async fn key_of(api: &Api, team_id: &str) -> v1::VirtualKey {
    let config = v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    };
    let (name, team_id) = ("key".to_owned(), team_id.to_owned());
    made::<v1::VirtualKey>(api, v1::VirtualKey { name, team_id, provider_configs: vec![config], ..Default::default() })
        .await
}

#[tokio::test]
async fn explain() {
    let (mut rig, api) = Rig::started().await;
    let team = made::<v1::Team>(&api, v1::Team { name: "team".to_owned(), ..Default::default() }).await;
    let key = key_of(&api, &team.id).await;
    made::<v1::RoutingRule>(&api, rule(v1::RoutingScope::Global, "", 1, "small")).await;
    let of_team = made::<v1::RoutingRule>(&api, rule(v1::RoutingScope::Team, &team.id, 9, "medium")).await;
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    let request = v1::ExplainRequest {
        key: Some(Key::VirtualKeyValue(key.value.clone())),
        model: "large".to_owned(),
        headers: [("x-tier".to_owned(), "free".to_owned())].into(),
        seed: Some(5),
        ..Default::default()
    };
    let answer = decisions.explain(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Allow);
    let routing = answer.routing.clone().unwrap();
    assert_eq!((routing.provider.as_str(), routing.model.as_str()), ("openai", "medium"));
    assert_eq!(routing.matches[0].routing_rule_id, of_team.id);
    assert_eq!((answer.seed, answer.revision), (5, of_team.revision));
    assert_eq!(decisions.explain(request.clone()).await.unwrap().into_inner(), answer, "it changes nothing");

    let unknown = v1::ExplainRequest { key: Some(Key::VirtualKeyId("gone".to_owned())), ..request };
    let answer = decisions.explain(unknown).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::UnknownKey);

    let wrong = v1::ExplainRequest {
        estimated_tokens: -1,
        fallbacks: vec!["nothing".to_owned()],
        at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        ..Default::default()
    };
    let refused = decisions.explain(wrong).await.unwrap_err();
    let details = refused.get_error_details();
    let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["model", "estimated_tokens", "fallbacks[0]", "at"]);
    drop((api, decisions));
    rig.stop().await;
}

#[tokio::test]
async fn resolve_price() {
    let (mut rig, api) = Rig::started().await;
    let priced = made::<v1::PricingOverride>(&api, <v1::PricingOverride as Subject>::sample(1)).await;
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    let base =
        v1::PricingPatch { input_cost_per_token: Some(1.0), input_cost_per_image: Some(2.0), ..Default::default() };
    let request = v1::ResolvePriceRequest {
        provider: "openai".to_owned(),
        model: "model-1-large".to_owned(),
        request_type: "embedding_stream".to_owned(),
        base: Some(base),
        ..Default::default()
    };
    let answer = decisions.resolve_price(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.winner, Some(priced));
    let rates = answer.rates.unwrap();
    assert_eq!((rates.input_cost_per_token, rates.input_cost_per_image), (Some(0.0), Some(2.0)), "free, and the base");

    let other = v1::ResolvePriceRequest { model: "another".to_owned(), ..request };
    let answer = decisions.resolve_price(other).await.unwrap().into_inner();
    assert_eq!((answer.winner, answer.rates, answer.candidates.len()), (None, Some(base), 0));
    let refused = decisions.resolve_price(v1::ResolvePriceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    drop((api, decisions));
    rig.stop().await;
}

#[tokio::test]
async fn what_names_a_key_team_or_customer_goes_with_it_in_one_revision() {
    let (mut rig, api) = Rig::started().await;
    let customer = made::<v1::Customer>(&api, v1::Customer { name: "customer".to_owned(), ..Default::default() }).await;
    let team = v1::Team { name: "team".to_owned(), customer_id: customer.id.clone(), ..Default::default() };
    let team = made::<v1::Team>(&api, team).await;
    let key = key_of(&api, &team.id).await;
    let kept = made::<v1::RoutingRule>(&api, rule(v1::RoutingScope::Global, "", 1, "small")).await;
    let scopes = [
        (v1::RoutingScope::VirtualKey, v1::ModelConfigScope::VirtualKey, &key.id),
        (v1::RoutingScope::Team, v1::ModelConfigScope::Team, &team.id),
        (v1::RoutingScope::Customer, v1::ModelConfigScope::Customer, &customer.id),
    ];
    for (routing, model, id) in scopes {
        made::<v1::RoutingRule>(&api, rule(routing, id, 1, "small")).await;
        let scoped = v1::ModelConfig {
            model_name: "m".to_owned(),
            scope: model.into(),
            scope_id: id.clone(),
            ..Default::default()
        };
        made::<v1::ModelConfig>(&api, scoped).await;
    }
    let priced = v1::PricingOverride {
        scope_kind: v1::PricingScopeKind::VirtualKeyProvider.into(),
        virtual_key_id: key.id.clone(),
        ..<v1::PricingOverride as Subject>::sample(1)
    };
    made::<v1::PricingOverride>(&api, priced).await;
    let mut watcher = node(&api, &[]).await;
    let before = watcher.reducer.state().len();

    // The key, with a rule, a config and an override; the team, with a rule and a config; the customer likewise.
    let mut gone = 0;
    for (written, also) in [
        (api.delete_virtual_key(&key.id).await.unwrap(), 3),
        (api.delete_team(&team.id).await.unwrap(), 2),
        (api.delete_customer(&customer.id).await.unwrap(), 2),
    ] {
        assert_eq!(written.also_changed.len(), also);
        gone += 1 + also;
        watcher.until(written.revision).await;
        assert_eq!(watcher.reducer.state().len(), before - gone, "the stream says so too");
    }
    let rules = api.all().await.into_iter().filter_map(|it| match it.resource {
        Some(v1::config_resource::Resource::RoutingRule(rule)) => Some(rule.id),
        _ => None,
    });
    assert_eq!(rules.collect::<Vec<_>>(), [kept.id]);
    drop((api, watcher));
    rig.stop().await;
}

#[tokio::test]
async fn what_is_named_cannot_be_deleted_and_the_users_are_listed() {
    let (mut rig, api) = Rig::started().await;
    let provider = v1::Provider {
        name: "own".to_owned(),
        keys: vec![v1::ProviderKey { id: "own-key".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let mut provider = made::<v1::Provider>(&api, provider).await;
    let target = v1::RoutingTarget {
        provider: Some("own".to_owned()),
        key_id: Some("own-key".to_owned()),
        weight: 1.0,
        ..Default::default()
    };
    let routed = v1::RoutingRule { targets: vec![target], ..rule(v1::RoutingScope::Global, "", 1, "m") };
    let routed = made::<v1::RoutingRule>(&api, routed).await;
    provider.keys.clear();
    for refused in [
        api.delete_provider("own").await.unwrap_err(),
        api.update_provider(provider.clone(), &["keys"]).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "ERROR_REASON_RESOURCE_IN_USE");
        assert!(format!("{details:?}").contains(&routed.id), "{details:?}");
    }
    api.delete_routing_rule(&routed.id).await.unwrap();
    provider.revision = 0;
    api.update_provider(provider, &["keys"]).await.unwrap();
    api.delete_provider("own").await.unwrap();
    drop(api);
    rig.stop().await;
}
