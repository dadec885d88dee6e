//! The command line against a server: resources by kind and name, files, contexts, and what shells and probes want.

mod apply;
mod contexts;
mod files;
mod laws;
mod moving;
mod names;
mod resources;
mod secrets;
mod wrong;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::watch::rig::{Rig, soon};

/// How a command ended, and what it printed.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The output, if all went well.
    fn good(self) -> String {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self.out
    }

    /// The lines that were printed, if all went well.
    fn lines(self) -> Vec<String> {
        self.good().lines().map(str::to_owned).collect()
    }

    /// The output as JSON, an object a line.
    fn json(self) -> Vec<Value> {
        self.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The complaint, if the command failed so.
    fn bad(self, code: i32) -> String {
        assert_eq!(self.code, code, "{} {}", self.out, self.err);
        self.err
    }
}

/// The program, with nothing of the tester's own configuration.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).env("TOLLGATE_CONFIG", "/no/such/config.toml").stdin(Stdio::null());
    command
}

/// Runs the program to its end while the server goes on.
async fn run(rig: &Rig, args: &[&str]) -> Ran {
    let mut command = command(args);
    command.args(["--server", &format!("http://{}", rig.address())]);
    ended(command).await
}

async fn ended(mut command: Command) -> Ran {
    Ran::of(soon(spawn_blocking(move || command.output().unwrap())).await.unwrap())
}

/// Writes a file beside the database.
fn file(rig: &Rig, name: &str, text: &str) -> PathBuf {
    let path = rig.database.directory().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}
