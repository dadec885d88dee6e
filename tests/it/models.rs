//! Names of models over the wire, where it takes other resources to tell what they mean.

use tollgate::proto::v1;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::contract::subject::{How, Subject};
use crate::watch::rig::Rig;

/// The fields that an INVALID_ARGUMENT names; none if the call succeeds.
fn refused<T>(result: Result<T, Status>) -> Vec<String> {
    let Err(status) = result else { return Vec::new() };
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    status.get_error_details().bad_request().unwrap().field_violations.iter().map(|it| it.field.clone()).collect()
}

fn priced(kind: v1::PricingScopeKind, pattern: &str) -> v1::PricingOverride {
    v1::PricingOverride {
        name: "price".to_owned(),
        scope_kind: kind.into(),
        match_type: v1::PricingMatchType::Exact.into(),
        pattern: pattern.to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        ..Default::default()
    }
}

#[tokio::test]
async fn what_is_for_every_provider_names_none_in_its_model() {
    let (_rig, api) = Rig::started().await;
    let create = |message| <v1::ModelConfig as Subject>::create(api.0.clone(), message, How::default());
    let config = |model: &str, provider: &str| v1::ModelConfig {
        model_name: model.to_owned(),
        provider: provider.to_owned(),
        scope: v1::ModelConfigScope::Global.into(),
        ..Default::default()
    };
    assert_eq!(refused(create(config("openai/gpt-4o", "")).await), ["model_config.model_name"]);
    assert_eq!(refused(create(config("openai/*", "")).await), ["model_config.model_name"]);
    assert_eq!(refused(create(config("gpt*4", "")).await), ["model_config.model_name"]);
    for (model, provider) in [("meta-llama/*", ""), ("openai/gpt-4o", "openrouter"), ("openai/gpt-4o", "openai")] {
        assert_eq!(refused(create(config(model, provider)).await), [""; 0], "{model} of {provider:?}");
    }
    let taken = create(config("gpt-4o", "openai")).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists, "it limits the same: {taken:?}");

    let create = |message| <v1::PricingOverride as Subject>::create(api.0.clone(), message, How::default());
    let global = priced(v1::PricingScopeKind::Global, "openai/gpt-4o");
    assert_eq!(refused(create(global).await), ["pricing_override.pattern"]);
    let keys = vec![v1::ProviderKey { id: "mine".to_owned(), ..Default::default() }];
    let provider = v1::Provider { name: "own".to_owned(), keys, ..Default::default() };
    <v1::Provider as Subject>::create(api.0.clone(), provider, How::default()).await.unwrap();
    for (pattern, fields) in [("own/x", vec!["pricing_override.pattern"]), ("openai/x", vec![]), ("x", vec![])] {
        let provider_key_id = "mine".to_owned();
        let message = v1::PricingOverride { provider_key_id, ..priced(v1::PricingScopeKind::ProviderKey, pattern) };
        assert_eq!(refused(create(message).await), fields, "{pattern}");
    }
}

#[tokio::test]
async fn conditions_see_whether_an_answer_is_streamed_and_how_long_the_context_is() {
    let (_rig, api) = Rig::started().await;
    let rule = v1::RoutingRule {
        name: "long".to_owned(),
        cel_expression: "stream && context_length >= 128000 && now > timestamp('2020-01-01T00:00:00Z')".to_owned(),
        targets: vec![v1::RoutingTarget { model: Some("large".to_owned()), weight: 1.0, ..Default::default() }],
        scope: v1::RoutingScope::Global.into(),
        ..Default::default()
    };
    <v1::RoutingRule as Subject>::create(api.0.clone(), rule, How::default()).await.unwrap();
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    for (context_length, stream, request_type, model) in [
        (128_000, true, "chat_completion", "large"),
        (128_000, false, "chat_completion_stream", "large"),
        (128_000, false, "chat_completion", "small"),
        (127_999, true, "chat_completion", "small"),
    ] {
        let request = v1::ExplainRequest {
            model: "small".to_owned(),
            request_type: request_type.to_owned(),
            context_length,
            stream,
            ..Default::default()
        };
        let answer = decisions.explain(request).await.unwrap().into_inner();
        assert_eq!(answer.routing.unwrap().model, model, "{context_length} {stream} {request_type}");
    }
    let wrong = v1::ExplainRequest { model: "m".to_owned(), context_length: -1, ..Default::default() };
    assert_eq!(refused(decisions.explain(wrong).await), ["context_length"]);
}
