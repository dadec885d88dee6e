//! The log of a store: its revisions are dense, and its chain, computed anew, leads to the head.

use tollgate::state::{Chain, Head};
use tollgate::store::{RevisionRecord, Store};

use crate::engine::Database;

/// All that a store has ever been changed by, and where it stands.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) txns: Vec<RevisionRecord>,
    pub(crate) head: Head,
}

impl Log {
    /// The log of a store that nobody writes to.
    pub(crate) async fn read(store: &Store) -> Self {
        let head = store.read_head().await.unwrap();
        let txns = store.read_log(0, u64::try_from(head.revision).unwrap() + 1).await.unwrap();
        Self { txns, head }
    }

    /// Everything in which it is not as it must be.
    pub(crate) fn faults(&self) -> Vec<String> {
        let (mut faults, mut chain) = (Vec::new(), Chain::ORIGIN);
        for (before, txn) in (0_i64..).zip(&self.txns) {
            if txn.revision != before + 1 {
                faults.push(format!("revision {} is where {} should be", txn.revision, before + 1));
            }
            chain = txn.chain_after(chain);
            if txn.chain != chain {
                faults.push(format!("the chain at revision {} is not that of the changes", txn.revision));
                // What follows is judged by itself.
                chain = txn.chain;
            }
        }
        let end = (self.txns.last().map_or(0, |txn| txn.revision), chain);
        if end != (self.head.revision, self.head.chain) {
            faults.push(format!("the log leads to {end:?}, but the head is {:?}", self.head));
        }
        faults
    }
}

/// Checks the log of a database; the revision of its head.
pub(crate) async fn check_log(database: &Database) -> i64 {
    let store = database.store().await;
    let log = Log::read(&store).await;
    store.close().await;
    assert_eq!(log.faults(), Vec::<String>::new());
    log.head.revision
}
