# Everything that CI checks.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --package tollgate-node --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
    buf lint
    buf format --diff --exit-code
    cargo test --locked
    cargo test --locked --package tollgate-bench
    cargo deny check

# Runs the tests.
test:
    cargo test

# Runs a server on 127.0.0.1:50051 with tollgate.db in this directory.
run:
    cargo run --release -- serve

# Runs the examples against a server of their own.
examples:
    cargo build
    examples/run.sh target/debug/tollgate
    examples/mtls/run.sh target/debug/tollgate
    examples/generated.sh target/debug/tollgate
    examples/openapi/run.sh target/debug/tollgate

# Checks the TypeScript client against a server and a node of its own.
client-typescript:
    cargo build
    clients/typescript/test.sh target/debug/tollgate

# Checks the Python package against a server and a node of its own.
python:
    cargo build
    clients/python/test.sh

# Governs traffic with a real Envoy and a provider that only pretends (docs/gateways.md). Needs Envoy, grpcurl and Python.
demo-envoy:
    cargo build
    deploy/envoy/demo/run.sh target/debug/tollgate

# Measures a release build beside etcd, PostgreSQL and plain tonic (docs/benchmarks.md): all rows, or those named, as in
# `just bench --quick 1 3`.
bench *args:
    cargo build --release --locked --package tollgate --package tollgate-bench --bin tollgate --bin tollgate-bench
    target/release/tollgate-bench {{args}}

# Measures decisions, prices and expressions, and what usage costs, each more closely.
bench-parts:
    cargo bench --bench decisions
    cargo bench --bench usage

# Lets everything fail around three servers on PostgreSQL for `seconds`, as `seed` chooses.
faults seconds="600" seed="1":
    TOLLGATE_FAULT_SECONDS={{seconds}} TOLLGATE_FAULT_SEED={{seed}} cargo test --test it faults:: -- --nocapture

# Counts the instructions of the hot paths and compares them with bench/instructions.txt; `just instructions --renew`
# writes it. Needs valgrind.
instructions *args:
    cargo run --quiet --locked --package tollgate-bench --bin instructions -- {{args}}

# Fuzzes `target` (the names in fuzz/fuzz_targets) for `seconds`, guided by coverage; needs cargo-fuzz. It asks for a
# nightly toolchain, or for a stable one that RUSTC_BOOTSTRAP makes pass for one.
fuzz target="cel" seconds="60":
    mkdir -p fuzz/corpus/{{target}} fuzz/seeds/{{target}}
    cargo test --quiet --test it write_the_seeds_of_requests -- --ignored
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} fuzz/corpus/{{target}} fuzz/seeds/{{target}} -- -max_total_time={{seconds}} -max_len=8192 -timeout=5

# Feeds every parser of foreign bytes `inputs` mutations of the seeds, on any toolchain.
fuzz-all inputs="1000000":
    TOLLGATE_FUZZ_INPUTS={{inputs}} cargo test --release --test it fuzz:: -- --nocapture
