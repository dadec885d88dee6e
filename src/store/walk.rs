//! Reading all resources of a snapshot part by part, in whichever order the database has: for those who look at each once
//! and keep little of it. Whatever loading everything refuses is refused here too.

use std::sync::Arc;

use sea_orm::sea_query::Order;
use sea_orm::{EntityTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::entity::{
    customer, mcp_client, model_config, model_price, pricing_override, provider, provider_governance, routing_rule,
    team, token, virtual_key, webhook,
};
use super::error::StoreError;
use super::limits;
use super::persist::{Names, Persist, Range, Which};
use super::snapshot::Snapshot;
use super::tx::ReadTx;
use crate::domain::{
    AnyResource, Customer, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance,
    RoutingRule, Team, Token, VirtualKey, Webhook,
};

/// How many resources of a kind are read at a time.
const PART: u64 = 1_000;

impl Snapshot {
    /// Hands all resources to `take`: customers and teams before all others, since these may follow their calendars.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if rows make no resource or belong to none, else [`StoreError::Unavailable`].
    pub async fn walk(&self, mut take: impl FnMut(&AnyResource)) -> Result<(), StoreError> {
        let (tx, take) = (&self.tx, &mut take);
        each_of::<customer::Entity, Customer>(tx, customer::Column::Id, take).await?;
        each_of::<team::Entity, Team>(tx, team::Column::Id, take).await?;
        each_of::<virtual_key::Entity, VirtualKey>(tx, virtual_key::Column::Id, take).await?;
        limits::find_stray(tx).await?;
        each_of::<routing_rule::Entity, RoutingRule>(tx, routing_rule::Column::Id, take).await?;
        each_of::<model_config::Entity, ModelConfig>(tx, model_config::Column::Id, take).await?;
        let id = provider_governance::Column::Id;
        each_of::<provider_governance::Entity, ProviderGovernance>(tx, id, take).await?;
        each_of::<pricing_override::Entity, PricingOverride>(tx, pricing_override::Column::Id, take).await?;
        each_of::<provider::Entity, Provider>(tx, provider::Column::Id, take).await?;
        each_of::<mcp_client::Entity, McpClient>(tx, mcp_client::Column::Id, take).await?;
        each_of::<model_price::Entity, ModelPrice>(tx, model_price::Column::Id, take).await?;
        each_of::<webhook::Entity, Webhook>(tx, webhook::Column::Id, take).await?;
        each_of::<token::Entity, Token>(tx, token::Column::Id, take).await
    }
}

/// Hands the resources of one kind to `take`. The ranges of ids follow each other without a gap, so that parts of a resource
/// that does not exist lie in one of them, and are found.
async fn each_of<T: EntityTrait, R: Persist>(
    tx: &ReadTx,
    id: T::Column,
    take: &mut impl FnMut(&AnyResource),
) -> Result<(), StoreError> {
    let mut after: Option<String> = None;
    loop {
        let to = end_of_part::<T>(tx, id, after.as_deref()).await?;
        let range = Range { after: after.as_deref(), to: to.as_deref() };
        for stored in R::fetch(tx, Which::Range(range), &mut Names::default()).await? {
            take(&R::wrap(Arc::new(stored)));
        }
        if to.is_none() {
            return Ok(());
        }
        after = to;
    }
}

/// The last id of the part after `after`; `None` if fewer are left, so that it has no end.
async fn end_of_part<T: EntityTrait>(
    tx: &ReadTx,
    id: T::Column,
    after: Option<&str>,
) -> Result<Option<String>, StoreError> {
    let all = T::find().select_only().column(id).filter(Range { after, to: None }.holds(id));
    let last = all.order_by(id, Order::Asc).offset(PART - 1).limit(1).into_tuple::<String>();
    last.one(&tx.0).await.map_err(|error| StoreError::reading(T::default().table_name(), &error))
}
