//! Prices of models.

use super::*;

subject!(
    ModelPrice,
    v1::model_price_service_client::ModelPriceServiceClient<Channel>,
    model_price,
    |n| v1::ModelPrice {
        provider: "openai".to_owned(),
        model: format!("model-{n}"),
        rates: Some(v1::PricingPatch {
            input_cost_per_token: Some(0.0),
            output_cost_per_token: Some(1e-7),
            code_interpreter_cost_per_session: Some(0.1 + 0.2),
            ..Default::default()
        }),
        context_window: 128_000,
        max_output_tokens: 16_384,
        source: "the provider's list".to_owned(),
        valid_from: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 1_000 }),
        valid_to: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
        ..Default::default()
    },
    |it| {
        it.rates = Some(v1::PricingPatch { input_cost_per_token: Some(1.0), ..Default::default() });
        "rates"
    },
    provider = "nothing has this".to_owned(),
    create_model_price,
    CreateModelPriceRequest,
    get_model_price,
    GetModelPriceRequest,
    list_model_prices,
    ListModelPricesRequest,
    model_prices,
    update_model_price,
    UpdateModelPriceRequest,
    delete_model_price,
    DeleteModelPriceRequest
);
