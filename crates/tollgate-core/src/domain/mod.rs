//! The vocabulary of Tollgate: plain, validated types. A value that exists is valid; it is made by `wire` from messages
//! and by `store` from rows. Nothing here knows of protobuf, of SQL or of a runtime.

mod alert_percents;
mod allow_list;
mod calendar;
mod ceiling;
mod customer;
mod digest;
mod duration;
mod error;
mod id;
mod limits;
mod mcp_client;
mod model;
mod model_config;
mod model_price;
mod money;
mod name;
mod pricing_override;
mod provider;
mod provider_governance;
mod resource;
mod routing_rule;
mod scope;
mod secret;
mod team;
mod text;
mod time;
mod token;
mod violations;
mod virtual_key;
mod webhook;
mod window;

pub use crate::cel::REQUEST_TYPES;
pub use alert_percents::AlertPercents;
pub use allow_list::AllowList;
pub use calendar::Calendar;
pub use ceiling::ModelCeiling;
pub use customer::Customer;
pub use digest::resource_digest;
pub use duration::{ResetDuration, Unit};
pub use error::{Error, Reference};
pub use id::{Id, LimitId};
pub use limits::{
    Budget, Enforcement, LimitKind, LimitOwner, Limits, RateDimension, RateLimit, Reserve, TemporaryIncrease,
};
pub use mcp_client::McpClient;
pub use model::{ModelPattern, bare_model};
pub use model_config::ModelConfig;
pub use model_price::ModelPrice;
pub use money::NanoUsd;
pub use name::{NamePath, trimmed_name};
pub use pricing_override::{Pattern, PricingOverride, PricingScope, PricingScopeKind, RATE_NAMES, Rates, RequestTypes};
pub use provider::{BUILT_IN, Provider, ProviderKey};
pub use provider_governance::ProviderGovernance;
pub use resource::{AnyResource, Kind, Resource, ResourceKey, Stored};
pub use routing_rule::{Fallback, RoutingRule, RoutingTarget};
pub use scope::{Scope, ScopeKind};
pub use secret::{PreviousSecret, Secret, Sha256Hash};
pub use team::Team;
pub use text::{Labels, Struct, StructValue};
pub use time::Timestamp;
pub use token::{Revocation, Role, Token};
pub use violations::{Path, Violation, Violations};
pub use virtual_key::{KeyOwner, McpConfig, ProviderConfig, VirtualKey};
pub use webhook::{Webhook, WebhookEvent, WebhookFormat, WebhookOwner, WebhookSecret};
pub use window::Window;
