//! Starting where the system gives too little: the error names what is short, and nobody is sent for a backup.

use std::process::Output;

use tempfile::TempDir;

use crate::engine::cluster;
use crate::process::program_in;

/// How `tollgate serve` ends with this limit.
fn start_with(limit: &str) -> Output {
    let directory = TempDir::new().unwrap();
    let program = program_in(directory.path());
    let database = format!("sqlite://{}", directory.path().join("store.db").display());
    let mut prlimit = cluster::as_unprivileged("prlimit");
    prlimit.arg(limit).arg(program).args(["serve", "--listen", "127.0.0.1:0", "--database", &database]);
    prlimit.env("HOME", directory.path()).env_remove("XDG_CONFIG_HOME").output().unwrap()
}

#[test]
fn a_server_that_gets_no_threads_says_so_and_ends() {
    let output = start_with("--nproc=1");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("tollgate: the system gives no ") && told.contains("threads"), "{told}");
}
