//! What happened last to each resource, in the order of revisions: what watchers follow.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use equivalent::{Comparable, Equivalent};
use imbl::{OrdMap, OrdSet};

use super::table::Slot;
use crate::domain::{AnyResource, Kind, Resource, ResourceKey};

/// A [`Slot`] of any kind.
pub trait AnySlot: Send + Sync {
    /// The kind of the resource.
    fn kind(&self) -> Kind;

    /// Its id.
    fn id(&self) -> &str;

    /// Both.
    fn key(&self) -> ResourceKey;

    /// The resource.
    fn resource(&self) -> AnyResource;

    /// Its encoding, filled by `watch`.
    fn encoded(&self) -> &OnceLock<Bytes>;
}

impl<R: Resource> AnySlot for Slot<R> {
    fn kind(&self) -> Kind {
        R::KIND
    }

    fn id(&self) -> &str {
        self.stored.id.as_str()
    }

    fn key(&self) -> ResourceKey {
        ResourceKey::of(&self.stored.id)
    }

    fn resource(&self) -> AnyResource {
        R::wrap(Arc::clone(&self.stored))
    }

    fn encoded(&self) -> &OnceLock<Bytes> {
        &self.encoded
    }
}

/// What happened last to a resource.
#[derive(Clone)]
pub enum Mark {
    /// It was created or changed, into this.
    Upsert(Arc<dyn AnySlot>),
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
            Mark::Upsert(slot) => slot.kind(),
            Mark::Remove(key) => key.kind,
        }
    }

    fn place(&self) -> Place<'_> {
        let id = match &self.mark {
            Mark::Upsert(slot) => slot.id(),
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
    /// Marks that a resource became what is in `slot`, at `revision`. It has no mark as a resource that is there.
    pub(super) fn upsert(&mut self, revision: i64, slot: Arc<dyn AnySlot>) {
        if !self.removed.is_empty() {
            let key = slot.key();
            if let Some(marked) = self.removed.remove(&key) {
                self.forget(marked, &key);
            }
        }
        self.all.insert(Marked { revision, mark: Mark::Upsert(slot) });
    }

    /// Marks that a resource was removed at `revision`.
    pub(super) fn remove(&mut self, revision: i64, key: ResourceKey) {
        if let Some(marked) = self.removed.insert(key.clone(), revision) {
            self.forget(marked, &key);
        }
        self.all.insert(Marked { revision, mark: Mark::Remove(Arc::new(key)) });
    }

    /// Takes back the mark of a resource at `revision`.
    pub(super) fn forget(&mut self, revision: i64, key: &ResourceKey) {
        self.all.remove(&Place { revision, kind: key.kind, id: &key.id });
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
            self.forget(revision, &key);
        }
    }
}
