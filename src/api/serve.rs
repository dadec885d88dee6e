//! The list of services.

use tonic::service::{LayerExt as _, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::MapResponseLayer;

use super::{Api, config};
use crate::proto::v1;

/// The largest request, in bytes.
const MAX_REQUEST: usize = 4 * 1024 * 1024;

/// Adds every service to `routes`, and says of each that it serves.
pub async fn add_services(routes: &mut RoutesBuilder, health: &HealthReporter, api: &Api) {
    let customer = v1::customer_service_server::CustomerServiceServer::new(api.clone());
    let team = v1::team_service_server::TeamServiceServer::new(api.clone());
    let virtual_key = v1::virtual_key_service_server::VirtualKeyServiceServer::new(api.clone());
    let routing_rule = v1::routing_rule_service_server::RoutingRuleServiceServer::new(api.clone());
    let model_config = v1::model_config_service_server::ModelConfigServiceServer::new(api.clone());
    let provider_governance = v1::provider_governance_service_server::ProviderGovernanceServiceServer::new(api.clone());
    let pricing_override = v1::pricing_override_service_server::PricingOverrideServiceServer::new(api.clone());
    let provider = v1::provider_service_server::ProviderServiceServer::new(api.clone());
    let mcp_client = v1::mcp_client_service_server::McpClientServiceServer::new(api.clone());
    let budget = v1::budget_service_server::BudgetServiceServer::new(api.clone());
    let rate_limit = v1::rate_limit_service_server::RateLimitServiceServer::new(api.clone());
    let decision = v1::decision_service_server::DecisionServiceServer::new(api.clone());
    let usage = v1::usage_service_server::UsageServiceServer::new(api.clone());
    let token = v1::token_service_server::TokenServiceServer::new(api.clone());
    let config_service = v1::config_service_server::ConfigServiceServer::new(api.clone());
    routes
        .add_service(customer.max_decoding_message_size(MAX_REQUEST))
        .add_service(team.max_decoding_message_size(MAX_REQUEST))
        .add_service(virtual_key.max_decoding_message_size(MAX_REQUEST))
        .add_service(routing_rule.max_decoding_message_size(MAX_REQUEST))
        .add_service(model_config.max_decoding_message_size(MAX_REQUEST))
        .add_service(provider_governance.max_decoding_message_size(MAX_REQUEST))
        .add_service(pricing_override.max_decoding_message_size(MAX_REQUEST))
        .add_service(provider.max_decoding_message_size(MAX_REQUEST))
        .add_service(mcp_client.max_decoding_message_size(MAX_REQUEST))
        .add_service(budget.max_decoding_message_size(MAX_REQUEST))
        .add_service(rate_limit.max_decoding_message_size(MAX_REQUEST))
        .add_service(decision.max_decoding_message_size(MAX_REQUEST))
        .add_service(usage.max_decoding_message_size(MAX_REQUEST))
        .add_service(token.max_decoding_message_size(MAX_REQUEST))
        .add_service(
            MapResponseLayer::new(config::streamed).named_layer(config_service.max_decoding_message_size(MAX_REQUEST)),
        );
    for service in [
        v1::customer_service_server::SERVICE_NAME,
        v1::team_service_server::SERVICE_NAME,
        v1::virtual_key_service_server::SERVICE_NAME,
        v1::routing_rule_service_server::SERVICE_NAME,
        v1::model_config_service_server::SERVICE_NAME,
        v1::provider_governance_service_server::SERVICE_NAME,
        v1::pricing_override_service_server::SERVICE_NAME,
        v1::provider_service_server::SERVICE_NAME,
        v1::mcp_client_service_server::SERVICE_NAME,
        v1::budget_service_server::SERVICE_NAME,
        v1::rate_limit_service_server::SERVICE_NAME,
        v1::decision_service_server::SERVICE_NAME,
        v1::usage_service_server::SERVICE_NAME,
        v1::token_service_server::SERVICE_NAME,
        v1::config_service_server::SERVICE_NAME,
    ] {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
}
