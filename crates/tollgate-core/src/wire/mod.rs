//! The one place where messages and domain types meet. `api` parses requests and renders answers, `watch` renders the
//! stream, `ledger` renders what the log keeps.
//!
//! Parsing settles everything about one message: it collects every violation with its path, and a value that comes out
//! is valid. What involves other resources is settled in `state`.

mod calendar;
mod ceiling;
mod credit;
mod customer;
mod holding;
mod increase;
mod limit_owner;
mod limits;
mod mcp_client;
mod model_config;
mod model_price;
mod pricing_override;
mod provider;
mod provider_governance;
mod routing_rule;
mod scope;
mod team;
mod text;
mod threshold;
mod token;
mod virtual_key;
mod webhook;

use prost::Message;

use crate::counters::{Adjustment, CounterKey};
use crate::domain::{
    AnyResource, Customer, Id, Kind, LimitKind, McpClient, ModelConfig, ModelPrice, Path, PricingOverride, Provider,
    ProviderGovernance, Resource, ResourceKey, RoutingRule, Stored, Team, Timestamp, Token, Violations, VirtualKey,
    Webhook,
};
use crate::proto::v1;

pub use calendar::follow as follow_calendar;
pub use credit::{
    parse_credit_directive, parse_credit_report, parse_credit_used, read_credit_key, render_credit_directive,
    render_credit_key, render_credit_report, render_credit_used, render_duration,
};
pub use holding::render_enforcement;
pub use limits::{render_budget, render_rate_limit};
pub use model_config::parse_model_config_scope;
pub use pricing_override::{parse_pricing_scope_kind, parse_rates, render_pricing_scope_kind, render_rates};
pub use provider::render_key as render_provider_key;
pub use routing_rule::{parse_fallbacks, parse_routing_scope, render_fallback, render_routing_scope};
pub use text::{parse_timestamp, timestamp};
pub use token::{parse_token, render_role};
pub use virtual_key::parse_secrets;
pub use webhook::host_alone;

/// The most that an encoded resource may have, so that no resource can ever stop a watcher.
pub const MAX_RESOURCE_BYTES: usize = 256 * 1024;
/// The most that a list in a resource may have.
pub const MAX_ITEMS: usize = 1_000;

/// What a resource is rendered for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// An answer: with the windows of limits as they are at this time.
    Answer(Timestamp),
    /// The watch stream: stored fields only, so that a copy is exact; hashes of secrets, and no free data.
    Stream,
    /// The log: everything that is stored.
    Log,
}

impl Form {
    /// A flag that is on by default. Only answers say that it is on, so that what the log and copies hold stays what it was
    /// before there was the flag.
    fn flag(self, on: bool) -> Option<bool> {
        match self {
            Self::Answer(_) => Some(on),
            Self::Stream | Self::Log => (!on).then_some(false),
        }
    }
}

/// How a kind looks on the wire.
pub trait Wire: Resource {
    /// Its message.
    type Message: Message + Default + Clone + prost::Name + 'static;

    /// The fields of the message that only the server sets: an error if a mask names them, ignored otherwise.
    const OUTPUT_ONLY: &'static [&'static str];
    /// The fields that cannot change after creation: an error if an update differs in them.
    const IMMUTABLE: &'static [&'static str];
    /// Whether the name is the id.
    const NAMED_BY_ID: bool = false;

    /// The message as a value, or `None` with everything that makes it none. What was stored once stays a value.
    fn parse(message: Self::Message, path: &Path<'_>, violations: &mut Violations) -> Option<Self>;

    /// Adds what a client may not write, though earlier versions have stored it: mostly what can never match.
    fn review(_message: &Self::Message, _path: &Path<'_>, _violations: &mut Violations) {}

    /// Takes away of a client's message what does not count, as what is not seen at the ends of a name.
    fn tidy(_message: &mut Self::Message) {}

    /// The fields among [`Wire::IMMUTABLE`] that name something by its path: only the state tells whether they differ.
    fn given_by_path(_message: &Self::Message) -> &'static [&'static str] {
        &[]
    }

    /// The message of a client as a value, or `None` with everything that is wrong with it.
    fn accept(mut message: Self::Message, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        Self::tidy(&mut message);
        Self::review(&message, path, violations);
        Self::parse(message, path, violations)
    }

    /// A stored value as a message.
    fn render(stored: &Stored<Self>, form: Form) -> Self::Message;

    /// Takes over what a client cannot say, from a message that `form` made, [`Form::Log`] or [`Form::Stream`]: all that
    /// [`Wire::parse`] leaves out, but for id, revision and times.
    fn recall(&mut self, message: &Self::Message, form: Form, path: &Path<'_>, violations: &mut Violations);

    /// When a message says that it was created, and last changed.
    fn times(message: &Self::Message) -> [Option<prost_types::Timestamp>; 2];

    /// The id that a message sent by a client names, and the revision that it expects.
    fn identity(message: &Self::Message) -> (&str, i64);

    /// Mends what merging the `fields` of an update left contradictory: setting one thing may clear another.
    fn mend(_merged: &mut Self::Message, _fields: &[&str]) {}

    /// The message as a resource of any kind.
    fn config_resource(message: Self::Message) -> v1::config_resource::Resource;
}

/// A stored resource of any kind as a message.
pub fn render_any(any: &AnyResource, form: Form) -> v1::ConfigResource {
    fn of<R: Wire>(stored: &Stored<R>, form: Form) -> v1::ConfigResource {
        v1::ConfigResource { resource: Some(R::config_resource(R::render(stored, form))) }
    }
    match any {
        AnyResource::Customer(stored) => of::<Customer>(stored, form),
        AnyResource::Team(stored) => of::<Team>(stored, form),
        AnyResource::VirtualKey(stored) => of::<VirtualKey>(stored, form),
        AnyResource::RoutingRule(stored) => of::<RoutingRule>(stored, form),
        AnyResource::ModelConfig(stored) => of::<ModelConfig>(stored, form),
        AnyResource::ProviderGovernance(stored) => of::<ProviderGovernance>(stored, form),
        AnyResource::PricingOverride(stored) => of::<PricingOverride>(stored, form),
        AnyResource::Provider(stored) => of::<Provider>(stored, form),
        AnyResource::McpClient(stored) => of::<McpClient>(stored, form),
        AnyResource::ModelPrice(stored) => of::<ModelPrice>(stored, form),
        AnyResource::Webhook(stored) => of::<Webhook>(stored, form),
        AnyResource::Token(stored) => of::<Token>(stored, form),
    }
}

/// A stored resource of any kind back from what [`Form::Log`] made of it, or `None` with everything that is wrong with
/// it. Whether anything else is in the message, that a stored resource does not have, shows when it is rendered again.
pub fn restore_any(message: v1::ConfigResource, violations: &mut Violations) -> Option<AnyResource> {
    restore(message, Form::Log, violations)
}

/// A resource as the stream has it, from what [`Form::Stream`] made of it: rendered so again, it is the same message.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read_streamed(message: v1::ConfigResource) -> Result<AnyResource, Violations> {
    let mut violations = Violations::new();
    let resource = restore(message, Form::Stream, &mut violations);
    resource.ok_or(violations)
}

fn restore(message: v1::ConfigResource, form: Form, violations: &mut Violations) -> Option<AnyResource> {
    use v1::config_resource::Resource as Message;
    fn of<R: Wire>(message: R::Message, form: Form, violations: &mut Violations) -> Option<AnyResource> {
        let path = Path::root(R::KIND.name());
        let mut found = Violations::new();
        let resource = R::parse(message.clone(), &path, &mut found);
        let restored = resource.filter(|_| found.is_empty()).map(|mut resource| {
            resource.recall(&message, form, &path, &mut found);
            let (id, revision) = R::identity(&message);
            let id = Id::new(text::reference(id, &path.field("id"), &mut found));
            let [created_at, updated_at] = R::times(&message);
            let created_at = text::required_time(created_at, &path.field("created_at"), &mut found);
            let updated_at = text::required_time(updated_at, &path.field("updated_at"), &mut found);
            R::wrap(Stored { id, revision, created_at, updated_at, resource }.into())
        });
        let restored = restored.filter(|_| found.is_empty());
        violations.append(found);
        restored
    }
    match message.resource {
        Some(Message::Customer(message)) => of::<Customer>(message, form, violations),
        Some(Message::Team(message)) => of::<Team>(message, form, violations),
        Some(Message::VirtualKey(message)) => of::<VirtualKey>(message, form, violations),
        Some(Message::RoutingRule(message)) => of::<RoutingRule>(message, form, violations),
        Some(Message::ModelConfig(message)) => of::<ModelConfig>(message, form, violations),
        Some(Message::ProviderGovernance(message)) => of::<ProviderGovernance>(message, form, violations),
        Some(Message::PricingOverride(message)) => of::<PricingOverride>(message, form, violations),
        Some(Message::Provider(message)) => of::<Provider>(message, form, violations),
        Some(Message::McpClient(message)) => of::<McpClient>(message, form, violations),
        Some(Message::ModelPrice(message)) => of::<ModelPrice>(message, form, violations),
        Some(Message::Webhook(message)) => of::<Webhook>(message, form, violations),
        Some(Message::Token(message)) => of::<Token>(message, form, violations),
        None => {
            violations.add(Path::root("resource"), "is of no kind that this version knows");
            None
        }
    }
}

/// Whether resources of a kind have hashes of secrets, for [`strip_hashes`] to take out.
pub const fn has_hashes(kind: Kind) -> bool {
    match kind {
        Kind::VirtualKey => true,
        Kind::Customer
        | Kind::Team
        | Kind::RoutingRule
        | Kind::ModelConfig
        | Kind::ProviderGovernance
        | Kind::PricingOverride
        | Kind::Provider
        | Kind::McpClient
        | Kind::ModelPrice
        | Kind::Webhook
        | Kind::Token => false,
    }
}

/// Takes the hashes of secrets out of a resource of the stream, for people to read.
pub fn strip_hashes(resource: &mut v1::ConfigResource) {
    if let Some(v1::config_resource::Resource::VirtualKey(key)) = &mut resource.resource {
        key.value_sha256.clear();
        key.previous_value_sha256.clear();
    }
}

/// Takes secrets and hashes of them out of a resource of the log, for people to read.
pub fn strip_secrets(resource: &mut v1::ConfigResource) {
    strip_hashes(resource);
    match &mut resource.resource {
        Some(v1::config_resource::Resource::Webhook(webhook)) => webhook::hide(webhook),
        Some(v1::config_resource::Resource::Token(token)) => token.value_sha256.clear(),
        _ => {}
    }
}

/// The kind as the API has it.
pub const fn kind(kind: Kind) -> v1::ResourceKind {
    match kind {
        Kind::Customer => v1::ResourceKind::Customer,
        Kind::Team => v1::ResourceKind::Team,
        Kind::VirtualKey => v1::ResourceKind::VirtualKey,
        Kind::RoutingRule => v1::ResourceKind::RoutingRule,
        Kind::ModelConfig => v1::ResourceKind::ModelConfig,
        Kind::ProviderGovernance => v1::ResourceKind::ProviderGovernance,
        Kind::PricingOverride => v1::ResourceKind::PricingOverride,
        Kind::Provider => v1::ResourceKind::Provider,
        Kind::McpClient => v1::ResourceKind::McpClient,
        Kind::ModelPrice => v1::ResourceKind::ModelPrice,
        Kind::Webhook => v1::ResourceKind::Webhook,
        Kind::Token => v1::ResourceKind::Token,
    }
}

/// What a limit counts, as the API has it.
pub const fn limit_kind(kind: LimitKind) -> v1::LimitKind {
    match kind {
        LimitKind::Tokens => v1::LimitKind::Tokens,
        LimitKind::Requests => v1::LimitKind::Requests,
        LimitKind::Budget => v1::LimitKind::Budget,
        LimitKind::Concurrency => v1::LimitKind::Concurrency,
    }
}

/// The kind of limit with this number of the API; `None` if there is none.
pub fn read_limit_kind(number: i32) -> Option<LimitKind> {
    LimitKind::ALL.into_iter().find(|kind| i32::from(limit_kind(*kind)) == number)
}

/// A correction of usage, as the API has it.
pub fn render_adjustment(adjustment: &Adjustment) -> v1::UsageAdjustment {
    let Adjustment { key: CounterKey { limit_id, kind, window_start }, delta, before, used, reason } = adjustment;
    v1::UsageAdjustment {
        limit_id: limit_id.to_string(),
        kind: limit_kind(*kind).into(),
        window_start: Some(timestamp(*window_start)),
        delta: *delta,
        used_before: *before,
        used: *used,
        reason: reason.to_string(),
    }
}

/// Which window of which limit the stream tells of, and what was counted in it; `None` if it counts what this version does
/// not know.
pub fn read_usage(told: &v1::LimitUsage) -> Option<(CounterKey, i64)> {
    let kind = read_limit_kind(told.kind)?;
    let start = told.window_start.unwrap_or_default();
    let window_start = Timestamp::from_parts(start.seconds, start.nanos)?;
    Some((CounterKey { limit_id: told.limit_id.as_str().into(), kind, window_start }, told.used))
}

/// The key as the API has it.
pub fn resource_key(key: &ResourceKey) -> v1::ResourceKey {
    v1::ResourceKey { kind: kind(key.kind).into(), id: key.id.to_string() }
}
