//! The calls of a history that configure limits.

use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient as Customers;
use tollgate::proto::v1::model_config_service_client::ModelConfigServiceClient as ModelConfigs;
use tollgate::proto::v1::provider_governance_service_client::ProviderGovernanceServiceClient as Governance;
use tollgate::proto::v1::provider_service_client::ProviderServiceClient as Providers;
use tollgate::proto::v1::team_service_client::TeamServiceClient as Teams;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient as VirtualKeys;
use tonic::Status;

use crate::usage::model::window::Micros;
use crate::usage::model::{Reset, limited_key};
use crate::watch::api::Api;

/// What a history needs of the answer to a write.
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) budgets: Vec<v1::Budget>,
    pub(super) rate_limits: Vec<v1::RateLimit>,
    pub(super) configs: Vec<v1::VirtualKeyProviderConfig>,
    /// When it was written; 0 if nothing is there.
    pub(super) at: Micros,
    pub(super) revision: i64,
}

pub(super) fn micros(at: prost_types::Timestamp) -> Micros {
    at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000
}

fn answer(resource: Resource) -> Answer {
    let (id, budgets, rate_limits, at, revision) = match &resource {
        Resource::Customer(it) => (&it.id, &it.budgets, &it.rate_limits, it.updated_at, it.revision),
        Resource::Team(it) => (&it.id, &it.budgets, &it.rate_limits, it.updated_at, it.revision),
        Resource::VirtualKey(it) => (&it.id, &it.budgets, &it.rate_limits, it.updated_at, it.revision),
        Resource::ModelConfig(it) => (&it.id, &it.budgets, &it.rate_limits, it.updated_at, it.revision),
        Resource::ProviderGovernance(it) => (&it.provider, &it.budgets, &it.rate_limits, it.updated_at, it.revision),
        Resource::Provider(it) => (&it.id, &it.keys[0].budgets, &it.keys[0].rate_limits, it.updated_at, it.revision),
        other => panic!("{other:?} has no limits"),
    };
    let (id, budgets, rate_limits, at) = (id.clone(), budgets.clone(), rate_limits.clone(), at.map_or(0, micros));
    let configs = match resource {
        Resource::VirtualKey(key) => key.provider_configs,
        _ => Vec::new(),
    };
    Answer { id, budgets, rate_limits, configs, at, revision }
}

/// A provider with the keys that [`limited_key`] says, of which the first has these limits.
pub(super) fn with_limits(name: &str, budgets: Vec<v1::Budget>, rate_limits: Vec<v1::RateLimit>) -> v1::Provider {
    let limited = v1::ProviderKey { id: limited_key(name), budgets, rate_limits, ..Default::default() };
    let other = (name == "anthropic").then(|| v1::ProviderKey { id: "other".to_owned(), ..Default::default() });
    v1::Provider { id: name.to_owned(), keys: std::iter::once(limited).chain(other).collect(), ..Default::default() }
}

pub(super) async fn create(api: &Api, resource: Resource) -> Result<Answer, Status> {
    Ok(answer(match resource {
        Resource::Customer(it) => Resource::Customer(api.create_customer(it).await?),
        Resource::Team(it) => Resource::Team(api.create_team(it).await?),
        Resource::VirtualKey(it) => Resource::VirtualKey(api.create_virtual_key(it).await?),
        Resource::ModelConfig(it) => Resource::ModelConfig(api.create_model_config(it).await?),
        other => panic!("{other:?} is not created here"),
    }))
}

pub(super) async fn update(api: &Api, resource: Resource, paths: &[&str], reset: Reset) -> Result<Answer, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let update_mask = Some(prost_types::FieldMask { paths });
    let channel = api.0.clone();
    let Reset { budgets: reset_budget_usage, rate_limits: reset_rate_limit_usage } = reset;
    Ok(answer(match resource {
        Resource::Customer(it) => {
            let customer = Some(it);
            let request = v1::UpdateCustomerRequest {
                customer,
                update_mask,
                reset_budget_usage,
                reset_rate_limit_usage,
                ..Default::default()
            };
            let answer = Customers::new(channel).update_customer(request).await?.into_inner();
            Resource::Customer(answer.customer.unwrap())
        }
        Resource::Team(it) => {
            let team = Some(it);
            let request = v1::UpdateTeamRequest {
                team,
                update_mask,
                reset_budget_usage,
                reset_rate_limit_usage,
                ..Default::default()
            };
            let answer = Teams::new(channel).update_team(request).await?.into_inner();
            Resource::Team(answer.team.unwrap())
        }
        Resource::VirtualKey(it) => {
            let virtual_key = Some(it);
            let request = v1::UpdateVirtualKeyRequest {
                virtual_key,
                update_mask,
                reset_budget_usage,
                reset_rate_limit_usage,
                ..Default::default()
            };
            let answer = VirtualKeys::new(channel).update_virtual_key(request).await?.into_inner();
            Resource::VirtualKey(answer.virtual_key.unwrap())
        }
        Resource::ModelConfig(it) => {
            let model_config = Some(it);
            let request = v1::UpdateModelConfigRequest {
                model_config,
                update_mask,
                reset_budget_usage,
                reset_rate_limit_usage,
                ..Default::default()
            };
            let answer = ModelConfigs::new(channel).update_model_config(request).await?.into_inner();
            Resource::ModelConfig(answer.model_config.unwrap())
        }
        Resource::ProviderGovernance(it) => {
            let provider_governance = Some(it);
            let request = v1::UpdateProviderGovernanceRequest {
                provider_governance,
                update_mask,
                reset_budget_usage,
                reset_rate_limit_usage,
                ..Default::default()
            };
            let answer = Governance::new(channel).update_provider_governance(request).await?.into_inner();
            Resource::ProviderGovernance(answer.provider_governance.unwrap())
        }
        Resource::Provider(it) => {
            let provider = Some(it);
            let request = v1::UpdateProviderRequest {
                provider,
                update_mask,
                reset_budget_usage,
                reset_rate_limit_usage,
                ..Default::default()
            };
            let answer = Providers::new(channel).update_provider(request).await?.into_inner();
            Resource::Provider(answer.provider.unwrap())
        }
        other => panic!("{other:?} has no limits"),
    }))
}
