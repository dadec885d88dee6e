//! The copy that the fold makes: all resources at one revision, shared cheaply, with the sums that prove it. [`View`] holds
//! the messages as they came, for those who show them; [`ConfigCopy`] holds what nodes decide with.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::ProtocolError;
use super::ResourceChange;
use super::digest::Sums;
use crate::config::Config;
use crate::domain::{self, AnyResource, Kind};
use crate::proto::v1::{ConfigResource, ResourceKey, ResourceKind, WatchBegin, config_resource};
use crate::wire;

/// What a stream is folded into. Cloning is cheap.
pub trait Fold: Clone + Default {
    /// A resource, as it is held.
    type Resource: Clone + PartialEq + std::fmt::Debug;

    /// Whether the stream that begins so has what this needs.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::WithoutHashes`].
    fn check(begin: &WatchBegin) -> Result<(), ProtocolError>;

    /// A resource from a message: its key, its revision, and what is held of it.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::UnknownResource`], [`ProtocolError::UnreadableResource`].
    fn read(message: ConfigResource) -> Result<(ResourceKey, i64, Self::Resource), ProtocolError>;

    /// The store revision that this is a copy of.
    fn revision(&self) -> i64;

    /// Moves to another revision.
    fn set_revision(&mut self, revision: i64);

    /// The resource with this key.
    fn get(&self, key: &ResourceKey) -> Option<Self::Resource>;

    /// Puts a resource in the place of the one with its key.
    fn put(&mut self, key: &ResourceKey, revision: i64, resource: Self::Resource);

    /// Removes the resource with this key, which may be unknown.
    fn remove(&mut self, key: &ResourceKey);

    /// The digest of a kind, by its number.
    fn digest(&self, kind: i32) -> u64;

    /// All resources, in no particular order.
    fn all(&self) -> Vec<(ResourceKey, Self::Resource)>;

    /// What becomes of this copy's resources when it is replaced with `next`.
    fn changes_to(&self, next: &Self) -> Vec<ResourceChange<Self::Resource>> {
        let held = next.all().into_iter().filter_map(|(key, after)| {
            let before = self.get(&key);
            (before.as_ref() != Some(&after)).then_some(ResourceChange { key, before, after: Some(after) })
        });
        let gone = self.all().into_iter().filter(|(key, _)| next.get(key).is_none());
        let gone = gone.map(|(key, before)| ResourceChange { key, before: Some(before), after: None });
        held.chain(gone).collect()
    }
}

/// The configuration at one revision. Cloning is cheap: copies share what they have in common.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct View {
    pub(super) revision: i64,
    resources: imbl::HashMap<ResourceKey, Arc<ConfigResource>>,
    sums: Sums,
}

impl View {
    /// The store revision that this is the configuration of.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The resource with this key.
    pub fn get(&self, key: &ResourceKey) -> Option<&Arc<ConfigResource>> {
        self.resources.get(key)
    }

    /// All resources, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&ResourceKey, &Arc<ConfigResource>)> {
        self.resources.iter()
    }

    /// How many resources there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// The sums by which this copy can be proved.
    pub fn sums(&self) -> &Sums {
        &self.sums
    }

    fn forget(&mut self, key: &ResourceKey, before: Option<&ConfigResource>) {
        if let Some(before) = before.and_then(Summary::of) {
            self.sums.subtract(key.kind, &key.id, before.revision);
        }
    }
}

impl Fold for View {
    type Resource = Arc<ConfigResource>;

    fn check(_: &WatchBegin) -> Result<(), ProtocolError> {
        Ok(())
    }

    fn read(message: ConfigResource) -> Result<(ResourceKey, i64, Self::Resource), ProtocolError> {
        let Summary { key, revision, .. } = Summary::of(&message).ok_or(ProtocolError::UnknownResource)?;
        Ok((key, revision, Arc::new(message)))
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn set_revision(&mut self, revision: i64) {
        self.revision = revision;
    }

    fn get(&self, key: &ResourceKey) -> Option<Self::Resource> {
        self.resources.get(key).cloned()
    }

    fn put(&mut self, key: &ResourceKey, revision: i64, resource: Self::Resource) {
        let before = self.resources.insert(key.clone(), resource);
        self.forget(key, before.as_deref());
        self.sums.add(key.kind, &key.id, revision);
    }

    fn remove(&mut self, key: &ResourceKey) {
        let before = self.resources.remove(key);
        self.forget(key, before.as_deref());
    }

    fn digest(&self, kind: i32) -> u64 {
        self.sums.of(kind)
    }

    fn all(&self) -> Vec<(ResourceKey, Self::Resource)> {
        self.resources.iter().map(|(key, resource)| (key.clone(), Arc::clone(resource))).collect()
    }
}

/// The configuration at one revision, to decide with. Cloning is cheap.
#[derive(Clone, Default)]
pub struct ConfigCopy {
    /// The configuration.
    pub config: Config,
    /// The store revision that it is of.
    pub revision: i64,
}

/// The key as the configuration has it; `None` if its kind is newer than this client.
fn known(key: &ResourceKey) -> Option<domain::ResourceKey> {
    Some(domain::ResourceKey { kind: Kind::from_number(key.kind)?, id: key.id.as_str().into() })
}

impl Fold for ConfigCopy {
    type Resource = AnyResource;

    fn check(begin: &WatchBegin) -> Result<(), ProtocolError> {
        if begin.without_hashes { Err(ProtocolError::WithoutHashes) } else { Ok(()) }
    }

    fn read(message: ConfigResource) -> Result<(ResourceKey, i64, AnyResource), ProtocolError> {
        let Summary { key, revision, .. } = Summary::of(&message).ok_or(ProtocolError::UnknownResource)?;
        let kind = Kind::from_number(key.kind).ok_or(ProtocolError::UnknownResource)?;
        let resource = wire::read_streamed(message).map_err(|violations| {
            let first =
                violations.iter().next().map(|it| format!("{}: {}", it.field, it.description)).unwrap_or_default();
            ProtocolError::UnreadableResource { kind, id: key.id.clone(), why: first }
        })?;
        Ok((key, revision, resource))
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn set_revision(&mut self, revision: i64) {
        self.revision = revision;
    }

    fn get(&self, key: &ResourceKey) -> Option<AnyResource> {
        self.config.any(&known(key)?)
    }

    fn put(&mut self, _: &ResourceKey, _: i64, resource: AnyResource) {
        self.config.put(&resource);
    }

    fn remove(&mut self, key: &ResourceKey) {
        if let Some(key) = known(key) {
            self.config.remove(&key);
        }
    }

    fn digest(&self, kind: i32) -> u64 {
        Kind::from_number(kind).map_or(0, |kind| self.config.digest(kind))
    }

    fn all(&self) -> Vec<(ResourceKey, AnyResource)> {
        self.config.resources().map(|resource| (wire::resource_key(&resource.key()), resource)).collect()
    }
}

/// What every resource has, whatever its kind.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// Kind and id.
    pub key: ResourceKey,
    /// Store revision of its last change.
    pub revision: i64,
    /// Its name.
    pub name: String,
}

impl Summary {
    /// Sums up a resource; `None` if it is of a kind newer than this client.
    pub fn of(resource: &ConfigResource) -> Option<Self> {
        use config_resource::Resource;
        let (kind, id, revision, name) = match resource.resource.as_ref()? {
            Resource::Customer(it) => (ResourceKind::Customer, &it.id, it.revision, &it.name),
            Resource::Team(it) => (ResourceKind::Team, &it.id, it.revision, &it.name),
            Resource::VirtualKey(it) => (ResourceKind::VirtualKey, &it.id, it.revision, &it.name),
            Resource::RoutingRule(it) => (ResourceKind::RoutingRule, &it.id, it.revision, &it.name),
            Resource::ModelConfig(it) => (ResourceKind::ModelConfig, &it.id, it.revision, &it.model_name),
            Resource::ProviderGovernance(it) => (ResourceKind::ProviderGovernance, &it.id, it.revision, &it.provider),
            Resource::PricingOverride(it) => (ResourceKind::PricingOverride, &it.id, it.revision, &it.name),
            Resource::Provider(it) => (ResourceKind::Provider, &it.id, it.revision, &it.name),
            Resource::McpClient(it) => (ResourceKind::McpClient, &it.id, it.revision, &it.name),
            Resource::ModelPrice(it) => (ResourceKind::ModelPrice, &it.id, it.revision, &it.model),
            Resource::Webhook(it) => (ResourceKind::Webhook, &it.id, it.revision, &it.name),
            Resource::Token(it) => (ResourceKind::Token, &it.id, it.revision, &it.name),
        };
        Some(Self { key: ResourceKey { kind: kind.into(), id: id.clone() }, revision, name: name.clone() })
    }
}

/// A handle to the newest whole state, for other threads. Reading takes no lock.
#[derive(Clone, Debug)]
pub struct StateReader<V = View>(pub(super) Arc<ArcSwap<V>>);

impl<V> StateReader<V> {
    /// The newest whole state.
    pub fn state(&self) -> Arc<V> {
        self.0.load_full()
    }
}
