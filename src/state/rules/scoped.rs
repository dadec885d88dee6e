//! What names others: routing rules, model configs, pricing overrides and model prices.

use super::*;

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
        if let Some(holder) = state.config().rule_named(&self.scope, &self.name).filter(other) {
            return taken("name", holder);
        }
        let holder = state.config().rules_at(&self.scope, self.priority).find(other);
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
        settle_limits(
            &mut self.limits,
            limits,
            self.calendar_aligned,
            &Path::root("model_config"),
            &mut violations,
            cx,
        );
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
        match state.config().model_config(&self.place()).map(|stored| &stored.id) {
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

impl Rules for ModelPrice {
    fn settle(&mut self, _before: Option<&Stored<Self>>, state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        share(state, &mut self.provider);
        Ok(())
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        check_exists(state, &self.provider, &Path::root("model_price").field("provider"), &mut missing);
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        match state.config().model_price_at(&self.place()).map(|stored| &stored.id) {
            Some(holder) if Some(holder) != id => {
                let field = "model_price.model".to_owned();
                Err(Error::AlreadyExists { field, holder: ResourceKey::of(holder) })
            }
            _ => Ok(()),
        }
    }

    fn cascade(_stored: &Stored<Self>, _state: &State, _cx: &mut Context<'_>) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}
