//! Prices of models in their table, `model_price`.

use super::cell::{self, Reading};
use super::entity::model_price;
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{ModelPrice, Stored, Timestamp};

impl Row for model_price::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for ModelPrice {
    fn lay(stored: &Stored<Self>, _other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self {
            provider,
            model,
            rates,
            context_window,
            max_output_tokens,
            source,
            valid_from,
            valid_to,
            managed_by,
        } = resource;
        rows.model_price.push(model_price::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            provider: provider.to_string(),
            model: model.to_string(),
            rates: cell::rates(rates),
            context_window: *context_window,
            max_output_tokens: *max_output_tokens,
            source: source.to_string(),
            valid_from: valid_from.map(Timestamp::as_micros),
            valid_to: valid_to.map(Timestamp::as_micros),
            managed_by: managed_by.to_string(),
        });
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut prices = Vec::new();
        for row in rows(tx, which.select::<model_price::Entity>(model_price::Column::Id)).await? {
            let reading = Reading { table: "model_price", id: &row.id };
            prices.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    provider: names.share(&row.provider),
                    model: row.model.as_str().into(),
                    rates: reading.rates(&row.rates)?,
                    context_window: row.context_window,
                    max_output_tokens: row.max_output_tokens,
                    source: row.source.as_str().into(),
                    valid_from: row.valid_from.map(|micros| reading.time(micros)).transpose()?,
                    valid_to: row.valid_to.map(|micros| reading.time(micros)).transpose()?,
                    managed_by: row.managed_by.as_str().into(),
                },
            });
        }
        Ok(prices)
    }
}
