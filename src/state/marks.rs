//! What happened last to each resource, in the order of revisions: what watchers follow.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use equivalent::{Comparable, Equivalent};
use imbl::{OrdMap, OrdSet};

use crate::domain::{AnyResource, Kind, ResourceKey};

/// A resource and its encoding for the watch stream, made when it is first needed and shared by all streams.
pub struct Slot {
    /// The resource.
    pub resource: AnyResource,
    /// Its encoding, filled by `watch`.
    pub encoded: OnceLock<Bytes>,
}

/// What happened last to a resource.
#[derive(Clone)]
pub enum Mark {
    /// It was created or changed, into this.
    Upsert(Arc<Slot>),
    /// It was removed.
    Remove(Arc<ResourceKey>),
}

/// A mark at its revision.
#[derive(Clone)]
pub struct Marked {
    /// When it happened.
    pub revision: i64,
    /// What.
    pub mark: Mark,
}

impl Marked {
    /// The kind of the resource.
    pub fn kind(&self) -> Kind {
        match &self.mark {
            Mark::Upsert(slot) => slot.resource.kind(),
            Mark::Remove(key) => key.kind,
        }
    }

    fn place(&self) -> Place<'_> {
        let id = match &self.mark {
            Mark::Upsert(slot) => slot.resource.id(),
            Mark::Remove(key) => &key.id,
        };
        Place { revision: self.revision, kind: self.kind(), id }
    }
}

/// By what marks are ordered. Kind and id are looked at only among marks of one revision.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place<'a> {
    revision: i64,
    kind: Kind,
    id: &'a str,
}

impl Comparable<Marked> for Place<'_> {
    fn compare(&self, marked: &Marked) -> Ordering {
        self.revision.cmp(&marked.revision).then_with(|| self.cmp(&marked.place()))
    }
}

impl Equivalent<Marked> for Place<'_> {
    fn equivalent(&self, marked: &Marked) -> bool {
        self.compare(marked).is_eq()
    }
}

impl Ord for Marked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.revision.cmp(&other.revision).then_with(|| self.place().cmp(&other.place()))
    }
}

impl PartialOrd for Marked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Marked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Marked {}

/// Each resource at the revision of its last change, and each removed one at that of its removal.
#[derive(Clone, Default)]
pub(super) struct Marks {
    all: OrdSet<Marked>,
    /// At which revisions the removed ones are.
    removed: OrdMap<ResourceKey, i64>,
}

impl Marks {
    /// Marks what a resource became. It has no mark as a resource that is there.
    pub(super) fn upsert(&mut self, resource: AnyResource) {
        let revision = resource.revision();
        if !self.removed.is_empty() {
            let key = resource.key();
            if let Some(marked) = self.removed.remove(&key) {
                self.forget(marked, key.kind, &key.id);
            }
        }
        let slot = Arc::new(Slot { resource, encoded: OnceLock::new() });
        self.all.insert(Marked { revision, mark: Mark::Upsert(slot) });
    }

    /// Marks that a resource was removed at `revision`.
    pub(super) fn remove(&mut self, revision: i64, key: ResourceKey) {
        if let Some(marked) = self.removed.insert(key.clone(), revision) {
            self.forget(marked, key.kind, &key.id);
        }
        self.all.insert(Marked { revision, mark: Mark::Remove(Arc::new(key)) });
    }

    /// Takes back the mark of a resource at `revision`.
    pub(super) fn forget(&mut self, revision: i64, kind: Kind, id: &str) {
        self.all.remove(&Place { revision, kind, id });
    }

    /// The marks after revision `after`, in order of revision, and of kind and id within one.
    pub(super) fn since(&self, after: i64) -> impl Iterator<Item = &Marked> {
        let first = Place { revision: after.saturating_add(1), kind: Kind::ALL[0], id: "" };
        self.all.range((Bound::Included(first), Bound::Unbounded))
    }

    /// Forgets the removals after revision `after` up to `to`.
    pub(super) fn compact(&mut self, after: i64, to: i64) {
        let old = self.since(after).take_while(|marked| marked.revision <= to);
        let old = old.filter_map(|marked| match &marked.mark {
            Mark::Remove(key) => Some((marked.revision, Arc::clone(key))),
            Mark::Upsert(_) => None,
        });
        for (revision, key) in old.collect::<Vec<_>>() {
            self.removed.remove(key.as_ref());
            self.forget(revision, key.kind, &key.id);
        }
    }
}
