//! What all resources have in common.

use std::fmt;
use std::sync::Arc;

use super::{
    Customer, Id, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance, RoutingRule, Team,
    Timestamp, Token, VirtualKey, Webhook,
};

/// The kinds of resource. The order is that of snapshots and digests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// [`Customer`].
    Customer,
    /// [`Team`].
    Team,
    /// [`VirtualKey`].
    VirtualKey,
    /// [`RoutingRule`].
    RoutingRule,
    /// [`ModelConfig`].
    ModelConfig,
    /// [`ProviderGovernance`].
    ProviderGovernance,
    /// [`PricingOverride`].
    PricingOverride,
    /// [`Provider`].
    Provider,
    /// [`McpClient`].
    McpClient,
    /// [`ModelPrice`].
    ModelPrice,
    /// [`Webhook`].
    Webhook,
    /// [`Token`].
    Token,
}

impl Kind {
    /// All kinds, in order.
    pub const ALL: [Self; 12] = [
        Self::Customer,
        Self::Team,
        Self::VirtualKey,
        Self::RoutingRule,
        Self::ModelConfig,
        Self::ProviderGovernance,
        Self::PricingOverride,
        Self::Provider,
        Self::McpClient,
        Self::ModelPrice,
        Self::Webhook,
        Self::Token,
    ];

    /// The number of the kind in the API, the log and the digests; it never changes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Customer => 1,
            Self::Team => 2,
            Self::VirtualKey => 3,
            Self::RoutingRule => 4,
            Self::ModelConfig => 5,
            Self::ProviderGovernance => 6,
            Self::PricingOverride => 7,
            Self::Provider => 8,
            Self::McpClient => 9,
            Self::ModelPrice => 10,
            Self::Webhook => 11,
            Self::Token => 12,
        }
    }

    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The kind's name in snake case, as in the API's fields.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Team => "team",
            Self::VirtualKey => "virtual_key",
            Self::RoutingRule => "routing_rule",
            Self::ModelConfig => "model_config",
            Self::ProviderGovernance => "provider_governance",
            Self::PricingOverride => "pricing_override",
            Self::Provider => "provider",
            Self::McpClient => "mcp_client",
            Self::ModelPrice => "model_price",
            Self::Webhook => "webhook",
            Self::Token => "token",
        }
    }

    /// Whether resources of the kind are on the change stream. The others are in the log and the audit trail alone: no node needs
    /// them, and they have secrets or hashes of them.
    pub const fn is_streamed(self) -> bool {
        !matches!(self, Self::Webhook | Self::Token)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The identity of a resource of any kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceKey {
    /// The kind.
    pub kind: Kind,
    /// The id, unique within the kind.
    pub id: Arc<str>,
}

impl ResourceKey {
    /// The key of the resource of kind `R` with this id.
    pub fn of<R: Resource>(id: &Id<R>) -> Self {
        Self { kind: R::KIND, id: id.shared() }
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// A resource of some kind, without what the store adds.
pub trait Resource: Clone + PartialEq + fmt::Debug + Send + Sync + Sized + 'static {
    /// The kind.
    const KIND: Kind;

    /// Forgets the type.
    fn wrap(stored: Arc<Stored<Self>>) -> AnyResource;

    /// Recalls the type; `None` if `any` is of another kind.
    fn unwrap(any: &AnyResource) -> Option<&Arc<Stored<Self>>>;
}

/// A resource as it is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct Stored<R> {
    /// Its id.
    pub id: Id<R>,
    /// Store revision of its last change.
    pub revision: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The resource itself.
    pub resource: R,
}

/// A stored resource of any kind.
#[derive(Clone, PartialEq, Debug)]
pub enum AnyResource {
    /// A customer.
    Customer(Arc<Stored<Customer>>),
    /// A team.
    Team(Arc<Stored<Team>>),
    /// A virtual key.
    VirtualKey(Arc<Stored<VirtualKey>>),
    /// A routing rule.
    RoutingRule(Arc<Stored<RoutingRule>>),
    /// A model config.
    ModelConfig(Arc<Stored<ModelConfig>>),
    /// The governance of a provider.
    ProviderGovernance(Arc<Stored<ProviderGovernance>>),
    /// A pricing override.
    PricingOverride(Arc<Stored<PricingOverride>>),
    /// A provider.
    Provider(Arc<Stored<Provider>>),
    /// An MCP client.
    McpClient(Arc<Stored<McpClient>>),
    /// A price of a model.
    ModelPrice(Arc<Stored<ModelPrice>>),
    /// A webhook.
    Webhook(Arc<Stored<Webhook>>),
    /// An access token.
    Token(Arc<Stored<Token>>),
}

impl AnyResource {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Customer(_) => Kind::Customer,
            Self::Team(_) => Kind::Team,
            Self::VirtualKey(_) => Kind::VirtualKey,
            Self::RoutingRule(_) => Kind::RoutingRule,
            Self::ModelConfig(_) => Kind::ModelConfig,
            Self::ProviderGovernance(_) => Kind::ProviderGovernance,
            Self::PricingOverride(_) => Kind::PricingOverride,
            Self::Provider(_) => Kind::Provider,
            Self::McpClient(_) => Kind::McpClient,
            Self::ModelPrice(_) => Kind::ModelPrice,
            Self::Webhook(_) => Kind::Webhook,
            Self::Token(_) => Kind::Token,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Customer(stored) => stored.id.as_str(),
            Self::Team(stored) => stored.id.as_str(),
            Self::VirtualKey(stored) => stored.id.as_str(),
            Self::RoutingRule(stored) => stored.id.as_str(),
            Self::ModelConfig(stored) => stored.id.as_str(),
            Self::ProviderGovernance(stored) => stored.id.as_str(),
            Self::PricingOverride(stored) => stored.id.as_str(),
            Self::Provider(stored) => stored.id.as_str(),
            Self::McpClient(stored) => stored.id.as_str(),
            Self::ModelPrice(stored) => stored.id.as_str(),
            Self::Webhook(stored) => stored.id.as_str(),
            Self::Token(stored) => stored.id.as_str(),
        }
    }

    /// Its identity.
    pub fn key(&self) -> ResourceKey {
        match self {
            Self::Customer(stored) => ResourceKey::of(&stored.id),
            Self::Team(stored) => ResourceKey::of(&stored.id),
            Self::VirtualKey(stored) => ResourceKey::of(&stored.id),
            Self::RoutingRule(stored) => ResourceKey::of(&stored.id),
            Self::ModelConfig(stored) => ResourceKey::of(&stored.id),
            Self::ProviderGovernance(stored) => ResourceKey::of(&stored.id),
            Self::PricingOverride(stored) => ResourceKey::of(&stored.id),
            Self::Provider(stored) => ResourceKey::of(&stored.id),
            Self::McpClient(stored) => ResourceKey::of(&stored.id),
            Self::ModelPrice(stored) => ResourceKey::of(&stored.id),
            Self::Webhook(stored) => ResourceKey::of(&stored.id),
            Self::Token(stored) => ResourceKey::of(&stored.id),
        }
    }

    /// Store revision of its last change.
    pub fn revision(&self) -> i64 {
        match self {
            Self::Customer(stored) => stored.revision,
            Self::Team(stored) => stored.revision,
            Self::VirtualKey(stored) => stored.revision,
            Self::RoutingRule(stored) => stored.revision,
            Self::ModelConfig(stored) => stored.revision,
            Self::ProviderGovernance(stored) => stored.revision,
            Self::PricingOverride(stored) => stored.revision,
            Self::Provider(stored) => stored.revision,
            Self::McpClient(stored) => stored.revision,
            Self::ModelPrice(stored) => stored.revision,
            Self::Webhook(stored) => stored.revision,
            Self::Token(stored) => stored.revision,
        }
    }

    /// The source that manages it; empty for none.
    pub fn managed_by(&self) -> &str {
        match self {
            Self::Customer(stored) => &stored.resource.managed_by,
            Self::Team(stored) => &stored.resource.managed_by,
            Self::VirtualKey(stored) => &stored.resource.managed_by,
            Self::RoutingRule(stored) => &stored.resource.managed_by,
            Self::ModelConfig(stored) => &stored.resource.managed_by,
            Self::ProviderGovernance(stored) => &stored.resource.managed_by,
            Self::PricingOverride(stored) => &stored.resource.managed_by,
            Self::Provider(stored) => &stored.resource.managed_by,
            Self::McpClient(stored) => &stored.resource.managed_by,
            Self::ModelPrice(stored) => &stored.resource.managed_by,
            Self::Webhook(stored) => &stored.resource.managed_by,
            Self::Token(_) => "",
        }
    }

    /// When it was last changed.
    pub fn updated_at(&self) -> Timestamp {
        match self {
            Self::Customer(stored) => stored.updated_at,
            Self::Team(stored) => stored.updated_at,
            Self::VirtualKey(stored) => stored.updated_at,
            Self::RoutingRule(stored) => stored.updated_at,
            Self::ModelConfig(stored) => stored.updated_at,
            Self::ProviderGovernance(stored) => stored.updated_at,
            Self::PricingOverride(stored) => stored.updated_at,
            Self::Provider(stored) => stored.updated_at,
            Self::McpClient(stored) => stored.updated_at,
            Self::ModelPrice(stored) => stored.updated_at,
            Self::Webhook(stored) => stored.updated_at,
            Self::Token(stored) => stored.updated_at,
        }
    }
}

macro_rules! kinds {
    ($($kind:ident),*) => {$(
        impl Resource for $kind {
            const KIND: Kind = Kind::$kind;

            fn wrap(stored: Arc<Stored<Self>>) -> AnyResource {
                AnyResource::$kind(stored)
            }

            fn unwrap(any: &AnyResource) -> Option<&Arc<Stored<Self>>> {
                match any {
                    AnyResource::$kind(stored) => Some(stored),
                    _ => None,
                }
            }
        }
    )*};
}

kinds!(
    Customer,
    Team,
    VirtualKey,
    RoutingRule,
    ModelConfig,
    ProviderGovernance,
    PricingOverride,
    Provider,
    McpClient,
    ModelPrice,
    Webhook,
    Token
);
