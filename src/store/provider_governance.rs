//! The governance of providers in tables: `provider_governance`, with `budget` and `rate_limit`.

use super::cell::Reading;
use super::entity::provider_governance;
use super::error::StoreError;
use super::limits;
use super::limits::Of;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{Id, LimitOwner, ProviderGovernance, Stored};

impl Row for provider_governance::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for ProviderGovernance {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { calendar_aligned, calendar, limits, managed_by } = resource;
        rows.provider_governance.push(provider_governance::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            calendar_aligned: *calendar_aligned,
            calendar: calendar.as_deref().map(ToString::to_string),
            managed_by: managed_by.to_string(),
        });
        let owner = LimitOwner::Provider(Id::new(id.shared()));
        limits::lay(&owner, limits, other.map(|other| &other.resource.limits), rows);
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut limits = limits::fetch::<String>(tx, Of::PROVIDERS, which).await?;
        let mut governed = Vec::new();
        for row in rows(tx, which.select::<provider_governance::Entity>(provider_governance::Column::Id)).await? {
            let reading = Reading { table: "provider_governance", id: &row.id };
            governed.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    calendar_aligned: row.calendar_aligned,
                    calendar: reading.calendar(row.calendar.as_deref())?,
                    limits: limits.of(reading, row.id.as_str())?,
                    managed_by: row.managed_by.into(),
                },
            });
        }
        limits.finish()?;
        Ok(governed)
    }
}
