//! Teams in tables: `team`, with `budget`, `rate_limit` and `label`.

use super::cell::{self, Reading};
use super::entity::team;
use super::error::StoreError;
use super::limits::Of;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use super::{labels, limits};
use crate::domain::{Kind, LimitOwner, ModelCeiling, Stored, Team};

impl Row for team::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for Team {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self {
            name,
            customer_id,
            is_active,
            model_ceiling,
            calendar_aligned,
            calendar,
            limits,
            labels,
            profile,
            config,
            claims,
            managed_by,
        } = resource;
        rows.team.push(team::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            name: name.to_string(),
            customer_id: customer_id.as_ref().map(ToString::to_string),
            calendar_aligned: *calendar_aligned,
            is_active: *is_active,
            model_ceiling_allowed_providers: cell::ids(&model_ceiling.allowed_providers),
            model_ceiling_allowed_models: cell::list(&model_ceiling.allowed_models),
            model_ceiling_blocked_models: cell::list(&model_ceiling.blocked_models),
            calendar: calendar.as_deref().map(ToString::to_string),
            profile: profile.as_ref().map(cell::structure),
            config: config.as_ref().map(cell::structure),
            claims: claims.as_ref().map(cell::structure),
            managed_by: managed_by.to_string(),
        });
        limits::lay(&LimitOwner::Team(id.clone()), limits, other.map(|other| &other.resource.limits), rows);
        labels::lay(Kind::Team, id.as_str(), labels, other.map(|other| &other.resource.labels), rows);
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut limits = limits::fetch::<String>(tx, Of::TEAMS, which).await?;
        let mut labels = labels::fetch(tx, Kind::Team, which).await?;
        let mut teams = Vec::new();
        for row in rows(tx, which.select::<team::Entity>(team::Column::Id)).await? {
            let reading = Reading { table: "team", id: &row.id };
            teams.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    name: row.name.into(),
                    customer_id: row.customer_id.as_deref().map(|id| names.share(id)),
                    is_active: row.is_active,
                    model_ceiling: ModelCeiling {
                        allowed_providers: reading.ids(&row.model_ceiling_allowed_providers, names)?,
                        allowed_models: reading.list(&row.model_ceiling_allowed_models)?.into(),
                        blocked_models: reading.list(&row.model_ceiling_blocked_models)?.into(),
                    },
                    calendar_aligned: row.calendar_aligned,
                    calendar: reading.calendar(row.calendar.as_deref())?,
                    limits: limits.of(reading, row.id.as_str())?,
                    labels: labels.of(&row.id),
                    profile: reading.structure(row.profile.as_deref())?,
                    config: reading.structure(row.config.as_deref())?,
                    claims: reading.structure(row.claims.as_deref())?,
                    managed_by: row.managed_by.into(),
                },
            });
        }
        limits.finish()?;
        labels.finish()?;
        Ok(teams)
    }
}
