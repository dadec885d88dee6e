//! Parsers of foreign bytes, on seeds and mutations of them. The targets are those of `fuzz/`, which cargo-fuzz drives by
//! coverage; here they run on any toolchain, in every run of the tests, on the same inputs each time.
//!
//! `TOLLGATE_FUZZ_INPUTS` is the number of inputs for each target.

use std::fs;
use std::future::ready;
use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, stream};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

#[path = "../../fuzz/targets/mod.rs"]
pub(crate) mod targets;

use targets::Rig;

/// Inputs for each target, unless the environment says otherwise.
const INPUTS: usize = 2_000;
/// Inputs that are with the server at a time.
const AT_A_TIME: usize = 16;
/// Bytes of an input at most.
const LONGEST: usize = 4_096;
/// Inputs beside the seeds that are mutated further.
const WANDERERS: usize = 1_024;
/// What parsers stumble on.
const SPICE: [&[u8]; 24] = [
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80",
    b"\x7f",
    b"%",
    b"%00",
    b"%2f",
    b"/",
    b",",
    b".",
    b"*",
    b"-1",
    b"9223372036854775807",
    b"1e999",
    b"NaN",
    b"\n",
    b"\"",
    b"((((((((",
    b"[",
    b"&&",
    b"\xf0\x9f\x99\x82",
    b"\xe2\x80\xae",
    b"=",
];

fn inputs() -> usize {
    std::env::var("TOLLGATE_FUZZ_INPUTS")
        .map_or(INPUTS, |count| count.parse().expect("TOLLGATE_FUZZ_INPUTS is a number"))
}

fn directory(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(kind).join(target)
}

/// The seeds that lie in the repository.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(directory("seeds", target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The seeds, then mutations of them, and of those, always the same.
struct Mutations {
    pool: Vec<Vec<u8>>,
    seeds: usize,
    given: usize,
    rng: StdRng,
}

impl Mutations {
    fn of(pool: Vec<Vec<u8>>) -> Self {
        Self { seeds: pool.len(), pool, given: 0, rng: StdRng::seed_from_u64(6) }
    }

    fn any(&mut self) -> Vec<u8> {
        self.pool[self.rng.random_range(0..self.pool.len())].clone()
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let place = self.rng.random_range(0..=input.len());
        let end = self.rng.random_range(place..=input.len().min(place + 32));
        match self.rng.random_range(0..8) {
            0 if place < input.len() => input[place] ^= 1 << self.rng.random_range(0..8),
            1 if place < input.len() => input[place] = self.rng.random(),
            2 => input.insert(place, self.rng.random()),
            3 => drop(input.drain(place..end)),
            4 => {
                let part = input[place..end].to_vec();
                let times = self.rng.random_range(1..=8);
                input.splice(place..place, part.repeat(times));
            }
            5 => {
                let spice = SPICE[self.rng.random_range(0..SPICE.len())];
                input.splice(place..place, spice.iter().copied());
            }
            6 => {
                let other = self.any();
                let from = self.rng.random_range(0..=other.len());
                input.truncate(place);
                input.extend(&other[from..]);
            }
            _ => input.truncate(place),
        }
        input.truncate(LONGEST);
    }
}

impl Iterator for Mutations {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        self.given += 1;
        if self.given <= self.seeds {
            return Some(self.pool[self.given - 1].clone());
        }
        let mut input = self.any();
        for _ in 0..self.rng.random_range(1..=6) {
            self.mutate(&mut input);
        }
        // Some are mutated further, so that inputs wander off; the seeds stay.
        if self.rng.random_ratio(1, 16) {
            if self.pool.len() < self.seeds + WANDERERS {
                self.pool.push(input.clone());
            } else {
                let place = self.rng.random_range(self.seeds..self.pool.len());
                self.pool[place] = input.clone();
            }
        }
        Some(input)
    }
}

/// Says which input it was, should the target panic with it.
struct Suspect<'a>(&'a str, &'a [u8]);

impl Drop for Suspect<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: failed with the input {}", self.0, self.1.escape_ascii());
        }
    }
}

fn pure(target: &str, run: fn(&[u8])) {
    let count = inputs();
    for input in Mutations::of(seeds(target)).take(count) {
        let _suspect = Suspect(target, &input);
        run(&input);
    }
    println!("{target}: {count} inputs");
}

fn service(target: &str, seeds: Vec<Vec<u8>>, run: impl AsyncFn(&Rig, &[u8])) {
    let (count, rig) = (inputs(), Rig::start());
    let (rig, run) = (&rig, &run);
    rig.runtime.block_on(
        stream::iter(Mutations::of(seeds).take(count))
            .map(|input| async move {
                let _suspect = Suspect(target, &input);
                run(rig, &input).await;
            })
            .buffer_unordered(AT_A_TIME)
            .for_each(|()| ready(())),
    );
    println!("{target}: {count} inputs");
}

#[test]
fn expressions() {
    pure("cel", targets::cel);
}

#[test]
fn durations() {
    pure("duration", targets::duration);
}

#[test]
fn uris_of_certificates() {
    pure("certificate_uri", targets::certificate_uri);
}

#[test]
fn tokens() {
    pure("token", targets::token);
}

#[test]
fn lines_of_exports() {
    pure("export_line", targets::export_line);
}

#[test]
fn messages_to_nodes() {
    pure("watch_message", targets::watch_message);
}

#[test]
fn masks() {
    service("mask", seeds("mask"), targets::mask);
}

#[test]
fn page_tokens() {
    service("page_token", seeds("page_token"), targets::page_token);
}

#[test]
fn resume_tokens() {
    service("resume_token", seeds("resume_token"), targets::resume_token);
}

#[test]
fn credentials() {
    service("credentials", seeds("credentials"), targets::credentials);
}

#[test]
fn requests_over_http() {
    service("connect", seeds("connect"), targets::connect);
}

#[test]
fn requests_to_every_method() {
    service("request", targets::requests(), targets::request);
}

#[test]
#[ignore = "writes fuzz/corpus/request, from which cargo fuzz begins"]
fn write_the_seeds_of_requests() {
    let corpus = directory("corpus", "request");
    fs::create_dir_all(&corpus).unwrap();
    for (number, seed) in targets::requests().iter().enumerate() {
        fs::write(corpus.join(format!("seed-{number}")), seed).unwrap();
    }
}
