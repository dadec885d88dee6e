//! Providers in tables: `provider` and `provider_key`.

use std::collections::HashMap;

use super::cell::{self, Reading};
use super::entity::{provider, provider_key};
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows, unlike};
use super::tx::ReadTx;
use crate::domain::{Provider, ProviderKey, Stored};

impl Row for provider::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Row for provider_key::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for Provider {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { keys, built_in, managed_by } = resource;
        rows.provider.push(provider::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            built_in: *built_in,
            managed_by: managed_by.to_string(),
        });
        let keys = unlike(keys, other.map(|other| &*other.resource.keys));
        rows.provider_key.extend(keys.map(|(ord, key)| provider_key::Model {
            id: key.id.to_string(),
            provider: id.to_string(),
            ord,
            name: key.name.to_string(),
            models: cell::list(&key.models),
        }));
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut keys: HashMap<String, Vec<(i32, ProviderKey)>> = HashMap::new();
        for row in rows(tx, which.select::<provider_key::Entity>(provider_key::Column::Provider)).await? {
            let models = Reading { table: "provider_key", id: &row.id }.list(&row.models)?;
            let key = ProviderKey { id: row.id.into(), name: row.name.into(), models };
            keys.entry(row.provider).or_default().push((row.ord, key));
        }
        let mut providers = Vec::new();
        for row in rows(tx, which.select::<provider::Entity>(provider::Column::Id)).await? {
            let reading = Reading { table: "provider", id: &row.id };
            let keys = reading.in_order(keys.remove(&row.id).unwrap_or_default())?;
            providers.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self { keys: keys.collect(), built_in: row.built_in, managed_by: row.managed_by.into() },
            });
        }
        match keys.into_values().flatten().next() {
            None => Ok(providers),
            Some((_, key)) => Err(StoreError::corrupt("provider_key", key.id, "its provider does not exist")),
        }
    }
}
