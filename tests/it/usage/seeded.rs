//! The histories find bugs: each of the classic ones, planted in the product, fails one. They are planted in a child
//! process, because they are planted in a whole process.

use std::process::Command;

use tollgate::seeded::{Bug, VARIABLE};

use super::history;

/// Set in the child only, beside the bug.
const CHILD: &str = "TOLLGATE_SEEDED_HISTORIES";
/// Histories in which each must be found.
const SEEDS: u64 = 20;

/// In a child that was told to, fails at the first history that finds the bug. Elsewhere, does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    for seed in 0..SEEDS {
        if let Err(error) = history::run(seed).await {
            panic!("found by seed {seed}: {error}");
        }
    }
}

fn found(bug: Bug) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "usage::seeded::child", "--nocapture"])
        .env(VARIABLE, format!("{bug:?}"))
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!output.status.success(), "{bug:?} was not found in {SEEDS} histories");
    let line = said.lines().find(|line| line.contains("found by seed"));
    println!("{bug:?}: {}", line.unwrap_or_else(|| panic!("the child failed for another reason: {said}")));
}

#[test]
fn a_watermark_that_advances_on_a_gap_is_found() {
    found(Bug::AdvanceOnGap);
}

#[test]
fn usage_that_is_zeroed_at_a_turn_is_found() {
    found(Bug::ZeroAtTurn);
}

#[test]
fn usage_that_is_acknowledged_before_it_is_committed_is_found() {
    found(Bug::AckBeforeCommit);
}

#[test]
fn spend_that_is_added_twice_is_found() {
    found(Bug::SpendAddedTwice);
}
