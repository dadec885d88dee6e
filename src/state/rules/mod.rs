//! What each kind asks of the rest of the state: references that must exist, values that must be free, and what goes or
//! changes when a resource is deleted (`docs/design/semantics.md §§3–5`).

mod hierarchy;
mod providers;
mod scoped;
mod token;
mod webhook;

pub(super) use providers::refuse_look_alike;

use std::sync::Arc;

use super::reconcile::{settle_limits, settle_mcp_configs, settle_provider_configs, settle_provider_keys};
use super::{Change, Children, Context, Facet, Listed, Name, State, Within};
use crate::domain::{
    AllowList, Customer, Error, Id, KeyOwner, Kind, Limits, McpClient, ModelCeiling, ModelConfig, ModelPrice, Path,
    PreviousSecret, PricingOverride, Provider, ProviderGovernance, Reference, Resource, ResourceKey, RoutingRule,
    Scope, Stored, Team, Timestamp, Violations, VirtualKey,
};

/// Users of a resource that an error lists at most.
const LISTED_USERS: usize = 20;

/// The rules of a kind that involve other resources.
pub trait Rules: Listed {
    /// Completes a desired state: ids, anchors, and what the client cannot set.
    ///
    /// # Errors
    /// `Invalid` with every part that names something that is not its own.
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error>;

    /// The limits that are parts of it.
    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        Vec::new()
    }

    /// Gives what it names the ids of the state, instead of paths too.
    fn share(&mut self, _state: &State) {}

    /// The stored resource with the same identity.
    ///
    /// # Errors
    /// `Invalid` if there are several.
    fn like<'a>(&self, _state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        Ok(None)
    }

    /// Checks that what is named exists, and that nothing that others name is taken away.
    ///
    /// # Errors
    /// `MissingReferences` with all of them, or `InUse`.
    fn check_references(&self, _before: Option<&Stored<Self>>, _state: &State) -> Result<(), Error> {
        Ok(())
    }

    /// Checks what the store could hold and earlier versions have stored, but nobody may write: it stays where it is, and
    /// comes along in an import.
    ///
    /// # Errors
    /// `Invalid`, or `AlreadyExists`.
    fn check_written(
        &self,
        _id: Option<&Id<Self>>,
        _before: Option<&Stored<Self>>,
        _state: &State,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Checks that what must be unique beside the name is free.
    ///
    /// # Errors
    /// `AlreadyExists`.
    fn check_taken(&self, _id: Option<&Id<Self>>, _state: &State, _now: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    /// How many teams belong to the resource, and how many keys directly.
    fn children(_stored: &Stored<Self>, _state: &State) -> [usize; 2] {
        [0, 0]
    }

    /// How many other resources change when the resource is deleted.
    fn cascade_size(_stored: &Stored<Self>, _state: &State, _children: Children) -> usize {
        0
    }

    /// What else changes when the resource is deleted.
    ///
    /// # Errors
    /// `InUse` or `BuiltIn` if it cannot be deleted.
    fn cascade(
        stored: &Stored<Self>,
        state: &State,
        children: Children,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error>;
}

/// The resources with this facet, by creation.
pub(super) fn having<'a, R: Listed>(state: &'a State, facet: &'a Facet) -> impl Iterator<Item = &'a Arc<Stored<R>>> {
    let start = (Timestamp::from_micros(i64::MIN), Id::new(""));
    R::listing(state).with_facet(facet, &start).filter_map(|(_, id)| state.config().get::<R>(id.as_str()))
}

fn changed<R: Resource>(cx: &Context<'_>, before: &Arc<Stored<R>>, resource: R) -> Change {
    Change { before: Some(R::wrap(Arc::clone(before))), after: Some(R::wrap(cx.changed(before, resource))) }
}

/// Makes `id`, which may be a path, the id of the resource that it names, and share its text, so that memory holds it once.
fn share<R: Listed>(state: &State, id: &mut Id<R>) {
    if let Some(stored) = state.find::<R>(id.as_str()) {
        *id = stored.id.clone();
    }
}

/// `id` must name a resource.
pub(super) fn check_exists<R: Listed>(state: &State, id: &Id<R>, path: &Path<'_>, missing: &mut Vec<Reference>) {
    if state.config().get::<R>(id.as_str()).is_none() {
        let what = match R::KIND {
            Kind::Customer => "customer",
            Kind::Team => "team",
            Kind::VirtualKey => "virtual key",
            Kind::RoutingRule => "routing rule",
            Kind::ModelConfig => "model config",
            Kind::ProviderGovernance => "provider governance",
            Kind::PricingOverride => "pricing override",
            Kind::Provider => "provider",
            Kind::McpClient => "MCP client",
            Kind::ModelPrice => "model price",
            Kind::Webhook => "webhook",
            Kind::Token => "access token",
        };
        missing.push(Reference { field: path.to_string(), kind: R::KIND, what, id: id.to_string(), hint: None });
    }
}

/// A provider key must exist, and be one of `provider` if that is said.
fn check_provider_key(
    state: &State,
    provider: Option<&Id<Provider>>,
    key_id: &str,
    path: &Path<'_>,
    missing: &mut Vec<Reference>,
) {
    let owner = state.config().provider_key(key_id).map(|(provider, _)| provider);
    if owner.is_none() || provider.is_some() && owner != provider {
        let hint = owner.map(|owner| format!("it is a key of provider {owner:?}"));
        let what = if provider.is_some() { "key of the provider" } else { "provider key" };
        let (field, kind) = (path.to_string(), Kind::Provider);
        missing.push(Reference { field, kind, what, id: key_id.to_owned(), hint });
    }
}

fn check_scope(state: &State, scope: &Scope, path: &Path<'_>, missing: &mut Vec<Reference>) {
    match scope {
        Scope::Global => {}
        Scope::VirtualKey(id) => check_exists(state, id, path, missing),
        Scope::Team(id) => check_exists(state, id, path, missing),
        Scope::Customer(id) => check_exists(state, id, path, missing),
    }
}

fn share_scope(state: &State, scope: &mut Scope) {
    match scope {
        Scope::Global => {}
        Scope::VirtualKey(id) => share(state, id),
        Scope::Team(id) => share(state, id),
        Scope::Customer(id) => share(state, id),
    }
}

/// The deletion of the rules and model configs of a scope that ends.
fn scoped(state: &State, scope: &Scope) -> Vec<Change> {
    let facet = Facet::ScopeId(scope.id().into());
    let configs = having::<ModelConfig>(state, &facet).filter(|config| config.resource.scope == *scope);
    state.config().rules_of(scope).iter().map(deleted).chain(configs.map(deleted)).collect()
}

/// The one with this name.
fn named<'a, R: Listed>(state: &'a State, name: &Name<'_>) -> Option<&'a Arc<Stored<R>>> {
    state.config().get(state.named::<R>(name)?.as_str())
}

/// How many rules and model configs a scope has.
fn scoped_size(state: &State, scope: &Scope) -> usize {
    let facet = Facet::ScopeId(scope.id().into());
    let configs = having::<ModelConfig>(state, &facet).filter(|config| config.resource.scope == *scope);
    state.config().rules_of(scope).iter().count() + configs.count()
}

fn deleted<R: Resource>(before: &Arc<Stored<R>>) -> Change {
    Change { before: Some(R::wrap(Arc::clone(before))), after: None }
}

/// What may name a provider, a provider key or an MCP client.
enum User<'a> {
    Ceiling(&'a ModelCeiling),
    VirtualKey(&'a VirtualKey),
    RoutingRule(&'a RoutingRule),
    ModelConfig(&'a ModelConfig),
    PricingOverride(&'a PricingOverride),
    ModelPrice(&'a ModelPrice),
}

/// Refuses to take `what` away while others name it. Walks them all: deleting providers is rare, and an index of what
/// every key names would cost more memory than it is worth.
fn refuse_if_used(state: &State, what: String, uses: impl Fn(User<'_>) -> bool) -> Result<(), Error> {
    let customers = state.all::<Customer>().filter(|it| uses(User::Ceiling(&it.resource.model_ceiling)));
    let teams = state.all::<Team>().filter(|it| uses(User::Ceiling(&it.resource.model_ceiling)));
    let keys = state.all::<VirtualKey>().filter(|it| uses(User::VirtualKey(&it.resource)));
    let rules = state.all::<RoutingRule>().filter(|it| uses(User::RoutingRule(&it.resource)));
    let configs = state.all::<ModelConfig>().filter(|it| uses(User::ModelConfig(&it.resource)));
    let overrides = state.all::<PricingOverride>().filter(|it| uses(User::PricingOverride(&it.resource)));
    let prices = state.all::<ModelPrice>().filter(|it| uses(User::ModelPrice(&it.resource)));
    let all = customers
        .map(|it| ResourceKey::of(&it.id))
        .chain(teams.map(|it| ResourceKey::of(&it.id)))
        .chain(keys.map(|it| ResourceKey::of(&it.id)))
        .chain(rules.map(|it| ResourceKey::of(&it.id)))
        .chain(configs.map(|it| ResourceKey::of(&it.id)))
        .chain(overrides.map(|it| ResourceKey::of(&it.id)))
        .chain(prices.map(|it| ResourceKey::of(&it.id)));
    let (mut users, mut total) = (Vec::new(), 0);
    for user in all {
        total += 1;
        if users.len() < LISTED_USERS {
            users.push(user);
        }
    }
    if total == 0 { Ok(()) } else { Err(Error::InUse { what, users, total }) }
}
