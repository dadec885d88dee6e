//! Names: within which parent each is unique, how they are compared, and how resources are found by them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use tollgate_core::domain::{NamePath, trimmed_name};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

use super::{Listed, State};
use crate::domain::{
    Customer, Error, Id, KeyOwner, Kind, Path, PricingScope, ResourceKey, RoutingRule, Scope, Stored, Team, Violations,
    VirtualKey,
};

/// A name in its place: what two resources of a kind that have the same are found by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name<'a> {
    within: Within<'a>,
    name: Cow<'a, str>,
}

/// The place of a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Within<'a> {
    /// Among those that belong to nothing.
    Nothing,
    /// Among those of the customer with this id.
    Customer(&'a str),
    /// Among those of the team with this id.
    Team(&'a str),
    /// Among the routing rules of a scope.
    Scope(&'a Scope),
    /// Among the pricing overrides of a scope.
    Pricing(&'a PricingScope),
}

impl<'a> Name<'a> {
    /// Names are compared in normal form C, without what is not seen of them at their ends.
    pub(super) fn new(within: Within<'a>, name: &'a str) -> Self {
        let name = trimmed_name(name);
        let name = if is_nfc(name) { Cow::Borrowed(name) } else { Cow::Owned(name.nfc().collect()) };
        Self { within, name }
    }

    pub(super) fn of_team(team: &'a Team) -> Self {
        Self::new(team.customer_id.as_ref().map_or(Within::Nothing, |id| Within::Customer(id.as_str())), &team.name)
    }

    pub(super) fn of_key(key: &'a VirtualKey) -> Self {
        let within = match &key.owner {
            None => Within::Nothing,
            Some(KeyOwner::Team(id)) => Within::Team(id.as_str()),
            Some(KeyOwner::Customer(id)) => Within::Customer(id.as_str()),
        };
        Self::new(within, &key.name)
    }
}

/// Names that several resources have within one parent, as stores of earlier versions may hold.
pub struct Clashes {
    /// How many resources have a name that another one has as well.
    pub count: usize,
    /// The first of them.
    pub first: Vec<ResourceKey>,
}

/// Clashing names that are named at most.
const SHOWN_CLASHES: usize = 20;

impl State {
    /// The resource that `reference` names: by its id or, in the hierarchy, by its path.
    pub fn find<R: Listed>(&self, reference: &str) -> Option<&Arc<Stored<R>>> {
        if !R::HAS_PATHS || !NamePath::is_path(reference) {
            return self.config().get(reference);
        }
        let path = NamePath::parse(reference, R::KIND).ok()?;
        self.config().get(R::at_path(self, &path)?.as_str())
    }

    /// The resource of kind `R` with this name.
    pub(super) fn named<R: Listed>(&self, name: &Name<'_>) -> Option<&Id<R>> {
        R::listing(self).named(self.config(), name).next()
    }

    pub(super) fn customer_at(&self, name: &str) -> Option<&Id<Customer>> {
        self.named(&Name::new(Within::Nothing, name))
    }

    pub(super) fn team_at(&self, customer: &str, name: &str) -> Option<&Id<Team>> {
        let within = match customer {
            "" => Within::Nothing,
            customer => Within::Customer(self.customer_at(customer)?.as_str()),
        };
        self.named(&Name::new(within, name))
    }

    pub(super) fn key_at(&self, path: &NamePath) -> Option<&Id<VirtualKey>> {
        let within = match (path.customer(), path.team()) {
            ("", "") => Within::Nothing,
            (customer, "") => Within::Customer(self.customer_at(customer)?.as_str()),
            (customer, team) => Within::Team(self.team_at(customer, team)?.as_str()),
        };
        self.named(&Name::new(within, path.name()))
    }

    /// The names that clash. Writes of such resources go on working as long as they keep their names.
    pub fn clashing_names(&self) -> Clashes {
        fn of<R: Listed>(state: &State, clashes: &mut Clashes) {
            let mut holders: HashMap<Name<'_>, Option<&Id<R>>> = HashMap::new();
            for stored in state.all::<R>() {
                let Some(name) = R::name(stored) else { continue };
                // The first is told together with the second.
                let told = match holders.entry(name) {
                    std::collections::hash_map::Entry::Vacant(vacant) => {
                        vacant.insert(Some(&stored.id));
                        continue;
                    }
                    std::collections::hash_map::Entry::Occupied(mut holder) => {
                        [holder.get_mut().take(), Some(&stored.id)]
                    }
                };
                for id in told.into_iter().flatten() {
                    clashes.count += 1;
                    if clashes.first.len() < SHOWN_CLASHES {
                        clashes.first.push(ResourceKey::of(id));
                    }
                }
            }
        }
        let mut clashes = Clashes { count: 0, first: Vec::new() };
        of::<Customer>(self, &mut clashes);
        of::<Team>(self, &mut clashes);
        of::<VirtualKey>(self, &mut clashes);
        of::<RoutingRule>(self, &mut clashes);
        clashes
    }
}

/// Checks that no other resource has the name of `stored`, unless it was `before` what it is: a name that clashes already
/// keeps nobody from changing the rest.
pub(super) fn check_name_free<R: Listed>(
    state: &State,
    before: Option<&Stored<R>>,
    stored: &Stored<R>,
) -> Result<(), Error> {
    let Some(name) = R::name(stored).filter(|_| R::NAMES_ARE_UNIQUE) else { return Ok(()) };
    if before.and_then(R::name).as_ref() == Some(&name) {
        return Ok(());
    }
    let holder = R::listing(state).named(state.config(), &name).find(|holder| **holder != stored.id);
    holder.map_or(Ok(()), |holder| {
        Err(Error::AlreadyExists { field: format!("{}.name", R::KIND), holder: ResourceKey::of(holder) })
    })
}

/// The id that a filter or a request means, which may name a customer, a team or a virtual key by its path. That of nothing
/// stays what it is, and so finds nothing.
///
/// # Errors
/// `Invalid` if the path is none.
pub fn meant<R: Listed>(state: &State, reference: &str, field: &str) -> Result<Arc<str>, Error> {
    check_path(R::KIND, reference, field)?;
    Ok(state.find::<R>(reference).map_or_else(|| reference.into(), |stored| stored.id.shared()))
}

/// As [`meant`], of whatever the path is of.
///
/// # Errors
/// `Invalid` if the path is none.
pub fn meant_in_scope(state: &State, reference: &str, field: &str) -> Result<Arc<str>, Error> {
    match NamePath::kind_of(reference) {
        Some(Kind::Customer) => meant::<Customer>(state, reference, field),
        Some(Kind::Team) => meant::<Team>(state, reference, field),
        _ => meant::<VirtualKey>(state, reference, field),
    }
}

/// Checks that what is meant as a path of a resource of `kind` is one.
///
/// # Errors
/// `Invalid` if it is none.
pub fn check_path(kind: Kind, reference: &str, field: &str) -> Result<(), Error> {
    let mut violations = Violations::new();
    let is_of_hierarchy = matches!(kind, Kind::Customer | Kind::Team | Kind::VirtualKey);
    if is_of_hierarchy
        && NamePath::is_path(reference)
        && let Err(problem) = NamePath::parse(reference, kind)
    {
        violations.add(Path::root(field), problem);
    }
    Ok(violations.or(())?)
}
