//! Virtual keys in tables: `virtual_key`, `virtual_key_provider_config` and `virtual_key_mcp_config`, with `budget` and
//! `rate_limit` (of the key and of its provider configs) and `label`.

use std::collections::HashMap;

use super::cell::{self, Reading};
use super::entity::{virtual_key, virtual_key_mcp_config, virtual_key_provider_config};
use super::error::StoreError;
use super::limits::Of;
use super::persist::{Names, Persist, Row, Rows, Which, each, unlike};
use super::tx::ReadTx;
use super::{labels, limits};
use crate::domain::{
    KeyOwner, Kind, LimitOwner, McpConfig, PreviousSecret, ProviderConfig, Secret, Stored, VirtualKey,
};

impl Row for virtual_key::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn moved(&self, before: &Self) -> bool {
        self.value_sha256 != before.value_sha256 || self.previous_value_sha256 != before.previous_value_sha256
    }
}

impl Row for virtual_key_provider_config::Model {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

impl Row for virtual_key_mcp_config::Model {
    type Key = i64;

    fn key(&self) -> i64 {
        self.id
    }
}

impl Persist for VirtualKey {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self {
            name,
            secret,
            previous_secret,
            description,
            is_active,
            owner,
            expires_at,
            provider_configs,
            mcp_configs,
            calendar_aligned,
            calendar,
            limits,
            labels,
            created_by,
            managed_by,
        } = resource;
        let (team_id, customer_id) = match owner {
            None => (None, None),
            Some(KeyOwner::Team(id)) => (Some(id.to_string()), None),
            Some(KeyOwner::Customer(id)) => (None, Some(id.to_string())),
        };
        rows.virtual_key.push(virtual_key::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            name: name.to_string(),
            value_sha256: secret.sha256.0.to_vec(),
            value_mask: secret.mask.to_string(),
            previous_value_sha256: previous_secret.as_ref().map(|previous| previous.sha256.0.to_vec()),
            previous_value_expires_at: previous_secret.as_ref().map(|previous| previous.expires_at.as_micros()),
            description: description.to_string(),
            is_active: *is_active,
            team_id,
            customer_id,
            expires_at: expires_at.map(|instant| instant.as_micros()),
            calendar_aligned: *calendar_aligned,
            calendar: calendar.as_deref().map(ToString::to_string),
            created_by: created_by.to_string(),
            managed_by: managed_by.to_string(),
        });
        for (ord, config) in unlike(provider_configs, other.map(|other| &*other.resource.provider_configs)) {
            let ProviderConfig { id: config_id, provider, weight, allowed_models, blocked_models, key_ids, limits } =
                config;
            rows.virtual_key_provider_config.push(virtual_key_provider_config::Model {
                id: *config_id,
                virtual_key_id: id.to_string(),
                ord,
                provider: provider.to_string(),
                weight: *weight,
                allowed_models: cell::permit(allowed_models),
                blocked_models: cell::permit(blocked_models),
                key_ids: cell::permit(key_ids),
            });
            limits::lay(&LimitOwner::ProviderConfig(*config_id), limits, None, rows);
        }
        for (ord, config) in unlike(mcp_configs, other.map(|other| &*other.resource.mcp_configs)) {
            let McpConfig { id: config_id, mcp_client, tools_to_execute } = config;
            rows.virtual_key_mcp_config.push(virtual_key_mcp_config::Model {
                id: *config_id,
                virtual_key_id: id.to_string(),
                ord,
                mcp_client_name: mcp_client.to_string(),
                tools_to_execute: cell::permit(tools_to_execute),
            });
        }
        limits::lay(&LimitOwner::VirtualKey(id.clone()), limits, other.map(|other| &other.resource.limits), rows);
        labels::lay(Kind::VirtualKey, id.as_str(), labels, other.map(|other| &other.resource.labels), rows);
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut limits = limits::fetch::<String>(tx, Of::VIRTUAL_KEYS, which).await?;
        let mut labels = labels::fetch(tx, Kind::VirtualKey, which).await?;
        let mut provider_configs = fetch_provider_configs(tx, which, names).await?;
        let mut mcp_configs = fetch_mcp_configs(tx, which, names).await?;
        let mut virtual_keys = Vec::new();
        let select = which.select::<virtual_key::Entity>(virtual_key::Column::Id).into_model::<virtual_key::Model>();
        each(tx, "virtual_key", select, |row| {
            let reading = Reading { table: "virtual_key", id: &row.id };
            let previous_secret = match (&row.previous_value_sha256, row.previous_value_expires_at) {
                (None, None) => None,
                (Some(sha256), Some(expires_at)) => {
                    let (sha256, expires_at) = (reading.hash(sha256)?, reading.time(expires_at)?);
                    Some(Box::new(PreviousSecret { sha256, expires_at }))
                }
                _ => return Err(reading.corrupt("the previous value has some of its columns only")),
            };
            let owner = match (&row.team_id, &row.customer_id) {
                (None, None) => None,
                (Some(id), None) => Some(KeyOwner::Team(names.share(id))),
                (None, Some(id)) => Some(KeyOwner::Customer(names.share(id))),
                (Some(_), Some(_)) => return Err(reading.corrupt("it has two owners")),
            };
            virtual_keys.push(Stored {
                // Not shared: no other resource names a key, and the set of names would only grow by them.
                id: crate::domain::Id::new(row.id.as_str()),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    name: row.name.into(),
                    secret: Secret { sha256: reading.hash(&row.value_sha256)?, mask: row.value_mask.into() },
                    previous_secret,
                    description: row.description.into(),
                    is_active: row.is_active,
                    owner,
                    expires_at: row.expires_at.map(|instant| reading.time(instant)).transpose()?,
                    provider_configs: reading.in_order(provider_configs.remove(&row.id).unwrap_or_default())?.collect(),
                    mcp_configs: reading.in_order(mcp_configs.remove(&row.id).unwrap_or_default())?.collect(),
                    calendar_aligned: row.calendar_aligned,
                    calendar: reading.calendar(row.calendar.as_deref())?,
                    limits: limits.of(reading, row.id.as_str())?,
                    labels: labels.of(&row.id),
                    created_by: row.created_by.into(),
                    managed_by: row.managed_by.into(),
                },
            });
            Ok(())
        })
        .await?;
        limits.finish()?;
        labels.finish()?;
        finish("virtual_key_provider_config", provider_configs)?;
        finish("virtual_key_mcp_config", mcp_configs)?;
        Ok(virtual_keys)
    }
}

/// Parts of keys by the id of their key, each with its place in the client's list.
type ByKey<T> = HashMap<String, Vec<(i32, T)>>;

async fn fetch_provider_configs(
    tx: &ReadTx,
    which: Which<'_>,
    names: &mut Names,
) -> Result<ByKey<ProviderConfig>, StoreError> {
    use virtual_key_provider_config::{Column, Entity, Model};
    const TABLE: &str = "virtual_key_provider_config";
    let mut limits = limits::fetch::<i64>(tx, Of::PROVIDER_CONFIGS, which).await?;
    let mut configs = ByKey::new();
    each(tx, TABLE, which.select::<Entity>(Column::VirtualKeyId).into_model::<Model>(), |row| {
        let id = row.id.to_string();
        let reading = Reading { table: TABLE, id: &id };
        if row.weight.is_some_and(|weight| !weight.is_finite()) {
            return Err(reading.corrupt("the weight is not finite"));
        }
        let config = ProviderConfig {
            id: row.id,
            provider: names.share(&row.provider),
            weight: row.weight,
            allowed_models: reading.permit(&row.allowed_models)?,
            blocked_models: reading.permit(&row.blocked_models)?,
            key_ids: reading.permit(&row.key_ids)?,
            limits: limits.of(reading, &row.id)?,
        };
        configs.entry(row.virtual_key_id).or_default().push((row.ord, config));
        Ok(())
    })
    .await?;
    limits.finish()?;
    Ok(configs)
}

async fn fetch_mcp_configs(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<ByKey<McpConfig>, StoreError> {
    use virtual_key_mcp_config::{Column, Entity, Model};
    const TABLE: &str = "virtual_key_mcp_config";
    let mut configs = ByKey::new();
    each(tx, TABLE, which.select::<Entity>(Column::VirtualKeyId).into_model::<Model>(), |row| {
        let id = row.id.to_string();
        let reading = Reading { table: TABLE, id: &id };
        let config = McpConfig {
            id: row.id,
            mcp_client: names.share(&row.mcp_client_name),
            tools_to_execute: reading.permit(&row.tools_to_execute)?,
        };
        configs.entry(row.virtual_key_id).or_default().push((row.ord, config));
        Ok(())
    })
    .await?;
    Ok(configs)
}

fn finish<T>(table: &'static str, parts: ByKey<T>) -> Result<(), StoreError> {
    match parts.into_keys().next() {
        None => Ok(()),
        Some(id) => Err(StoreError::corrupt(table, "", format!("the virtual key {id:?} does not exist"))),
    }
}
