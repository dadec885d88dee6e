//! The calls that the tests make, and how answers compare to what the stream brings.

use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient as Customers;
use tollgate::proto::v1::mcp_client_service_client::McpClientServiceClient as McpClients;
use tollgate::proto::v1::model_config_service_client::ModelConfigServiceClient as ModelConfigs;
use tollgate::proto::v1::model_price_service_client::ModelPriceServiceClient as ModelPrices;
use tollgate::proto::v1::pricing_override_service_client::PricingOverrideServiceClient as PricingOverrides;
use tollgate::proto::v1::provider_service_client::ProviderServiceClient as Providers;
use tollgate::proto::v1::routing_rule_service_client::RoutingRuleServiceClient as RoutingRules;
use tollgate::proto::v1::team_service_client::TeamServiceClient as Teams;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient as VirtualKeys;
use tollgate::proto::v1::{self, ConfigResource, ResourceKey, ResourceKind};
use tonic::Status;
use tonic::transport::Channel;

/// A connection.
#[derive(Clone)]
pub(crate) struct Api(pub(crate) Channel);

/// An accepted write.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) revision: i64,
    /// What was written; `None` if it was deleted.
    pub(crate) resource: Option<Resource>,
    pub(crate) also_changed: Vec<ResourceKey>,
}

impl Api {
    /// Deletes a customer, and does this to its teams and keys.
    pub(crate) async fn delete_customer_and(&self, id: &str, children: v1::Children) -> Result<Written, Status> {
        let request = v1::DeleteCustomerRequest { id: id.to_owned(), children: children.into(), ..Default::default() };
        let answer = Customers::new(self.0.clone()).delete_customer(request).await?.into_inner();
        Ok(Written { revision: answer.revision, resource: None, also_changed: answer.also_changed })
    }

    /// Deletes a team, and does this to its keys.
    pub(crate) async fn delete_team_and(&self, id: &str, children: v1::Children) -> Result<Written, Status> {
        let request = v1::DeleteTeamRequest { id: id.to_owned(), children: children.into(), ..Default::default() };
        let answer = Teams::new(self.0.clone()).delete_team(request).await?.into_inner();
        Ok(Written { revision: answer.revision, resource: None, also_changed: answer.also_changed })
    }
}

macro_rules! kind {
    ($kind:ident, $clients:ident, $field:ident, $list:ident, $lists:ident, $listed:ident, $get:ident, $gets:ident,
     $create:ident, $creates:ident, $update:ident, $updates:ident, $delete:ident, $deletes:ident) => {
        impl Api {
            pub(crate) async fn $create(&self, $field: v1::$kind) -> Result<v1::$kind, Status> {
                let request = v1::$creates { $field: Some($field), ..v1::$creates::default() };
                let answer = $clients::new(self.0.clone()).$create(request).await?.into_inner();
                Ok(answer.$field.unwrap())
            }

            pub(crate) async fn $update(&self, $field: v1::$kind, paths: &[&str]) -> Result<Written, Status> {
                let paths = paths.iter().map(|path| (*path).to_owned()).collect();
                let update_mask = Some(prost_types::FieldMask { paths });
                let request = v1::$updates { $field: Some($field), update_mask, ..v1::$updates::default() };
                let answer = $clients::new(self.0.clone()).$update(request).await?.into_inner();
                let resource = answer.$field.unwrap();
                let revision = resource.revision;
                let resource = Some(Resource::$kind(resource));
                Ok(Written { revision, resource, also_changed: answer.also_changed })
            }

            pub(crate) async fn $delete(&self, id: &str) -> Result<Written, Status> {
                let request = v1::$deletes { id: id.to_owned(), ..v1::$deletes::default() };
                let answer = $clients::new(self.0.clone()).$delete(request).await?.into_inner();
                assert_eq!(answer.also_changed.len(), 1_000.min(answer.total_changed_count as usize));
                Ok(Written { revision: answer.revision, resource: None, also_changed: answer.also_changed })
            }

            async fn $get(&self, id: &str) -> Result<Resource, Status> {
                let request = v1::$gets { id: id.to_owned(), from_memory: true, ..v1::$gets::default() };
                let answer = $clients::new(self.0.clone()).$get(request).await?.into_inner();
                Ok(Resource::$kind(answer.$field.unwrap()))
            }

            /// All of the kind, from the tables.
            async fn $list(&self, all: &mut Vec<Resource>) {
                let mut page_token = String::new();
                loop {
                    let request = v1::$lists { page_size: 1_000, page_token, ..v1::$lists::default() };
                    let page = $clients::new(self.0.clone()).$list(request).await.unwrap().into_inner();
                    all.extend(page.$listed.into_iter().map(Resource::$kind));
                    page_token = page.next_page_token;
                    if page_token.is_empty() {
                        return;
                    }
                }
            }
        }
    };
}

kind!(
    Customer,
    Customers,
    customer,
    list_customers,
    ListCustomersRequest,
    customers,
    get_customer,
    GetCustomerRequest,
    create_customer,
    CreateCustomerRequest,
    update_customer,
    UpdateCustomerRequest,
    delete_customer,
    DeleteCustomerRequest
);
kind!(
    Team,
    Teams,
    team,
    list_teams,
    ListTeamsRequest,
    teams,
    get_team,
    GetTeamRequest,
    create_team,
    CreateTeamRequest,
    update_team,
    UpdateTeamRequest,
    delete_team,
    DeleteTeamRequest
);
kind!(
    VirtualKey,
    VirtualKeys,
    virtual_key,
    list_virtual_keys,
    ListVirtualKeysRequest,
    virtual_keys,
    get_virtual_key,
    GetVirtualKeyRequest,
    create_virtual_key,
    CreateVirtualKeyRequest,
    update_virtual_key,
    UpdateVirtualKeyRequest,
    delete_virtual_key,
    DeleteVirtualKeyRequest
);
kind!(
    Provider,
    Providers,
    provider,
    list_providers,
    ListProvidersRequest,
    providers,
    get_provider,
    GetProviderRequest,
    create_provider,
    CreateProviderRequest,
    update_provider,
    UpdateProviderRequest,
    delete_provider,
    DeleteProviderRequest
);
kind!(
    McpClient,
    McpClients,
    mcp_client,
    list_mcp_clients,
    ListMcpClientsRequest,
    mcp_clients,
    get_mcp_client,
    GetMcpClientRequest,
    create_mcp_client,
    CreateMcpClientRequest,
    update_mcp_client,
    UpdateMcpClientRequest,
    delete_mcp_client,
    DeleteMcpClientRequest
);
kind!(
    RoutingRule,
    RoutingRules,
    routing_rule,
    list_routing_rules,
    ListRoutingRulesRequest,
    routing_rules,
    get_routing_rule,
    GetRoutingRuleRequest,
    create_routing_rule,
    CreateRoutingRuleRequest,
    update_routing_rule,
    UpdateRoutingRuleRequest,
    delete_routing_rule,
    DeleteRoutingRuleRequest
);
kind!(
    ModelConfig,
    ModelConfigs,
    model_config,
    list_model_configs,
    ListModelConfigsRequest,
    model_configs,
    get_model_config,
    GetModelConfigRequest,
    create_model_config,
    CreateModelConfigRequest,
    update_model_config,
    UpdateModelConfigRequest,
    delete_model_config,
    DeleteModelConfigRequest
);
kind!(
    PricingOverride,
    PricingOverrides,
    pricing_override,
    list_pricing_overrides,
    ListPricingOverridesRequest,
    pricing_overrides,
    get_pricing_override,
    GetPricingOverrideRequest,
    create_pricing_override,
    CreatePricingOverrideRequest,
    update_pricing_override,
    UpdatePricingOverrideRequest,
    delete_pricing_override,
    DeletePricingOverrideRequest
);
kind!(
    ModelPrice,
    ModelPrices,
    model_price,
    list_model_prices,
    ListModelPricesRequest,
    model_prices,
    get_model_price,
    GetModelPriceRequest,
    create_model_price,
    CreateModelPriceRequest,
    update_model_price,
    UpdateModelPriceRequest,
    delete_model_price,
    DeleteModelPriceRequest
);

impl Api {
    /// The resource with this key, from memory.
    pub(crate) async fn get(&self, key: &ResourceKey) -> Result<ConfigResource, Status> {
        let resource = match key.kind() {
            ResourceKind::Customer => self.get_customer(&key.id).await?,
            ResourceKind::Team => self.get_team(&key.id).await?,
            ResourceKind::VirtualKey => self.get_virtual_key(&key.id).await?,
            ResourceKind::RoutingRule => self.get_routing_rule(&key.id).await?,
            ResourceKind::ModelConfig => self.get_model_config(&key.id).await?,
            ResourceKind::PricingOverride => self.get_pricing_override(&key.id).await?,
            ResourceKind::ModelPrice => self.get_model_price(&key.id).await?,
            ResourceKind::Provider => self.get_provider(&key.id).await?,
            ResourceKind::McpClient => self.get_mcp_client(&key.id).await?,
            other => panic!("there is no {other:?}"),
        };
        Ok(ConfigResource { resource: Some(resource) })
    }

    /// All resources, from the tables.
    pub(crate) async fn all(&self) -> Vec<ConfigResource> {
        let mut all = Vec::new();
        self.list_customers(&mut all).await;
        self.list_teams(&mut all).await;
        self.list_virtual_keys(&mut all).await;
        self.list_routing_rules(&mut all).await;
        self.list_model_configs(&mut all).await;
        self.list_pricing_overrides(&mut all).await;
        self.list_model_prices(&mut all).await;
        self.list_providers(&mut all).await;
        self.list_mcp_clients(&mut all).await;
        all.into_iter().map(|resource| ConfigResource { resource: Some(resource) }).collect()
    }

    pub(crate) async fn rotate(&self, id: &str, grace: Option<i64>) -> Result<v1::VirtualKey, Status> {
        let grace_period = grace.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
        let request =
            v1::RotateVirtualKeyRequest { id: id.to_owned(), grace_period, ..v1::RotateVirtualKeyRequest::default() };
        Ok(VirtualKeys::new(self.0.clone()).rotate_virtual_key(request).await?.into_inner().virtual_key.unwrap())
    }

    /// A team with this name.
    pub(crate) async fn team(&self, name: &str) -> v1::Team {
        self.create_team(v1::Team { name: name.to_owned(), ..v1::Team::default() }).await.unwrap()
    }

    /// Labels a team, which is a change as good as any.
    pub(crate) async fn label_team(&self, id: &str, value: &str) -> i64 {
        let labels = [("label".to_owned(), value.to_owned())].into();
        let team = v1::Team { id: id.to_owned(), labels, ..v1::Team::default() };
        self.update_team(team, &["labels"]).await.unwrap().revision
    }
}

/// What an answer and the stream have in common: no usage, nothing embedded or derived, no secrets, no anchors.
pub(crate) fn common(resource: &ConfigResource) -> ConfigResource {
    let mut resource = resource.clone();
    match resource.resource.as_mut().unwrap() {
        Resource::Customer(it) => {
            it.is_active.get_or_insert(true);
            it.teams.clear();
            it.virtual_keys.clear();
            limits(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::Team(it) => {
            it.is_active.get_or_insert(true);
            (it.profile, it.config, it.claims, it.customer) = (None, None, None, None);
            it.virtual_keys.clear();
            it.virtual_key_count = 0;
            limits(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::VirtualKey(it) => {
            it.value.clear();
            it.value_sha256.clear();
            it.previous_value_sha256.clear();
            (it.previous_value_expires_at, it.team, it.customer) = (None, None, None);
            limits(&mut it.budgets, &mut it.rate_limits);
            for config in &mut it.provider_configs {
                config.keys.clear();
                limits(&mut config.budgets, &mut config.rate_limits);
            }
            for config in &mut it.mcp_configs {
                config.mcp_client = None;
            }
        }
        Resource::RoutingRule(it) => it.query = None,
        Resource::ModelConfig(it) => {
            it.scope_name.clear();
            limits(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::ProviderGovernance(it) => limits(&mut it.budgets, &mut it.rate_limits),
        Resource::Provider(it) => it.keys.iter_mut().for_each(|key| limits(&mut key.budgets, &mut key.rate_limits)),
        Resource::PricingOverride(_)
        | Resource::McpClient(_)
        | Resource::ModelPrice(_)
        | Resource::Webhook(_)
        | Resource::Token(_) => {}
    }
    resource
}

/// Without what tells when it was written.
pub(crate) fn undated(resource: &ConfigResource) -> ConfigResource {
    let mut resource = resource.clone();
    macro_rules! undate {
        ($($kind:ident),*) => {
            match resource.resource.as_mut().unwrap() {
                $(Resource::$kind(it) => (it.revision, it.updated_at) = (0, None),)*
                other => panic!("{other:?}"),
            }
        };
    }
    undate!(
        Customer,
        Team,
        VirtualKey,
        RoutingRule,
        ModelConfig,
        PricingOverride,
        ModelPrice,
        Provider,
        McpClient,
        ProviderGovernance
    );
    resource
}

fn limits(budgets: &mut [v1::Budget], rate_limits: &mut [v1::RateLimit]) {
    for budget in budgets {
        (budget.anchor, budget.last_reset, budget.next_reset) = (None, None, None);
        (budget.effective_max_limit, budget.effective_max_limit_nano_usd) = (0.0, 0);
        usual_thresholds(&mut budget.alert_percents);
        usual([&mut budget.enforcement, &mut budget.reserve]);
        (budget.current_usage, budget.current_usage_nano_usd) = (0.0, 0);
    }
    for limit in rate_limits {
        (limit.token_anchor, limit.token_last_reset, limit.token_next_reset) = (None, None, None);
        (limit.request_anchor, limit.request_last_reset, limit.request_next_reset) = (None, None, None);
        usual_thresholds(&mut limit.alert_percents);
        usual([&mut limit.enforcement, &mut limit.reserve]);
        (limit.token_current_usage, limit.request_current_usage) = (0, 0);
    }
}

/// Answers name the usual thresholds, and the stream does not.
fn usual_thresholds(percents: &mut Vec<i32>) {
    if percents[..] == [80, 90, 100] {
        percents.clear();
    }
}

/// Answers name the usual enforcement and reserve, the first of each, and the stream does not.
fn usual(numbers: [&mut i32; 2]) {
    numbers.into_iter().filter(|number| **number == 1).for_each(|number| *number = 0);
}
