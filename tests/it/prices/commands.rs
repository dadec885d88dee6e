//! `tollgate prices`, the program, against a server.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::*;
use crate::watch::rig::soon;

/// Runs the program to its end while the server goes on: whether it went well, its results, and its remarks.
pub(super) async fn program(rig: &Rig, args: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("prices").args(args).args(["--server", &format!("http://{}", rig.address())]).stdin(Stdio::null());
    let output = soon(spawn_blocking(move || command.output().unwrap())).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn entry(provider: &str, rate: f64) -> Value {
    json!({"litellm_provider": provider, "input_cost_per_token": rate, "max_input_tokens": 1_000})
}

#[tokio::test]
async fn a_table_is_compared_tried_imported_and_pruned() {
    let (mut rig, api) = Rig::started().await;
    create(&api, price("openai", "by hand", 7.0)).await.unwrap();
    let file = rig.database.directory().join("prices.json");
    let name = file.to_str().unwrap();
    let first = json!({
        "sample_spec": {},
        "gpt-4o": entry("openai", 2.5e-6),
        "azure/gpt-4o": entry("azure", 3e-6),
        "by hand": entry("openai", 1e-6),
        "elsewhere": entry("elsewhere", 1e-6),
    });
    fs::write(&file, first.to_string()).unwrap();

    let (done, shown, _) = program(&rig, &["diff", name]).await;
    assert!(done && shown.lines().count() == 3 && shown.contains("add     openai"), "{shown}");
    let (done, shown, said) = program(&rig, &["import", name, "--dry-run"]).await;
    assert!(done && shown.starts_with("created 2, updated 0, deleted 0, unchanged 0; nothing was changed"), "{shown}");
    assert!(said.contains("is no provider of the server: elsewhere") && said.contains("another source"), "{said}");
    let (done, shown, _) = program(&rig, &["list"]).await;
    assert!(done && shown.lines().count() == 2, "nothing was imported yet: {shown}");

    let (done, shown, said) = program(&rig, &["import", name]).await;
    assert!(done && shown.starts_with("created 2, updated 0, deleted 0, unchanged 0; revision "), "{shown} {said}");
    let (done, shown, _) = program(&rig, &["list", "--provider", "azure", "--json"]).await;
    let listed: Value = serde_json::from_str(&shown).unwrap();
    let azure = &listed["modelPrices"][0];
    assert!(done && listed["totalSize"] == 1 && azure["model"] == "gpt-4o" && azure["source"] == "litellm", "{shown}");
    assert_eq!(azure["rates"]["inputCostPerToken"], 3e-6);
    assert_eq!(program(&rig, &["diff", name]).await.1.lines().count(), 1, "a head and no change");

    fs::write(&file, json!({"gpt-4o": entry("openai", 2e-6), "by hand": entry("openai", 1e-6)}).to_string()).unwrap();
    let (_, shown, _) = program(&rig, &["diff", name, "--prune", "--replace", "--json"]).await;
    let changes: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sides: Vec<_> = changes.iter().map(|it| (it["before"].is_object(), it["after"].is_object())).collect();
    assert_eq!(sides, [(true, true), (true, true), (true, false)], "{shown}");
    assert_eq!(changes[1]["after"]["rates"]["inputCostPerToken"], 2e-6);
    let (_, shown, _) = program(&rig, &["diff", name]).await;
    assert!(shown.contains("input_cost_per_token  0.0000025  0.000002"), "{shown}");
    let (done, shown, _) = program(&rig, &["import", name, "--prune"]).await;
    assert!(done && shown.starts_with("created 0, updated 1, deleted 1, unchanged 0; revision "), "{shown}");
    let (done, shown, _) = program(&rig, &["import", name, "--replace"]).await;
    assert!(done && shown.starts_with("created 0, updated 1, deleted 0, unchanged 1; revision "), "{shown}");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_no_table_is_refused_with_the_reason() {
    let (mut rig, api) = Rig::started().await;
    let file = rig.database.directory().join("prices.json");
    let name = file.to_str().unwrap();
    for (content, expected) in [
        (None, "No such file"),
        (Some("[1]"), "is no table of prices, a JSON object of models: "),
        (Some("{\"a\": {}}"), "has no price that can be imported"),
    ] {
        if let Some(content) = content {
            fs::write(&file, content).unwrap();
        }
        let (done, shown, said) = program(&rig, &["import", name]).await;
        assert!(!done && shown.is_empty() && said.contains(expected) && said.contains(name), "{said}");
    }
    drop(api);
    rig.stop().await;
}
