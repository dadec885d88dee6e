//! The operations of the mirrored API: one table. The routes, the OpenAPI document and the tests come from it, so that there
//! is no route that is not described.

use http::Method;
use prost_reflect::MethodDescriptor;

use super::shapes::POOL;

/// The path above all operations.
pub(crate) const ROOT: &str = "/api/governance";

/// A kind of thing that operations are about.
pub(crate) struct Resource {
    /// Its message, without the package.
    pub(crate) message: &'static str,
    /// The name of one for people.
    pub(crate) title: &'static str,
    /// The property of an answer that holds one.
    pub(crate) one: &'static str,
    /// The property of an answer that holds a list of them.
    pub(crate) many: &'static str,
    /// The service.
    pub(crate) service: &'static str,
    /// A body that makes one or, where there is no such operation, changes one.
    pub(crate) example: &'static str,
}

/// The act of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    /// Lists; filters are fields of the request.
    List(&'static [&'static str]),
    Create,
    Get,
    Update,
    Delete,
    /// Tells a virtual key of itself.
    Quota,
}

/// An operation.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) path: &'static str,
    pub(crate) act: Act,
    pub(crate) resource: &'static Resource,
    pub(crate) method: &'static str,
    pub(crate) summary: &'static str,
    /// The difference from the mirrored gateway, if there is one.
    pub(crate) difference: &'static str,
}

const VIRTUAL_KEY: &Resource = &Resource {
    message: "VirtualKey",
    title: "Virtual key",
    one: "virtual_key",
    many: "virtual_keys",
    service: "VirtualKeyService",
    example: r#"{"name": "ci", "provider_configs": [{"provider": "openai", "weight": 1, "allowed_models": ["gpt-4o*"], "key_ids": ["*"]}], "budgets": [{"max_limit": 50, "reset_duration": "1M"}], "rate_limit": {"request_max_limit": 60, "request_reset_duration": "1m"}}"#,
};
const TEAM: &Resource = &Resource {
    message: "Team",
    title: "Team",
    one: "team",
    many: "teams",
    service: "TeamService",
    example: r#"{"name": "research", "budget": {"max_limit": 500, "reset_duration": "1M", "calendar_aligned": true}}"#,
};
const CUSTOMER: &Resource = &Resource {
    message: "Customer",
    title: "Customer",
    one: "customer",
    many: "customers",
    service: "CustomerService",
    example: r#"{"name": "acme", "budget": {"max_limit": 5000, "reset_duration": "1M"}}"#,
};
const BUDGET: &Resource = &Resource {
    message: "Budget",
    title: "Budget",
    one: "budget",
    many: "budgets",
    service: "BudgetService",
    example: "",
};
const RATE_LIMIT: &Resource = &Resource {
    message: "RateLimit",
    title: "Rate limit",
    one: "rate_limit",
    many: "rate_limits",
    service: "RateLimitService",
    example: "",
};
const ROUTING_RULE: &Resource = &Resource {
    message: "RoutingRule",
    title: "Routing rule",
    one: "rule",
    many: "rules",
    service: "RoutingRuleService",
    example: r#"{"name": "gold", "cel_expression": "headers[\"x-plan\"] == \"gold\"", "scope": "global", "priority": 10, "targets": [{"provider": "openai", "model": "gpt-4o", "weight": 1}]}"#,
};
const MODEL_CONFIG: &Resource = &Resource {
    message: "ModelConfig",
    title: "Model config",
    one: "model_config",
    many: "model_configs",
    service: "ModelConfigService",
    example: r#"{"model_name": "gpt-4o", "provider": "openai", "budgets": [{"max_limit": 100, "reset_duration": "1d"}]}"#,
};
const PROVIDER: &Resource = &Resource {
    message: "ProviderGovernance",
    title: "Provider governance",
    one: "provider",
    many: "providers",
    service: "ProviderGovernanceService",
    example: r#"{"budgets": [{"max_limit": 1000, "reset_duration": "1M"}], "calendar_aligned": true}"#,
};
const PRICING_OVERRIDE: &Resource = &Resource {
    message: "PricingOverride",
    title: "Pricing override",
    one: "pricing_override",
    many: "pricing_overrides",
    service: "PricingOverrideService",
    example: r#"{"name": "negotiated", "scope_kind": "provider", "provider_id": "openai", "match_type": "wildcard", "pattern": "gpt-4o*", "request_types": ["chat_completion"], "patch": {"input_cost_per_token": 0.0000025, "output_cost_per_token": 0.00001}}"#,
};

/// A row of the table without what few operations have.
const fn operation(
    id: &'static str,
    path: &'static str,
    act: Act,
    resource: &'static Resource,
    method: &'static str,
    summary: &'static str,
) -> Operation {
    Operation { id, path, act, resource, method, summary, difference: "" }
}

const fn differing(operation: Operation, difference: &'static str) -> Operation {
    Operation { difference, ..operation }
}

/// All of them.
#[rustfmt::skip]
pub(crate) const OPERATIONS: [Operation; 35] = [
    operation("listVirtualKeys", "virtual-keys", Act::List(&["team_id", "customer_id", "search", "is_active"]), VIRTUAL_KEY, "ListVirtualKeys", "List virtual keys"),
    differing(operation("createVirtualKey", "virtual-keys", Act::Create, VIRTUAL_KEY, "CreateVirtualKey", "Create a virtual key"),
        "The value may be given, so that a key can be moved here; it is then not repeated."),
    operation("getVirtualKeyQuota", "virtual-keys/quota", Act::Quota, VIRTUAL_KEY, "GetVirtualKeyQuota", "Limits and usage of the virtual key that asks"),
    operation("getVirtualKey", "virtual-keys/{vk_id}", Act::Get, VIRTUAL_KEY, "GetVirtualKey", "Get a virtual key"),
    differing(operation("updateVirtualKey", "virtual-keys/{vk_id}", Act::Update, VIRTUAL_KEY, "UpdateVirtualKey", "Update a virtual key"),
        "`reset_budget_usage` is honoured. Entries of `provider_configs` and `mcp_configs` that name their id keep the limits that they do not say."),
    differing(operation("deleteVirtualKey", "virtual-keys/{vk_id}", Act::Delete, VIRTUAL_KEY, "DeleteVirtualKey", "Delete a virtual key"),
        "Routing rules, model configs and pricing overrides that name the key go with it."),
    operation("listTeams", "teams", Act::List(&["customer_id", "search"]), TEAM, "ListTeams", "List teams"),
    operation("createTeam", "teams", Act::Create, TEAM, "CreateTeam", "Create a team"),
    operation("getTeam", "teams/{team_id}", Act::Get, TEAM, "GetTeam", "Get a team"),
    operation("updateTeam", "teams/{team_id}", Act::Update, TEAM, "UpdateTeam", "Update a team"),
    differing(operation("deleteTeam", "teams/{team_id}", Act::Delete, TEAM, "DeleteTeam", "Delete a team; its keys go on without it"),
        "Routing rules and model configs of its scope go with it."),
    operation("listCustomers", "customers", Act::List(&["search"]), CUSTOMER, "ListCustomers", "List customers"),
    operation("createCustomer", "customers", Act::Create, CUSTOMER, "CreateCustomer", "Create a customer"),
    operation("getCustomer", "customers/{customer_id}", Act::Get, CUSTOMER, "GetCustomer", "Get a customer"),
    operation("updateCustomer", "customers/{customer_id}", Act::Update, CUSTOMER, "UpdateCustomer", "Update a customer"),
    differing(operation("deleteCustomer", "customers/{customer_id}", Act::Delete, CUSTOMER, "DeleteCustomer", "Delete a customer; its teams and keys go on without it"),
        "Routing rules and model configs of its scope go with it."),
    operation("listBudgets", "budgets", Act::List(&["virtual_key_id", "team_id", "customer_id", "model_config_id", "provider"]), BUDGET, "ListBudgets", "List the budgets of all owners"),
    operation("listRateLimits", "rate-limits", Act::List(&["virtual_key_id", "team_id", "customer_id", "model_config_id", "provider"]), RATE_LIMIT, "ListRateLimits", "List the rate limits of all owners"),
    differing(operation("listRoutingRules", "routing-rules", Act::List(&["scope", "scope_id", "enabled"]), ROUTING_RULE, "ListRoutingRules", "List routing rules, by priority"),
        "A filter by scope finds disabled rules too."),
    operation("createRoutingRule", "routing-rules", Act::Create, ROUTING_RULE, "CreateRoutingRule", "Create a routing rule"),
    operation("getRoutingRule", "routing-rules/{rule_id}", Act::Get, ROUTING_RULE, "GetRoutingRule", "Get a routing rule"),
    operation("updateRoutingRule", "routing-rules/{rule_id}", Act::Update, ROUTING_RULE, "UpdateRoutingRule", "Update a routing rule"),
    operation("deleteRoutingRule", "routing-rules/{rule_id}", Act::Delete, ROUTING_RULE, "DeleteRoutingRule", "Delete a routing rule"),
    operation("listModelConfigs", "model-configs", Act::List(&["scope", "scope_id", "provider", "search"]), MODEL_CONFIG, "ListModelConfigs", "List model configs"),
    operation("createModelConfig", "model-configs", Act::Create, MODEL_CONFIG, "CreateModelConfig", "Create a model config"),
    operation("getModelConfig", "model-configs/{mc_id}", Act::Get, MODEL_CONFIG, "GetModelConfig", "Get a model config"),
    differing(operation("updateModelConfig", "model-configs/{mc_id}", Act::Update, MODEL_CONFIG, "UpdateModelConfig", "Update a model config"),
        "Scope and scope id may be repeated, and cannot change."),
    operation("deleteModelConfig", "model-configs/{mc_id}", Act::Delete, MODEL_CONFIG, "DeleteModelConfig", "Delete a model config"),
    operation("listProviderGovernance", "providers", Act::List(&[]), PROVIDER, "ListProviderGovernance", "List providers with limits"),
    differing(operation("updateProviderGovernance", "providers/{provider_name}", Act::Update, PROVIDER, "UpdateProviderGovernance", "Set the limits of a provider"),
        "The answer is the governance itself, and a message beside its properties."),
    differing(operation("deleteProviderGovernance", "providers/{provider_name}", Act::Delete, PROVIDER, "DeleteProviderGovernance", "Delete the limits of a provider"),
        "A provider without limits is no error; one that does not exist is."),
    operation("listPricingOverrides", "pricing-overrides", Act::List(&["scope_kind", "virtual_key_id", "provider_id", "provider_key_id"]), PRICING_OVERRIDE, "ListPricingOverrides", "List pricing overrides"),
    operation("createPricingOverride", "pricing-overrides", Act::Create, PRICING_OVERRIDE, "CreatePricingOverride", "Create a pricing override"),
    differing(operation("updatePricingOverride", "pricing-overrides/{id}", Act::Update, PRICING_OVERRIDE, "UpdatePricingOverride", "Update a pricing override"),
        "A new `scope_kind` clears the ids that it forbids, and keeps the others."),
    differing(operation("deletePricingOverride", "pricing-overrides/{id}", Act::Delete, PRICING_OVERRIDE, "DeletePricingOverride", "Delete a pricing override"),
        "One that does not exist is 404."),
];

/// The goal of a request.
pub(super) enum Route<'a> {
    /// To this operation, with the id in its path, still encoded.
    To(&'static Operation, Option<&'a str>),
    /// To none, though there are operations with this path: these are their verbs.
    Other(Vec<&'static str>),
    /// Nowhere.
    Nowhere,
}

impl Operation {
    pub(crate) fn verb(&self) -> &'static str {
        match self.act {
            Act::List(_) | Act::Get | Act::Quota => "GET",
            Act::Create => "POST",
            Act::Update => "PUT",
            Act::Delete => "DELETE",
        }
    }

    /// The status of an answer that is no error.
    pub(crate) fn success(&self) -> u16 {
        if self.id == "createPricingOverride" { 201 } else { 200 }
    }

    /// The statuses of its errors.
    pub(crate) fn errors(&self) -> Vec<u16> {
        let own: &[u16] = match self.act {
            Act::List(_) => &[400],
            Act::Create => &[400, 409, 415],
            Act::Get => &[400, 404],
            Act::Update => &[400, 404, 409, 415],
            Act::Delete => &[400, 404, 409],
            Act::Quota => &[],
        };
        let mut all: Vec<u16> = [401, 403, 413, 429, 500, 503, 504].iter().chain(own).copied().collect();
        all.sort_unstable();
        all
    }

    /// The name of the parameter in the path.
    pub(crate) fn parameter(&self) -> Option<&'static str> {
        self.path.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}'))
    }

    /// The message in the answer to a change.
    pub(crate) fn message(&self) -> String {
        let done = match self.act {
            Act::Create => "created",
            Act::Update => "updated",
            Act::Delete => "deleted",
            Act::List(_) | Act::Get | Act::Quota => "read",
        };
        format!("{} {done}", self.resource.title)
    }

    /// The method's descriptor. Every operation has one, which a test sees to.
    pub(crate) fn descriptor(&self) -> Option<MethodDescriptor> {
        method(self.resource, self.method)
    }

    /// The id in a path, if the path is this operation's.
    fn matches<'a>(&self, path: &'a str) -> Option<Option<&'a str>> {
        match self.path.split_once("/{") {
            Some((parent, _)) => {
                let id = path.strip_prefix(parent)?.strip_prefix('/')?;
                (!id.is_empty() && !id.contains('/')).then_some(Some(id))
            }
            None => (path == self.path).then_some(None),
        }
    }
}

/// The method of a resource's service with this name.
pub(super) fn method(of: &Resource, name: &str) -> Option<MethodDescriptor> {
    let service = POOL.get_service_by_name(&format!("tollgate.v1.{}", of.service))?;
    service.methods().find(|method| method.name() == name)
}

/// The route of a path below [`ROOT`], without its first slash.
pub(super) fn route<'a>(verb: &Method, path: &'a str) -> Route<'a> {
    let verb = if *verb == Method::HEAD { "GET" } else { verb.as_str() };
    // The quota stands before the virtual keys with an id, and hides the one that would be called so.
    let is_quota = OPERATIONS.iter().any(|it| it.act == Act::Quota && it.path == path);
    let found = OPERATIONS
        .iter()
        .filter(|it| !is_quota || it.act == Act::Quota)
        .filter_map(|it| it.matches(path).map(|id| (it, id)));
    let mut others = Vec::new();
    for (operation, id) in found {
        if operation.verb() == verb {
            return Route::To(operation, id);
        }
        others.push(operation.verb());
    }
    if others.is_empty() { Route::Nowhere } else { Route::Other(others) }
}
