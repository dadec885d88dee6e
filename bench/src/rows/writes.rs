//! Row 1: durable writes.

use std::sync::Arc;

use tokio::time::Instant;

use crate::Bench;
use crate::load::closed;
use crate::table::{Goal, Line, Runs};
use crate::target::Target;

/// Clients, and the ratio to reach.
const CLIENTS: [(usize, f64); 4] = [(1, 0.8), (16, 1.2), (64, 1.2), (256, 1.2)];

pub(crate) async fn writes(bench: &mut Bench) {
    let mut targets = vec![Arc::new(Target::tollgate(&bench.server, 256).await)];
    if let Some(etcd) = &bench.etcd {
        targets.push(Arc::new(Target::etcd(etcd).await));
    }
    for (clients, goal) in CLIENTS {
        let mut rates = [Runs::default(), Runs::default()];
        let mut slowest = [Runs::default(), Runs::default()];
        for _ in 0..bench.rounds {
            for (place, target) in targets.iter().enumerate() {
                let (rate, p99) = load(target, clients, bench).await;
                rates[place].push(rate);
                slowest[place].push(p99);
            }
        }
        let [ours, etcd] = rates;
        bench.table.push(Line {
            row: 1,
            measure: format!("durable writes/s, clients: {clients}"),
            tollgate: ours,
            beside: Some(("etcd", etcd)),
            goal: Goal::Times(goal),
        });
        let [ours, etcd] = slowest;
        bench.table.push(Line {
            row: 1,
            measure: format!("p99 of these, ms, clients: {clients}"),
            tollgate: ours,
            beside: Some(("etcd", etcd)),
            goal: Goal::Within(1.0),
        });
    }
}

/// Writes a second, and the 99th percentile of their times in milliseconds. Each client writes a key of its own.
pub(super) async fn load(target: &Arc<Target>, clients: usize, bench: &Bench) -> (f64, f64) {
    let channels = target.channels().await;
    let target = Arc::clone(target);
    let call = move |client: usize| target.write(channels[client % channels.len()].clone(), client, Instant::now());
    let (rate, mut times) = closed(clients, bench.span, call).await;
    (rate, times.within(0.99))
}
