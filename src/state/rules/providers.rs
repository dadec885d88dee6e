//! Providers with their governance, and MCP clients.

use super::*;

impl Rules for Provider {
    fn settle(&mut self, before: Option<&Stored<Self>>, _state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let (built_in, keys) = before.map_or((self.built_in, &[][..]), |it| (it.resource.built_in, &it.resource.keys));
        self.built_in = built_in;
        let mut violations = Violations::new();
        let root = Path::root("provider");
        settle_provider_keys(&mut self.keys, keys, self.calendar_aligned, &root.field("keys"), &mut violations, cx);
        Ok(violations.or(())?)
    }

    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        self.keys.iter_mut().map(|key| &mut key.limits).collect()
    }

    fn check_references(&self, before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let Some(before) = before else { return Ok(()) };
        for gone in before.resource.keys.iter().filter(|key| self.keys.iter().all(|kept| kept.id != key.id)) {
            let what = format!("provider key {:?} of provider {:?}", gone.id, before.id);
            let names = |permit: &AllowList| permit.names().contains(&gone.id);
            refuse_if_used(state, what, |user| match user {
                User::VirtualKey(key) => {
                    key.provider_configs.iter().any(|config| config.provider == before.id && names(&config.key_ids))
                }
                User::RoutingRule(rule) => rule.targets.iter().any(|target| target.key_id.as_ref() == Some(&gone.id)),
                User::Ceiling(_) | User::ModelConfig(_) => false,
                User::PricingOverride(priced) => priced.scope.provider_key() == Some(&gone.id),
                User::ModelPrice(_) => false,
            })?;
        }
        Ok(())
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        for (index, key) in self.keys.iter().enumerate() {
            if let Some((holder, _)) = state.config().provider_key(&key.id)
                && Some(holder) != id
            {
                let field = format!("provider.keys[{index}].id");
                return Err(Error::AlreadyExists { field, holder: ResourceKey::of(holder) });
            }
        }
        Ok(())
    }

    fn cascade(
        stored: &Stored<Self>,
        state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        if stored.resource.built_in {
            return Err(Error::BuiltIn(stored.id.shared()));
        }
        refuse_if_used(state, format!("provider {:?}", stored.id), |user| match user {
            User::Ceiling(ceiling) => ceiling.allowed_providers.contains(&stored.id),
            User::VirtualKey(key) => key.provider_configs.iter().any(|config| config.provider == stored.id),
            User::RoutingRule(rule) => {
                rule.targets.iter().any(|target| target.provider.as_ref() == Some(&stored.id))
                    || rule.fallbacks.iter().any(|fallback| fallback.provider == stored.id)
            }
            User::ModelConfig(config) => config.provider.as_ref() == Some(&stored.id),
            User::ModelPrice(price) => price.provider == stored.id,
            User::PricingOverride(priced) => {
                let of_key = priced.scope.provider_key().and_then(|id| state.config().provider_key(id));
                priced.scope.provider() == Some(&stored.id)
                    || of_key.is_some_and(|(provider, _)| *provider == stored.id)
            }
        })?;
        Ok(state.config().get::<ProviderGovernance>(stored.id.as_str()).map(deleted).into_iter().collect())
    }
}

impl Rules for ProviderGovernance {
    fn settle(&mut self, before: Option<&Stored<Self>>, _state: &State, cx: &mut Context<'_>) -> Result<(), Error> {
        let mut violations = Violations::new();
        let limits = before.map(|before| &before.resource.limits);
        let root = Path::root("provider_governance");
        settle_limits(&mut self.limits, limits, self.calendar_aligned, &root, &mut violations, cx);
        Ok(violations.or(())?)
    }

    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        vec![&mut self.limits]
    }

    fn cascade(
        _stored: &Stored<Self>,
        _state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

impl Rules for McpClient {
    fn settle(&mut self, _before: Option<&Stored<Self>>, _state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn cascade(
        stored: &Stored<Self>,
        state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        refuse_if_used(state, format!("MCP client {:?}", stored.id), |user| match user {
            User::VirtualKey(key) => key.mcp_configs.iter().any(|config| config.mcp_client == stored.id),
            User::Ceiling(_)
            | User::RoutingRule(_)
            | User::ModelConfig(_)
            | User::PricingOverride(_)
            | User::ModelPrice(_) => false,
        })?;
        Ok(Vec::new())
    }
}

/// Names are compared with their case: limits and rules of one that differs in case alone would not hold for the other.
pub(in crate::state) fn refuse_look_alike<R: Rules>(state: &State, name: &str) -> Result<(), Error> {
    let Some(like) = state.all::<R>().find(|it| it.id.as_str().eq_ignore_ascii_case(name)) else { return Ok(()) };
    let (kind, id) = (R::KIND, like.id.as_str());
    let mut violations = Violations::new();
    let why = format!("is {name:?}, which differs from {id:?} in case alone; use that one, or choose another name");
    violations.add(Path::root(kind.name()).field("name"), why);
    Ok(violations.or(())?)
}
