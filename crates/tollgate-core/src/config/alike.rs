//! Resources that share a place of an index.

use std::sync::Arc;

use imbl::OrdMap;

use crate::domain::Stored;

/// The resources of one place, in the order of their ids.
pub(super) type Alike<R> = Arc<[Arc<Stored<R>>]>;

/// Puts a resource at a place, instead of the one there that has its id.
pub(super) fn put<K: Ord + Clone, R: Clone>(index: &mut OrdMap<K, Alike<R>>, place: K, stored: &Arc<Stored<R>>) {
    let mut alike = others(index, &place, stored);
    alike.insert(alike.partition_point(|other| other.id < stored.id), Arc::clone(stored));
    index.insert(place, alike.into());
}

/// Takes a resource from its place.
pub(super) fn take<K: Ord + Clone, R: Clone>(index: &mut OrdMap<K, Alike<R>>, place: K, stored: &Stored<R>) {
    let alike = others(index, &place, stored);
    if alike.is_empty() {
        index.remove(&place);
    } else {
        index.insert(place, alike.into());
    }
}

fn others<K: Ord + Clone, R: Clone>(index: &OrdMap<K, Alike<R>>, place: &K, stored: &Stored<R>) -> Vec<Arc<Stored<R>>> {
    let alike = index.get(place).into_iter().flat_map(|alike| alike.iter());
    alike.filter(|other| other.id != stored.id).cloned().collect()
}
