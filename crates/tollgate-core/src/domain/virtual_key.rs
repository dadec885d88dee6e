//! Virtual keys (`docs/design/semantics.md §4`).

use super::{
    AllowList, Calendar, Customer, Id, Labels, Limits, McpClient, PreviousSecret, Provider, Secret, Sha256Hash, Team,
    Timestamp,
};

/// Who a key belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyOwner {
    /// A team, and its customer if it has one.
    Team(Id<Team>),
    /// A customer directly.
    Customer(Id<Customer>),
}

/// A virtual key.
#[derive(Clone, PartialEq, Debug)]
pub struct VirtualKey {
    /// Name, unique within its team or customer.
    pub name: Box<str>,
    /// What is kept of the secret.
    pub secret: Secret,
    /// What is kept of the secret before the last rotation, if that gave it a grace period.
    pub previous_secret: Option<Box<PreviousSecret>>,
    /// For people; may be empty.
    pub description: Box<str>,
    /// Whether it works.
    pub is_active: bool,
    /// Who it belongs to.
    pub owner: Option<KeyOwner>,
    /// From when on it no longer works.
    pub expires_at: Option<Timestamp>,
    /// Which providers it may use, in the client's order.
    pub provider_configs: Box<[ProviderConfig]>,
    /// Which MCP clients it may use, in the client's order.
    pub mcp_configs: Box<[McpConfig]>,
    /// Whether windows follow the calendar, those of provider configs included.
    pub calendar_aligned: bool,
    /// The calendar, if it has one of its own.
    pub calendar: Option<Box<Calendar>>,
    /// What it may spend, and how fast.
    pub limits: Limits,
    /// Free labels.
    pub labels: Labels,
    /// Who created it.
    pub created_by: Box<str>,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

impl VirtualKey {
    /// Its secret and the one before, as far as they are kept.
    pub fn secrets(&self) -> impl Iterator<Item = &Sha256Hash> {
        std::iter::once(&self.secret.sha256).chain(self.previous_secret.iter().map(|previous| &previous.sha256))
    }

    /// Its own limits, then those of its provider configs.
    pub fn all_limits(&self) -> impl Iterator<Item = &Limits> {
        std::iter::once(&self.limits).chain(self.provider_configs.iter().map(|config| &config.limits))
    }

    /// Whether it works at `at`.
    pub fn works_at(&self, at: Timestamp) -> bool {
        self.is_active && self.expires_at.is_none_or(|expires_at| at < expires_at)
    }
}

/// What a key may do with one provider.
#[derive(Clone, PartialEq, Debug)]
pub struct ProviderConfig {
    /// Id, unique over all keys; 0 in a desired state for a new one.
    pub id: i64,
    /// The provider.
    pub provider: Id<Provider>,
    /// Share in the weighted choice; `None`: never drawn.
    pub weight: Option<f64>,
    /// Models allowed.
    pub allowed_models: AllowList,
    /// Models refused even if allowed.
    pub blocked_models: AllowList,
    /// Provider keys allowed.
    pub key_ids: AllowList,
    /// What may be spent through it, and how fast.
    pub limits: Limits,
}

/// What a key may do with one MCP client.
#[derive(Clone, PartialEq, Debug)]
pub struct McpConfig {
    /// Id, unique over all keys; 0 in a desired state for a new one.
    pub id: i64,
    /// The client.
    pub mcp_client: Id<McpClient>,
    /// Tools that may be called.
    pub tools_to_execute: AllowList,
}
