//! Reading the whole store into memory, at the start and whenever memory is in doubt.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::StoreError;
use super::group::Loaded;
use super::persist::{Names, Persist, Which};
use super::tx::ReadTx;
use super::{Reader, changelog};
use crate::domain::{
    AnyResource, Customer, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance,
    ResourceKey, RoutingRule, Team, Token, VirtualKey, Webhook,
};

impl Reader {
    /// Reads everything in one snapshot: the head, all resources (by kind, then id) and the log since the compaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if rows make no resource or the log does not lead to the head, else
    /// [`StoreError::Unavailable`].
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        let tx = self.begin_read().await?;
        let head = super::head(&tx).await?;
        let mut names = Names::default();
        let mut resources = Vec::new();
        fetch::<Customer>(&tx, &mut names, &mut resources).await?;
        fetch::<Team>(&tx, &mut names, &mut resources).await?;
        fetch::<VirtualKey>(&tx, &mut names, &mut resources).await?;
        fetch::<RoutingRule>(&tx, &mut names, &mut resources).await?;
        fetch::<ModelConfig>(&tx, &mut names, &mut resources).await?;
        fetch::<ProviderGovernance>(&tx, &mut names, &mut resources).await?;
        fetch::<PricingOverride>(&tx, &mut names, &mut resources).await?;
        fetch::<Provider>(&tx, &mut names, &mut resources).await?;
        fetch::<McpClient>(&tx, &mut names, &mut resources).await?;
        fetch::<ModelPrice>(&tx, &mut names, &mut resources).await?;
        fetch::<Webhook>(&tx, &mut names, &mut resources).await?;
        fetch::<Token>(&tx, &mut names, &mut resources).await?;
        let chain_prefixes = changelog::chain_prefixes(&tx, &head).await?;
        let mut removed = changelog::removed(&tx, &head).await?;
        if !removed.is_empty() {
            let exist: HashSet<ResourceKey> = resources.iter().map(AnyResource::key).collect();
            removed.retain(|(_, key)| !exist.contains(key));
        }
        Ok(Loaded { head, resources, chain_prefixes, removed })
    }
}

async fn fetch<R: Persist>(tx: &ReadTx, names: &mut Names, resources: &mut Vec<AnyResource>) -> Result<(), StoreError> {
    let mut found = R::fetch(tx, Which::All, names).await?;
    found.sort_by(|one, other| one.id.cmp(&other.id));
    resources.extend(found.into_iter().map(|stored| R::wrap(Arc::new(stored))));
    Ok(())
}
