//! The directions of dependency that `src/lib.rs` and the core draw, read from the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// For each room, what its source must not name. The crates hold the other walls: the core has no dependency on tonic,
/// tokio or sea-orm, and none on the server.
const FORBIDDEN: [(&str, &[&str]); 19] = [
    ("crates/tollgate-core/src/cel", &["prost", "crate::domain", "crate::proto", "crate::config"]),
    ("crates/tollgate-core/src/domain", &["prost", "crate::proto", "crate::wire", "crate::config", "crate::counters"]),
    ("crates/tollgate-core/src/counters", &["prost", "crate::proto", "crate::wire", "crate::config"]),
    ("crates/tollgate-core/src/config", &["prost", "crate::proto", "crate::wire", "crate::decision", "crate::usage"]),
    ("crates/tollgate-core/src/credit", &["prost", "crate::proto", "crate::wire", "crate::config", "crate::decision"]),
    ("crates/tollgate-core/src/decision", &["prost", "crate::proto", "crate::wire", "crate::usage", "crate::reducer"]),
    ("crates/tollgate-core/src/price", &["prost", "crate::proto", "crate::wire", "crate::config", "crate::decision"]),
    ("crates/tollgate-core/src/usage", &["prost", "crate::proto", "crate::wire", "crate::reducer"]),
    ("crates/tollgate-core/src/wire", &["crate::config", "crate::decision", "crate::usage", "crate::reducer"]),
    ("src/access", &["tonic", "sea_orm", "crate::wire", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("src/archive", &["tonic", "sea_orm", "tokio", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("src/state", &["tonic", "sea_orm", "tokio", "prost", "crate::store", "crate::wire", "crate::watch", "crate::api"]),
    ("src/store", &["tonic", "prost", "crate::proto", "crate::wire", "crate::ledger", "crate::watch", "crate::api"]),
    ("src/ledger", &["tonic", "sea_orm", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("src/watch", &["tonic", "sea_orm", "crate::store", "crate::ledger", "crate::api", "crate::server", "crate::cli"]),
    ("src/webhooks", &["tonic", "sea_orm", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("src/api", &["sea_orm", "crate::server", "crate::cli"]),
    ("src/http", &["sea_orm", "crate::store", "crate::ledger", "crate::state", "crate::server", "crate::cli"]),
    ("src/server", &["sea_orm", "crate::cli"]),
];

#[test]
fn nothing_points_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for (room, forbidden) in FORBIDDEN {
        let files = sources(&root.join(room));
        assert!(!files.is_empty(), "no sources in {room}");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            // Tests of a room may make what they need from messages.
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for (number, line) in code.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for name in forbidden {
                    if names(code, name) {
                        faults.push(format!("{}:{} names {name}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Who depends on the core gets no database, no runtime and no server with it.
#[test]
fn the_core_brings_few_packages() {
    let below = packages_below("tollgate-core");
    assert!(below.len() <= 130, "{} packages: {below:?}", below.len());
    for name in ["tokio", "tonic", "hyper", "sea-orm", "sqlx", "tracing"] {
        assert!(!below.contains(name), "the core depends on {name}");
    }
}

/// Who links a node gets no database and no server with it.
#[test]
fn a_node_brings_few_packages() {
    let below = packages_below("tollgate-node");
    assert!(below.len() <= 200, "{} packages: {below:?}", below.len());
    for name in ["sea-orm", "sqlx", "clap", "tracing-subscriber", "opentelemetry"] {
        assert!(!below.contains(name), "the node depends on {name}");
    }
}

/// The packages that a package of the workspace is built of, on this machine, itself included.
fn packages_below(package: &str) -> BTreeSet<String> {
    let arguments = ["tree", "--offline", "--locked", "--package", package, "--edges", "normal", "--prefix", "none"];
    let cargo = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let lines = String::from_utf8(cargo.stdout).unwrap();
    lines.lines().filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect()
}

/// A lack of threads must not make a stored rule unreadable, nor may whoever writes rules use threads up.
#[test]
fn conditions_are_read_on_the_thread_of_the_caller() {
    let cel = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/tollgate-core/src/cel");
    let tests = cel.join("tests");
    let files: Vec<_> = sources(&cel).into_iter().filter(|it| !it.starts_with(&tests)).collect();
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for name in ["thread", "spawn", "catch_unwind"] {
            assert!(!code.iter().any(|line| line.contains(name)), "{} names {name}", file.display());
        }
    }
}

/// Whether `code` has `name` as a path of its own, and not as part of a longer name.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') && after.starts_with("::")
    })
}

pub(crate) fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
