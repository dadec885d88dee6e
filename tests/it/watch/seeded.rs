//! The suite finds bugs: each of those that can be planted in the product fails a random history. They are planted in
//! a child process, because they are planted in a whole process.

use std::process::Command;

use tollgate::seeded::{Bug, plant};

use super::history;
use crate::engine::on_postgres;

/// Names the bug to plant; set in the child only.
const BUG: &str = "TOLLGATE_SEEDED_BUG";
/// Histories in which each must be found.
const SEEDS: u64 = 40;

/// In a child that was told to, plants the bug and fails at the first history that finds it. Elsewhere, does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(name) = std::env::var(BUG) else { return };
    let bugs = [Bug::None, Bug::SkipRemovalMarker, Bug::BookmarkBeforeBatch, Bug::SnapshotRevisionApart];
    plant(*bugs.iter().find(|bug| format!("{bug:?}") == name).unwrap());
    for seed in 0..SEEDS {
        if let Err(error) = history::run(seed).await {
            panic!("found by seed {seed}: {error}");
        }
    }
}

/// The child's exit, and what it said.
fn run(bug: Bug) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "watch::seeded::child", "--nocapture"])
        .env(BUG, format!("{bug:?}"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn found(bug: Bug) {
    if on_postgres() {
        // The bugs are in what both engines share.
        return;
    }
    let (success, said) = run(bug);
    assert!(!success, "{bug:?} was not found in {SEEDS} histories");
    let line = said.lines().find(|line| line.contains("found by seed"));
    println!("{bug:?}: {}", line.unwrap_or_else(|| panic!("the child failed for another reason: {said}")));
}

#[test]
fn a_removal_that_leaves_no_marker_is_found() {
    found(Bug::SkipRemovalMarker);
}

#[test]
fn a_bookmark_before_its_batch_is_found() {
    found(Bug::BookmarkBeforeBatch);
}

#[test]
fn a_snapshot_whose_revision_is_read_apart_is_found() {
    found(Bug::SnapshotRevisionApart);
}
