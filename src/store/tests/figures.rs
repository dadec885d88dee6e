//! Figures, to be looked at: `cargo test --release --lib store::tests::figures -- --ignored --nocapture --test-threads 1`.

use std::time::{Duration, Instant};

use super::*;

fn key(i: i64) -> VirtualKey {
    let config = |n: i64| ProviderConfig {
        weight: Some(1.0),
        allowed_models: Permit::Only(strings(&["gpt-4o", "gpt-4o-mini"]).into()),
        key_ids: Permit::All,
        ..provider_config(i * 3 + n, "openai")
    };
    VirtualKey {
        provider_configs: (0..3).map(config).collect(),
        limits: Limits {
            budgets: vec![budget(&format!("b{i}-1"), 1, "1d"), budget(&format!("b{i}-2"), 1, "1M")],
            rate_limit: Some(rate_limit(&format!("r{i}"), Some(dimension(1, "1m")), Some(dimension(1, "1m")))),
        },
        ..virtual_key(&format!("key number {i}"))
    }
}

fn described(i: i64, revision: i64) -> Change {
    put(&format!("key-{i}"), revision, VirtualKey { description: format!("at {revision}").into(), ..key(i) })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "takes time and proves nothing"]
async fn how_long_a_group_takes() {
    let mut bench = Bench::new().await;
    bench.commit(&[(0..256).map(|i| put(&format!("key-{i}"), 1, key(i))).collect()]).await;
    for size in [1, 64, 256] {
        let mut times = Vec::new();
        for _ in 0..51 {
            let first = bench.head.revision + 1;
            let calls: Vec<Vec<Change>> = (0..size).map(|i| vec![described(i, first + i)]).collect();
            let group = bench.group(&calls);
            let start = Instant::now();
            bench.store.commit(&group).await.unwrap();
            times.push(start.elapsed());
            bench.head = group.head;
            bench.expected.extend(group.net.into_iter().filter_map(|net| net.after).map(|after| (after.key(), after)));
        }
        println!("commit of {size} updates: {:?} (median of 51)", median(times));
    }
}

#[tokio::test]
#[ignore = "takes time and proves nothing"]
async fn how_long_loading_takes() {
    let mut bench = Bench::new().await;
    for part in 0..50 {
        let first = bench.head.revision;
        let keys =
            (0..2000).map(|i| vec![put(&format!("key-{}", part * 2000 + i), first + i + 1, key(part * 2000 + i))]);
        let group = bench.group(&keys.collect::<Vec<_>>());
        bench.store.commit(&group).await.unwrap();
        bench.head = group.head;
    }
    for _ in 0..5 {
        let start = Instant::now();
        let loaded = bench.store.load().await.unwrap();
        println!("load of {} keys: {:?}", loaded.resources.len(), start.elapsed());
    }
    for count in [1, 100, 1000] {
        let ids: Vec<Id<VirtualKey>> = (0..count).map(|i| Id::new(format!("key-{}", i * 97))).collect();
        let mut times = Vec::new();
        for _ in 0..21 {
            let start = Instant::now();
            assert_eq!(bench.store.read(&ids).await.unwrap().1.len(), ids.len());
            times.push(start.elapsed());
        }
        println!("read of {count} keys: {:?} (median of 21)", median(times));
    }
}
