//! What names others: routing rules, model configs, pricing overrides and model prices.

use super::*;
use crate::domain::{NamePath, Pattern, bare_model};

impl Rules for RoutingRule {
    fn settle(&mut self, _before: Option<&Stored<Self>>, state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        self.share(state);
        Ok(())
    }

    fn share(&mut self, state: &State) {
        share_scope(state, &mut self.scope);
        for provider in self.targets.iter_mut().filter_map(|target| target.provider.as_mut()) {
            share(state, provider);
        }
        for fallback in &mut self.fallbacks {
            share(state, &mut fallback.provider);
        }
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        Ok(named(state, &Name::new(Within::Scope(&self.scope), &self.name)))
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
        let holder = state.config().rules_at(&self.scope, self.priority).find(other);
        holder.map_or(Ok(()), |holder| {
            Err(Error::AlreadyExists { field: "routing_rule.priority".to_owned(), holder: ResourceKey::of(holder) })
        })
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

/// Refuses a model for every provider that begins with one of them: it would be compared with nothing that this provider is
/// asked for.
fn check_unaddressed(state: &State, model: &str, field: &Path<'_>) -> Result<(), Error> {
    let mut violations = Violations::new();
    if let Some((first, _)) = model.split_once('/')
        && state.config().get::<Provider>(first).is_some()
    {
        let problem = format!("begins with provider {first:?}; name the provider itself, and the model without it");
        violations.add(field, problem);
    }
    Ok(violations.or(())?)
}

/// Refuses what another than `own` holds.
fn check_free<'a, R: Resource>(
    mut holders: impl Iterator<Item = &'a Arc<Stored<R>>>,
    own: Option<&Id<R>>,
    field: &Path<'_>,
) -> Result<(), Error> {
    holders.find(|holder| Some(&holder.id) != own).map_or(Ok(()), |holder| {
        Err(Error::AlreadyExists { field: field.to_string(), holder: ResourceKey::of(&holder.id) })
    })
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
        self.share(state);
        if let Some(before) = before
            && before.resource.scope != self.scope
            && !NamePath::is_path(self.scope.id())
        {
            let field = Path::root("model_config");
            violations.add(field.field("scope_id"), "cannot be changed; create another resource instead");
        }
        Ok(violations.or(())?)
    }

    fn limits_mut(&mut self) -> Vec<&mut Limits> {
        vec![&mut self.limits]
    }

    fn share(&mut self, state: &State) {
        share_scope(state, &mut self.scope);
        if let Some(provider) = &mut self.provider {
            share(state, provider);
        }
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        let alike = state.config().model_configs_like(self);
        let same = alike.iter().find(|it| it.resource.model_name == self.model_name);
        Ok(same.or_else(|| alike.first()))
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

    fn check_written(&self, id: Option<&Id<Self>>, before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let place = |config: &Self| (config.model_name.clone(), config.provider.clone());
        if before.is_some_and(|before| place(&before.resource) == place(self)) {
            return Ok(());
        }
        let root = Path::root("model_config");
        let field = root.field("model_name");
        if self.provider.is_none() {
            check_unaddressed(state, &self.model_name, &field)?;
        }
        check_free(state.config().model_configs_like(self).iter(), id, &field)
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        let alike = state.config().model_configs_like(self).iter();
        let same = alike.filter(|it| it.resource.model_name == self.model_name);
        check_free(same, id, &Path::root("model_config").field("model_name"))
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

impl Rules for PricingOverride {
    fn settle(&mut self, _before: Option<&Stored<Self>>, state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        self.share(state);
        Ok(())
    }

    fn share(&mut self, state: &State) {
        self.scope.share_virtual_key(|id| share(state, id));
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        let name = Name::new(Within::Pricing(&self.scope), &self.name);
        let mut ids = Self::listing(state).named(state.config(), &name);
        let (first, second) = (ids.next(), ids.next());
        if let (Some(first), Some(second)) = (first, second) {
            let mut violations = Violations::new();
            let text =
                format!("is that of {first:?} and {second:?} in this scope; send the id of the one that is meant");
            violations.add(Path::root("pricing_override").field("name"), text);
            return Err(violations.into());
        }
        Ok(first.and_then(|id| state.config().get(id.as_str())))
    }

    fn check_written(&self, _id: Option<&Id<Self>>, before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let place = |it: &Self| (it.scope.clone(), it.pattern.clone());
        if before.is_some_and(|before| place(&before.resource) == place(self)) {
            return Ok(());
        }
        let root = Path::root("pricing_override");
        let field = root.field("pattern");
        let (Pattern::Exact(text) | Pattern::Wildcard(text)) = &self.pattern;
        match (self.scope.provider(), self.scope.provider_key()) {
            (Some(_), _) => Ok(()),
            (None, None) => check_unaddressed(state, text, &field),
            // The models of a provider key are its provider's.
            (None, Some(key_id)) => {
                let mut violations = Violations::new();
                let provider = state.config().provider_key(key_id).map_or("", |(provider, _)| provider.as_str());
                if bare_model(text, provider) != &**text {
                    violations.add(field, format!("begins with {provider:?}, the provider of the key; leave it out"));
                }
                Ok(violations.or(())?)
            }
        }
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

    fn cascade(
        _stored: &Stored<Self>,
        _state: &State,
        _children: Children,
        _cx: &mut Context<'_>,
    ) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

impl Rules for ModelPrice {
    fn settle(&mut self, _before: Option<&Stored<Self>>, state: &State, _cx: &mut Context<'_>) -> Result<(), Error> {
        self.share(state);
        Ok(())
    }

    fn share(&mut self, state: &State) {
        share(state, &mut self.provider);
    }

    fn like<'a>(&self, state: &'a State) -> Result<Option<&'a Arc<Stored<Self>>>, Error> {
        Ok(state.config().model_prices_at(&self.place()).first())
    }

    fn check_references(&self, _before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        let mut missing = Vec::new();
        check_exists(state, &self.provider, &Path::root("model_price").field("provider"), &mut missing);
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingReferences(missing)) }
    }

    fn check_written(&self, id: Option<&Id<Self>>, before: Option<&Stored<Self>>, state: &State) -> Result<(), Error> {
        if before.is_some_and(|before| before.resource.place() == self.place()) {
            return Ok(());
        }
        let alike = state.config().model_prices_at(&self.place()).iter();
        check_free(alike, id, &Path::root("model_price").field("model"))
    }

    fn check_taken(&self, id: Option<&Id<Self>>, state: &State, _now: Timestamp) -> Result<(), Error> {
        let alike = state.config().model_prices_at(&self.place()).iter();
        let same = alike.filter(|it| it.resource.model == self.model);
        check_free(same, id, &Path::root("model_price").field("model"))
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
