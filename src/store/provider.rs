//! Providers in tables: `provider` and `provider_key`, with `budget` and `rate_limit`.

use std::collections::HashMap;

use super::cell::{self, Reading};
use super::entity::{provider, provider_key};
use super::error::StoreError;
use super::limits::{self, Of};
use super::persist::{Names, Persist, Row, Rows, Which, rows, unlike};
use super::tx::ReadTx;
use crate::domain::{LimitOwner, Provider, ProviderKey, Stored};

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
        let Self { keys, built_in, calendar_aligned, calendar, managed_by } = resource;
        rows.provider.push(provider::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            built_in: *built_in,
            calendar_aligned: *calendar_aligned,
            calendar: calendar.as_deref().map(ToString::to_string),
            managed_by: managed_by.to_string(),
        });
        for (ord, key) in unlike(keys, other.map(|other| &*other.resource.keys)) {
            let ProviderKey { id: key_id, name, models, limits } = key;
            rows.provider_key.push(provider_key::Model {
                id: key_id.to_string(),
                provider: id.to_string(),
                ord,
                name: name.to_string(),
                models: cell::list(models),
            });
            limits::lay(&LimitOwner::ProviderKey(key_id.as_ref().into()), limits, None, rows);
        }
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut limits = limits::fetch::<String>(tx, Of::PROVIDER_KEYS, which).await?;
        let mut keys: HashMap<String, Vec<(i32, ProviderKey)>> = HashMap::new();
        for row in rows(tx, which.select::<provider_key::Entity>(provider_key::Column::Provider)).await? {
            let reading = Reading { table: "provider_key", id: &row.id };
            let (models, limits) = (reading.list(&row.models)?, limits.of(reading, row.id.as_str())?);
            let key = ProviderKey { id: row.id.into(), name: row.name.into(), models, limits };
            keys.entry(row.provider).or_default().push((row.ord, key));
        }
        limits.finish()?;
        let mut providers = Vec::new();
        for row in rows(tx, which.select::<provider::Entity>(provider::Column::Id)).await? {
            let reading = Reading { table: "provider", id: &row.id };
            let keys = reading.in_order(keys.remove(&row.id).unwrap_or_default())?;
            providers.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    keys: keys.collect(),
                    built_in: row.built_in,
                    calendar_aligned: row.calendar_aligned,
                    calendar: reading.calendar(row.calendar.as_deref())?,
                    managed_by: row.managed_by.into(),
                },
            });
        }
        match keys.into_values().flatten().next() {
            None => Ok(providers),
            Some((_, key)) => Err(StoreError::corrupt("provider_key", key.id, "its provider does not exist")),
        }
    }
}
