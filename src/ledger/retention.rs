//! What is forgotten, and when: history that watchers resume from, answers to repeated requests, the audit trail.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Failing, Ledger, Status, Turn};
use crate::domain::Timestamp;
use crate::settings::{RetentionSettings, SpendSettings};
use crate::store::StoreError;
use crate::telemetry::CHAIN;
use crate::usage::{REMEMBERED, is_over};

const INTERVAL: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// How long answers to requests with an id are remembered.
const REQUESTS: Duration = Duration::from_secs(24 * 3_600);
/// Rows forgotten in one transaction.
const ROWS: u64 = 1_000;

/// Forgets what is old, once a minute (usage: once an hour), until `stop`; and logs the chain once an hour, so that
/// tampering shows against the log.
pub(super) async fn run(ledger: Ledger, settings: RetentionSettings, spend: SpendSettings, stop: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    let mut logged: Option<std::time::Instant> = None;
    let [mut forgetting, mut forgetting_usage, mut joining] = [(); 3].map(|()| Failing::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        // What waits for the end of an outage is old already.
        let is_ready = *ledger.status.borrow() == Status::Ready;
        if is_ready {
            match forgetting.note(forget(&ledger, settings, &stop).await) {
                Some(Turn::Fails(error)) => {
                    tracing::warn!(error = %error.report(), "old history cannot be removed; trying again each minute");
                }
                Some(Turn::Recovers) => tracing::info!("old history is removed again"),
                None => {}
            }
        }
        if logged.is_none_or(|at| at.elapsed() >= HOUR) {
            logged = Some(std::time::Instant::now());
            if is_ready {
                match forgetting_usage.note(forget_usage(&ledger, settings, &stop).await) {
                    Some(Turn::Fails(error)) => {
                        tracing::warn!(error = %error.report(), "old usage cannot be removed; trying again each hour");
                    }
                    Some(Turn::Recovers) => tracing::info!("old usage is removed again"),
                    None => {}
                }
                match joining.note(join_spend(&ledger, &spend, &stop).await) {
                    Some(Turn::Fails(error)) => {
                        tracing::warn!(error = %error.report(), "old spend cannot be joined or removed; trying again each hour");
                    }
                    Some(Turn::Recovers) => tracing::info!("old spend is joined and removed again"),
                    None => {}
                }
            }
            let state = ledger.state();
            tracing::info!(target: CHAIN, { store.id = %state.head().store_id, revision = state.revision(), chain = %state.head().chain }, "chain");
        }
    }
}

async fn forget(ledger: &Ledger, settings: RetentionSettings, stop: &CancellationToken) -> Result<(), StoreError> {
    let RetentionSettings { compact_after, compact_keep_revisions, compact_max_revisions, audit_retention } = settings;
    let now = ledger.now();
    let store = &ledger.store;
    while store.forget_requests(ago(now, REQUESTS), ROWS).await? == ROWS && !stop.is_cancelled() {}

    let head = ledger.state().head().clone();
    let surplus = store.revision_at(ago(now, compact_after)).await?.map(|old| {
        // Old enough to go are all up to `old`; of these, what is kept at most stays.
        let surplus = old.saturating_sub(i64::try_from(compact_max_revisions).unwrap_or(i64::MAX));
        surplus.min(head.revision.saturating_sub(i64::try_from(compact_keep_revisions).unwrap_or(i64::MAX)))
    });
    // The audit's retention holds whatever the compaction's figures are: nobody can resume from what is deleted.
    let older_than = ago(now, audit_retention);
    let expired = store.revision_at(older_than).await?;
    if let Some(target) = surplus.max(expired).filter(|target| *target > head.compacted_revision) {
        ledger.compact(target).await?;
        tracing::info!(compacted_revision = target, "watchers can resume from here on");
    }
    while store.prune_log(older_than, ROWS).await? > 0 && !stop.is_cancelled() {}
    Ok(())
}

/// Forgets windows in which nothing can be counted any more, keys that were deleted long ago, and old alerts.
async fn forget_usage(
    ledger: &Ledger,
    settings: RetentionSettings,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let now = ledger.now();
    let state = ledger.state();
    let counted = state.usage().to_vec().into_iter();
    let over: Vec<_> = counted.map(|(key, _)| key).filter(|key| is_over(state.config(), key, now)).collect();
    let former_before = ago(now, REMEMBERED);
    // At least once, for the deleted keys.
    let mut rest = over.as_slice();
    loop {
        let (chunk, after) = rest.split_at(rest.len().min(ROWS as usize));
        ledger.forget_usage(chunk.to_vec(), former_before).await?;
        rest = after;
        if rest.is_empty() || stop.is_cancelled() {
            break;
        }
    }
    ledger.store.forget_crossings(ago(now, settings.audit_retention)).await?;
    Ok(())
}

/// Joins hours of spend that are old to days, and forgets days that are older.
async fn join_spend(ledger: &Ledger, settings: &SpendSettings, stop: &CancellationToken) -> Result<(), StoreError> {
    let SpendSettings { time_zone: _, hour_retention, day_retention } = settings;
    let (now, store) = (ledger.now(), &ledger.store);
    while store.join_spend(ago(now, *hour_retention)).await? && !stop.is_cancelled() {}
    while store.forget_spend(ago(now, *day_retention)).await? && !stop.is_cancelled() {}
    Ok(())
}

pub(super) fn ago(now: Timestamp, age: Duration) -> Timestamp {
    now.plus_micros(-i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}
