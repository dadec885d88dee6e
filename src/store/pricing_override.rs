//! Pricing overrides in their table, `pricing_override`.

use super::cell::{self, Reading};
use super::entity::pricing_override;
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{Pattern, PricingOverride, PricingScope, PricingScopeKind, Stored};

impl Row for pricing_override::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for PricingOverride {
    fn lay(stored: &Stored<Self>, _other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { name, scope, pattern, request_types, rates, managed_by } = resource;
        let (pattern, wildcard) = match pattern {
            Pattern::Exact(model) => (model, false),
            Pattern::Wildcard(prefix) => (prefix, true),
        };
        rows.pricing_override.push(pricing_override::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            name: name.to_string(),
            scope_kind: scope.kind().name().to_owned(),
            virtual_key_id: scope.virtual_key().map(ToString::to_string),
            provider_id: scope.provider().map(ToString::to_string),
            provider_key_id: scope.provider_key().map(ToOwned::to_owned),
            pattern: pattern.to_string(),
            wildcard,
            request_types: i32::try_from(request_types.0).unwrap_or_default(),
            rates: cell::rates(rates),
            managed_by: managed_by.to_string(),
        });
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let mut overrides = Vec::new();
        for row in rows(tx, which.select::<pricing_override::Entity>(pricing_override::Column::Id)).await? {
            let reading = Reading { table: "pricing_override", id: &row.id };
            let kind = PricingScopeKind::ALL.into_iter().find(|kind| kind.name() == row.scope_kind);
            let kind = kind.ok_or_else(|| reading.corrupt(format!("there is no scope {:?}", row.scope_kind)))?;
            let scope = PricingScope::new(
                kind,
                row.virtual_key_id.as_deref().map(|id| names.share(id)),
                row.provider_id.as_deref().map(|id| names.share(id)),
                row.provider_key_id.as_deref().map(Into::into),
            );
            let pattern: Box<str> = row.pattern.as_str().into();
            overrides.push(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    scope: scope.ok_or_else(|| reading.corrupt("its ids are not those of its scope"))?,
                    pattern: if row.wildcard { Pattern::Wildcard(pattern) } else { Pattern::Exact(pattern) },
                    request_types: reading.request_types(row.request_types)?,
                    rates: reading.rates(&row.rates)?,
                    name: row.name.as_str().into(),
                    managed_by: row.managed_by.as_str().into(),
                },
            });
        }
        Ok(overrides)
    }
}
