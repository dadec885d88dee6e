//! Prices of models: what is refused, which price holds when, and what is asked with it.

mod batch;
mod commands;
mod defaults;

use tollgate::proto::v1;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::contract::subject::{How, Subject};
use crate::watch::api::Api;
use crate::watch::rig::Rig;

fn price(provider: &str, model: &str, rate: f64) -> v1::ModelPrice {
    v1::ModelPrice {
        provider: provider.to_owned(),
        model: model.to_owned(),
        rates: Some(v1::PricingPatch { input_cost_per_token: Some(rate), ..Default::default() }),
        ..Default::default()
    }
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

async fn create(api: &Api, price: v1::ModelPrice) -> Result<v1::ModelPrice, Status> {
    <v1::ModelPrice as Subject>::create(api.0.clone(), price, How::default()).await
}

fn fields(refused: &Status) -> Vec<String> {
    let details = refused.get_details_bad_request().unwrap();
    details.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn a_price_has_one_model_a_provider_and_a_time_that_goes_forward() {
    let (mut rig, api) = Rig::started().await;
    let wrong = v1::ModelPrice {
        model: "gpt-*".to_owned(),
        rates: Some(v1::PricingPatch { output_cost_per_token: Some(-1.0), ..Default::default() }),
        context_window: -1,
        max_output_tokens: -1,
        valid_from: at(10),
        valid_to: at(10),
        ..Default::default()
    };
    let refused = create(&api, wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let expected =
        ["provider", "model", "rates.output_cost_per_token", "context_window", "max_output_tokens", "valid_to"];
    assert_eq!(fields(&refused), expected.map(|field| format!("model_price.{field}")));
    let refused = create(&api, price("nobody", "m", 1.0)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn provider_model_and_start_are_unique_whether_the_model_has_the_prefix_or_not() {
    let (mut rig, api) = Rig::started().await;
    let first = create(&api, price("openai", "gpt-4o", 1.0)).await.unwrap();
    let later = v1::ModelPrice { valid_from: at(1_000), ..price("openai", "openai/gpt-4o", 2.0) };
    let later = create(&api, later).await.unwrap();
    assert_eq!(later.model, "openai/gpt-4o", "it is stored as it was written");
    create(&api, price("azure", "gpt-4o", 3.0)).await.unwrap();
    for (taken, holder) in [
        (price("openai", "openai/gpt-4o", 9.0), &first.id),
        (v1::ModelPrice { valid_from: at(1_000), ..price("openai", "gpt-4o", 9.0) }, &later.id),
    ] {
        let refused = create(&api, taken).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(&refused.get_details_resource_info().unwrap().resource_name, holder);
    }
    let refused =
        api.update_model_price(v1::ModelPrice { valid_from: None, ..later }, &["valid_from"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_provider_with_a_price_stays() {
    let (mut rig, api) = Rig::started().await;
    let provider = v1::Provider { name: "own".to_owned(), ..Default::default() };
    <v1::Provider as Subject>::create(api.0.clone(), provider, How::default()).await.unwrap();
    let priced = create(&api, price("own", "m", 1.0)).await.unwrap();
    assert_eq!(api.delete_provider("own").await.unwrap_err().code(), Code::FailedPrecondition);
    api.delete_model_price(&priced.id).await.unwrap();
    api.delete_provider("own").await.unwrap();
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn the_price_that_holds_since_last_is_the_base_of_the_override() {
    let (mut rig, api) = Rig::started().await;
    let always = create(&api, price("openai", "gpt-4o", 1.0)).await.unwrap();
    let until = v1::ModelPrice { valid_from: at(1_000), valid_to: at(2_000), ..price("openai", "gpt-4o", 2.0) };
    let until = create(&api, until).await.unwrap();
    let future = v1::ModelPrice { valid_from: at(3_000), ..price("openai", "openai/gpt-4o", 3.0) };
    let future = create(&api, future).await.unwrap();
    let narrow = v1::PricingOverride {
        match_type: v1::PricingMatchType::Exact.into(),
        pattern: "gpt-4o".to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch: Some(v1::PricingPatch { output_cost_per_token: Some(7.0), ..Default::default() }),
        ..<v1::PricingOverride as Subject>::sample(1)
    };
    api.create_pricing_override(narrow).await.unwrap();

    let mut decisions = DecisionServiceClient::new(api.0.clone());
    let asked = v1::ResolvePriceRequest {
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        request_type: "chat_completion".to_owned(),
        ..Default::default()
    };
    for (seconds, expected) in
        [(0, &always), (999, &always), (1_000, &until), (1_999, &until), (2_000, &always), (3_000, &future)]
    {
        let request = v1::ResolvePriceRequest { at: at(seconds), ..asked.clone() };
        let answer = decisions.resolve_price(request).await.unwrap().into_inner();
        assert_eq!(answer.model_price.as_ref(), Some(expected), "at {seconds}");
        let rates = answer.rates.unwrap();
        assert_eq!(rates.input_cost_per_token, expected.rates.unwrap().input_cost_per_token, "at {seconds}");
        assert_eq!(rates.output_cost_per_token, Some(7.0));
        let request = v1::ExplainRequest {
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            request_type: "chat_completion".to_owned(),
            at: at(seconds),
            ..Default::default()
        };
        let answer = decisions.explain(request).await.unwrap().into_inner();
        assert_eq!(answer.model_price.as_ref(), Some(expected), "at {seconds}");
        assert!(answer.price.is_some());
    }

    // Rates of the request go before it, even if there are none of them; without a provider there is no price.
    let given = v1::ResolvePriceRequest { base: Some(v1::PricingPatch::default()), ..asked.clone() };
    let answer = decisions.resolve_price(given).await.unwrap().into_inner();
    assert_eq!((answer.model_price, answer.rates.unwrap().input_cost_per_token), (None, None));
    let nowhere = v1::ResolvePriceRequest { provider: String::new(), ..asked };
    assert_eq!(decisions.resolve_price(nowhere).await.unwrap().into_inner().model_price, None);
    drop((api, decisions));
    rig.stop().await;
}

#[tokio::test]
async fn prices_are_listed_by_provider_and_model() {
    let (mut rig, api) = Rig::started().await;
    for (provider, model) in [("openai", "gpt-4o"), ("openai", "o3"), ("azure", "gpt-4o"), ("azure", "azure/o3")] {
        create(&api, price(provider, model, 1.0)).await.unwrap();
    }
    let mut prices = v1::model_price_service_client::ModelPriceServiceClient::new(api.0.clone());
    for (provider, model, count) in [
        ("", "", 4),
        ("openai", "", 2),
        ("", "gpt-4o", 2),
        ("azure", "o3", 1),
        ("azure", "azure/o3", 1),
        ("groq", "", 0),
    ] {
        let request =
            v1::ListModelPricesRequest { provider: provider.to_owned(), model: model.to_owned(), ..Default::default() };
        let listed = prices.list_model_prices(request).await.unwrap().into_inner();
        assert_eq!((listed.total_size, listed.model_prices.len()), (count, count as usize), "{provider} {model}");
    }
    drop((api, prices));
    rig.stop().await;
}
