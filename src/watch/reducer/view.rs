//! The copy that the fold makes: all resources at one revision, shared cheaply, with the sums that prove it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::super::digest::Sums;
use super::ResourceChange;
use crate::proto::v1::{ConfigResource, ResourceKey, ResourceKind, config_resource};

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

    /// What becomes of this copy's resources when it is replaced with `next`.
    pub(super) fn changes_to(&self, next: &Self) -> Vec<ResourceChange> {
        let change = |key: &ResourceKey, before: Option<&Arc<_>>, after: Option<&Arc<_>>| ResourceChange {
            key: key.clone(),
            before: before.cloned(),
            after: after.cloned(),
        };
        let held = next.resources.iter().filter_map(|(key, after)| {
            let before = self.resources.get(key);
            (before != Some(after)).then(|| change(key, before, Some(after)))
        });
        let gone = self.resources.iter().filter(|(key, _)| next.resources.get(*key).is_none());
        held.chain(gone.map(|(key, before)| change(key, Some(before), None))).collect()
    }

    pub(super) fn insert(&mut self, summary: &Summary, resource: Arc<ConfigResource>) -> Option<Arc<ConfigResource>> {
        let Summary { key, revision, .. } = summary;
        let before = self.resources.insert(key.clone(), resource);
        self.forget(key, before.as_deref());
        self.sums.add(key.kind, &key.id, *revision);
        before
    }

    pub(super) fn remove(&mut self, key: &ResourceKey) -> Option<Arc<ConfigResource>> {
        let before = self.resources.remove(key);
        self.forget(key, before.as_deref());
        before
    }

    fn forget(&mut self, key: &ResourceKey, before: Option<&ConfigResource>) {
        if let Some(before) = before.and_then(Summary::of) {
            self.sums.subtract(key.kind, &key.id, before.revision);
        }
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
        };
        Some(Self { key: ResourceKey { kind: kind.into(), id: id.clone() }, revision, name: name.clone() })
    }
}

/// A handle to the newest whole state, for other threads. Reading takes no lock.
#[derive(Clone, Debug)]
pub struct StateReader(pub(super) Arc<ArcSwap<View>>);

impl StateReader {
    /// The newest whole state.
    pub fn state(&self) -> Arc<View> {
        self.0.load_full()
    }
}
