//! Access tokens in their table, `token`, and when they were last used.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _};

use super::cell::Reading;
use super::entity::{token, token_use};
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use super::{Reader, Store};
use crate::domain::{Revocation, Role, Stored, Timestamp, Token};

impl Row for token::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for Token {
    fn lay(stored: &Stored<Self>, _other: Option<&Stored<Self>>, rows: &mut Rows) {
        // A token never changes but for being revoked: that is when it was last changed.
        let Stored { id, revision, created_at, updated_at: _, resource } = stored;
        let Self { name, role, node_id, sha256, created_by, expires_at, revoked } = resource;
        rows.token.push(token::Model {
            id: id.to_string(),
            revision: *revision,
            name: name.to_string(),
            role: role.name().to_owned(),
            node_id: node_id.as_ref().map(ToString::to_string),
            value_sha256: sha256.0.to_vec(),
            created_at: created_at.as_micros(),
            created_by: created_by.to_string(),
            expires_at: expires_at.map(Timestamp::as_micros),
            revoked_at: revoked.as_ref().map(|revoked| revoked.at.as_micros()),
            revoked_by: revoked.as_ref().map(|revoked| revoked.by.to_string()),
        });
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let tokens = rows(tx, which.select::<token::Entity>(token::Column::Id)).await?;
        let mut read = |row: token::Model| {
            let reading = Reading { table: "token", id: &row.id };
            let created_at = reading.time(row.created_at)?;
            let revoked_at = row.revoked_at.map(|at| reading.time(at)).transpose()?;
            let revoked = match (revoked_at, row.revoked_by) {
                (Some(at), by) => Some(Revocation { at, by: by.unwrap_or_default().into() }),
                (None, None) => None,
                (None, Some(_)) => return Err(reading.corrupt("somebody revoked it at no time")),
            };
            Ok(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at,
                updated_at: revoked_at.unwrap_or(created_at),
                resource: Self {
                    role: Role::from_name(&row.role).ok_or_else(|| reading.corrupt("its role is unknown"))?,
                    sha256: reading.hash(&row.value_sha256)?,
                    expires_at: row.expires_at.map(|at| reading.time(at)).transpose()?,
                    name: row.name.into(),
                    node_id: row.node_id.map(Into::into),
                    created_by: row.created_by.into(),
                    revoked,
                },
            })
        };
        tokens.into_iter().map(&mut read).collect()
    }
}

/// When each token was last used, by id, as far as that is noted.
pub(super) async fn uses(tx: &ReadTx) -> Result<HashMap<String, Timestamp>, StoreError> {
    let used = rows(tx, token_use::Entity::find()).await?;
    Ok(used.into_iter().filter_map(|row| Some((row.id, Timestamp::from_micros(row.last_used_at?)))).collect())
}

/// Notes when tokens (by id) were used.
pub(super) async fn note_uses(tx: &DatabaseTransaction, used: &[(Arc<str>, Timestamp)]) -> Result<(), StoreError> {
    use token_use::Column::{Id, LastUsedAt};
    for (id, at) in used {
        let at = at.as_micros();
        token_use::Entity::update_many()
            .col_expr(LastUsedAt, Expr::value(at))
            .filter(Id.eq(id.as_ref()))
            .filter(LastUsedAt.is_null().or(LastUsedAt.lt(at)))
            .exec(tx)
            .await?;
    }
    Ok(())
}

impl Reader {
    /// When each token was last used, by id, as far as that is noted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn token_uses(&self) -> Result<HashMap<String, Timestamp>, StoreError> {
        self.in_time(async { uses(&self.begin_read().await?).await }).await
    }

    /// The ids of the access tokens that are revoked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn revoked_tokens(&self) -> Result<HashSet<String>, StoreError> {
        self.in_time(async {
            let revoked = token_use::Entity::find().filter(token::Column::RevokedAt.is_not_null());
            Ok(rows(&self.begin_read().await?, revoked).await?.into_iter().map(|row| row.id).collect())
        })
        .await
    }
}

impl Store {
    /// Notes when tokens (by id) were used. It is no change of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn note_token_uses(&self, used: &[(Arc<str>, Timestamp)]) -> Result<(), StoreError> {
        if used.is_empty() {
            return Ok(());
        }
        let tx = self.begin_write().await?;
        let result = self.in_time(note_uses(&tx, used)).await;
        self.reach.finish(tx, result).await
    }
}
