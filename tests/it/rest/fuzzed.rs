//! The document against the server, by schemathesis: whatever the document allows and forbids is tried.

use std::process::Command;

use super::client::World;
use crate::access::support::ROOT;

/// The check of schemathesis that does not hold here: what names other resources, or is an expression or a length, may be
/// refused though its schema is met.
const EXCLUDED: &str = "positive_data_acceptance";

#[tokio::test]
async fn what_is_served_is_what_is_described() {
    if Command::new("schemathesis").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "schemathesis is not installed");
        eprintln!(
            "SKIPPED: the API was not tried by its description, because schemathesis is not installed: pip install schemathesis"
        );
        return;
    }
    let world = World::new().await;
    let document = format!("http://{}/openapi.json", world.client.address);
    let cases = std::env::var("TOLLGATE_SCHEMATHESIS_CASES").unwrap_or_else(|_| "3".to_owned());
    let directory = tempfile::tempdir().unwrap();
    let run = move || {
        Command::new("schemathesis")
            .args(["run", &document, "--checks", "all", "--exclude-checks", EXCLUDED])
            .args(["--phases", "examples,fuzzing", "--max-examples", &cases, "--seed", "1", "--no-color"])
            .args(["--generation-deterministic", "--suppress-health-check", "all", "--warnings", "off"])
            .args(["--header", &format!("Authorization: Bearer {ROOT}")])
            .current_dir(directory.path())
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    world.end().await;
}
