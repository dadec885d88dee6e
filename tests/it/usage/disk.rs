//! A disk that is full refuses a batch whole; the node can send it again.

use std::process::Command;

use tollgate::seeded::{Bug, plant};

use super::*;
use crate::engine::on_postgres;

/// Set in the child only: the fault is one of a whole process.
const CHILD: &str = "TOLLGATE_SEEDED_DISK";
const KEYS: usize = 400;

#[test]
fn a_full_disk_refuses_a_batch_whole_and_the_node_can_send_it_again() {
    if on_postgres() {
        // The fault is planted in SQLite.
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "usage::disk::child", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

/// What is counted against the budget of each key.
async fn counted(api: &Api) -> Vec<i64> {
    let request = v1::ListBudgetsRequest { page_size: 1_000, ..Default::default() };
    let budgets = BudgetServiceClient::new(api.0.clone()).list_budgets(request).await.unwrap().into_inner().budgets;
    budgets.iter().map(|budget| budget.current_usage_nano_usd).collect()
}

#[tokio::test]
async fn child() {
    if std::env::var(CHILD).is_err() {
        return;
    }
    let (mut rig, mut api) = Rig::started().await;
    let mut keys = Vec::new();
    for name in 0..KEYS {
        let key = v1::VirtualKey { name: name.to_string(), budgets: vec![budget("10Y")], ..Default::default() };
        keys.push(api.create_virtual_key(key).await.unwrap().id);
    }
    let incarnation = register(&api).await;
    // Each batch counts against all keys, so that most need room; the first is small.
    let batch = |sequence: i64| {
        let keys = if sequence == 1 { &keys[..1] } else { &keys[..] };
        batch(incarnation, sequence, keys.iter().map(|key| entry(key, sequence)).collect())
    };
    assert_eq!(statuses(&report(&api, vec![batch(1)]).await), [(1, Applied, 2)]);
    plant(Bug::DiskFull);
    let (refused, status) = {
        let mut sequence = 2;
        loop {
            assert!(sequence < 1_000, "the disk is never full");
            let mut client = UsageServiceClient::new(api.0.clone());
            let acks = client.report_usage(tokio_stream::iter(vec![batch(sequence)])).await.unwrap();
            match acks.into_inner().message().await {
                Ok(ack) => assert_eq!(ack.unwrap().status(), Applied),
                Err(status) => break (sequence, status),
            }
            sequence += 1;
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("the disk is full"), "{status:?}");
    let before = |key: usize| if key == 0 { 1 } else { 0 };
    let sum = |last: i64| (0..KEYS).map(|key| before(key) + (2..=last).sum::<i64>()).collect::<Vec<_>>();
    assert_eq!(counted(&api).await, sum(refused - 1), "nothing of the batch is counted");

    // While the disk is full it is refused again, after a restart too, and nothing that comes after it counts.
    for restart in [false, true] {
        if restart {
            plant(Bug::None);
            api = rig.restart().await;
            plant(Bug::DiskFull);
        }
        let mut client = UsageServiceClient::new(api.0.clone());
        let acks = client.report_usage(tokio_stream::iter(vec![batch(refused), batch(refused + 1)])).await.unwrap();
        assert_eq!(acks.into_inner().message().await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(counted(&api).await, sum(refused - 1));
    }
    plant(Bug::DiskFreed);
    let acks = report(&api, vec![batch(refused), batch(refused + 1)]).await;
    assert_eq!(statuses(&acks), [(refused, Applied, refused + 1), (refused + 1, Applied, refused + 2)]);
    assert_eq!(counted(&api).await, sum(refused + 1));
    let api = rig.restart().await;
    assert_eq!(counted(&api).await, sum(refused + 1));
    drop(api);
    rig.stop().await;
}
