//! Labels in their table, for the resources that have them.

use std::collections::HashMap;

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::label;
use super::error::StoreError;
use super::persist::{Row, Rows, Which, each};
use super::tx::ReadTx;
use crate::domain::{Kind, Labels};

impl Row for label::Model {
    type Key = (i32, String, String);

    fn key(&self) -> Self::Key {
        (self.kind, self.resource_id.clone(), self.key.clone())
    }
}

/// Lays out the labels of a resource, unless they are those of `other`.
pub(super) fn lay(kind: Kind, id: &str, labels: &Labels, other: Option<&Labels>, rows: &mut Rows) {
    if other == Some(labels) {
        return;
    }
    rows.label.extend(labels.iter().map(|(key, value)| label::Model {
        kind: kind.number(),
        resource_id: id.to_owned(),
        key: key.to_string(),
        value: value.to_string(),
    }));
}

/// Labels that were read, by their resources, to be taken by these.
pub(super) struct Owned(HashMap<String, Labels>);

/// Reads the labels of resources of `kind`.
pub(super) async fn fetch(tx: &ReadTx, kind: Kind, which: Which<'_>) -> Result<Owned, StoreError> {
    let mut labels: HashMap<String, Labels> = HashMap::new();
    let select = label::Entity::find().filter(label::Column::Kind.eq(kind.number()));
    let select = match which {
        Which::All => select,
        Which::These(ids) => select.filter(label::Column::ResourceId.is_in(ids.iter().copied())),
        Which::Range(range) => select.filter(range.holds(label::Column::ResourceId)),
    };
    each(tx, "label", select.into_model::<label::Model>(), |row| {
        labels.entry(row.resource_id).or_default().insert(row.key.into(), row.value.into());
        Ok(())
    })
    .await?;
    Ok(Owned(labels))
}

impl Owned {
    /// The labels of the resource.
    pub(super) fn of(&mut self, id: &str) -> Labels {
        self.0.remove(id).unwrap_or_default()
    }

    /// To be called when all resources have taken theirs: what is left belongs to nobody.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(id) => Err(StoreError::corrupt("label", id, "the resource does not exist")),
        }
    }
}
