//! Tokens. They are apart from the log and its head: a change of a token is no change of configuration, and takes no
//! revision. A row of their own counts their changes, locked first by whoever makes one, so that changes have an order
//! on every engine, and a replica learns by reading one number that it must read them again.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _};

use super::Store;
use super::entity::{request, token, token_head};
use super::error::StoreError;
use super::group::Remembered;
use super::persist::{Row, rows};
use super::requests;
use super::script::Script;
use super::tx::ReadTx;
use crate::domain::{Role, Sha256Hash, Timestamp, Token};

impl Row for token::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// All tokens, revoked ones included, and how often they were changed: 0 if there never was one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenTable {
    /// Rises with every change.
    pub version: i64,
    /// In the order of their ids.
    pub tokens: Vec<Token>,
}

/// What a decision about tokens writes.
#[derive(Default, Debug)]
pub struct TokenWrite {
    /// A token as it is to be.
    pub token: Option<Token>,
    /// The request and its answer.
    pub remember: Option<Remembered>,
}

pub(super) fn row(token: &Token) -> token::Model {
    let Token { id, name, role, node_id, sha256, created_at, created_by, expires_at, revoked, last_used_at } = token;
    token::Model {
        id: id.to_string(),
        name: name.to_string(),
        role: role.name().to_owned(),
        node_id: node_id.as_ref().map(ToString::to_string),
        value_sha256: sha256.0.to_vec(),
        created_at: created_at.as_micros(),
        created_by: created_by.to_string(),
        expires_at: expires_at.map(Timestamp::as_micros),
        revoked_at: revoked.as_ref().map(|(at, _)| at.as_micros()),
        revoked_by: revoked.as_ref().map(|(_, by)| by.to_string()),
        last_used_at: last_used_at.map(Timestamp::as_micros),
    }
}

fn read(row: token::Model) -> Result<Token, StoreError> {
    let corrupt = |why: &str| StoreError::corrupt("token", &row.id, why);
    Ok(Token {
        role: Role::from_name(&row.role).ok_or_else(|| corrupt("its role is unknown"))?,
        sha256: Sha256Hash::from_slice(&row.value_sha256).ok_or_else(|| corrupt("its hash is not 32 bytes long"))?,
        revoked: match (row.revoked_at, row.revoked_by) {
            (Some(at), by) => Some((Timestamp::from_micros(at), by.unwrap_or_default().into())),
            (None, _) => None,
        },
        id: row.id.into(),
        name: row.name.into(),
        node_id: row.node_id.map(Into::into),
        created_at: Timestamp::from_micros(row.created_at),
        created_by: row.created_by.into(),
        expires_at: row.expires_at.map(Timestamp::from_micros),
        last_used_at: row.last_used_at.map(Timestamp::from_micros),
    })
}

fn table(version: i64, rows: Vec<token::Model>) -> Result<TokenTable, StoreError> {
    let mut tokens = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    tokens.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(TokenTable { version, tokens })
}

/// All tokens, in the order of their ids.
pub(super) async fn all(tx: &ReadTx) -> Result<Vec<Token>, StoreError> {
    Ok(table(0, rows(tx, token::Entity::find()).await?)?.tokens)
}

fn no_head() -> StoreError {
    StoreError::corrupt("token_head", 1, "it is missing")
}

async fn version(tx: &ReadTx) -> Result<i64, StoreError> {
    rows(tx, token_head::Entity::find_by_id(1)).await?.pop().map(|head| head.version).ok_or_else(no_head)
}

/// Locks the tokens and counts the change.
async fn lock(tx: &DatabaseTransaction) -> Result<TokenTable, StoreError> {
    let moved = token_head::Entity::update_many()
        .col_expr(token_head::Column::Version, Expr::col(token_head::Column::Version).add(1))
        .filter(token_head::Column::Id.eq(1))
        .exec(tx)
        .await?;
    if moved.rows_affected != 1 {
        return Err(no_head());
    }
    let head = token_head::Entity::find_by_id(1).one(tx).await?.ok_or_else(no_head)?;
    table(head.version - 1, token::Entity::find().all(tx).await?)
}

async fn earlier(
    tx: &DatabaseTransaction,
    (caller, method, request_id): (&str, &str, &str),
    now: Timestamp,
) -> Result<Option<Remembered>, StoreError> {
    let key = (caller.to_owned(), method.to_owned(), request_id.to_owned());
    let found = request::Entity::find_by_id(key).one(tx).await?;
    let found = found.map(requests::read).transpose()?;
    Ok(found.filter(|earlier| earlier.accepted_at > requests::since(now)))
}

impl Store {
    /// How often tokens were changed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn token_version(&self) -> Result<i64, StoreError> {
        self.in_time(async { version(&self.begin_read().await?).await }).await
    }

    /// All tokens, in one snapshot.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn tokens(&self) -> Result<TokenTable, StoreError> {
        self.in_time(async {
            let tx = self.begin_read().await?;
            table(version(&tx).await?, rows(&tx, token::Entity::find()).await?)
        })
        .await
    }

    /// Lets `decide` change a token: nobody else changes one meanwhile. It is given all tokens and, if the `request`
    /// (caller, method, request id) was accepted in the 24 hours before `now`, what is remembered of it.
    ///
    /// # Errors
    ///
    /// As [`WriteTx::commit`](super::WriteTx::commit), and [`StoreError::Corrupt`].
    pub async fn change_tokens<T>(
        &self,
        request: Option<(&str, &str, &str)>,
        now: Timestamp,
        decide: impl FnOnce(TokenTable, Option<Remembered>) -> (TokenWrite, T) + Send,
    ) -> Result<T, StoreError> {
        let tx = self.begin_write().await?;
        let result = async {
            let tokens = lock(&tx).await?;
            let earlier = match request {
                Some(request) => earlier(&tx, request, now).await?,
                None => None,
            };
            let (TokenWrite { token, remember }, decided) = decide(tokens, earlier);
            let writes = token.is_some() || remember.is_some();
            let mut script = Script::new(tx.get_database_backend());
            script.upsert(token.iter().map(row).collect());
            requests::remember(&mut script, remember.as_slice());
            script.run(&tx).await?;
            Ok((writes, decided))
        };
        match self.in_time(result).await {
            Ok((true, decided)) => self.reach.finish(tx, Ok(decided)).await,
            // Nothing was decided that is to be kept; so the count is put back.
            Ok((false, decided)) => {
                self.reach.roll_back(tx).await;
                Ok(decided)
            }
            Err(error) => self.reach.finish(tx, Err(error)).await,
        }
    }

    /// Notes when tokens (by id) were used. It is no change of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn touch_tokens(&self, used: &[(&str, Timestamp)]) -> Result<(), StoreError> {
        use token::Column::{Id, LastUsedAt};
        if used.is_empty() {
            return Ok(());
        }
        let tx = self.begin_write().await?;
        let result = async {
            for (id, at) in used {
                let at = at.as_micros();
                token::Entity::update_many()
                    .col_expr(LastUsedAt, Expr::value(at))
                    .filter(Id.eq(*id))
                    .filter(LastUsedAt.is_null().or(LastUsedAt.lt(at)))
                    .exec(&tx)
                    .await?;
            }
            Ok(())
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }
}
