//! Row 11: what streams cost that nobody reads.

use std::sync::Arc;

use crate::Bench;
use crate::table::{Goal, Line, Runs};
use crate::target::Target;

const STREAMS: usize = 500;
const CLIENTS: usize = 64;
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) async fn stalled(bench: &mut Bench) {
    let target = Arc::new(Target::tollgate(&bench.server, 1_000).await);
    let mut times = [Runs::default(), Runs::default()];
    let mut memory = [Runs::default(), Runs::default()];
    for _ in 0..bench.rounds {
        times[1].push(super::writes::load(&target, CLIENTS, bench).await.1);
        let channels = target.channels().await;
        let mut streams = Vec::with_capacity(STREAMS);
        for number in 0..STREAMS {
            streams.push(target.watch(channels[number % channels.len()].clone()).await);
        }
        // Fills what there is room for on their way.
        super::writes::load(&target, CLIENTS, bench).await;
        memory[1].push(target.process.memory() / MIB);
        times[0].push(super::writes::load(&target, CLIENTS, bench).await.1);
        memory[0].push(target.process.memory() / MIB);
        drop(streams);
    }
    let lines = [
        (format!("p99 of writes, ms, {CLIENTS} clients, {STREAMS} streams stalled"), times, "none stalled"),
        (format!("MiB of memory after them, {STREAMS} streams stalled"), memory, "before them"),
    ];
    for (measure, [ours, beside], name) in lines {
        let beside = Some((name, beside));
        bench.table.push(Line { row: 11, measure, tollgate: ours, beside, goal: Goal::Within(1.2) });
    }
}
