//! Many nodes at random: what is promised of progress, and the bound once more.

use super::fleet::{BUDGET, Simulation};

fn simulate(nodes: usize, callers: usize, faults_until: u64, seed: u64) {
    let mut simulation = Simulation::new(nodes, callers, faults_until, seed);
    simulation.run();
    let (all, (lasted, grants, recalls)) = (simulation.spent("budget"), simulation.figures());
    println!("{nodes} nodes, seed {seed}: {all} of {BUDGET} in {lasted} ms, {grants} grants, {recalls} recalls");
    assert!(all >= BUDGET / 100 * 99, "only {all} of {BUDGET} could be spent");
    simulation.holds_nothing();
}

#[test]
fn a_few_nodes_spend_nearly_all_and_hold_nothing_in_the_end() {
    for (nodes, seed) in [(1, 1), (2, 2), (5, 3)] {
        simulate(nodes, 6, 0, seed);
        simulate(nodes, 6, 60_000, seed);
    }
}

#[test]
fn fifty_nodes_spend_nearly_all_and_hold_nothing_in_the_end() {
    simulate(50, 2, 60_000, 4);
}

/// `cargo test --package tollgate-core --lib --config profile.dev.package.tollgate-core.opt-level=2 credit::tests::simulate --
/// --ignored --nocapture`.
#[test]
#[ignore = "hundreds of simulations take minutes"]
fn any_number_of_nodes_spends_nearly_all_and_holds_nothing_in_the_end() {
    for seed in 0..200 {
        simulate(1 + (seed as usize * 7) % 50, 1 + seed as usize % 6, 1_000 * (seed % 90), seed);
    }
}
