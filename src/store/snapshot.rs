//! Reading everything, record by record, in one snapshot: what moves to another store. The order of records does not depend
//! on the engine. Memory holds one part of them at a time, and the ids of one kind of resource.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sea_orm::sea_query::Order;
use sea_orm::{
    ColumnTrait as _, EntityTrait, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::entity::{
    credit_account, credit_node, credit_pool, customer, former_key, head, mcp_client, model_config, model_price,
    pricing_override, provider, provider_governance, request, routing_rule, spend as spend_row, team, threshold_event,
    token, usage_counter, usage_node, virtual_key, webhook,
};
use super::error::StoreError;
use super::group::Remembered;
use super::persist::{Names, Persist, Which, rows, visit};
use super::reach::Reach;
use super::tx::{KEYS, ReadTx, be_patient};
use super::usage::{Registration, counter, former_key as former, watermark};
use super::{Reader, credit, journal, requests, spend, threshold, token as tokens};
use crate::counters::{Counter, CounterKey};
use crate::credit::{Book, Change};
use crate::domain::{
    AnyResource, Customer, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance,
    RoutingRule, Stored, Team, Timestamp, Token, VirtualKey, Webhook,
};
use crate::state::{Crossing, Head};
use crate::usage::{FormerKey, SpendAmounts, SpendCalendar, SpendCell};

/// A piece of what a store holds beside its history.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// A resource. Its revision is 0: it means nothing in another store.
    Resource(AnyResource),
    /// An access token, and when it was last used.
    Token(Arc<Stored<Token>>, Option<Timestamp>),
    /// An incarnation of a node.
    UsageNode(UsageNode),
    /// What a window has counted.
    Counter(CounterKey, Counter),
    /// A deleted key.
    FormerKey(Box<str>, FormerKey),
    /// A limit that reached a threshold.
    Crossing(Crossing),
    /// A request that is remembered.
    Request(Remembered),
    /// What was spent in an hour, or a day, by a series.
    Spend(SpendCell, SpendAmounts),
    /// A row of credit. That of a limit stands before those of the accounts on it.
    Credit(Change),
}

/// An incarnation of a node, and how far its batches were counted.
#[derive(Clone, PartialEq, Debug)]
pub struct UsageNode {
    /// The incarnation.
    pub incarnation: i64,
    /// What it registered with.
    pub registration: Registration,
    /// Number of the last batch that was counted; 0 for none.
    pub sequence: i64,
    /// Hash of that batch.
    pub fingerprint: [u8; 32],
    /// The store that it registered at.
    pub store_id: Box<str>,
}

/// From where on a store numbers things.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numbering {
    /// The greatest id that a provider config or MCP config of a key ever had.
    pub last_config_id: i64,
    /// The greatest incarnation that a node ever had.
    pub last_incarnation: i64,
    /// The version of the counter that moved last.
    pub usage_version: i64,
}

/// The store at one moment.
pub struct Snapshot {
    pub(super) tx: ReadTx,
    pub(super) reach: Reach,
    head: Head,
    numbering: Numbering,
    spend_calendar: Option<SpendCalendar>,
}

impl Reader {
    /// The store as it is now. Whoever writes meanwhile is not seen, and not held up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let tx = self.begin_read().await?;
        be_patient(&tx.0).await?;
        let row = rows(&tx, head::Entity::find_by_id(1)).await?.pop();
        let last_incarnation = row.as_ref().map_or(0, |row| row.last_incarnation);
        let position = super::position_of(row)?;
        let (last_config_id, usage_version) = (position.head.last_config_id, position.usage_version);
        let numbering = Numbering { last_config_id, last_incarnation, usage_version };
        let spend_calendar = spend::read_calendar(&tx.0).await?;
        Ok(Snapshot { tx, reach: self.reach.clone(), head: position.head, numbering, spend_calendar })
    }
}

impl Snapshot {
    /// Where the store stands.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// From where on it numbers things.
    pub fn numbering(&self) -> Numbering {
        self.numbering
    }

    /// How spend is kept; `None` if no server has started on the store.
    pub fn spend_calendar(&self) -> Option<&SpendCalendar> {
        self.spend_calendar.as_ref()
    }

    /// About how many records there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn count(&self) -> Result<u64, StoreError> {
        async fn of<E: EntityTrait<Model: Sync>>(tx: &ReadTx) -> Result<u64, StoreError> {
            Ok(E::find().count(&tx.0).await?)
        }
        let tx = &self.tx;
        Ok(of::<provider::Entity>(tx).await?
            + of::<mcp_client::Entity>(tx).await?
            + of::<customer::Entity>(tx).await?
            + of::<team::Entity>(tx).await?
            + of::<virtual_key::Entity>(tx).await?
            + of::<routing_rule::Entity>(tx).await?
            + of::<model_config::Entity>(tx).await?
            + of::<provider_governance::Entity>(tx).await?
            + of::<pricing_override::Entity>(tx).await?
            + of::<model_price::Entity>(tx).await?
            + of::<webhook::Entity>(tx).await?
            + of::<token::Entity>(tx).await?
            + of::<usage_node::Entity>(tx).await?
            + of::<usage_counter::Entity>(tx).await?
            + of::<former_key::Entity>(tx).await?
            + of::<threshold_event::Entity>(tx).await?
            + of::<request::Entity>(tx).await?
            + of::<spend_row::Entity>(tx).await?
            + of::<credit_node::Entity>(tx).await?
            + of::<credit_pool::Entity>(tx).await?
            + of::<credit_account::Entity>(tx).await?)
    }

    /// Hands everything to `take`: resources first, each after those that it names; requests as far as they are remembered
    /// at `now`.
    ///
    /// # Errors
    ///
    /// What `take` fails with; [`StoreError::Corrupt`] if rows make no record, else [`StoreError::Unavailable`].
    pub async fn read<E: From<StoreError>>(
        &self,
        now: Timestamp,
        mut take: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let (tx, take) = (&self.tx, &mut take);
        resources::<provider::Entity, Provider, E>(tx, provider::Column::Id, take).await?;
        resources::<mcp_client::Entity, McpClient, E>(tx, mcp_client::Column::Id, take).await?;
        resources::<customer::Entity, Customer, E>(tx, customer::Column::Id, take).await?;
        resources::<team::Entity, Team, E>(tx, team::Column::Id, take).await?;
        resources::<virtual_key::Entity, VirtualKey, E>(tx, virtual_key::Column::Id, take).await?;
        resources::<routing_rule::Entity, RoutingRule, E>(tx, routing_rule::Column::Id, take).await?;
        resources::<model_config::Entity, ModelConfig, E>(tx, model_config::Column::Id, take).await?;
        let id = provider_governance::Column::Id;
        resources::<provider_governance::Entity, ProviderGovernance, E>(tx, id, take).await?;
        resources::<pricing_override::Entity, PricingOverride, E>(tx, pricing_override::Column::Id, take).await?;
        resources::<model_price::Entity, ModelPrice, E>(tx, model_price::Column::Id, take).await?;
        resources::<webhook::Entity, Webhook, E>(tx, webhook::Column::Id, take).await?;
        let uses = tokens::uses(tx).await?;
        let mut with_use = |record: Record| match &record {
            Record::Resource(AnyResource::Token(token)) => {
                take(Record::Token(Arc::clone(token), uses.get(token.id.as_str()).copied()))
            }
            _ => take(record),
        };
        resources::<token::Entity, Token, E>(tx, token::Column::Id, &mut with_use).await?;
        self.usage(take).await?;
        let remembered = request::Entity::find()
            .filter(request::Column::AcceptedAt.gt(requests::since(now).as_micros()))
            .order_by(request::Column::AcceptedAt, Order::Asc);
        visit(tx, "request", remembered.into_model::<request::Model>(), |row| {
            take(Record::Request(requests::read(row)?))
        })
        .await?;
        spend::each_cell(tx, |cell, amounts| take(Record::Spend(cell, amounts))).await?;
        self.credit().await?.rows().try_for_each(|row| take(Record::Credit(row)))
    }

    /// What nodes hold of hard limits. The tables are a fold behind the journal.
    async fn credit(&self) -> Result<Book, StoreError> {
        let mut book = Book::default();
        credit::load(&self.tx).await?.into_iter().for_each(|row| book.apply(row));
        for entry in journal::read(&self.tx, 0).await? {
            entry.credit.changes.into_iter().for_each(|change| book.apply(change));
        }
        Ok(book)
    }

    /// What was counted. The tables are a fold behind the journal.
    async fn usage<E: From<StoreError>>(&self, take: &mut impl FnMut(Record) -> Result<(), E>) -> Result<(), E> {
        let tx = &self.tx;
        let (mut counters, mut watermarks) = (HashMap::new(), HashMap::new());
        for entry in journal::read(tx, 0).await? {
            counters.extend(entry.counters);
            let counted = entry.watermarks.into_iter();
            watermarks.extend(counted.map(|(incarnation, sequence, hash)| (incarnation, (sequence, hash))));
        }
        let nodes = usage_node::Entity::find().order_by(usage_node::Column::Incarnation, Order::Asc);
        visit(tx, "usage_node", nodes.into_model::<usage_node::Model>(), |row| {
            let mut node = self.node(row)?;
            if let Some((sequence, fingerprint)) = watermarks.get(&node.incarnation) {
                (node.sequence, node.fingerprint) = (*sequence, *fingerprint);
            }
            take(Record::UsageNode(node))
        })
        .await?;
        // No two counters have one version, and all of the journal are later than those that are in the tables alone.
        let folded = usage_counter::Entity::find().order_by(usage_counter::Column::Version, Order::Asc);
        visit(tx, "usage_counter", folded.into_model::<usage_counter::Model>(), |row| {
            let (key, counter) = counter(&row)?;
            if counters.contains_key(&key) { Ok(()) } else { take(Record::Counter(key, counter)) }
        })
        .await?;
        let by_version =
            counters.into_iter().map(|(key, counter): (CounterKey, Counter)| (counter.version, (key, counter)));
        for (key, counter) in by_version.collect::<BTreeMap<_, _>>().into_values() {
            take(Record::Counter(key, counter))?;
        }
        let deleted = former_key::Entity::find().order_by(former_key::Column::DeletedAt, Order::Asc);
        visit(tx, "former_key", deleted.into_model::<former_key::Model>(), |row| {
            let (id, key) = former(row);
            take(Record::FormerKey(id, key))
        })
        .await?;
        let crossed = threshold_event::Entity::find()
            .order_by(threshold_event::Column::Version, Order::Asc)
            .order_by(threshold_event::Column::Percent, Order::Asc);
        visit(tx, "threshold_event", crossed.into_model::<threshold_event::Model>(), |row| {
            take(Record::Crossing(threshold::crossing(row)?))
        })
        .await
    }

    fn node(&self, row: usage_node::Model) -> Result<UsageNode, StoreError> {
        let registration = Registration {
            node_id: row.node_id.clone(),
            version: row.version.clone(),
            metadata: row.metadata.clone(),
            registered_by: row.registered_by.clone(),
            at: Timestamp::from_micros(row.registered_at),
        };
        let counted = watermark(row)?;
        Ok(UsageNode {
            incarnation: counted.incarnation,
            registration,
            sequence: counted.sequence,
            fingerprint: counted.fingerprint,
            store_id: counted.store_id.unwrap_or_else(|| self.head.store_id.clone()),
        })
    }
}

async fn resources<T: EntityTrait, R: Persist, E: From<StoreError>>(
    tx: &ReadTx,
    id: T::Column,
    take: &mut impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let ids = T::find().select_only().column(id).into_tuple::<String>().all(&tx.0).await;
    let mut ids = ids.map_err(|error| StoreError::reading(T::default().table_name(), &error))?;
    // Not by the database, whose orders of text differ.
    ids.sort_unstable();
    for part in ids.chunks(KEYS) {
        let part: Vec<&str> = part.iter().map(String::as_str).collect();
        let mut found = R::fetch(tx, Which::These(&part), &mut Names::default()).await?;
        found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        for mut stored in found {
            stored.revision = 0;
            take(Record::Resource(R::wrap(Arc::new(stored))))?;
        }
    }
    Ok(())
}
