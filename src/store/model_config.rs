//! Model configs in tables: `model_config`, with `budget` and `rate_limit`.

use super::cell::Reading;
use super::entity::model_config;
use super::error::StoreError;
use super::limits;
use super::limits::Of;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{LimitOwner, ModelConfig, Stored};

impl Row for model_config::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn moved(&self, before: &Self) -> bool {
        (&self.model_name, &self.provider, &self.scope, &self.scope_id)
            != (&before.model_name, &before.provider, &before.scope, &before.scope_id)
    }
}

impl Persist for ModelConfig {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { model_name, provider, scope, calendar_aligned, calendar, limits, managed_by } = resource;
        rows.model_config.push(model_config::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            model_name: model_name.to_string(),
            provider: provider.as_ref().map(ToString::to_string).unwrap_or_default(),
            scope: scope.kind().name().to_owned(),
            scope_id: scope.id().to_owned(),
            calendar_aligned: *calendar_aligned,
            calendar: calendar.as_deref().map(ToString::to_string),
            managed_by: managed_by.to_string(),
        });
        limits::lay(&LimitOwner::ModelConfig(id.clone()), limits, other.map(|other| &other.resource.limits), rows);
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut limits = limits::fetch::<String>(tx, Of::MODEL_CONFIGS, which).await?;
        let mut configs = Vec::new();
        for row in rows(tx, which.select::<model_config::Entity>(model_config::Column::Id)).await? {
            let reading = Reading { table: "model_config", id: &row.id };
            configs.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    provider: (!row.provider.is_empty()).then(|| names.share(&row.provider)),
                    scope: reading.scope(&row.scope, &row.scope_id, names)?,
                    calendar_aligned: row.calendar_aligned,
                    calendar: reading.calendar(row.calendar.as_deref())?,
                    limits: limits.of(reading, row.id.as_str())?,
                    model_name: row.model_name.into(),
                    managed_by: row.managed_by.into(),
                },
            });
        }
        limits.finish()?;
        Ok(configs)
    }
}
