#![no_main]

use std::sync::LazyLock;

#[path = "../targets/mod.rs"]
mod targets;

static RIG: LazyLock<targets::Rig> = LazyLock::new(targets::Rig::start);

libfuzzer_sys::fuzz_target!(|input: &[u8]| RIG.runtime.block_on(targets::connect(&RIG, input)));
