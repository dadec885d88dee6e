//! The list of services.

use tonic::codec::CompressionEncoding;
use tonic::service::{LayerExt as _, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::MapResponseLayer;

use super::{Api, config};
use crate::proto::v1;

/// The largest request, in bytes.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// A service that reads requests of at most [`MAX_REQUEST`], compressed with gzip or not; in the first case the limit
/// holds before and after. Answers are not compressed: streams share the bytes that they send, and what nodes and gateways
/// ask is answered in a few bytes.
macro_rules! bounded {
    ($service:ident) => {
        $service.max_decoding_message_size(MAX_REQUEST).accept_compressed(CompressionEncoding::Gzip)
    };
}

/// The same for what people and programs administer: whose lists are long, and compressed for those who take it.
macro_rules! packed {
    ($service:ident) => {
        bounded!($service).send_compressed(CompressionEncoding::Gzip)
    };
}

/// Adds every service to `routes`, and says of each that it serves.
pub async fn add_services(routes: &mut RoutesBuilder, health: &HealthReporter, api: &Api) {
    let change = v1::change_service_server::ChangeServiceServer::new(api.clone());
    let customer = v1::customer_service_server::CustomerServiceServer::new(api.clone());
    let team = v1::team_service_server::TeamServiceServer::new(api.clone());
    let virtual_key = v1::virtual_key_service_server::VirtualKeyServiceServer::new(api.clone());
    let routing_rule = v1::routing_rule_service_server::RoutingRuleServiceServer::new(api.clone());
    let model_config = v1::model_config_service_server::ModelConfigServiceServer::new(api.clone());
    let provider_governance = v1::provider_governance_service_server::ProviderGovernanceServiceServer::new(api.clone());
    let pricing_override = v1::pricing_override_service_server::PricingOverrideServiceServer::new(api.clone());
    let model_price = v1::model_price_service_server::ModelPriceServiceServer::new(api.clone());
    let provider = v1::provider_service_server::ProviderServiceServer::new(api.clone());
    let mcp_client = v1::mcp_client_service_server::McpClientServiceServer::new(api.clone());
    let budget = v1::budget_service_server::BudgetServiceServer::new(api.clone());
    let rate_limit = v1::rate_limit_service_server::RateLimitServiceServer::new(api.clone());
    let decision = v1::decision_service_server::DecisionServiceServer::new(api.clone());
    let usage = v1::usage_service_server::UsageServiceServer::new(api.clone());
    let token = v1::token_service_server::TokenServiceServer::new(api.clone());
    let node = v1::node_service_server::NodeServiceServer::new(api.clone());
    let webhook = v1::webhook_service_server::WebhookServiceServer::new(api.clone());
    let config_service = v1::config_service_server::ConfigServiceServer::new(api.clone());
    routes
        .add_service(packed!(change))
        .add_service(packed!(customer))
        .add_service(packed!(team))
        .add_service(packed!(virtual_key))
        .add_service(packed!(routing_rule))
        .add_service(packed!(model_config))
        .add_service(packed!(provider_governance))
        .add_service(packed!(pricing_override))
        .add_service(packed!(model_price))
        .add_service(packed!(provider))
        .add_service(packed!(mcp_client))
        .add_service(packed!(budget))
        .add_service(packed!(rate_limit))
        .add_service(bounded!(decision))
        .add_service(bounded!(usage))
        .add_service(bounded!(token))
        .add_service(bounded!(node))
        .add_service(bounded!(webhook))
        .add_service(MapResponseLayer::new(config::streamed).named_layer(bounded!(config_service)));
    for service in [
        v1::change_service_server::SERVICE_NAME,
        v1::customer_service_server::SERVICE_NAME,
        v1::team_service_server::SERVICE_NAME,
        v1::virtual_key_service_server::SERVICE_NAME,
        v1::routing_rule_service_server::SERVICE_NAME,
        v1::model_config_service_server::SERVICE_NAME,
        v1::provider_governance_service_server::SERVICE_NAME,
        v1::pricing_override_service_server::SERVICE_NAME,
        v1::model_price_service_server::SERVICE_NAME,
        v1::provider_service_server::SERVICE_NAME,
        v1::mcp_client_service_server::SERVICE_NAME,
        v1::budget_service_server::SERVICE_NAME,
        v1::rate_limit_service_server::SERVICE_NAME,
        v1::decision_service_server::SERVICE_NAME,
        v1::usage_service_server::SERVICE_NAME,
        v1::token_service_server::SERVICE_NAME,
        v1::node_service_server::SERVICE_NAME,
        v1::webhook_service_server::SERVICE_NAME,
        v1::config_service_server::SERVICE_NAME,
    ] {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
}
