//! What each kind asks of the rest of the state: references that must exist, values that must be free, and what goes or
//! changes when a resource is deleted (`semantics.md` §§3–5).

use std::sync::Arc;

use super::{Change, Context, Facet, Indexed, State};
use crate::domain::{
    Customer, Error, Id, KeyOwner, Kind, McpClient, ModelConfig, Path, Permit, PricingOverride, Provider,
    ProviderGovernance, Reference, Resource, ResourceKey, RoutingRule, Scope, Stored, Team, Timestamp, Violations,
    VirtualKey,
};

/// Users of a resource that an error lists at most.
const LISTED_USERS: usize = 20;

/// The rules of a kind that involve other resources.
pub trait Rules: Indexed {
    /// Completes a desired state: ids, anchors, and what the client cannot set.
    ///
    /// # Errors
    /// `Invalid` with every part that names something that is not its own.
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error>;

    /// Checks that what is named exists, and that nothing that others name is taken away.
    ///
    /// # Errors
    /// `MissingReferences` with all of them, or `InUse`.
    fn check_references(&self, _before: Option<&Stored<Self>>, _state: &State) -> Result<(), Error> {
        Ok(())
    }

    /// Checks that what must be unique beside the name is free.
    ///
    /// # Errors
    /// `AlreadyExists`.
    fn check_taken(&self, _id: Option<&Id<Self>>, _state: &State, _now: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    /// What else changes when the resource is deleted.
    ///
    /// # Errors
    /// `InUse` or `BuiltIn` if it cannot be deleted.
    fn cascade(stored: &Stored<Self>, state: &State, cx: &mut Context<'_>) -> Result<Vec<Change>, Error>;
}

impl Rules for Customer {
    fn settle(&mut self, before: Option<&Stored<Self>>, _state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        self.limits.settle(limits, self.calendar_aligned, &Path::root("customer"), &mut violations, cx);
        Ok(violations.or(())?)
    }

    fn cascade(stored: &Stored<Self>, state: &State, cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        let facet = Facet::Customer(stored.id.shared());
        let teams = having::<Team>(state, &facet)
            .map(|team| changed(cx, team, Team { customer_id: None, ..team.resource.clone() }));
        let keys = having::<VirtualKey>(state, &facet)
            .map(|key| changed(cx, key, VirtualKey { owner: None, ..key.resource.clone() }));
        let scoped = scoped(state, &Scope::Customer(stored.id.clone()));
        Ok(teams.chain(keys).chain(scoped).collect())
    }
}

impl Rules for Team {
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        self.limits.settle(limits, self.calendar_aligned, &Path::root("team"), &mut violations, cx);
        if let Some(id) = &mut self.customer_id {
            share(state, id);
        }
        Ok(violations.or(())?)
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        if let Some(id) = &self.customer_id {
            check_exists(state, id, &Path::root("team").field("customer_id"), &mut missing);
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn cascade(stored: &Stored<Self>, state: &State, cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        let facet = Facet::Team(stored.id.shared());
        let keys = having::<VirtualKey>(state, &facet)
            .map(|key| changed(cx, key, VirtualKey { owner: None, ..key.resource.clone() }));
        Ok(keys.chain(scoped(state, &Scope::Team(stored.id.clone()))).collect())
    }
}

impl Rules for VirtualKey {
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let root = Path::root("virtual_key");
        let existing = before.map(|before| &before.resource);
        if let Some(existing) = existing {
            self.secret = existing.secret.clone();
            self.previous_secret = existing.previous_secret.clone();
            self.created_by = existing.created_by.clone();
        }
        if let Some(expires_at) = self.expires_at
            && existing.is_none_or(|existing| existing.expires_at != self.expires_at)
            && expires_at <= cx.now
        {
            let text =
                format!("is {expires_at}, which is not in the future; to stop the key now, set is_active to false");
            violations.add(root.field("expires_at"), text);
        }
        let aligned = self.calendar_aligned;
        self.limits.settle(existing.map(|key| &key.limits), aligned, &root, &mut violations, cx);
        match &mut self.owner {
            Some(KeyOwner::Team(id)) => share(state, id),
            Some(KeyOwner::Customer(id)) => share(state, id),
            None => {}
        }

        let list = root.field("provider_configs");
        let configs = existing.map_or(&[][..], |key| &key.provider_configs);
        let mut claimed = Vec::new();
        for (index, config) in self.provider_configs.iter_mut().enumerate() {
            let path = list.index(index);
            share(state, &mut config.provider);
            let own = configs.iter().find(|own| own.id == config.id);
            check_config_id(config.id, own.is_some(), &mut claimed, &path, &mut violations);
            config.limits.settle(own.map(|own| &own.limits), aligned, &path, &mut violations, cx);
            if config.id == 0 {
                config.id = cx.new_config_id();
            }
        }

        let list = root.field("mcp_configs");
        let configs = existing.map_or(&[][..], |key| &key.mcp_configs);
        let mut claimed = Vec::new();
        for (index, config) in self.mcp_configs.iter_mut().enumerate() {
            let path = list.index(index);
            share(state, &mut config.mcp_client);
            let own = configs.iter().any(|own| own.id == config.id);
            check_config_id(config.id, own, &mut claimed, &path, &mut violations);
            if config.id == 0 {
                config.id = cx.new_config_id();
            }
        }
        Ok(violations.or(())?)
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        let root = Path::root("virtual_key");
        match &self.owner {
            Some(KeyOwner::Team(id)) => check_exists(state, id, &root.field("team_id"), &mut missing),
            Some(KeyOwner::Customer(id)) => check_exists(state, id, &root.field("customer_id"), &mut missing),
            None => {}
        }
        let list = root.field("provider_configs");
        for (index, config) in self.provider_configs.iter().enumerate() {
            let path = list.index(index);
            check_exists(state, &config.provider, &path.field("provider"), &mut missing);
            let key_ids = path.field("key_ids");
            for (index, key_id) in config.key_ids.names().iter().enumerate() {
                check_provider_key(state, Some(&config.provider), key_id, &key_ids.index(index), &mut missing);
            }
        }
        let list = root.field("mcp_configs");
        for (index, config) in self.mcp_configs.iter().enumerate() {
            check_exists(state, &config.mcp_client, &list.index(index).field("mcp_client_name"), &mut missing);
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, now: Timestamp) -> Result<(), Error> {
        // A previous secret counts while its grace lasts; after that, its row may still hold it, so it stays taken.
        let _ = now;
        match state.secrets.get(&self.secret.sha256) {
            Some(holder) if Some(holder) != id => {
                Err(Error::AlreadyExists { field: "virtual_key.value".to_owned(), holder: ResourceKey::of(holder) })
            }
            _ => Ok(()),
        }
    }

    fn cascade(stored: &Stored<Self>, state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        let facet = Facet::VirtualKey(stored.id.shared());
        let overrides = having::<PricingOverride>(state, &facet).map(deleted);
        Ok(scoped(state, &Scope::VirtualKey(stored.id.clone())).into_iter().chain(overrides).collect())
    }
}

impl Rules for Provider {
    fn settle(&mut self, before: Option<&Stored<Self>>, _state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        if let Some(before) = before {
            self.built_in = before.resource.built_in;
        }
        for key in &mut self.keys {
            if key.id.is_empty() {
                key.id = cx.new_id::<Provider>().as_str().into();
            }
        }
        Ok(())
    }

    fn check_references(&self, before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let Some(before) = before else { return Ok(()) };
        for gone in before.resource.keys.iter().filter(|key| self.keys.iter().all(|kept| kept.id != key.id)) {
            let what = format!("provider key {:?} of provider {:?}", gone.id, before.id);
            let names = |permit: &Permit| permit.names().contains(&gone.id);
            refuse_if_used(state, what, |user| match user {
                User::VirtualKey(key) => {
                    key.provider_configs.iter().any(|config| config.provider == before.id && names(&config.key_ids))
                }
                User::RoutingRule(rule) => rule.targets.iter().any(|target| target.key_id.as_ref() == Some(&gone.id)),
                User::ModelConfig(_) => false,
                User::PricingOverride(priced) => priced.scope.provider_key() == Some(&gone.id),
            })?;
        }
        Ok(())
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        for (index, key) in self.keys.iter().enumerate() {
            if let Some((holder, _)) = state.provider_key(&key.id)
                && Some(holder) != id
            {
                let field = format!("provider.keys[{index}].id");
                return Err(Error::AlreadyExists { field, holder: ResourceKey::of(holder) });
            }
        }
        Ok(())
    }

    fn cascade(stored: &Stored<Self>, state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        if stored.resource.built_in {
            return Err(Error::BuiltIn(stored.id.shared()));
        }
        refuse_if_used(state, format!("provider {:?}", stored.id), |user| match user {
            User::VirtualKey(key) => key.provider_configs.iter().any(|config| config.provider == stored.id),
            User::RoutingRule(rule) => {
                rule.targets.iter().any(|target| target.provider.as_ref() == Some(&stored.id))
                    || rule.fallbacks.iter().any(|fallback| fallback.provider == stored.id)
            }
            User::ModelConfig(config) => config.provider.as_ref() == Some(&stored.id),
            User::PricingOverride(priced) => {
                let of_key = priced.scope.provider_key().and_then(|id| state.provider_key(id));
                priced.scope.provider() == Some(&stored.id)
                    || of_key.is_some_and(|(provider, _)| *provider == stored.id)
            }
        })?;
        Ok(state.get::<ProviderGovernance>(stored.id.as_str()).map(deleted).into_iter().collect())
    }
}

impl Rules for McpClient {
    fn settle(&mut self, _before: Option<&Stored<Self>>, _state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn cascade(stored: &Stored<Self>, state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        refuse_if_used(state, format!("MCP client {:?}", stored.id), |user| match user {
            User::VirtualKey(key) => key.mcp_configs.iter().any(|config| config.mcp_client == stored.id),
            User::RoutingRule(_) | User::ModelConfig(_) | User::PricingOverride(_) => false,
        })?;
        Ok(Vec::new())
    }
}

impl Rules for RoutingRule {
    fn settle(&mut self, _before: Option<&Stored<Self>>, state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        share_scope(state, &mut self.scope);
        for provider in self.targets.iter_mut().filter_map(|target| target.provider.as_mut()) {
            share(state, provider);
        }
        for fallback in &mut self.fallbacks {
            share(state, &mut fallback.provider);
        }
        Ok(())
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        let root = Path::root("routing_rule");
        check_scope(state, &self.scope, &root.field("scope_id"), &mut missing);
        let list = root.field("targets");
        for (index, target) in self.targets.iter().enumerate() {
            let path = list.index(index);
            let Some(provider) = &target.provider else { continue };
            check_exists(state, provider, &path.field("provider"), &mut missing);
            if let Some(key_id) = &target.key_id {
                check_provider_key(state, Some(provider), key_id, &path.field("key_id"), &mut missing);
            }
        }
        let list = root.field("fallbacks");
        for (index, fallback) in self.fallbacks.iter().enumerate() {
            check_exists(state, &fallback.provider, &list.index(index), &mut missing);
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        let other = |holder: &&Id<Self>| Some(*holder) != id;
        let taken = |field: &str, holder: &Id<Self>| {
            Err(Error::AlreadyExists { field: format!("routing_rule.{field}"), holder: ResourceKey::of(holder) })
        };
        if let Some(holder) = state.routing.named(&self.scope, &self.name).filter(other) {
            return taken("name", holder);
        }
        let holder = state.routing.at(&self.scope, self.priority).find(other);
        holder.map_or(Ok(()), |holder| taken("priority", holder))
    }

    fn cascade(_stored: &Stored<Self>, _state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

impl Rules for ModelConfig {
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        self.limits.settle(limits, self.calendar_aligned, &Path::root("model_config"), &mut violations, cx);
        share_scope(state, &mut self.scope);
        if let Some(provider) = &mut self.provider {
            share(state, provider);
        }
        Ok(violations.or(())?)
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        let root = Path::root("model_config");
        check_scope(state, &self.scope, &root.field("scope_id"), &mut missing);
        if let Some(provider) = &self.provider {
            check_exists(state, provider, &root.field("provider"), &mut missing);
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        match state.models.get(&self.place()) {
            Some(holder) if Some(holder) != id => {
                let field = "model_config.model_name".to_owned();
                Err(Error::AlreadyExists { field, holder: ResourceKey::of(holder) })
            }
            _ => Ok(()),
        }
    }

    fn cascade(_stored: &Stored<Self>, _state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

impl Rules for ProviderGovernance {
    fn settle(&mut self, before: Option<&Stored<Self>>, _state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        let root = Path::root("provider_governance");
        self.limits.settle(limits, self.calendar_aligned, &root, &mut violations, cx);
        Ok(violations.or(())?)
    }

    fn cascade(_stored: &Stored<Self>, _state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

impl Rules for PricingOverride {
    fn settle(&mut self, _before: Option<&Stored<Self>>, _state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        let root = Path::root("pricing_override");
        if let Some(id) = self.scope.virtual_key() {
            check_exists(state, id, &root.field("virtual_key_id"), &mut missing);
        }
        if let Some(id) = self.scope.provider() {
            check_exists(state, id, &root.field("provider_id"), &mut missing);
        }
        if let Some(id) = self.scope.provider_key() {
            check_provider_key(state, self.scope.provider(), id, &root.field("provider_key_id"), &mut missing);
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn cascade(_stored: &Stored<Self>, _state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

/// The resources with this facet, by creation.
fn having<'a, R: Indexed>(state: &'a State, facet: &'a Facet) -> impl Iterator<Item = &'a Arc<Stored<R>>> {
    let start = (Timestamp::from_micros(i64::MIN), Id::new(""));
    R::table(state).with_facet(facet, &start).filter_map(|(_, id)| state.get::<R>(id.as_str()))
}

fn changed<R: Resource>(cx: &Context<'_>, before: &Arc<Stored<R>>, resource: R) -> Change {
    Change { before: Some(R::wrap(Arc::clone(before))), after: Some(R::wrap(cx.changed(before, resource))) }
}

/// Makes `id` share its text with the resource that it names, so that memory holds it once.
fn share<R: Indexed>(state: &State, id: &mut Id<R>) {
    if let Some(stored) = state.get::<R>(id.as_str()) {
        *id = stored.id.clone();
    }
}

fn check_exists<R: Indexed>(state: &State, id: &Id<R>, path: &Path<'_>, missing: &mut Vec<Reference>) {
    if state.get::<R>(id.as_str()).is_none() {
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
        };
        missing.push(Reference { field: path.to_string(), what, id: id.to_string(), hint: None });
    }
}

fn check_config_id(id: i64, own: bool, claimed: &mut Vec<i64>, path: &Path<'_>, violations: &mut Violations) {
    if id == 0 {
        return;
    }
    if !own {
        violations.add(path.field("id"), format!("is {id}, which is no entry of this key; leave it 0 for a new entry"));
    } else if claimed.contains(&id) {
        violations.add(path.field("id"), format!("is {id}, which is named twice; leave it 0 for a new entry"));
    }
    claimed.push(id);
}

/// A provider key must exist, and be one of `provider` if that is said.
fn check_provider_key(
    state: &State,
    provider: Option<&Id<Provider>>,
    key_id: &str,
    path: &Path<'_>,
    missing: &mut Vec<Reference>,
) {
    let owner = state.provider_key(key_id).map(|(provider, _)| provider);
    if owner.is_none() || provider.is_some() && owner != provider {
        let hint = owner.map(|owner| format!("it is a key of provider {owner:?}"));
        let what = if provider.is_some() { "key of the provider" } else { "provider key" };
        missing.push(Reference { field: path.to_string(), what, id: key_id.to_owned(), hint });
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
    state.rules_of(scope).map(deleted).chain(configs.map(deleted)).collect()
}

fn deleted<R: Resource>(before: &Arc<Stored<R>>) -> Change {
    Change { before: Some(R::wrap(Arc::clone(before))), after: None }
}

/// What may name a provider, a provider key or an MCP client.
enum User<'a> {
    VirtualKey(&'a VirtualKey),
    RoutingRule(&'a RoutingRule),
    ModelConfig(&'a ModelConfig),
    PricingOverride(&'a PricingOverride),
}

/// Refuses to take `what` away while others name it. Walks them all: deleting providers is rare, and an index of what
/// every key names would cost more memory than it is worth.
fn refuse_if_used(state: &State, what: String, uses: impl Fn(User<'_>) -> bool) -> Result<(), Error> {
    let keys = VirtualKey::table(state).iter().filter(|it| uses(User::VirtualKey(&it.resource)));
    let rules = RoutingRule::table(state).iter().filter(|it| uses(User::RoutingRule(&it.resource)));
    let configs = ModelConfig::table(state).iter().filter(|it| uses(User::ModelConfig(&it.resource)));
    let overrides = PricingOverride::table(state).iter().filter(|it| uses(User::PricingOverride(&it.resource)));
    let all = keys
        .map(|it| ResourceKey::of(&it.id))
        .chain(rules.map(|it| ResourceKey::of(&it.id)))
        .chain(configs.map(|it| ResourceKey::of(&it.id)))
        .chain(overrides.map(|it| ResourceKey::of(&it.id)));
    let (mut users, mut total) = (Vec::new(), 0);
    for user in all {
        total += 1;
        if users.len() < LISTED_USERS {
            users.push(user);
        }
    }
    if total == 0 { Ok(()) } else { Err(Error::InUse { what, users, total }) }
}
