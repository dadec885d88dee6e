//! What the laws need to know of a kind of resource: its calls, a sample, and one change. A new kind is one entry here.

use std::fmt::Debug;

use prost_types::FieldMask;
use tollgate::proto::v1;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// What every write may say besides the resource.
#[derive(Clone, Default)]
pub(crate) struct How {
    pub(crate) request_id: String,
    pub(crate) validate_only: bool,
    pub(crate) mask: Option<Vec<&'static str>>,
}

impl How {
    pub(crate) fn mask(paths: &[&'static str]) -> Self {
        Self { mask: Some(paths.to_vec()), ..Self::default() }
    }

    pub(crate) fn id(request_id: &str) -> Self {
        Self { request_id: request_id.to_owned(), ..Self::default() }
    }

    pub(crate) fn validate() -> Self {
        Self { validate_only: true, ..Self::default() }
    }
}

/// A page of a list.
pub(crate) struct Page<M> {
    pub(crate) items: Vec<M>,
    pub(crate) token: String,
    pub(crate) total: i32,
}

/// Which page of a list.
#[derive(Clone, Default)]
pub(crate) struct Ask {
    pub(crate) size: i32,
    pub(crate) token: String,
    pub(crate) from_memory: bool,
    /// Whether to filter by something that nothing has.
    pub(crate) filtered: bool,
    /// The source that manages what is listed.
    pub(crate) managed_by: String,
}

/// A kind with its calls.
pub(crate) trait Subject {
    type Message: Clone + PartialEq + Debug + Default + Send;
    /// The field of the resource in requests.
    const FIELD: &'static str;

    /// The `n`th of this kind.
    fn sample(n: usize) -> Self::Message;
    /// Changes one field; its name.
    fn change(message: &mut Self::Message) -> &'static str;
    fn id(message: &Self::Message) -> &str;
    fn revision(message: &mut Self::Message) -> &mut i64;
    fn managed_by(message: &mut Self::Message) -> &mut String;
    /// An update of the resource with this id that sends nothing else.
    fn bare(of: &Self::Message) -> Self::Message;

    async fn create(channel: Channel, message: Self::Message, how: How) -> Result<Self::Message, Status>;
    async fn get(channel: Channel, id: &str, from_memory: bool) -> Result<Self::Message, Status>;
    async fn list(channel: Channel, ask: Ask) -> Result<Page<Self::Message>, Status>;
    async fn update(channel: Channel, message: Self::Message, how: How) -> Result<Self::Message, Status>;
    async fn delete(channel: Channel, id: &str, revision: i64, how: How) -> Result<i64, Status>;
}

fn mask(how: &How) -> Option<FieldMask> {
    how.mask.as_ref().map(|paths| FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

macro_rules! subject {
    ($kind:ident, $client:path, $field:ident, $sample:expr, $change:expr, $filter:ident = $nothing:expr,
     $create:ident, $creates:ident, $get:ident, $gets:ident, $list:ident, $lists:ident, $listed:ident,
     $update:ident, $updates:ident, $delete:ident, $deletes:ident) => {
        impl Subject for v1::$kind {
            type Message = v1::$kind;
            const FIELD: &'static str = stringify!($field);

            fn sample(n: usize) -> v1::$kind {
                let sample: fn(usize) -> v1::$kind = $sample;
                sample(n)
            }

            fn change(message: &mut v1::$kind) -> &'static str {
                let change: fn(&mut v1::$kind) -> &'static str = $change;
                change(message)
            }

            fn id(message: &v1::$kind) -> &str {
                &message.id
            }

            fn revision(message: &mut v1::$kind) -> &mut i64 {
                &mut message.revision
            }

            fn managed_by(message: &mut v1::$kind) -> &mut String {
                &mut message.managed_by
            }

            fn bare(of: &v1::$kind) -> v1::$kind {
                v1::$kind { id: of.id.clone(), ..v1::$kind::default() }
            }

            async fn create(channel: Channel, message: v1::$kind, how: How) -> Result<v1::$kind, Status> {
                let How { request_id, validate_only, mask: _ } = how;
                let request = v1::$creates { $field: Some(message), request_id, validate_only };
                let answer = <$client>::new(channel).$create(request).await.map(Response::into_inner)?;
                Ok(answer.$field.unwrap())
            }

            async fn get(channel: Channel, id: &str, from_memory: bool) -> Result<v1::$kind, Status> {
                let request = v1::$gets { id: id.to_owned(), from_memory, ..v1::$gets::default() };
                Ok(<$client>::new(channel).$get(request).await?.into_inner().$field.unwrap())
            }

            async fn list(channel: Channel, ask: Ask) -> Result<Page<v1::$kind>, Status> {
                let Ask { size: page_size, token: page_token, from_memory, filtered, managed_by } = ask;
                let mut request =
                    v1::$lists { page_size, page_token, from_memory, managed_by, ..v1::$lists::default() };
                if filtered {
                    request.$filter = $nothing;
                }
                let answer = <$client>::new(channel).$list(request).await?.into_inner();
                Ok(Page { items: answer.$listed, token: answer.next_page_token, total: answer.total_size })
            }

            async fn update(channel: Channel, message: v1::$kind, how: How) -> Result<v1::$kind, Status> {
                let update_mask = mask(&how);
                let How { request_id, validate_only, mask: _ } = how;
                let request = v1::$updates { $field: Some(message), ..Default::default() };
                let request = v1::$updates { update_mask, request_id, validate_only, ..request };
                Ok(<$client>::new(channel).$update(request).await?.into_inner().$field.unwrap())
            }

            async fn delete(channel: Channel, id: &str, revision: i64, how: How) -> Result<i64, Status> {
                let How { request_id, validate_only, mask: _ } = how;
                let request = v1::$deletes { id: id.to_owned(), ..Default::default() };
                let request = v1::$deletes { revision, request_id, validate_only, ..request };
                Ok(<$client>::new(channel).$delete(request).await?.into_inner().revision)
            }
        }
    };
}

mod model_price;
mod webhook;

fn budgets(n: usize) -> Vec<v1::Budget> {
    vec![v1::Budget { max_limit: 1.5 + n as f64, reset_duration: "1d".to_owned(), ..v1::Budget::default() }]
}

fn rate_limit() -> Vec<v1::RateLimit> {
    vec![v1::RateLimit {
        token_max_limit: Some(10),
        token_reset_duration: Some("90s".to_owned()),
        ..v1::RateLimit::default()
    }]
}

/// Distinct whatever the case, and not in the order of `n`.
fn name(n: usize) -> String {
    format!("Name {} of Ünit {n}", (n * 7) % 10)
}

subject!(
    Customer,
    v1::customer_service_client::CustomerServiceClient<Channel>,
    customer,
    |n| v1::Customer { name: name(n), budgets: budgets(n), rate_limits: rate_limit(), ..Default::default() },
    |it| {
        it.labels.insert("changed".to_owned(), "yes".to_owned());
        "labels"
    },
    search = "nothing has this".to_owned(),
    create_customer,
    CreateCustomerRequest,
    get_customer,
    GetCustomerRequest,
    list_customers,
    ListCustomersRequest,
    customers,
    update_customer,
    UpdateCustomerRequest,
    delete_customer,
    DeleteCustomerRequest
);
subject!(
    Team,
    v1::team_service_client::TeamServiceClient<Channel>,
    team,
    |n| v1::Team { name: name(n), budgets: budgets(n), rate_limits: rate_limit(), ..Default::default() },
    |it| {
        it.labels.insert("changed".to_owned(), "yes".to_owned());
        "labels"
    },
    search = "nothing has this".to_owned(),
    create_team,
    CreateTeamRequest,
    get_team,
    GetTeamRequest,
    list_teams,
    ListTeamsRequest,
    teams,
    update_team,
    UpdateTeamRequest,
    delete_team,
    DeleteTeamRequest
);
subject!(
    VirtualKey,
    v1::virtual_key_service_client::VirtualKeyServiceClient<Channel>,
    virtual_key,
    |n| v1::VirtualKey {
        name: name(n),
        value: format!("a-value-from-elsewhere-that-is-long-enough-{n}"),
        provider_configs: vec![v1::VirtualKeyProviderConfig {
            provider: "openai".to_owned(),
            weight: Some(0.1 + 0.2),
            allowed_models: vec!["gpt-4o".to_owned()],
            budgets: budgets(n),
            ..Default::default()
        }],
        budgets: budgets(n),
        rate_limits: rate_limit(),
        ..Default::default()
    },
    |it| {
        it.description = "changed".to_owned();
        "description"
    },
    search = "nothing has this".to_owned(),
    create_virtual_key,
    CreateVirtualKeyRequest,
    get_virtual_key,
    GetVirtualKeyRequest,
    list_virtual_keys,
    ListVirtualKeysRequest,
    virtual_keys,
    update_virtual_key,
    UpdateVirtualKeyRequest,
    delete_virtual_key,
    DeleteVirtualKeyRequest
);
subject!(
    McpClient,
    v1::mcp_client_service_client::McpClientServiceClient<Channel>,
    mcp_client,
    |n| v1::McpClient { name: format!("client-{n}"), tools: vec!["read".to_owned()], ..Default::default() },
    |it| {
        it.tools.push("write".to_owned());
        "tools"
    },
    view = 0,
    create_mcp_client,
    CreateMcpClientRequest,
    get_mcp_client,
    GetMcpClientRequest,
    list_mcp_clients,
    ListMcpClientsRequest,
    mcp_clients,
    update_mcp_client,
    UpdateMcpClientRequest,
    delete_mcp_client,
    DeleteMcpClientRequest
);
subject!(
    Provider,
    v1::provider_service_client::ProviderServiceClient<Channel>,
    provider,
    |n| v1::Provider {
        name: format!("provider-{n}"),
        keys: vec![v1::ProviderKey { id: format!("key-{n}"), ..Default::default() }],
        ..Default::default()
    },
    |it| {
        it.keys.push(v1::ProviderKey { id: "another".to_owned(), ..Default::default() });
        "keys"
    },
    view = 0,
    create_provider,
    CreateProviderRequest,
    get_provider,
    GetProviderRequest,
    list_providers,
    ListProvidersRequest,
    providers,
    update_provider,
    UpdateProviderRequest,
    delete_provider,
    DeleteProviderRequest
);
subject!(
    RoutingRule,
    v1::routing_rule_service_client::RoutingRuleServiceClient<Channel>,
    routing_rule,
    |n| v1::RoutingRule {
        name: name(n),
        cel_expression: "headers[\"X-Tier\"] == 'gold' && budget_used > 80".to_owned(),
        targets: vec![
            v1::RoutingTarget { provider: Some("openai".to_owned()), weight: 0.7, ..Default::default() },
            v1::RoutingTarget { model: Some("m".to_owned()), weight: 0.3, ..Default::default() },
        ],
        fallbacks: vec!["anthropic/claude".to_owned(), "groq/".to_owned()],
        scope: v1::RoutingScope::Global.into(),
        priority: n as i32,
        ..Default::default()
    },
    |it| {
        it.enabled = Some(false);
        "enabled"
    },
    scope_id = "nothing has this".to_owned(),
    create_routing_rule,
    CreateRoutingRuleRequest,
    get_routing_rule,
    GetRoutingRuleRequest,
    list_routing_rules,
    ListRoutingRulesRequest,
    routing_rules,
    update_routing_rule,
    UpdateRoutingRuleRequest,
    delete_routing_rule,
    DeleteRoutingRuleRequest
);
subject!(
    ModelConfig,
    v1::model_config_service_client::ModelConfigServiceClient<Channel>,
    model_config,
    |n| v1::ModelConfig {
        model_name: format!("model-{n}"),
        scope: v1::ModelConfigScope::Global.into(),
        budgets: budgets(n),
        rate_limits: rate_limit(),
        ..Default::default()
    },
    |it| {
        it.budgets.extend(budgets(9));
        it.budgets[0].reset_duration = "1w".to_owned();
        "budgets"
    },
    search = "nothing has this".to_owned(),
    create_model_config,
    CreateModelConfigRequest,
    get_model_config,
    GetModelConfigRequest,
    list_model_configs,
    ListModelConfigsRequest,
    model_configs,
    update_model_config,
    UpdateModelConfigRequest,
    delete_model_config,
    DeleteModelConfigRequest
);
subject!(
    PricingOverride,
    v1::pricing_override_service_client::PricingOverrideServiceClient<Channel>,
    pricing_override,
    |n| v1::PricingOverride {
        name: name(n),
        scope_kind: v1::PricingScopeKind::Provider.into(),
        provider_id: "openai".to_owned(),
        match_type: v1::PricingMatchType::Wildcard.into(),
        pattern: format!("model-{n}*"),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into(), v1::PricingRequestType::Embedding.into()],
        patch: Some(v1::PricingPatch {
            input_cost_per_token: Some(0.0),
            output_cost_per_token: Some(1e-7),
            code_interpreter_cost_per_session: Some(0.1 + 0.2),
            ..Default::default()
        }),
        ..Default::default()
    },
    |it| {
        it.patch = Some(v1::PricingPatch { input_cost_per_token: Some(1.0), ..Default::default() });
        "patch"
    },
    virtual_key_id = "nothing has this".to_owned(),
    create_pricing_override,
    CreatePricingOverrideRequest,
    get_pricing_override,
    GetPricingOverrideRequest,
    list_pricing_overrides,
    ListPricingOverridesRequest,
    pricing_overrides,
    update_pricing_override,
    UpdatePricingOverrideRequest,
    delete_pricing_override,
    DeletePricingOverrideRequest
);
