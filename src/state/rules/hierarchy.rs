//! Customers, teams and virtual keys.

use super::*;

impl Rules for Customer {
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        settle_limits(&mut self.limits, limits, self.calendar_aligned, &Path::root("customer"), &mut violations, cx);
        self.share(state);
        Ok(violations.or(())?)
    }

    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        vec![&mut self.limits]
    }

    fn share(&mut self, state: &State) {
        share_ceiling(state, &mut self.model_ceiling);
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        Ok(named(state, &Name::new(Within::Nothing, &self.name)))
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        check_ceiling(state, &self.model_ceiling, &Path::root("customer"), &mut missing);
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn children(stored: &Stored<Self>, state: &State) -> [usize; 2] {
        let facet = Facet::Customer(stored.id.shared());
        [Team::listing(state).facet_size(&facet), VirtualKey::listing(state).facet_size(&facet)]
    }

    fn cascade_size(stored: &Stored<Self>, state: &State, children: Children) -> usize {
        let facet = Facet::Customer(stored.id.shared());
        child_size::<Team>(state, &facet, children)
            + child_size::<VirtualKey>(state, &facet, children)
            + scoped_size(state, &Scope::Customer(stored.id.clone()))
    }

    fn cascade(
        stored: &Stored<Self>,
        state: &State,
        children: Children,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        let facet = Facet::Customer(stored.id.shared());
        let mut clashes = Clashing::new(format!("the customer {:?}", stored.id));
        clashes.look::<Team>(state, &facet, children);
        clashes.look::<VirtualKey>(state, &facet, children);
        clashes.or()?;
        let mut changes = child_changes::<Team>(state, &facet, children, cx)?;
        changes.extend(child_changes::<VirtualKey>(state, &facet, children, cx)?);
        changes.extend(scoped(state, &Scope::Customer(stored.id.clone())));
        Ok(changes)
    }
}

/// A kind that belongs to a customer or a team.
trait Child: Rules {
    /// The resource on its own.
    fn detached(&self, is_active: bool) -> Self;
    /// Whether it is active.
    fn is_active(&self) -> bool;
    /// Its name.
    fn name(&self) -> &str;
}

impl Child for Team {
    fn detached(&self, is_active: bool) -> Self {
        Self { customer_id: None, is_active, ..self.clone() }
    }

    fn is_active(&self) -> bool {
        self.is_active
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Child for VirtualKey {
    fn detached(&self, is_active: bool) -> Self {
        Self { owner: None, is_active, ..self.clone() }
    }

    fn is_active(&self) -> bool {
        self.is_active
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Names that children would share with others if they lost their parent.
struct Clashing {
    what: String,
    names: Vec<(Box<str>, ResourceKey)>,
    total: usize,
}

impl Clashing {
    fn new(what: String) -> Self {
        Self { what, names: Vec::new(), total: 0 }
    }

    /// Looks at the children that have a facet.
    fn look<R: Child>(&mut self, state: &State, facet: &Facet, children: Children) {
        if children == Children::Delete {
            return;
        }
        for child in having::<R>(state, facet) {
            let holder = state.named::<R>(&Name::new(Within::Nothing, child.resource.name()));
            if let Some(holder) = holder {
                self.total += 1;
                if self.names.len() < LISTED_USERS {
                    self.names.push((child.resource.name().into(), ResourceKey::of(holder)));
                }
            }
        }
    }

    fn or(self) -> Result<(), Error> {
        let Self { what, names, total } = self;
        if total == 0 { Ok(()) } else { Err(Error::NamesClash { what, names, total }) }
    }
}

/// How many resources change with the children that have a facet.
fn child_size<R: Child>(state: &State, facet: &Facet, children: Children) -> usize {
    match children {
        Children::Delete => having::<R>(state, facet).map(|child| 1 + R::cascade_size(child, state, children)).sum(),
        Children::Refuse | Children::Detach | Children::Deactivate => R::listing(state).facet_size(facet),
    }
}

/// The changes of the children that have a facet.
fn child_changes<R: Child>(
    state: &State,
    facet: &Facet,
    children: Children,
    cx: &mut Context<'_>,
) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::with_capacity(R::listing(state).facet_size(facet));
    for child in having::<R>(state, facet) {
        if children == Children::Delete {
            changes.push(deleted(child));
            changes.extend(R::cascade(child, state, children, cx)?);
        } else {
            let is_active = child.resource.is_active() && children != Children::Deactivate;
            changes.push(changed(cx, child, child.resource.detached(is_active)));
        }
    }
    Ok(changes)
}

/// Makes a ceiling share the names of providers.
fn share_ceiling(state: &State, ceiling: &mut ModelCeiling) {
    for provider in &mut ceiling.allowed_providers {
        share(state, provider);
    }
}

/// The providers that the ceiling of `owner` names must exist.
fn check_ceiling(state: &State, ceiling: &ModelCeiling, owner: &Path<'_>, missing: &mut Vec<Reference>) {
    let ceiling_path = owner.field("model_ceiling");
    let list = ceiling_path.field("allowed_providers");
    for (index, provider) in ceiling.allowed_providers.iter().enumerate() {
        check_exists(state, provider, &list.index(index), missing);
    }
}

impl Rules for Team {
    fn settle(&mut self, before: Option<&Stored<Self>>, state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        settle_limits(&mut self.limits, limits, self.calendar_aligned, &Path::root("team"), &mut violations, cx);
        self.share(state);
        Ok(violations.or(())?)
    }

    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        vec![&mut self.limits]
    }

    fn share(&mut self, state: &State) {
        if let Some(id) = &mut self.customer_id {
            share(state, id);
        }
        share_ceiling(state, &mut self.model_ceiling);
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        Ok(named(state, &Name::of_team(self)))
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        if let Some(id) = &self.customer_id {
            check_exists(state, id, &Path::root("team").field("customer_id"), &mut missing);
        }
        check_ceiling(state, &self.model_ceiling, &Path::root("team"), &mut missing);
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn children(stored: &Stored<Self>, state: &State) -> [usize; 2] {
        [0, VirtualKey::listing(state).facet_size(&Facet::Team(stored.id.shared()))]
    }

    fn cascade_size(stored: &Stored<Self>, state: &State, children: Children) -> usize {
        child_size::<VirtualKey>(state, &Facet::Team(stored.id.shared()), children)
            + scoped_size(state, &Scope::Team(stored.id.clone()))
    }

    fn cascade(
        stored: &Stored<Self>,
        state: &State,
        children: Children,
        cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        let facet = Facet::Team(stored.id.shared());
        let mut clashes = Clashing::new(format!("the team {:?}", stored.id));
        clashes.look::<VirtualKey>(state, &facet, children);
        clashes.or()?;
        let mut changes = child_changes::<VirtualKey>(state, &facet, children, cx)?;
        changes.extend(scoped(state, &Scope::Team(stored.id.clone())));
        Ok(changes)
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
        } else if let Some(previous) = &self.previous_secret {
            let latest = cx.now.plus_micros(PreviousSecret::MAX_GRACE_SECONDS * 1_000_000);
            if previous.expires_at <= cx.now || previous.expires_at > latest {
                let text = format!("is {}; must be in the future, and at most 30 days ahead", previous.expires_at);
                violations.add(root.field("previous_value_expires_at"), text);
            }
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
        settle_limits(&mut self.limits, existing.map(|key| &key.limits), aligned, &root, &mut violations, cx);
        self.share(state);
        let (list, before) = (root.field("provider_configs"), existing.map_or(&[][..], |key| &key.provider_configs));
        settle_provider_configs(&mut self.provider_configs, before, aligned, &list, &mut violations, cx);
        let (list, before) = (root.field("mcp_configs"), existing.map_or(&[][..], |key| &key.mcp_configs));
        settle_mcp_configs(&mut self.mcp_configs, before, &list, &mut violations, cx);
        Ok(violations.or(())?)
    }

    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        let configs = self.provider_configs.iter_mut().map(|provider_config| &mut provider_config.limits);
        std::iter::once(&mut self.limits).chain(configs).collect()
    }

    fn share(&mut self, state: &State) {
        match &mut self.owner {
            Some(KeyOwner::Team(id)) => share(state, id),
            Some(KeyOwner::Customer(id)) => share(state, id),
            None => {}
        }
        for config in &mut self.provider_configs {
            share(state, &mut config.provider);
        }
        for config in &mut self.mcp_configs {
            share(state, &mut config.mcp_client);
        }
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        Ok(named(state, &Name::of_key(self)))
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
        let mut holders = self.secrets().filter_map(|hash| state.config().secret_holder(hash));
        match holders.find(|holder| Some(&holder.id) != id) {
            Some(holder) => {
                Err(Error::AlreadyExists { field: "virtual_key.value".to_owned(), holder: ResourceKey::of(&holder.id) })
            }
            None => Ok(()),
        }
    }

    fn cascade_size(stored: &Stored<Self>, state: &State, _children: Children) -> usize {
        let overrides = PricingOverride::listing(state).facet_size(&Facet::VirtualKey(stored.id.shared()));
        overrides + scoped_size(state, &Scope::VirtualKey(stored.id.clone()))
    }

    fn cascade(
        stored: &Stored<Self>,
        state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        let facet = Facet::VirtualKey(stored.id.shared());
        let overrides = having::<PricingOverride>(state, &facet).map(deleted);
        Ok(scoped(state, &Scope::VirtualKey(stored.id.clone())).into_iter().chain(overrides).collect())
    }
}
