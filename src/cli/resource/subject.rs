//! The kinds that commands take, and their names.

use crate::cli::files::message_name;
use crate::domain::Kind;

/// The subject of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Subject {
    /// A kind of resource.
    Kind(Kind),
    /// The budgets of all owners.
    Budgets,
    /// The rate limits of all owners.
    Limits,
}

/// The names of each, the one that is shown first.
const NAMES: [(Subject, &[&str]); 12] = [
    (Subject::Kind(Kind::Customer), &["customers", "customer"]),
    (Subject::Kind(Kind::Team), &["teams", "team"]),
    (Subject::Kind(Kind::VirtualKey), &["keys", "key", "virtual-keys", "virtual-key", "vk"]),
    (Subject::Kind(Kind::RoutingRule), &["rules", "rule", "routing-rules", "routing-rule"]),
    (Subject::Kind(Kind::ModelConfig), &["models", "model", "model-configs", "model-config"]),
    (Subject::Kind(Kind::ProviderGovernance), &["governance", "provider-governance"]),
    (Subject::Kind(Kind::PricingOverride), &["overrides", "override", "pricing-overrides", "pricing-override"]),
    (Subject::Kind(Kind::Provider), &["providers", "provider"]),
    (Subject::Kind(Kind::McpClient), &["mcp", "mcp-clients", "mcp-client"]),
    (Subject::Kind(Kind::ModelPrice), &["prices", "price", "model-prices", "model-price"]),
    (Subject::Budgets, &["budgets", "budget"]),
    (Subject::Limits, &["limits", "limit", "rate-limits", "rate-limit"]),
];

impl Subject {
    /// The message of one.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Kind(kind) => message_name(kind),
            Self::Budgets => "Budget",
            Self::Limits => "RateLimit",
        }
    }

    /// The method that lists them.
    pub(super) const fn list(self) -> &'static str {
        match self {
            Self::Kind(Kind::Customer) => "ListCustomers",
            Self::Kind(Kind::Team) => "ListTeams",
            Self::Kind(Kind::VirtualKey) => "ListVirtualKeys",
            Self::Kind(Kind::RoutingRule) => "ListRoutingRules",
            Self::Kind(Kind::ModelConfig) => "ListModelConfigs",
            Self::Kind(Kind::ProviderGovernance) => "ListProviderGovernance",
            Self::Kind(Kind::PricingOverride) => "ListPricingOverrides",
            Self::Kind(Kind::Provider) => "ListProviders",
            Self::Kind(Kind::McpClient) => "ListMcpClients",
            Self::Kind(Kind::ModelPrice) => "ListModelPrices",
            Self::Kind(Kind::Webhook) => "ListWebhooks",
            Self::Kind(Kind::Token) => "ListTokens",
            Self::Budgets => "ListBudgets",
            Self::Limits => "ListRateLimits",
        }
    }
}

/// One of a kind, for people.
pub(in crate::cli) fn noun(kind: Kind) -> String {
    match kind {
        Kind::McpClient => "MCP client".to_owned(),
        kind => kind.name().replace('_', " "),
    }
}

/// The word for one of a kind, as commands take it.
pub(in crate::cli) fn word(kind: Kind) -> &'static str {
    let found = NAMES.into_iter().find(|(subject, _)| *subject == Subject::Kind(kind));
    let many = found.and_then(|(_, names)| names.first().copied()).unwrap_or_else(|| kind.name());
    many.strip_suffix('s').unwrap_or(many)
}

/// Reads the name of anything that can be listed.
pub(in crate::cli) fn subject(text: &str) -> Result<Subject, String> {
    let name = text.to_lowercase().replace('_', "-");
    let found = NAMES.into_iter().find(|(_, names)| names.contains(&name.as_str()));
    found.map(|(subject, _)| subject).ok_or_else(|| {
        let names: Vec<_> = NAMES.into_iter().filter_map(|(_, names)| names.first().copied()).collect();
        format!("is none of {}", names.join(", "))
    })
}

/// Reads the name of a kind of resource.
pub(in crate::cli) fn kind(text: &str) -> Result<Kind, String> {
    match subject(text)? {
        Subject::Kind(kind) => Ok(kind),
        Subject::Budgets | Subject::Limits => {
            Err("are parts of their owners: of customers, teams, keys, models and governance".to_owned())
        }
    }
}
