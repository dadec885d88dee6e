//! Customers in tables: `customer`, with `budget`, `rate_limit` and `label`.

use super::cell::{self, Reading};
use super::entity::customer;
use super::error::StoreError;
use super::limits::Of;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use super::{labels, limits};
use crate::domain::{Customer, Kind, LimitOwner, ModelCeiling, Stored};

impl Row for customer::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn moved(&self, before: &Self) -> bool {
        self.name != before.name
    }
}

impl Persist for Customer {
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { name, is_active, model_ceiling, calendar_aligned, calendar, limits, labels, managed_by } = resource;
        rows.customer.push(customer::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            name: name.to_string(),
            calendar_aligned: *calendar_aligned,
            is_active: *is_active,
            model_ceiling_allowed_providers: cell::ids(&model_ceiling.allowed_providers),
            model_ceiling_allowed_models: cell::list(&model_ceiling.allowed_models),
            model_ceiling_blocked_models: cell::list(&model_ceiling.blocked_models),
            calendar: calendar.as_deref().map(ToString::to_string),
            managed_by: managed_by.to_string(),
        });
        limits::lay(&LimitOwner::Customer(id.clone()), limits, other.map(|other| &other.resource.limits), rows);
        labels::lay(Kind::Customer, id.as_str(), labels, other.map(|other| &other.resource.labels), rows);
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut limits = limits::fetch::<String>(tx, Of::CUSTOMERS, which).await?;
        let mut labels = labels::fetch(tx, Kind::Customer, which).await?;
        let mut customers = Vec::new();
        for row in rows(tx, which.select::<customer::Entity>(customer::Column::Id)).await? {
            let reading = Reading { table: "customer", id: &row.id };
            customers.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    name: row.name.into(),
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
                    managed_by: row.managed_by.into(),
                },
            });
        }
        limits.finish()?;
        labels.finish()?;
        Ok(customers)
    }
}
