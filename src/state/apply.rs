//! Many changes that are decided together: in an order of the server's, on a working copy of the state, all or none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::check_name_free;
use super::{Change, Context, Decision, MAX_CHANGES, Rules, State};
use crate::domain::{AnyResource, Error, Kind, Path, Reference, Resource, ResourceKey, Stored, Violations};

/// Runs `$body` with the typed resource, of whichever kind.
macro_rules! on_kind {
    ($any:expr, $stored:ident => $body:expr) => {
        match $any {
            AnyResource::Customer($stored) => $body,
            AnyResource::Team($stored) => $body,
            AnyResource::VirtualKey($stored) => $body,
            AnyResource::RoutingRule($stored) => $body,
            AnyResource::ModelConfig($stored) => $body,
            AnyResource::ProviderGovernance($stored) => $body,
            AnyResource::PricingOverride($stored) => $body,
            AnyResource::Provider($stored) => $body,
            AnyResource::McpClient($stored) => $body,
            AnyResource::ModelPrice($stored) => $body,
            AnyResource::Webhook($stored) => $body,
            AnyResource::Token($stored) => $body,
        }
    };
}
pub(super) use on_kind;

/// The order in which resources are created and changed: none names one that comes later. They are deleted the other way.
const ORDER: [Kind; 12] = [
    Kind::Provider,
    Kind::McpClient,
    Kind::Customer,
    Kind::Team,
    Kind::VirtualKey,
    Kind::ModelConfig,
    Kind::RoutingRule,
    Kind::PricingOverride,
    Kind::ProviderGovernance,
    Kind::ModelPrice,
    Kind::Webhook,
    Kind::Token,
];

/// The place of a kind in the order.
pub(super) fn rank(kind: Kind) -> usize {
    ORDER.iter().position(|it| *it == kind).unwrap_or(ORDER.len())
}

/// Decides one change on the state that those before it leave.
pub type DecideStep = dyn Fn(&State, &mut Context<'_>) -> Result<Decision, Error> + Send;

/// One of the changes.
pub struct Step {
    /// The kind that it is about.
    pub kind: Kind,
    /// Whether it deletes.
    pub deletes: bool,
    /// Its decision.
    pub decide: Box<DecideStep>,
}

/// The fate of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was created.
    Created,
    /// It was changed.
    Updated,
    /// It was as it was to be.
    Unchanged,
    /// It was deleted.
    Deleted,
}

/// The outcome of one change.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The resource.
    pub key: ResourceKey,
    /// Its fate.
    pub fate: Fate,
}

/// A state that changes step by step, and what changed of it.
pub(super) struct Working<'a> {
    base: &'a State,
    pub(super) state: State,
    /// The resources that were touched, in order.
    touched: Vec<ResourceKey>,
    seen: HashSet<ResourceKey>,
}

impl<'a> Working<'a> {
    pub(super) fn new(base: &'a State) -> Self {
        Self { base, state: base.clone(), touched: Vec::new(), seen: HashSet::new() }
    }

    pub(super) fn stage(&mut self, changes: &[Change]) {
        for change in changes {
            let key = change.key();
            self.state.stage(change);
            if self.seen.insert(key.clone()) {
                self.touched.push(key);
            }
        }
    }

    /// The resource as it was before all changes.
    pub(super) fn before(&self, key: &ResourceKey) -> Option<AnyResource> {
        self.base.config().any(key)
    }

    /// Checks what a resource names, where it is now.
    pub(super) fn check_references(&self, key: &ResourceKey) -> Result<(), Error> {
        fn of<R: Rules>(it: &Working<'_>, before: Option<&AnyResource>, after: &Stored<R>) -> Result<(), Error> {
            after.resource.check_references(before.and_then(R::unwrap).map(AsRef::as_ref), &it.state)
        }
        let before = self.before(key);
        self.on(key, |any| on_kind!(any, stored => of(self, before.as_ref(), stored)))
    }

    /// Checks what nobody may write, though it may be stored.
    fn check_written(&self, key: &ResourceKey) -> Result<(), Error> {
        fn of<R: Rules>(it: &Working<'_>, before: Option<&AnyResource>, after: &Stored<R>) -> Result<(), Error> {
            let before = before.and_then(R::unwrap).map(AsRef::as_ref);
            after.resource.check_written(Some(&after.id), before, &it.state)
        }
        let before = self.before(key);
        self.on(key, |any| on_kind!(any, stored => of(self, before.as_ref(), stored)))
    }

    /// Checks that what must be unique of a resource is free, if it still is there.
    pub(super) fn check_free(&self, key: &ResourceKey, cx: &Context<'_>) -> Result<(), Error> {
        fn of<R: Rules>(
            it: &Working<'_>,
            cx: &Context<'_>,
            before: Option<&AnyResource>,
            after: &Stored<R>,
        ) -> Result<(), Error> {
            check_name_free(&it.state, before.and_then(R::unwrap).map(AsRef::as_ref), after)?;
            after.resource.check_taken(Some(&after.id), &it.state, cx.now)
        }
        let before = self.before(key);
        self.on(key, |any| on_kind!(any, stored => of(self, cx, before.as_ref(), stored)))
    }

    /// Checks a resource that was touched, if it still is there.
    fn on(&self, key: &ResourceKey, check: impl Fn(&AnyResource) -> Result<(), Error>) -> Result<(), Error> {
        self.state.config().any(key).filter(|_| self.seen.contains(key)).map_or(Ok(()), |any| check(&any))
    }

    /// All that changed, each resource once: from before all changes to after them.
    ///
    /// # Errors
    /// `ChangeTooLarge`.
    pub(super) fn net(self) -> Result<Vec<Change>, Error> {
        let change = |key: &ResourceKey| {
            let change = Change { before: self.base.config().any(key), after: self.state.config().any(key) };
            let is_one = match (&change.before, &change.after) {
                (None, None) => false,
                (Some(before), Some(after)) => !alike(before, after),
                (Some(_), None) | (None, Some(_)) => true,
            };
            is_one.then_some(change)
        };
        let changes: Vec<Change> = self.touched.iter().filter_map(change).collect();
        if changes.len() > MAX_CHANGES {
            let what = "what this call names".to_owned();
            return Err(Error::ChangeTooLarge { what, count: changes.len(), limit: MAX_CHANGES });
        }
        Ok(changes)
    }
}

/// Whether both say the same, whenever they were stored.
pub(super) fn alike(one: &AnyResource, other: &AnyResource) -> bool {
    fn of<R: Resource>(one: &Arc<Stored<R>>, other: &AnyResource) -> bool {
        R::unwrap(other).is_some_and(|other| one.resource == other.resource)
    }
    on_kind!(one, stored => of(stored, other))
}

/// The faults of the changes of a call.
#[derive(Default)]
struct Faults {
    violations: Violations,
    /// The names of resources that do not exist.
    missing: Vec<Reference>,
    /// The first error of another kind.
    first: Option<Error>,
}

impl Faults {
    fn note(&mut self, index: usize, deletes: bool, error: Error) {
        let part = if deletes { "delete" } else { "upsert" };
        let place = |field: &str| match field.split_once('.').map_or(field, |(root, _)| root) {
            // Fields of the change itself.
            "revision" | "children" | "update_mask" => format!("changes[{index}].{field}"),
            _ => format!("changes[{index}].{part}.{field}"),
        };
        match error {
            Error::Invalid(violations) => {
                violations.iter().for_each(|it| self.violations.add(place(&it.field), it.description.as_str()));
            }
            Error::MissingReferences(mut missing) => {
                missing.iter_mut().for_each(|it| it.field = place(&it.field));
                self.missing.append(&mut missing);
            }
            Error::AlreadyExists { field, holder } => {
                let field = place(&field);
                self.first.get_or_insert(Error::AlreadyExists { field, holder });
            }
            error => {
                let error = Box::new(error);
                self.first.get_or_insert(Error::InChange { index, error });
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.violations.is_empty() && self.missing.is_empty() && self.first.is_none()
    }

    /// All that is wrong, as far as one error can tell it.
    fn or(self) -> Result<(), Error> {
        let Self { mut violations, missing, first } = self;
        if violations.is_empty() {
            let missing = (!missing.is_empty()).then_some(Error::MissingReferences(missing));
            return missing.or(first).map_or(Ok(()), Err);
        }
        for Reference { field, what, id, hint, .. } in missing {
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            violations.add(field.as_str(), format!("names {what} {id:?}, which does not exist{hint}"));
        }
        Ok(violations.or(())?)
    }
}

/// Decides all of `steps`, or none. Each is about another resource; their order does not matter: what must exist and what
/// must be unique is looked at when all are done.
///
/// `takes_over` says whether upserts may change what another source manages.
///
/// # Errors
/// All violations of all steps, or else the first error, in the order in which they are decided.
pub fn apply(state: &State, cx: &mut Context<'_>, steps: &[Step], takes_over: bool) -> Result<Decision, Error> {
    let mut working = Working::new(state);
    let mut faults = Faults::default();
    let mut subjects: HashMap<ResourceKey, usize> = HashMap::new();
    let mut keys: Vec<Option<ResourceKey>> = vec![None; steps.len()];
    let mut order: Vec<usize> = (0..steps.len()).collect();
    order.sort_by_key(|index| rank(steps[*index].kind));

    cx.checks_later = true;
    for deletes in [false, true] {
        let mine = order.iter().copied().filter(|index| steps[*index].deletes == deletes);
        let mine: Vec<usize> = if deletes { mine.rev().collect() } else { mine.collect() };
        let is_incomplete = faults.first.is_some() || !faults.violations.is_empty();
        for index in mine {
            match (steps[index].decide)(&working.state, cx) {
                Ok(decision) => {
                    if let Some(other) = subjects.insert(decision.subject.clone(), index) {
                        let (first, second) = (other.min(index), other.max(index));
                        let list = Path::root("changes");
                        let what = decision.subject.kind;
                        let text = format!("is about the same {what} as changes[{first}]; say all of it in one change");
                        faults.violations.add(list.index(second), text);
                    }
                    if !takes_over
                        && !deletes
                        && let Some(error) = taken_over(&decision)
                    {
                        faults.note(index, deletes, error);
                    }
                    keys[index] = Some(decision.subject);
                    working.stage(&decision.changes);
                }
                // Where not all was made, only what is wrong with a deletion itself is certain.
                Err(error) if deletes && is_incomplete && !matches!(error, Error::Invalid(_)) => {}
                Err(error) => faults.note(index, deletes, error),
            }
        }
    }
    cx.checks_later = false;

    let upserts = order.into_iter().filter(|index| !steps[*index].deletes);
    let (made, failed): (Vec<usize>, Vec<usize>) = upserts.partition(|index| keys[*index].is_some());
    // A resource that was not made has its own fault, and is not called missing beside it.
    let failed: HashSet<Kind> = failed.into_iter().map(|index| steps[index].kind).collect();
    let made: Vec<_> = made.into_iter().filter_map(|index| Some((index, keys[index].as_ref()?))).collect();
    let is_complete = faults.is_empty();
    for (index, key) in &made {
        match working.check_references(key) {
            Err(Error::MissingReferences(mut missing)) => {
                missing.retain(|it| !failed.contains(&it.kind));
                if !missing.is_empty() {
                    faults.note(*index, false, Error::MissingReferences(missing));
                }
            }
            Err(error) => faults.note(*index, false, error),
            Ok(()) if is_complete => {
                working.check_written(key).unwrap_or_else(|error| faults.note(*index, false, error));
            }
            Ok(()) => {}
        }
    }
    faults.or()?;
    let mut faults = Faults::default();
    for (index, key) in &made {
        working.check_free(key, cx).unwrap_or_else(|error| faults.note(*index, false, error));
    }
    faults.or()?;
    let changes = working.net()?;
    let fates: HashMap<ResourceKey, Fate> = changes.iter().map(|change| (change.key(), fate(change))).collect();
    let outcome = |key: ResourceKey| {
        let fate = fates.get(&key).copied().unwrap_or(Fate::Unchanged);
        Outcome { key, fate }
    };
    let outcomes = keys.into_iter().flatten().map(outcome).collect();
    Ok(decided(changes, outcomes))
}

/// Why an upsert may not be: another source manages the resource.
fn taken_over(decision: &Decision) -> Option<Error> {
    let change = decision.changes.iter().find(|change| change.key() == decision.subject)?;
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let managed_by = before.managed_by();
    let is_kept = managed_by.is_empty() || managed_by == after.managed_by();
    (!is_kept).then(|| Error::ManagedElsewhere { key: change.key(), managed_by: managed_by.into() })
}

/// A decision about no resource more than about the others.
pub(super) fn decided(changes: Vec<Change>, outcomes: Vec<Outcome>) -> Decision {
    let subject = changes.first().map(Change::key).or_else(|| outcomes.first().map(|outcome| outcome.key.clone()));
    // Without a subject there is nothing that it would be looked at for.
    let subject = subject.unwrap_or_else(|| ResourceKey { kind: Kind::Customer, id: "".into() });
    Decision { outcomes, ..Decision::new(subject, changes) }
}

/// The fate of the resource that a change is of.
pub(super) fn fate(change: &Change) -> Fate {
    match (&change.before, &change.after) {
        (None, _) => Fate::Created,
        (Some(_), Some(_)) => Fate::Updated,
        (Some(_), None) => Fate::Deleted,
    }
}
