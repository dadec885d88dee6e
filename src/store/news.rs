//! Several servers on one database: reading what others wrote, from the log and the journal of usage.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::credit::CreditGroup;
use super::entity::former_key;
use super::error::StoreError;
use super::group::{CatchUpDelta, Position};
use super::journal::JournalEntry;
use super::persist::{Names, Persist, Which, rows};
use super::reach::Reach;
use super::tx::{KEYS, ReadTx};
use super::{Reader, changelog, journal, position, usage};
use crate::domain::{
    AnyResource, Customer, Kind, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance,
    ResourceKey, RoutingRule, Team, Token, VirtualKey, Webhook,
};
use crate::state::Op;

/// Revisions that are read one after the other at most; whoever is further behind reads the store anew.
const STRIDE: i64 = 10_000;

impl Reader {
    /// Where the store stands, and what happened since `known`; `None` instead of the news if `known` is of another
    /// history or too long ago: then everything is to be read anew. Nothing is locked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a revision is missing, else [`StoreError::Away`] or [`StoreError::Unavailable`].
    pub async fn news(&self, known: &Position) -> Result<Option<CatchUpDelta>, StoreError> {
        let tx = self.reach.if_free(self.begin_read()).await?;
        let position = self.in_time(position(&tx)).await?;
        if position == *known {
            return Ok(Some(CatchUpDelta::none(position)));
        }
        since(&tx, &self.reach, position, known).await
    }
}

/// The news from `known` to `position`, which is that of the snapshot; `None` if it cannot be told. The server has some time
/// for each statement, not for all: what others wrote may be large.
pub(super) async fn since(
    tx: &ReadTx,
    reach: &Reach,
    position: Position,
    known: &Position,
) -> Result<Option<CatchUpDelta>, StoreError> {
    let (now, before) = (&position.head, &known.head);
    let same = now.store_id == before.store_id
        && now.revision >= before.revision
        && position.usage_version >= known.usage_version
        && (position.usage_version > known.usage_version || position.usage_mark == known.usage_mark)
        && now.compacted_revision >= before.compacted_revision;
    if !same || now.compacted_revision > before.revision || now.revision - before.revision > STRIDE {
        return Ok(None);
    }
    let mut txns = Vec::new();
    if now.revision == before.revision {
        if now.chain != before.chain {
            return Ok(None);
        }
    } else {
        // Whether what is known is of this history, the log says, which is read from there on; or the head, if that is the
        // compacted revision, which the log may have lost.
        let in_log = before.revision > now.compacted_revision;
        txns = changelog::read(tx, reach, before.revision - i64::from(in_log), STRIDE.unsigned_abs() + 1).await?;
        let known = match (in_log, txns.first()) {
            (false, _) => now.compacted_chain,
            (true, Some(first)) if first.revision == before.revision => txns.remove(0).chain,
            (true, _) => return Ok(None),
        };
        if known != before.chain {
            return Ok(None);
        }
        let missing = |revision: i64| StoreError::corrupt("change_txn", revision, "the revision is missing");
        match (txns.first(), txns.last()) {
            (Some(first), _) if first.revision != before.revision + 1 => return Err(missing(before.revision + 1)),
            (_, Some(last)) if last.revision == now.revision && last.chain == now.chain => {}
            (_, last) => return Err(missing(last.map_or(before.revision, |last| last.revision) + 1)),
        }
    }
    let (mut changed, mut deleted) = (BTreeMap::new(), BTreeSet::new());
    for txn in &txns {
        for row in &txn.rows {
            changed.insert(ResourceKey { kind: row.kind, id: Arc::clone(&row.id) }, txn.revision);
            if row.kind == Kind::VirtualKey && row.op == Op::Delete {
                deleted.insert(row.id.to_string());
            }
        }
    }
    let resources = fetch_changed(tx, reach, changed.keys()).await?;
    for resource in &resources {
        changed.remove(&resource.key());
    }
    let (mut counters, mut watermarks, mut credit) = (Vec::new(), Vec::new(), CreditGroup::default());
    if position.usage_version > known.usage_version {
        let journal = reach.in_time(journal::read(tx, known.usage_version)).await?;
        // A server that knows of no marks, which may run beside this one while it is upgraded, writes 0.
        let follows = |first: &JournalEntry| {
            first.from_version == known.usage_version && [known.usage_mark, 0].contains(&first.from_mark)
        };
        let whole = journal.first().is_some_and(follows)
            && journal.last().is_some_and(|last| last.version == position.usage_version);
        if !whole {
            // What is missing was folded into the tables, or what is known is not in this history.
            return Ok(None);
        }
        for entry in journal {
            counters.extend(entry.counters);
            watermarks.extend(entry.watermarks);
            credit.append(entry.credit);
        }
    }
    let mut former_keys = Vec::new();
    for chunk in deleted.iter().collect::<Vec<_>>().chunks(KEYS) {
        let these = former_key::Column::VirtualKeyId.is_in(chunk.iter().map(|id| id.as_str()));
        let found = reach.in_time(rows(tx, former_key::Entity::find().filter(these))).await?;
        former_keys.extend(found.into_iter().map(usage::former_key));
    }
    let removed = changed.into_iter().map(|(key, revision)| (revision, key)).collect();
    Ok(Some(CatchUpDelta { position, txns, resources, removed, counters, watermarks, former_keys, credit }))
}

/// Those of the resources that exist.
async fn fetch_changed(
    tx: &ReadTx,
    reach: &Reach,
    keys: impl Iterator<Item = &ResourceKey>,
) -> Result<Vec<AnyResource>, StoreError> {
    let mut by_kind: HashMap<Kind, Vec<&str>> = HashMap::new();
    for key in keys {
        by_kind.entry(key.kind).or_default().push(&key.id);
    }
    let (mut names, mut found) = (Names::default(), Vec::new());
    for (kind, ids) in by_kind {
        for ids in ids.chunks(KEYS) {
            let (names, found) = (&mut names, &mut found);
            match kind {
                Kind::Customer => reach.in_time(fetch::<Customer>(tx, ids, names, found)).await?,
                Kind::Team => reach.in_time(fetch::<Team>(tx, ids, names, found)).await?,
                Kind::VirtualKey => reach.in_time(fetch::<VirtualKey>(tx, ids, names, found)).await?,
                Kind::RoutingRule => reach.in_time(fetch::<RoutingRule>(tx, ids, names, found)).await?,
                Kind::ModelConfig => reach.in_time(fetch::<ModelConfig>(tx, ids, names, found)).await?,
                Kind::ProviderGovernance => reach.in_time(fetch::<ProviderGovernance>(tx, ids, names, found)).await?,
                Kind::PricingOverride => reach.in_time(fetch::<PricingOverride>(tx, ids, names, found)).await?,
                Kind::Provider => reach.in_time(fetch::<Provider>(tx, ids, names, found)).await?,
                Kind::McpClient => reach.in_time(fetch::<McpClient>(tx, ids, names, found)).await?,
                Kind::ModelPrice => reach.in_time(fetch::<ModelPrice>(tx, ids, names, found)).await?,
                Kind::Webhook => reach.in_time(fetch::<Webhook>(tx, ids, names, found)).await?,
                Kind::Token => reach.in_time(fetch::<Token>(tx, ids, names, found)).await?,
            }
        }
    }
    Ok(found)
}

async fn fetch<R: Persist>(
    tx: &ReadTx,
    ids: &[&str],
    names: &mut Names,
    found: &mut Vec<AnyResource>,
) -> Result<(), StoreError> {
    let stored = R::fetch(tx, Which::These(ids), names).await?;
    found.extend(stored.into_iter().map(|stored| R::wrap(Arc::new(stored))));
    Ok(())
}
