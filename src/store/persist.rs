//! How resources lie in tables. [`Persist`] says it for one kind, in the file of the kind; what follows from it for all
//! kinds stands here: finding out which rows a change touches, writing them, and reading resources back.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, IntoValueTuple};
use sea_orm::{
    ColumnTrait, EntityTrait, IdenStatic as _, IntoActiveModel, Iterable as _, ModelTrait, QueryFilter as _, Select,
    Selector, SelectorTrait,
};

use super::Reader;
use super::entity::{
    budget, customer, label, mcp_client, model_config, model_price, pricing_override, provider, provider_governance,
    provider_key, rate_limit, routing_rule, routing_target, team, token, virtual_key, virtual_key_mcp_config,
    virtual_key_provider_config, webhook,
};
use super::error::StoreError;
use super::group::Net;
use super::script::{Column, Script};
use super::tx::{KEYS, ReadTx};
use crate::domain::{AnyResource, Id, Resource, Stored};

/// How a kind of resource lies in tables.
pub trait Persist: Resource {
    /// Lays the resource out as rows, without those of the parts that are the same in `other`: a change of one resource
    /// touches few of its parts.
    fn lay(stored: &Stored<Self>, other: Option<&Stored<Self>>, rows: &mut Rows);

    /// Reads resources back, in no particular order.
    fn fetch(
        tx: &ReadTx,
        which: Which<'_>,
        names: &mut Names,
    ) -> impl Future<Output = Result<Vec<Stored<Self>>, StoreError>> + Send;
}

/// Which resources of a kind to read.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    /// All.
    All,
    /// Those with these ids. At most `KEYS`, so that every engine looks them up and none compares each row with all.
    These(&'a [&'a str]),
    /// Those whose ids lie in a range.
    Range(Range<'a>),
}

/// A range of ids, in the order of the database, whichever that is.
#[derive(Clone, Copy)]
pub struct Range<'a> {
    /// After this one, if there is one.
    pub(super) after: Option<&'a str>,
    /// Up to this one, if there is one.
    pub(super) to: Option<&'a str>,
}

impl Range<'_> {
    /// Whether a column has an id of the range.
    pub(super) fn holds(self, id: impl ColumnTrait) -> Expr {
        let after = self.after.map(|after| id.gt(after));
        after.into_iter().chain(self.to.map(|to| id.lte(to))).fold(id.is_not_null(), |all, it| all.and(it))
    }
}

impl Which<'_> {
    /// The rows of `E` whose `owner` is one of the resources.
    pub(super) fn select<E: EntityTrait>(self, owner: E::Column) -> Select<E> {
        match self {
            Self::All => E::find(),
            Self::These(ids) => E::find().filter(owner.is_in(ids.iter().copied())),
            Self::Range(range) => E::find().filter(range.holds(owner)),
        }
    }

    /// Whether a column with an owner's id names one of the resources.
    pub(super) fn owned(self, owner: impl ColumnTrait) -> Expr {
        match self {
            Self::All => owner.is_not_null(),
            Self::These(ids) => owner.is_in(ids.iter().copied()),
            Self::Range(range) => range.holds(owner),
        }
    }
}

/// How long a statement that reads, or the next of its rows, may take to be answered: longer than the server lets it run.
const READING: Duration = Duration::from_secs(330);

/// Runs `select`. A row that cannot be decoded is a corrupt one.
pub(super) async fn rows<E: EntityTrait>(tx: &ReadTx, select: Select<E>) -> Result<Vec<E::Model>, StoreError> {
    let read = answered(select.all(&tx.0)).await?;
    read.map_err(|error| StoreError::reading(E::default().table_name(), &error))
}

/// What the database answers, if it does.
async fn answered<T>(answer: impl Future<Output = T>) -> Result<T, StoreError> {
    let late = |_| StoreError::Away { detail: "it does not answer".to_owned() };
    tokio::time::timeout(READING, answer).await.map_err(late)
}

/// Hands the rows of `select` to `take`, one by one: a row of the driver is many times as large as what is made of it, so
/// that loading a table as a whole costs more for memory than for reading.
pub(super) async fn each<S>(
    tx: &ReadTx,
    table: &'static str,
    select: Selector<S>,
    take: impl FnMut(S::Item) -> Result<(), StoreError>,
) -> Result<(), StoreError>
where
    S: SelectorTrait + Send,
    S::Item: Send,
{
    visit(tx, table, select, take).await
}

/// [`each`], where taking may fail otherwise.
pub(super) async fn visit<S, E>(
    tx: &ReadTx,
    table: &'static str,
    select: Selector<S>,
    mut take: impl FnMut(S::Item) -> Result<(), E>,
) -> Result<(), E>
where
    E: From<StoreError>,
    S: SelectorTrait + Send,
    S::Item: Send,
{
    let failed = |error| StoreError::reading(table, &error);
    let mut rows = answered(select.stream(&tx.0)).await?.map_err(failed)?;
    while let Some(row) = answered(rows.try_next()).await?.map_err(failed)? {
        take(row)?;
    }
    Ok(())
}

/// Ids seen while reading, so that each is in memory once however many resources name it.
#[derive(Default)]
pub struct Names(HashSet<Arc<str>>);

impl Names {
    /// The id `text`, shared with all that were asked for before.
    pub(super) fn share<R>(&mut self, text: &str) -> Id<R> {
        if let Some(shared) = self.0.get(text) {
            return Id::new(Arc::clone(shared));
        }
        let shared: Arc<str> = text.into();
        self.0.insert(Arc::clone(&shared));
        Id::new(shared)
    }
}

/// A row that is a part of a resource.
pub(super) trait Row:
    ModelTrait + IntoActiveModel<<Self::Entity as EntityTrait>::ActiveModel> + PartialEq
{
    /// The primary key.
    type Key: Eq + Hash + IntoValueTuple + Send;

    /// The primary key.
    fn key(&self) -> Self::Key;

    /// Whether a unique column differs from that of the row `before`, which has the same primary key. Such rows are
    /// deleted and inserted: updated in place, two rows that swap their names would collide half-way.
    fn moved(&self, before: &Self) -> bool {
        let _ = before;
        false
    }
}

/// The rows that make up a resource, or several.
#[derive(Default)]
pub struct Rows {
    pub(super) customer: Vec<customer::Model>,
    pub(super) team: Vec<team::Model>,
    pub(super) virtual_key: Vec<virtual_key::Model>,
    pub(super) virtual_key_provider_config: Vec<virtual_key_provider_config::Model>,
    pub(super) virtual_key_mcp_config: Vec<virtual_key_mcp_config::Model>,
    pub(super) routing_rule: Vec<routing_rule::Model>,
    pub(super) routing_target: Vec<routing_target::Model>,
    pub(super) model_config: Vec<model_config::Model>,
    pub(super) provider_governance: Vec<provider_governance::Model>,
    pub(super) pricing_override: Vec<pricing_override::Model>,
    pub(super) model_price: Vec<model_price::Model>,
    pub(super) webhook: Vec<webhook::Model>,
    pub(super) token: Vec<token::Model>,
    pub(super) provider: Vec<provider::Model>,
    pub(super) provider_key: Vec<provider_key::Model>,
    pub(super) mcp_client: Vec<mcp_client::Model>,
    pub(super) budget: Vec<budget::Model>,
    pub(super) rate_limit: Vec<rate_limit::Model>,
    pub(super) label: Vec<label::Model>,
}

impl Rows {
    /// The rows of a resource that may not be rows of `other`, which is the same resource at another time.
    fn of(any: Option<&AnyResource>, other: Option<&AnyResource>) -> Self {
        fn lay<R: Persist>(stored: &Stored<R>, other: Option<&AnyResource>, rows: &mut Rows) {
            R::lay(stored, other.and_then(R::unwrap).map(AsRef::as_ref), rows);
        }
        let mut rows = Self::default();
        match any {
            None => {}
            Some(AnyResource::Customer(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::Team(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::VirtualKey(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::RoutingRule(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::ModelConfig(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::ProviderGovernance(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::PricingOverride(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::Provider(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::McpClient(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::ModelPrice(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::Webhook(stored)) => lay(stored, other, &mut rows),
            Some(AnyResource::Token(stored)) => lay(stored, other, &mut rows),
        }
        rows
    }
}

/// The parts that are another in `other`, each with its place in the list.
pub(super) fn unlike<'a, T: PartialEq>(
    parts: &'a [T],
    other: Option<&'a [T]>,
) -> impl Iterator<Item = (i32, &'a T)> + use<'a, T> {
    let mut others = other.unwrap_or_default().iter();
    (0..).zip(parts).filter(move |(_, part)| others.next() != Some(*part))
}

/// What is to be done to the tables.
#[derive(Default)]
pub(super) struct Batch {
    customer: Delta<customer::Model>,
    team: Delta<team::Model>,
    virtual_key: Delta<virtual_key::Model>,
    virtual_key_provider_config: Delta<virtual_key_provider_config::Model>,
    virtual_key_mcp_config: Delta<virtual_key_mcp_config::Model>,
    routing_rule: Delta<routing_rule::Model>,
    routing_target: Delta<routing_target::Model>,
    model_config: Delta<model_config::Model>,
    provider_governance: Delta<provider_governance::Model>,
    pricing_override: Delta<pricing_override::Model>,
    model_price: Delta<model_price::Model>,
    webhook: Delta<webhook::Model>,
    token: Delta<token::Model>,
    provider: Delta<provider::Model>,
    provider_key: Delta<provider_key::Model>,
    mcp_client: Delta<mcp_client::Model>,
    budget: Delta<budget::Model>,
    rate_limit: Delta<rate_limit::Model>,
    label: Delta<label::Model>,
}

impl Batch {
    /// Adds what `net` does to one resource.
    pub(super) fn add(&mut self, net: &Net) {
        let (before, after) = (net.before.as_ref(), net.after.as_ref());
        let (before, after) = (Rows::of(before, after), Rows::of(after, before));
        self.customer.add(before.customer, after.customer);
        self.team.add(before.team, after.team);
        self.virtual_key.add(before.virtual_key, after.virtual_key);
        self.virtual_key_provider_config.add(before.virtual_key_provider_config, after.virtual_key_provider_config);
        self.virtual_key_mcp_config.add(before.virtual_key_mcp_config, after.virtual_key_mcp_config);
        self.routing_rule.add(before.routing_rule, after.routing_rule);
        self.routing_target.add(before.routing_target, after.routing_target);
        self.model_config.add(before.model_config, after.model_config);
        self.provider_governance.add(before.provider_governance, after.provider_governance);
        self.pricing_override.add(before.pricing_override, after.pricing_override);
        self.model_price.add(before.model_price, after.model_price);
        self.webhook.add(before.webhook, after.webhook);
        self.token.add(before.token, after.token);
        self.provider.add(before.provider, after.provider);
        self.provider_key.add(before.provider_key, after.provider_key);
        self.mcp_client.add(before.mcp_client, after.mcp_client);
        self.budget.add(before.budget, after.budget);
        self.rate_limit.add(before.rate_limit, after.rate_limit);
        self.label.add(before.label, after.label);
    }

    /// Moves the deletions and updates to `script`; the tables are independent of each other, so their order does not matter.
    pub(super) fn write_changes(&mut self, script: &mut Script) {
        self.customer.write_changes(script);
        self.team.write_changes(script);
        self.virtual_key.write_changes(script);
        self.virtual_key_provider_config.write_changes(script);
        self.virtual_key_mcp_config.write_changes(script);
        self.routing_rule.write_changes(script);
        self.routing_target.write_changes(script);
        self.model_config.write_changes(script);
        self.provider_governance.write_changes(script);
        self.pricing_override.write_changes(script);
        self.model_price.write_changes(script);
        self.webhook.write_changes(script);
        self.token.write_changes(script);
        self.provider.write_changes(script);
        self.provider_key.write_changes(script);
        self.mcp_client.write_changes(script);
        self.budget.write_changes(script);
        self.rate_limit.write_changes(script);
        self.label.write_changes(script);
    }

    /// Moves the insertions to `script`. They come last of all, so that what deletions free (a name, the id of a provider key)
    /// can be taken by another row.
    pub(super) fn write_inserts(&mut self, script: &mut Script) {
        script.insert(std::mem::take(&mut self.customer.inserts));
        script.insert(std::mem::take(&mut self.team.inserts));
        script.insert(std::mem::take(&mut self.virtual_key.inserts));
        script.insert(std::mem::take(&mut self.virtual_key_provider_config.inserts));
        script.insert(std::mem::take(&mut self.virtual_key_mcp_config.inserts));
        script.insert(std::mem::take(&mut self.routing_rule.inserts));
        script.insert(std::mem::take(&mut self.routing_target.inserts));
        script.insert(std::mem::take(&mut self.model_config.inserts));
        script.insert(std::mem::take(&mut self.provider_governance.inserts));
        script.insert(std::mem::take(&mut self.pricing_override.inserts));
        script.insert(std::mem::take(&mut self.model_price.inserts));
        script.insert(std::mem::take(&mut self.webhook.inserts));
        script.insert(std::mem::take(&mut self.token.inserts));
        script.insert(std::mem::take(&mut self.provider.inserts));
        script.insert(std::mem::take(&mut self.provider_key.inserts));
        script.insert(std::mem::take(&mut self.mcp_client.inserts));
        script.insert(std::mem::take(&mut self.budget.inserts));
        script.insert(std::mem::take(&mut self.rate_limit.inserts));
        script.insert(std::mem::take(&mut self.label.inserts));
    }
}

/// What is to be done to one table.
struct Delta<M: Row> {
    deletes: Vec<M::Key>,
    updates: Vec<M>,
    /// The columns that differ in any of the updates: what is set to what it was costs an entry of each index over it.
    updated: Vec<Column<M>>,
    inserts: Vec<M>,
}

impl<M: Row> Default for Delta<M> {
    fn default() -> Self {
        Self { deletes: Vec::new(), updates: Vec::new(), updated: Vec::new(), inserts: Vec::new() }
    }
}

impl<M: Row> Delta<M> {
    /// Adds what leads from the rows `before` to the rows `after`; rows that stay as they are cost nothing.
    fn add(&mut self, before: Vec<M>, after: Vec<M>) {
        let mut before: HashMap<M::Key, M> = before.into_iter().map(|row| (row.key(), row)).collect();
        for row in after {
            match before.remove(&row.key()) {
                None => self.inserts.push(row),
                Some(before) if before == row => {}
                Some(before) if row.moved(&before) => {
                    self.deletes.push(row.key());
                    self.inserts.push(row);
                }
                Some(before) => {
                    let known = |column: &Column<M>| self.updated.iter().any(|it| it.as_str() == column.as_str());
                    let differ = |column: &Column<M>| !known(column) && before.get(*column) != row.get(*column);
                    let differ: Vec<_> = Column::<M>::iter().filter(differ).collect();
                    self.updated.extend(differ);
                    self.updates.push(row);
                }
            }
        }
        self.deletes.extend(before.into_keys());
    }

    fn write_changes(&mut self, script: &mut Script) {
        script.delete::<M>(std::mem::take(&mut self.deletes));
        let (updates, updated) = (std::mem::take(&mut self.updates), std::mem::take(&mut self.updated));
        let alike =
            |pair: &[M]| matches!(pair, [one, other] if updated.iter().all(|it| one.get(*it) == other.get(*it)));
        match updates.len() > 1 && updates.windows(2).all(alike) {
            true => script.set(&updates, &updated),
            false => script.update(updates, updated),
        }
    }
}

impl Reader {
    /// The resources with these ids, in the order of `ids`, without those that do not exist; and the revision of the
    /// head in the same snapshot.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if the rows make no resource.
    pub async fn read<R: Persist>(&self, ids: &[Id<R>]) -> Result<(i64, Vec<Stored<R>>), StoreError> {
        let tx = self.begin_read().await?;
        let head = super::head(&tx).await?;
        let mut names = Names::default();
        let mut found = HashMap::with_capacity(ids.len());
        // PostgreSQL has no NUL in texts, so that nothing has such an id, and refuses to be asked.
        let ids: Vec<&str> = ids.iter().map(Id::as_str).filter(|id| !id.contains('\0')).collect();
        for chunk in ids.chunks(KEYS) {
            for stored in R::fetch(&tx, Which::These(chunk), &mut names).await? {
                found.insert(stored.id.shared(), stored);
            }
        }
        Ok((head.revision, ids.into_iter().filter_map(|id| found.remove(id)).collect()))
    }
}
