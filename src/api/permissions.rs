//! Who may call what: one table, with every method that is served. A method without a place in it is nobody's; a test
//! compares it with the descriptors.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::Role;

/// Who may call a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// Whoever reaches the server.
    Anyone,
    /// Whoever shows a virtual key; the method itself looks at it.
    KeyHolder,
    /// Whoever has a token of one of these roles.
    Roles(&'static [Role]),
}

/// Everything that changes anything, and what looks for secrets.
const ADMIN: Who = Who::Roles(&[Role::Admin]);
/// What people read.
const READERS: Who = Who::Roles(&[Role::Admin, Role::Viewer]);
/// What nodes do.
const NODES: Who = Who::Roles(&[Role::Admin, Role::Node]);
/// What has no secrets in it, or none for those who may not see them ([`sees_hashes`]), and of which nodes need to know.
const ALL_ROLES: Who = Who::Roles(&[Role::Admin, Role::Viewer, Role::Node]);

const TABLE: [(Who, &[&str]); 6] = [
    (Who::Anyone, &["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]),
    (Who::KeyHolder, &["tollgate.v1.VirtualKeyService/GetVirtualKeyQuota"]),
    (
        ALL_ROLES,
        &[
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            "tollgate.v1.ConfigService/WatchConfig",
            "tollgate.v1.DecisionService/Explain",
            "tollgate.v1.DecisionService/ResolvePrice",
        ],
    ),
    (
        NODES,
        &[
            "tollgate.v1.NodeService/Connect",
            "tollgate.v1.UsageService/RegisterNode",
            "tollgate.v1.UsageService/ReportUsage",
        ],
    ),
    (
        READERS,
        &[
            "tollgate.v1.BudgetService/ListBudgets",
            "tollgate.v1.ConfigService/GetServerInfo",
            "tollgate.v1.ConfigService/ListChanges",
            "tollgate.v1.ConfigService/WaitForRevision",
            "tollgate.v1.CustomerService/GetCustomer",
            "tollgate.v1.CustomerService/ListCustomers",
            "tollgate.v1.McpClientService/GetMcpClient",
            "tollgate.v1.McpClientService/ListMcpClients",
            "tollgate.v1.ModelConfigService/GetModelConfig",
            "tollgate.v1.ModelConfigService/ListModelConfigs",
            "tollgate.v1.ModelPriceService/GetModelPrice",
            "tollgate.v1.ModelPriceService/ListModelPrices",
            "tollgate.v1.ModelPriceService/ListUnpriced",
            "tollgate.v1.NodeService/GetNode",
            "tollgate.v1.NodeService/ListCredit",
            "tollgate.v1.NodeService/ListNodes",
            "tollgate.v1.PricingOverrideService/GetPricingOverride",
            "tollgate.v1.PricingOverrideService/ListPricingOverrides",
            "tollgate.v1.ProviderGovernanceService/GetProviderGovernance",
            "tollgate.v1.ProviderGovernanceService/ListProviderGovernance",
            "tollgate.v1.ProviderService/GetProvider",
            "tollgate.v1.ProviderService/ListProviders",
            "tollgate.v1.RateLimitService/ListRateLimits",
            "tollgate.v1.RoutingRuleService/GetRoutingRule",
            "tollgate.v1.RoutingRuleService/ListRoutingRules",
            "tollgate.v1.TeamService/GetTeam",
            "tollgate.v1.TeamService/ListTeams",
            "tollgate.v1.TokenService/ListTokens",
            "tollgate.v1.UsageService/ListSpend",
            "tollgate.v1.UsageService/ListThresholdEvents",
            "tollgate.v1.VirtualKeyService/GetVirtualKey",
            "tollgate.v1.VirtualKeyService/ListVirtualKeys",
            "tollgate.v1.WebhookService/GetWebhook",
            "tollgate.v1.WebhookService/ListWebhookDeliveries",
            "tollgate.v1.WebhookService/ListWebhooks",
        ],
    ),
    (
        ADMIN,
        &[
            "tollgate.v1.ChangeService/Apply",
            "tollgate.v1.CustomerService/CreateCustomer",
            "tollgate.v1.CustomerService/DeleteCustomer",
            "tollgate.v1.CustomerService/UpdateCustomer",
            "tollgate.v1.McpClientService/CreateMcpClient",
            "tollgate.v1.McpClientService/DeleteMcpClient",
            "tollgate.v1.McpClientService/UpdateMcpClient",
            "tollgate.v1.ModelConfigService/CreateModelConfig",
            "tollgate.v1.ModelConfigService/DeleteModelConfig",
            "tollgate.v1.ModelConfigService/UpdateModelConfig",
            "tollgate.v1.ModelPriceService/BatchUpsertModelPrices",
            "tollgate.v1.ModelPriceService/CreateModelPrice",
            "tollgate.v1.ModelPriceService/DeleteModelPrice",
            "tollgate.v1.ModelPriceService/UpdateModelPrice",
            "tollgate.v1.NodeService/ForgetNode",
            "tollgate.v1.PricingOverrideService/CreatePricingOverride",
            "tollgate.v1.PricingOverrideService/DeletePricingOverride",
            "tollgate.v1.PricingOverrideService/UpdatePricingOverride",
            "tollgate.v1.ProviderGovernanceService/DeleteProviderGovernance",
            "tollgate.v1.ProviderGovernanceService/UpdateProviderGovernance",
            "tollgate.v1.ProviderService/CreateProvider",
            "tollgate.v1.ProviderService/DeleteProvider",
            "tollgate.v1.ProviderService/UpdateProvider",
            "tollgate.v1.RoutingRuleService/CreateRoutingRule",
            "tollgate.v1.RoutingRuleService/DeleteRoutingRule",
            "tollgate.v1.RoutingRuleService/UpdateRoutingRule",
            "tollgate.v1.TeamService/CreateTeam",
            "tollgate.v1.TeamService/DeleteTeam",
            "tollgate.v1.TeamService/UpdateTeam",
            "tollgate.v1.TokenService/CreateToken",
            "tollgate.v1.TokenService/RevokeToken",
            "tollgate.v1.UsageService/AdjustUsage",
            "tollgate.v1.VirtualKeyService/CreateVirtualKey",
            "tollgate.v1.VirtualKeyService/DeleteVirtualKey",
            "tollgate.v1.VirtualKeyService/LookupVirtualKey",
            "tollgate.v1.VirtualKeyService/RotateVirtualKey",
            "tollgate.v1.VirtualKeyService/UpdateVirtualKey",
            "tollgate.v1.WebhookService/CreateWebhook",
            "tollgate.v1.WebhookService/DeleteWebhook",
            "tollgate.v1.WebhookService/SendTestEvent",
            "tollgate.v1.WebhookService/UpdateWebhook",
        ],
    ),
];

/// Whether who watches gets the hashes of keys: nodes find keys by them, and people need none.
pub(super) const fn sees_hashes(role: Role) -> bool {
    match role {
        Role::Admin | Role::Node => true,
        Role::Viewer => false,
    }
}

/// Whether who reads webhooks gets all of their URLs: at many receivers, a URL is a secret.
pub(super) const fn sees_urls(role: Role) -> bool {
    matches!(role, Role::Admin)
}

/// Who may call `method`, written as `tollgate.v1.TeamService/ListTeams`; `None` if nobody may.
pub(super) fn who(method: &str) -> Option<Who> {
    static BY_METHOD: LazyLock<HashMap<&str, Who>> =
        LazyLock::new(|| TABLE.iter().flat_map(|(who, methods)| methods.iter().map(move |it| (*it, *who))).collect());
    BY_METHOD.get(method).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn every_method_that_is_served_has_one_place_in_the_table() {
        let sets = [
            crate::proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut served = BTreeSet::new();
        for file in sets.iter().flat_map(|set| FileDescriptorSet::decode(*set).unwrap().file) {
            for service in &file.service {
                let methods = service.method.iter();
                served.extend(methods.map(|it| format!("{}.{}/{}", file.package(), service.name(), it.name())));
            }
        }
        let listed: Vec<&str> = TABLE.iter().flat_map(|(_, methods)| methods.iter().copied()).collect();
        let table: BTreeSet<String> = listed.iter().map(|method| (*method).to_owned()).collect();
        assert_eq!(listed.len(), table.len(), "a method stands in the table twice");
        assert_eq!(table, served);
    }
}
