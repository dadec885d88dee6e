//! What is done to a database beside crashing it.

use std::path::PathBuf;
use std::process::Command;

use crate::engine::cluster::{Cluster, program, run};

impl Cluster {
    /// Whether its first process is there.
    pub(super) fn runs(&self) -> bool {
        program("pg_ctl").args(["status", "-D"]).arg(self.data()).output().unwrap().status.success()
    }

    /// Copies it while it works, as a base backup.
    pub(super) fn back_up(&self) -> PathBuf {
        let backup = self.directory.join("backup");
        let mut copy = program("pg_basebackup");
        copy.args(["-U", "tollgate", "-h"]).arg(&self.directory).args(["-p", &self.port.to_string()]);
        run(copy.args(["-c", "fast", "-X", "stream", "--no-sync", "-D"]).arg(&backup));
        backup
    }

    /// Goes back to where it was copied.
    pub(super) fn restore(&self, backup: &PathBuf) {
        self.crash();
        std::fs::remove_dir_all(self.data()).unwrap();
        // With their owners and rights.
        assert!(Command::new("cp").arg("-a").arg(backup).arg(self.data()).status().unwrap().success());
        self.resume();
    }
}
