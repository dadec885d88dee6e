//! `tollgate verify` and what was counted: it agrees while counting goes on, and what was altered is found.

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use super::reporter::{Progress, Reporter, prepare};
use super::*;
use crate::engine::on_postgres;
use crate::process::verify;
use crate::watch::rig::soon;

/// Verifies beside the running server, which goes on.
async fn beside(rig: &Rig) -> (bool, String) {
    let (database, server) = (rig.database.clone(), format!("http://{}", rig.address()));
    soon(spawn_blocking(move || verify(&database, &["--memory", "--server", &server]))).await.unwrap()
}

/// A server that has counted, stopped. What it counted is in the tables; the journal has it too unless it is `cut`.
async fn folded(cut: bool) -> Rig {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 1)])]).await;
    // Most of the budgets: that is a threshold.
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 850_000_000)])]).await;
    drop(api);
    rig.stop().await;
    let store = rig.store().await;
    let usage = store.load_usage().await.unwrap();
    store.fold_usage(&usage.counters.to_vec(), &usage.watermarks).await.unwrap();
    while !store.fold_spend(i64::MAX).await.unwrap().is_through {}
    if cut {
        store.cut_journal(usage.counters.version()).await.unwrap();
    }
    store.close().await;
    rig
}

#[tokio::test]
async fn what_is_counted_agrees_while_counting_goes_on() {
    let (mut rig, api) = Rig::started().await;
    let limited = prepare(&api, 20).await;
    let (progress, mut counted) = watch::channel(Progress::default());
    let (done, mut is_done) = watch::channel(false);
    let mut reporter = Reporter::new(NODE.to_owned(), limited.key_ids(), 1);
    let channel = api.0.clone();
    let reporting = tokio::spawn(async move { reporter.session(channel, &mut is_done, &progress).await });
    // Where there can be another server, it hears of what is counted from the database, and later.
    let mut rigs = vec![Rig::on(rig.database.clone())];
    rigs.truncate(usize::from(on_postgres()));
    for rig in &mut rigs {
        rig.start().await;
    }
    for rig in [&rig].into_iter().chain(&rigs).cycle().take(4) {
        let before = soon(counted.wait_for(|progress| progress.acked > 0)).await.unwrap().acked;
        let (agrees, text) = beside(rig).await;
        assert!(agrees && text.contains("usage of 63 limits"), "{text}");
        soon(counted.wait_for(|progress| progress.acked > before)).await.unwrap();
    }
    done.send_replace(true);
    assert!(soon(reporting).await.unwrap());
    assert_eq!(counted.borrow().wrong, None);
    drop(api);
    rig.stop().await;
    for rig in &mut rigs {
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_was_altered_in_the_tables_is_found_by_the_journal_and_the_thresholds() {
    for (cut, sql, fault) in [
        (false, "UPDATE usage_counter SET used = used - 1 WHERE kind = 3", "not in the tables as the journal has it"),
        (false, "UPDATE usage_counter SET version = version + 1000 WHERE kind = 1", "which cannot be"),
        (false, "UPDATE usage_counter SET used = -1 WHERE kind = 2", "which cannot be"),
        (false, "UPDATE usage_node SET last_sequence = 3", "not where its batches led"),
        (false, "DELETE FROM usage_node", "which is not in the tables"),
        (false, "UPDATE threshold_event SET used = used + 1", "which is not what was counted"),
        (false, "UPDATE threshold_event SET percent = 100", "cannot have reached 100 %"),
        (false, "DELETE FROM usage_journal WHERE version = (SELECT max(version) FROM usage_journal)", "to the head"),
        (
            false,
            "UPDATE usage_journal SET from_version = from_version + 1 WHERE from_version > 0",
            "before it is missing",
        ),
        (true, "UPDATE usage_counter SET used = used - 1 WHERE kind = 3", "which is not what was counted"),
        (true, "DELETE FROM usage_counter WHERE kind = 3", "which is not what was counted"),
        (true, "UPDATE usage_counter SET version = 1", "which cannot be"),
        (true, "UPDATE usage_node SET last_sequence = 0", "not where its batches led"),
        (true, "UPDATE spend SET cost_nano_usd = -1", "has a negative amount"),
        (true, "UPDATE spend SET start = start + 1", "was last used before it"),
        (true, "UPDATE spend_series SET model = 'other'", "has another id than its texts"),
        (true, "DELETE FROM spend_series", "its series is missing"),
    ] {
        let rig = folded(cut).await;
        let (agrees, text) = verify(&rig.database, &[]);
        assert!(agrees, "{text}");
        rig.database.sql(sql).await;
        let (agrees, text) = verify(&rig.database, &[]);
        assert!(!agrees && text.contains(fault), "{sql}: {text}");
    }
}

#[tokio::test]
async fn what_was_altered_in_the_tables_is_found_by_a_servers_memory() {
    for (sql, fault) in [
        ("UPDATE usage_counter SET used = used - 1 WHERE kind = 1", "memory has 200 (version"),
        // Of another version the two may disagree for a moment, but not for long.
        ("UPDATE usage_counter SET used = used + 1, version = version - 1 WHERE kind = 1", "memory has 200 (version"),
        ("DELETE FROM usage_counter WHERE kind = 1", "tables have 0 (version 0)"),
        ("UPDATE usage_counter SET used = 7 WHERE kind = 2", "memory has nothing"),
    ] {
        let mut rig = folded(true).await;
        rig.database.sql("UPDATE usage_counter SET used = 0 WHERE kind = 2").await;
        rig.start().await;
        let (agrees, text) = beside(&rig).await;
        assert!(agrees, "{text}");
        rig.database.sql(sql).await;
        let (agrees, text) = beside(&rig).await;
        assert!(!agrees && text.contains(fault), "{sql}: {text}");
        rig.stop().await;
    }
}
