//! What is forgotten, and when: history that watchers resume from, answers to repeated requests, the audit trail.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Ledger, now};
use crate::config::RetentionSettings;
use crate::domain::Timestamp;
use crate::store::StoreError;

const INTERVAL: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// How long answers to requests with an id are remembered.
const REQUESTS: Duration = Duration::from_secs(24 * 3_600);
/// Rows forgotten in one transaction.
const ROWS: u64 = 1_000;

/// Forgets what is old, once a minute, until `stop`; and logs the chain once an hour, so that tampering shows against
/// the log.
pub(super) async fn run(ledger: Ledger, settings: RetentionSettings, stop: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    let mut logged = std::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        if let Err(error) = forget(&ledger, settings, &stop).await {
            tracing::warn!(error = %error.report(), "old history could not be removed; trying again in a minute");
        }
        if logged.elapsed() >= HOUR {
            logged = std::time::Instant::now();
            let state = ledger.state();
            tracing::info!(store.id = %state.head().store_id, revision = state.revision(), chain = %state.head().chain, "chain");
        }
    }
}

async fn forget(ledger: &Ledger, settings: RetentionSettings, stop: &CancellationToken) -> Result<(), StoreError> {
    let RetentionSettings { compact_after, compact_keep_revisions, compact_max_revisions, audit_retention } = settings;
    let now = now();
    let store = ledger.store();
    while store.forget_requests(ago(now, REQUESTS), ROWS).await? == ROWS && !stop.is_cancelled() {}

    let head = ledger.state().head().clone();
    if let Some(old) = store.revision_at(ago(now, compact_after)).await? {
        // Old enough to go are all up to `old`; of these, what is kept at most stays.
        let surplus = old.saturating_sub(i64::try_from(compact_max_revisions).unwrap_or(i64::MAX));
        let kept = head.revision.saturating_sub(i64::try_from(compact_keep_revisions).unwrap_or(i64::MAX));
        let target = surplus.min(kept);
        if target > head.compacted_revision {
            ledger.compact(target).await?;
            tracing::info!(compacted_revision = target, "watchers can resume from here on");
        }
    }

    let compacted = ledger.state().head().compacted_revision;
    let older_than = ago(now, audit_retention);
    while store.prune_log(older_than, compacted, ROWS).await? == ROWS && !stop.is_cancelled() {}
    Ok(())
}

fn ago(now: Timestamp, age: Duration) -> Timestamp {
    now.plus_micros(-i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}
