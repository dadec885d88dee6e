//! Row 9: what a decision and a price cost a node. `cargo bench --bench decisions` has more of them.

use std::hint::black_box;

use tokio::time::Instant;
use tollgate::decision::{self, NoUsage};

use crate::Bench;
use crate::table::{Goal, Line, Runs};
use crate::world::World;

const KEYS: usize = 100_000;
const TIMES: u32 = 20_000;

pub(crate) fn decisions(bench: &mut Bench) {
    let world = World::new(KEYS);
    let (request, price) = (world.request(), world.price());
    let (mut decided, mut priced) = (Runs::default(), Runs::default());
    for _ in 0..bench.rounds {
        decided.push(micros(|| _ = black_box(decision::explain(world.state.config(), &NoUsage, black_box(&request)))));
        priced.push(micros(|| _ = black_box(decision::resolve_price(world.state.config(), black_box(&price)))));
    }
    for (measure, tollgate, goal) in [
        ("µs for a decision: 20 rules, 10 limits, 100,000 keys", decided, 5.0),
        ("µs for a price among 10,004 overrides", priced, 1.0),
    ] {
        let goal = Goal::Under(goal);
        bench.table.push(Line { row: 9, measure: measure.to_owned(), tollgate, beside: None, goal });
    }
}

fn micros(mut work: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..TIMES {
        work();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES)
}
