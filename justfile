# Everything that CI checks.
check:
    cargo fmt --all --check
    cargo clippy --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
    buf lint
    buf format --diff --exit-code
    cargo test --locked
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

# Measures decisions, prices and expressions, and what usage costs.
bench:
    cargo bench --bench decisions
    cargo bench --bench usage

# Feeds hostile expressions to the CEL compiler for `seconds`; needs cargo-fuzz and a nightly toolchain.
fuzz seconds="60":
    mkdir -p fuzz/corpus/cel
    cargo +nightly fuzz run cel fuzz/corpus/cel fuzz/seeds/cel -- -max_total_time={{seconds}} -max_len=8192 -timeout=5
