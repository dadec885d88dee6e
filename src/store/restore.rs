//! Writing everything into an empty store, in one transaction.

use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, EntityTrait as _};

use super::entity::{head, webhook_head};
use super::error::StoreError;
use super::group::Group;
use super::reach::Reach;
use super::script::Script;
use super::snapshot::{Numbering, Record};
use super::tx::be_patient;
use super::{Store, commit, credit, requests, spend, threshold, token, usage};
use crate::domain::Timestamp;
use crate::state::Head;
use crate::usage::{SpendCalendar, SpendTally};

/// A store that is being filled: others see nothing of it before [`Restore::commit`], and nothing at all without.
pub struct Restore {
    tx: DatabaseTransaction,
    reach: Reach,
}

impl Store {
    /// Begins to fill the store, which gets an id of its own; where it stands then. `None` if it holds anything.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn begin_restore(
        &self,
        numbering: Numbering,
        spend_calendar: Option<&SpendCalendar>,
        now: Timestamp,
    ) -> Result<Option<(Restore, Head)>, StoreError> {
        let tx = self.begin_write().await?;
        match begin(&tx, numbering, spend_calendar, now).await {
            Ok(Some(head)) => Ok(Some((Restore { tx, reach: self.reach.clone() }, head))),
            Ok(None) => {
                self.reach.roll_back(tx).await;
                Ok(None)
            }
            Err(error) => self.reach.finish(tx, Err(error)).await,
        }
    }
}

async fn begin(
    tx: &DatabaseTransaction,
    numbering: Numbering,
    spend_calendar: Option<&SpendCalendar>,
    now: Timestamp,
) -> Result<Option<Head>, StoreError> {
    let missing = |table| StoreError::corrupt(table, 1, "it is missing");
    let found = head::Entity::find_by_id(1).one(tx).await?.ok_or_else(|| missing("head"))?;
    if (found.revision, found.usage_version, found.last_incarnation) != (0, 0, 0) {
        return Ok(None);
    }
    be_patient(tx).await?;
    let Numbering { last_config_id, last_incarnation, usage_version } = numbering;
    let store_id = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
    head::Entity::update_many()
        .col_expr(head::Column::StoreId, Expr::value(store_id.clone()))
        .col_expr(head::Column::CommittedAt, Expr::value(now.as_micros()))
        .col_expr(head::Column::LastConfigId, Expr::value(last_config_id))
        .col_expr(head::Column::LastIncarnation, Expr::value(last_incarnation))
        .col_expr(head::Column::UsageVersion, Expr::value(usage_version))
        .exec(tx)
        .await?;
    // Thresholds that were crossed in the other store were told there.
    webhook_head::Entity::update_many()
        .col_expr(webhook_head::Column::CrossingVersion, Expr::value(usage_version))
        .exec(tx)
        .await?;
    if let Some(calendar) = spend_calendar {
        let mut script = Script::new(tx.get_database_backend());
        spend::begin(&mut script, calendar);
        script.run(tx).await?;
    }
    let committed_at = now.as_micros();
    let row = head::Model { store_id, committed_at, last_config_id, last_incarnation, usage_version, ..found };
    super::position_of(Some(row)).map(|position| Some(position.head))
}

impl Restore {
    /// Writes resources with the revisions that create them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if the group does not begin where the one before ended or the tables do not allow it, else
    /// [`StoreError::Unavailable`]. Nothing can be written after an error.
    pub async fn create(&self, group: &Group) -> Result<(), StoreError> {
        for part in commit::Parts::of(self.tx.get_database_backend(), group)? {
            part.run(&self.tx).await?;
        }
        Ok(())
    }

    /// Writes records of all kinds but resources, none of which may be there; of an access token, which is there, when it was
    /// last used.
    ///
    /// # Errors
    ///
    /// As [`Restore::create`].
    pub async fn add(&self, records: Vec<Record>) -> Result<(), StoreError> {
        let (mut token_uses, mut nodes, mut counters) = (Vec::new(), Vec::new(), Vec::new());
        let (mut former_keys, mut crossings, mut remembered) = (Vec::new(), Vec::new(), Vec::new());
        let (mut spent, mut credit_rows) = (SpendTally::default(), Vec::new());
        for record in records {
            match record {
                Record::Resource(any) => {
                    return Err(StoreError::refused(format!("{} comes without a revision", any.key())));
                }
                Record::Token(token, used) => token_uses.extend(used.map(|at| (token.id.shared(), at))),
                Record::UsageNode(node) => nodes.push(usage::node_row(node)),
                Record::Counter(key, counter) => counters.push(usage::counter_row(&key, counter)),
                Record::FormerKey(id, key) => former_keys.push((id, key)),
                Record::Crossing(crossing) => crossings.push(crossing),
                Record::Request(request) => remembered.push(request),
                Record::Spend(cell, amounts) => spent.add(cell, amounts),
                Record::Credit(row) => credit_rows.push((row.row(), Some(row))),
            }
        }
        let tx = &self.tx;
        token::note_uses(tx, &token_uses).await?;
        let mut script = Script::new(tx.get_database_backend());
        script.insert(nodes);
        script.insert(counters);
        usage::remember_former(&mut script, &former_keys);
        threshold::record(&mut script, &crossings);
        requests::remember(&mut script, &remembered);
        spend::add(&mut script, spent);
        credit::write(&mut script, &credit_rows);
        script.run(tx).await
    }

    /// Makes it all visible.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unknown`] if it may have become visible or not, else as [`Restore::create`].
    pub async fn commit(self) -> Result<(), StoreError> {
        self.reach.finish(self.tx, Ok(())).await
    }

    /// Leaves the store as it was.
    pub async fn rollback(self) {
        self.reach.roll_back(self.tx).await;
    }
}
