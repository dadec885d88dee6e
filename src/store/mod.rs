//! The store: everything that knows SQL. It holds the resources, the log of all changes, and the head.
//!
//! It decides nothing. The ledger, its only writer, hands it a [`Group`] that is decided already, and [`WriteTx::commit`]
//! writes that or nothing. It names no message of the API: bodies of the log and answers of requests are bytes to it.
//!
//! | file | what |
//! |---|---|
//! | `group` | the types at the border |
//! | `connect`, `reach`, `tx`, `error` | engines, connections, whether they can be had, transactions, and what errors mean |
//! | `notify` | hints between servers |
//! | `lock`, `news` | the lock of all writers, and what others wrote |
//! | `commit`, `load` | writing a group, reading everything |
//! | `persist`, `cell` | how resources lie in tables, for all kinds |
//! | `customer` … `webhook`, `token`, `limits`, `labels` | how each does |
//! | `changelog`, `chain`, `compaction`, `requests` | the log, its hashes, its shortening, remembered requests |
//! | `usage`, `journal`, `varint`, `threshold`, `recorded` | what was counted, and what it crossed |
//! | `credit`, `fleet`, `replica` | what nodes hold of hard limits, and what nodes and servers tell of themselves |
//! | `outbox` | events on their way to webhooks |
//! | `spend` | the sums of what was counted, by hour |
//! | `snapshot`, `restore` | reading everything, and filling an empty store with it |
//! | `walk`, `history` | reading all resources, and the log, part by part |
//! | `foreign` | databases of other programs, read only |
//! | `entity`, `migration` | the tables |
//!
//! SQLite and PostgreSQL are the engines. What is particular to one stands in `connect` (where it is, connections and their
//! settings), `tx` (limits, kinds of transactions) and `error` (codes); everything else is portable: text is compared by
//! its bytes for equality only, and no order comes from the database but that of numbers and, in `walk`, one that is only
//! gone through.

mod cell;
mod chain;
mod changelog;
mod commit;
mod compaction;
mod connect;
mod connections;
mod credit;
mod customer;
mod entity;
mod error;
mod fleet;
mod foreign;
mod group;
mod history;
mod journal;
mod labels;
mod limits;
mod load;
mod lock;
mod mcp_client;
mod migration;
mod model_config;
mod model_price;
mod news;
mod notify;
mod outbox;
mod persist;
mod pricing_override;
mod provider;
mod provider_governance;
mod reach;
mod recorded;
mod replica;
mod requests;
mod restore;
mod routing_rule;
mod script;
mod snapshot;
mod spend;
mod team;
#[cfg(test)]
mod tests;
mod threshold;
mod token;
mod tx;
mod usage;
mod varint;
mod virtual_key;
mod walk;
mod webhook;

use std::ops::Deref;
use std::sync::Arc;

use sea_orm::EntityTrait as _;
use tokio::sync::Notify;

pub use chain::{ChainVersion, Link};
pub use connect::{DatabaseUrl, Migration};
use connections::Connections;
pub use connections::Pool;
pub use credit::CreditGroup;
pub use error::StoreError;
pub use fleet::{FleetNode, NodeStatus, WhichNodes};
pub use foreign::{ForeignDatabase, ForeignRow};
pub use group::*;
pub use history::LogPart;
pub use journal::JournalEntry;
pub use lock::WriteTx;
pub use outbox::{Delivery, DeliveryFilter, DeliveryState, OutboxStanding, Tidy, Told};
pub use persist::{Names, Persist, Range, Rows, Which};
use reach::Reach;
pub use recorded::{RecordedUsage, UsageReader};
pub use replica::Replica;
pub use restore::Restore;
pub use snapshot::{Numbering, Record, Snapshot, UsageNode};
pub use spend::{RecordedSpend, SpendFilter, SpendFolded, SpendSnapshot};
pub use threshold::AfterCrossing;
pub use tx::ReadTx;
pub use usage::{LoadedUsage, Registration, Unfolded, UsageGroup, Watermark};

use crate::domain::Timestamp;
use crate::state::{Chain, Head};

/// An open database, with the right to write to it: the ledger has it, and the tasks that keep what is no configuration.
/// It derefs to its [`Reader`]. Clones share it.
#[derive(Clone)]
pub struct Store {
    reader: Reader,
    /// On SQLite one connection: it has one writer, and a queue here is fairer than its busy timeout.
    writer: Arc<Connections>,
    /// That something was committed, to be told to other servers.
    announced: Arc<Notify>,
}

impl Deref for Store {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

/// An open database without the right to write to it: handlers of the API get no more. Clones share it.
#[derive(Clone)]
pub struct Reader {
    readers: Arc<Connections>,
    engine: Arc<connect::Engine>,
    reach: Reach,
}

impl Reader {
    /// Where the store stands.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn read_head(&self) -> Result<Head, StoreError> {
        head(&self.begin_read().await?).await
    }

    async fn position(&self) -> Result<Position, StoreError> {
        position(&self.begin_read().await?).await
    }
}

/// The head in the snapshot.
async fn head(tx: &ReadTx) -> Result<Head, StoreError> {
    Ok(position(tx).await?.head)
}

/// Where the store stands in the snapshot.
async fn position(tx: &ReadTx) -> Result<Position, StoreError> {
    position_of(persist::rows(tx, entity::head::Entity::find_by_id(1)).await?.pop())
}

/// Where a store with this head stands.
fn position_of(row: Option<entity::head::Model>) -> Result<Position, StoreError> {
    let corrupt = |why: &str| StoreError::corrupt("head", 1, why);
    let row = row.ok_or_else(|| corrupt("it is missing"))?;
    let chain = |bytes: &[u8]| Chain::from_slice(bytes).ok_or_else(|| corrupt("a chain is not 32 bytes long"));
    let head = Head {
        revision: row.revision,
        chain: chain(&row.chain)?,
        committed_at: Timestamp::from_micros(row.committed_at),
        compacted_revision: row.compacted_revision,
        compacted_chain: chain(&row.compacted_chain)?,
        last_config_id: row.last_config_id,
        store_id: row.store_id.into(),
    };
    Ok(Position { head, usage_version: row.usage_version, usage_mark: row.usage_mark })
}
