//! The directions of dependency that `src/lib.rs` draws, read from the source.

use std::fs;
use std::path::{Path, PathBuf};

/// For each module, what its source must not name.
const FORBIDDEN: [(&str, &[&str]); 14] = [
    ("access", &["tonic", "sea_orm", "crate::wire", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("archive", &["tonic", "sea_orm", "tokio", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("cel", &["tonic", "sea_orm", "tokio", "prost", "crate::domain", "crate::state", "crate::wire", "crate::api"]),
    ("decision", &["tonic", "sea_orm", "tokio", "crate::store", "crate::ledger", "crate::watch", "crate::api"]),
    ("domain", &["tonic", "sea_orm", "tokio", "prost", "crate::state", "crate::store", "crate::wire", "crate::api"]),
    ("state", &["tonic", "sea_orm", "tokio", "prost", "crate::store", "crate::wire", "crate::watch", "crate::api"]),
    ("store", &["tonic", "prost", "crate::proto", "crate::wire", "crate::ledger", "crate::watch", "crate::api"]),
    ("wire", &["tonic", "sea_orm", "tokio", "crate::state", "crate::store", "crate::ledger", "crate::api"]),
    ("ledger", &["tonic", "sea_orm", "crate::watch", "crate::api", "crate::server", "crate::cli"]),
    ("usage", &["tonic", "sea_orm", "tokio", "crate::store", "crate::ledger", "crate::watch", "crate::api"]),
    ("watch", &["tonic", "sea_orm", "crate::store", "crate::ledger", "crate::api", "crate::server", "crate::cli"]),
    ("watch/reducer", &["tokio"]),
    ("api", &["sea_orm", "crate::server", "crate::cli"]),
    ("server", &["sea_orm", "crate::cli"]),
];

#[test]
fn nothing_points_up() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for (module, forbidden) in FORBIDDEN {
        let files = sources(&src.join(module));
        assert!(!files.is_empty(), "no sources in {module}");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
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

/// A lack of threads must not make a stored rule unreadable, nor may whoever writes rules use threads up.
#[test]
fn conditions_are_read_on_the_thread_of_the_caller() {
    let cel = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cel");
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
