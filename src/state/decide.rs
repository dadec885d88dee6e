//! Commands become changes: pure functions over the state. What concerns one message alone was settled when it was
//! parsed; what concerns other resources (references, uniqueness, cascades, preconditions) is settled here.
//!
//! When several errors apply, the order is that of `docs/design/api.md §3`: all violations, then not found, then a
//! stale revision, then missing references, then what is taken.

use std::collections::HashSet;
use std::sync::Arc;

use rand::RngCore;

use super::names::check_name_free;
use super::rules::refuse_look_alike;
use super::{Outcome, Reset, Rules, State};
use crate::domain::{
    AnyResource, Error, Id, Kind, LimitId, PreviousSecret, Provider, ProviderGovernance, Reference, Resource,
    ResourceKey, Secret, Stored, Timestamp, Violations, VirtualKey,
};
use tollgate_core::counters::{Adjustment, owned_limits};

/// Resources that one call may change at most, so that whatever is accepted can be written while others wait for it.
pub const MAX_CHANGES: usize = 100_000;

/// What becomes of one resource.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// As it was; `None` if it is created.
    pub before: Option<AnyResource>,
    /// As it will be; `None` if it is deleted.
    pub after: Option<AnyResource>,
}

impl Change {
    /// Which resource.
    ///
    /// # Panics
    /// Never: a change has at least one side.
    pub fn key(&self) -> ResourceKey {
        match (&self.after, &self.before) {
            (Some(any), _) | (None, Some(any)) => any.key(),
            (None, None) => unreachable!("a change has a before or an after"),
        }
    }
}

/// The fate of the teams and keys of a customer, or of the keys of a team, when it is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Children {
    /// What has any is not deleted.
    #[default]
    Refuse,
    /// They go on without it.
    Detach,
    /// They go on without it, and are not active.
    Deactivate,
    /// They are deleted too.
    Delete,
}

/// What a command decided.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// What the command was about.
    pub subject: ResourceKey,
    /// What changes, the subject first. Empty if nothing does: then no revision is taken.
    pub changes: Vec<Change>,
    /// The usage of the subject that is set to zero.
    pub reset: Reset,
    /// The correction of the usage of a limit of the subject.
    pub adjustment: Option<Adjustment>,
    /// The outcome of each of many changes; empty for a command about one resource.
    pub outcomes: Vec<Outcome>,
}

impl Decision {
    pub(super) fn new(subject: ResourceKey, changes: Vec<Change>) -> Self {
        Self { subject, changes, reset: Reset::default(), adjustment: None, outcomes: Vec::new() }
    }

    /// What else changes.
    pub fn also_changed(&self) -> impl Iterator<Item = ResourceKey> {
        self.changes.iter().map(Change::key).filter(|key| *key != self.subject)
    }
}

/// What a decision may take from the world.
pub struct Context<'a> {
    /// The time of the command, by which limits turn and keys expire.
    pub now: Timestamp,
    /// When the revision is committed: `now`, unless the clock was set back. It rises from revision to revision, and so do
    /// the times at which resources are created and updated.
    pub committed_at: Timestamp,
    /// The revision that the command will have.
    pub revision: i64,
    /// For ids.
    pub random: &'a mut dyn RngCore,
    /// The greatest id of a provider config or MCP config so far.
    pub last_config_id: i64,
    /// The random part of the id that was made last.
    pub last_random: Option<u128>,
    /// Whether what must exist and what must be unique is looked at later, when all of several changes are made.
    pub checks_later: bool,
}

impl Context<'_> {
    /// A new id (UUIDv7).
    pub fn new_id<R>(&mut self) -> Id<R> {
        Id::new(self.new_uuid().to_string())
    }

    /// A new id of a budget or rate limit (UUIDv7).
    pub fn new_limit_id(&mut self) -> LimitId {
        LimitId::Uuid(self.new_uuid().into_bytes())
    }

    fn new_uuid(&mut self) -> uuid::Uuid {
        // Those of one call rise, so that what it creates lists in the order of its changes.
        let random = match self.last_random {
            Some(last) => last + 1 + u128::from(self.random.next_u32()),
            None => (u128::from(self.random.next_u64()) << 9) | u128::from(self.random.next_u32() >> 23),
        };
        self.last_random = Some(random);
        // 12 bits before those of the variant, and 62 after them.
        let (high, low) = (random >> 62, random & ((1 << 62) - 1));
        let [.., a, b] = high.to_be_bytes();
        let [c, d, e, f, g, h, i, j] = u64::try_from(low).unwrap_or_default().to_be_bytes();
        let millis = u64::try_from(self.now.as_micros() / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid()
    }

    /// A new id of a provider config or MCP config.
    pub fn new_config_id(&mut self) -> i64 {
        self.last_config_id += 1;
        self.last_config_id
    }

    /// `stored` with `resource` instead, changed now.
    pub fn changed<R: Clone>(&self, stored: &Stored<R>, resource: R) -> Arc<Stored<R>> {
        Arc::new(Stored {
            id: stored.id.clone(),
            revision: self.revision,
            created_at: stored.created_at,
            updated_at: self.committed_at,
            resource,
        })
    }
}

/// Creates `desired`. `id` is its name for kinds whose name is their id, and `None` for the others.
///
/// # Errors
/// As in the module's description.
pub fn create<R: Rules>(state: &State, cx: &mut Context<'_>, id: Option<&str>, desired: &R) -> Result<Decision, Error> {
    let mut resource = desired.clone();
    resource.settle(None, state, cx)?;
    if !cx.checks_later {
        resource.check_references(None, state)?;
        resource.check_written(None, None, state)?;
    }
    let id = match id {
        Some(name) => {
            if let Some(holder) = state.config().get::<R>(name) {
                let field = format!("{}.name", R::KIND);
                return Err(Error::AlreadyExists { field, holder: ResourceKey::of(&holder.id) });
            }
            refuse_look_alike::<R>(state, name)?;
            Id::new(name)
        }
        None => cx.new_id(),
    };
    let stored =
        Stored { id, revision: cx.revision, created_at: cx.committed_at, updated_at: cx.committed_at, resource };
    if !cx.checks_later {
        check_name_free(state, None, &stored)?;
        stored.resource.check_taken(None, state, cx.now)?;
    }
    let subject = ResourceKey::of(&stored.id);
    Ok(Decision::new(subject, vec![Change { before: None, after: Some(R::wrap(Arc::new(stored))) }]))
}

/// Changes the resource `id` into what `merge` makes of it, and sets to zero what `reset` says of its usage. `merge` gets
/// `None` if there is no such resource, to tell what is wrong with the request alone.
///
/// # Errors
/// As in the module's description.
pub fn update<R: Rules>(
    state: &State,
    cx: &mut Context<'_>,
    id: &str,
    expected: i64,
    reset: Reset,
    merge: impl Fn(Option<&Stored<R>>) -> Result<R, Violations>,
) -> Result<Decision, Error> {
    let Some(before) = state.find::<R>(id) else {
        return Err(refused_or(&merge, Error::NotFound { kind: R::KIND, id: id.into() }));
    };
    let mut resource = merge(Some(before))?;
    resource.settle(Some(before), state, cx)?;
    reset.mark(&mut resource, cx.now);
    check_revision(before, expected)?;
    let subject = ResourceKey::of(&before.id);
    if resource == before.resource {
        return Ok(Decision::new(subject, Vec::new()));
    }
    if !cx.checks_later {
        resource.check_references(Some(before), state)?;
        resource.check_written(Some(&before.id), Some(before), state)?;
    }
    let after = cx.changed(before, resource);
    if !cx.checks_later {
        check_name_free(state, Some(before), &after)?;
        after.resource.check_taken(Some(&before.id), state, cx.now)?;
    }
    let changes = vec![Change { before: Some(R::wrap(Arc::clone(before))), after: Some(R::wrap(after)) }];
    Ok(Decision { reset, ..Decision::new(subject, changes) })
}

/// Deletes the resource `id`, with what `docs/design/semantics.md §5` says goes or changes with it.
///
/// # Errors
/// As in the module's description; `InUse` if others name it and the kind does not cascade; `HasChildren` if it has any and
/// `children` refuses; `ChangeTooLarge` if more than [`MAX_CHANGES`] resources would change.
pub fn delete<R: Rules>(
    state: &State,
    cx: &mut Context<'_>,
    id: &str,
    expected: i64,
    children: Children,
) -> Result<Decision, Error> {
    let before = state.find::<R>(id).ok_or_else(|| Error::NotFound { kind: R::KIND, id: id.into() })?;
    check_revision(before, expected)?;
    let [teams, keys] = R::children(before, state);
    if children == Children::Refuse && teams + keys > 0 {
        return Err(Error::HasChildren { kind: R::KIND, id: before.id.shared(), teams, keys });
    }
    // Counted before anything is built.
    let count = 1 + R::cascade_size(before, state, children);
    if count > MAX_CHANGES {
        let what = format!("the {} {:?}", R::KIND, before.id);
        return Err(Error::ChangeTooLarge { what, count, limit: MAX_CHANGES });
    }
    let mut changes = Vec::with_capacity(count);
    changes.push(Change { before: Some(R::wrap(Arc::clone(before))), after: None });
    changes.extend(R::cascade(before, state, children, cx)?);
    Ok(Decision::new(ResourceKey::of(&before.id), changes))
}

/// Takes `stored` over from another store as it is, with its id and its times.
///
/// # Errors
/// As in the module's description; `AlreadyExists` also if its id is taken, `Invalid` if that of a limit is.
pub fn take_over(state: &State, cx: &mut Context<'_>, any: &AnyResource) -> Result<Decision, Error> {
    fn of<R: Rules>(state: &State, cx: &mut Context<'_>, stored: &Stored<R>) -> Result<Decision, Error> {
        if let Some(holder) = state.config().get::<R>(stored.id.as_str()) {
            return Err(Error::AlreadyExists { field: format!("{}.id", R::KIND), holder: ResourceKey::of(&holder.id) });
        }
        stored.resource.check_references(None, state)?;
        check_name_free(state, None, stored)?;
        stored.resource.check_taken(None, state, cx.now)?;
        let after = R::wrap(Arc::new(Stored { revision: cx.revision, ..stored.clone() }));
        check_limits_free(state, &after)?;
        Ok(Decision::new(ResourceKey::of(&stored.id), vec![Change { before: None, after: Some(after) }]))
    }
    match any {
        AnyResource::Customer(stored) => of(state, cx, stored),
        AnyResource::Team(stored) => of(state, cx, stored),
        AnyResource::VirtualKey(stored) => of(state, cx, stored),
        AnyResource::RoutingRule(stored) => of(state, cx, stored),
        AnyResource::ModelConfig(stored) => of(state, cx, stored),
        AnyResource::ProviderGovernance(stored) => {
            if state.config().get::<Provider>(stored.id.as_str()).is_none() {
                let field = format!("{}.provider", Kind::ProviderGovernance);
                let missing =
                    Reference { field, kind: Kind::Provider, what: "provider", id: stored.id.to_string(), hint: None };
                return Err(Error::MissingReferences(vec![missing]));
            }
            of(state, cx, stored)
        }
        AnyResource::PricingOverride(stored) => of(state, cx, stored),
        AnyResource::Provider(stored) => of(state, cx, stored),
        AnyResource::McpClient(stored) => of(state, cx, stored),
        AnyResource::ModelPrice(stored) => of(state, cx, stored),
        AnyResource::Webhook(stored) => of(state, cx, stored),
        AnyResource::Token(stored) => of(state, cx, stored),
    }
}

/// The ids of limits are unique, whatever they limit and whoever owns them.
fn check_limits_free(state: &State, any: &AnyResource) -> Result<(), Error> {
    let (mut own, mut violations) = (HashSet::new(), Violations::new());
    for (_, limits) in owned_limits(any) {
        for id in limits.ids() {
            if !own.insert(id) || state.config().limit_place(id).is_some() {
                violations.add(any.key().kind, format!("has a limit with the id {id:?}, which another limit has"));
            }
        }
    }
    Ok(violations.or(())?)
}

/// Gives the key `id` the secret `secret`. Its old one works until `grace_micros` from now; any earlier one ends.
///
/// # Errors
/// `NotFound`, `RevisionMismatch`.
pub fn rotate(
    state: &State,
    cx: &mut Context<'_>,
    id: &str,
    expected: i64,
    secret: &Secret,
    grace_micros: i64,
) -> Result<Decision, Error> {
    let before =
        state.find::<VirtualKey>(id).ok_or_else(|| Error::NotFound { kind: VirtualKey::KIND, id: id.into() })?;
    check_revision(before, expected)?;
    let mut key = before.resource.clone();
    let old = std::mem::replace(&mut key.secret, secret.clone());
    key.previous_secret = (grace_micros > 0)
        .then(|| Box::new(PreviousSecret { sha256: old.sha256, expires_at: cx.now.plus_micros(grace_micros) }));
    key.check_taken(Some(&before.id), state, cx.now)?;
    let after = VirtualKey::wrap(cx.changed(before, key));
    let changes = vec![Change { before: Some(VirtualKey::wrap(Arc::clone(before))), after: Some(after) }];
    Ok(Decision::new(ResourceKey::of(&before.id), changes))
}

/// Changes the limits of the provider `name` into what `merge` makes of them, and sets to zero what `reset` says of its
/// usage. The record is there while there is a limit.
///
/// # Errors
/// As in the module's description; `NotFound` if there is no such provider.
pub fn govern(
    state: &State,
    cx: &mut Context<'_>,
    name: &str,
    expected: i64,
    reset: Reset,
    merge: impl Fn(Option<&Stored<ProviderGovernance>>) -> Result<ProviderGovernance, Violations>,
) -> Result<Decision, Error> {
    let Some(provider) = state.config().get::<Provider>(name) else {
        return Err(refused_or(&merge, Error::NotFound { kind: Kind::Provider, id: name.into() }));
    };
    let before = state.config().get::<ProviderGovernance>(name);
    let absent = || Stored {
        id: Id::new(provider.id.shared()),
        revision: 0,
        created_at: cx.committed_at,
        updated_at: cx.committed_at,
        resource: ProviderGovernance::default(),
    };
    let base = before.map_or_else(absent, |before| Stored::clone(before));
    let mut resource = merge(Some(&base))?;
    resource.settle(before.map(AsRef::as_ref), state, cx)?;
    reset.mark(&mut resource, cx.now);
    check_revision(&base, expected)?;
    let subject = ResourceKey::of(&base.id);
    let wrapped = before.map(|before| ProviderGovernance::wrap(Arc::clone(before)));
    let after = match (before, resource.limits.is_empty()) {
        (Some(before), false) if before.resource == resource => return Ok(Decision::new(subject, Vec::new())),
        (None, true) => return Ok(Decision::new(subject, Vec::new())),
        (_, true) => None,
        (_, false) => Some(ProviderGovernance::wrap(cx.changed(&base, resource))),
    };
    Ok(Decision { reset, ..Decision::new(subject, vec![Change { before: wrapped, after }]) })
}

/// Deletes the limits of the provider `name`, if it has any.
///
/// # Errors
/// `NotFound` if there is no such provider, `RevisionMismatch`.
pub fn ungovern(state: &State, name: &str, expected: i64) -> Result<Decision, Error> {
    let Some(provider) = state.config().get::<Provider>(name) else {
        return Err(Error::NotFound { kind: Kind::Provider, id: name.into() });
    };
    let subject = ResourceKey { kind: Kind::ProviderGovernance, id: provider.id.shared() };
    let Some(before) = state.config().get::<ProviderGovernance>(name) else {
        return match expected {
            0 => Ok(Decision::new(subject, Vec::new())),
            _ => Err(Error::RevisionMismatch { key: subject, expected, actual: 0 }),
        };
    };
    check_revision(before, expected)?;
    let change = Change { before: Some(ProviderGovernance::wrap(Arc::clone(before))), after: None };
    Ok(Decision::new(subject, vec![change]))
}

/// What is wrong with the request alone, or else `error`.
pub(super) fn refused_or<R>(merge: impl Fn(Option<&Stored<R>>) -> Result<R, Violations>, error: Error) -> Error {
    match merge(None) {
        Err(violations) if !violations.is_empty() => violations.into(),
        Ok(_) | Err(_) => error,
    }
}

pub(super) fn check_revision<R: Resource>(stored: &Stored<R>, expected: i64) -> Result<(), Error> {
    if expected == 0 || expected == stored.revision {
        return Ok(());
    }
    Err(Error::RevisionMismatch { key: ResourceKey::of(&stored.id), expected, actual: stored.revision })
}
