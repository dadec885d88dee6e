//! Row 3: unary reads from memory.

use std::sync::Arc;

use crate::Bench;
use crate::load::closed;
use crate::raw;
use crate::table::{Goal, Line, Runs};
use crate::target::Target;
use tokio::time::Instant;

const IN_FLIGHT: usize = 64;
const KEYS: usize = 1_000;

pub(crate) async fn reads(bench: &mut Bench) {
    let tollgate = Arc::new(Target::tollgate(&bench.server, KEYS).await);
    let (path, request) = tollgate.read(0);
    let channel = tollgate.channels().await.remove(0);
    let answer = raw::unary(channel, path, request).await.expect("it is there").len();
    let mut targets = vec![tollgate, Arc::new(Target::plain(answer).await)];
    if let Some(etcd) = &bench.etcd {
        let etcd = Target::etcd(etcd).await;
        let channel = etcd.channels().await.remove(0);
        for number in 0..KEYS {
            etcd.write(channel.clone(), number, Instant::now()).await;
        }
        targets.push(Arc::new(etcd));
    }
    let mut rates: [Runs; 3] = Default::default();
    for _ in 0..bench.rounds {
        for (place, target) in targets.iter().enumerate() {
            rates[place].push(load(target, bench).await);
        }
    }
    let [ours, plain, etcd] = rates;
    for (name, beside, goal) in [("plain tonic", plain, 0.9), ("etcd", etcd, 1.5)] {
        bench.table.push(Line {
            row: 3,
            measure: format!("reads/s from memory, in flight: {IN_FLIGHT}"),
            tollgate: ours.clone(),
            beside: Some((name, beside)),
            goal: Goal::Times(goal),
        });
    }
}

async fn load(target: &Arc<Target>, bench: &Bench) -> f64 {
    let channels = target.channels().await;
    let requests: Vec<_> = (0..KEYS).map(|number| target.read(number)).collect();
    let call = move |client: usize| {
        // A key of its own for each client.
        let (path, request) = requests[client * (KEYS / IN_FLIGHT)].clone();
        let call = raw::unary(channels[client % channels.len()].clone(), path, request);
        async { drop(call.await.expect("it is there")) }
    };
    closed(IN_FLIGHT, bench.span, call).await.0
}
