//! `tollgate migrate-from`: what another gateway has becomes files, which do here what was done there.

mod bifrost;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::engine::cluster::{self, Cluster};

const CONFIG: &str = include_str!("moving/litellm.yaml");
const ORGANISATION: &str = include_str!("moving/litellm.sql");
/// What all secrets of the fixtures have in common.
const PLANTED: &str = "planted";

/// LiteLLM's database with an organisation, as its `DATABASE_URL` names it, with a password.
fn litellm() -> String {
    let url = Cluster::shared().create();
    Cluster::shared().sql(&name(&url), ORGANISATION);
    url.replacen("tollgate@", "tollgate:planted-word@", 1).replacen("postgres:", "postgresql:", 1) + "&schema=gateway"
}

/// The name of the database that a URL names.
fn name(url: &str) -> String {
    url.split(['/', '?']).nth(3).unwrap().to_owned()
}

/// Migrates from LiteLLM's database.
async fn migrate(config: &Path, database: &str, out: &Path, flags: &[&str]) -> Ran {
    let mut command = command(&["migrate-from", "litellm", "--config", config.to_str().unwrap()]);
    command.args(flags).env("TOLLGATE_LITELLM_DATABASE", database);
    migrated(command, out).await
}

/// Runs a migration. Nothing that it says has a secret.
async fn migrated(mut command: Command, out: &Path) -> Ran {
    command.arg("--out").arg(out);
    let ran = ended(command).await;
    assert!(!format!("{} {}", ran.out, ran.err).contains(PLANTED), "{} {}", ran.out, ran.err);
    ran
}

/// The files of a folder by their names. None of them has a secret.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{path:?}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(PLANTED), "{path:?} {text}");
        (path.file_name().unwrap().to_str().unwrap().to_owned(), text)
    };
    entries.map(read).collect()
}

/// What becomes of a request with the key of this value: whether it is allowed.
async fn is_allowed(rig: &Rig, value: &str, model: &str) -> bool {
    let ran = run(rig, &["explain", "--virtual-key", value, "--model", model]).await;
    assert!(ran.code == 0 || ran.code == 3, "{} {}", ran.out, ran.err);
    ran.code == 0
}

#[tokio::test]
async fn keys_of_litellm_work_here_with_the_values_that_their_callers_have() {
    if !cluster::is_here("nothing was migrated from LiteLLM") {
        return;
    }
    let (mut rig, api) = Rig::started().await;
    let database = spawn_blocking(litellm).await.unwrap();
    let config = file(&rig, "config.yaml", CONFIG);
    let out = rig.database.directory().join("moved");
    let said = migrate(&config, &database, &out, &[]).await.good();
    assert!(said.starts_with("13 documents; 8 changed, 11 impossible; "), "{said}");
    let folder = out.to_str().unwrap();
    ended(command(&["validate", "-f", folder])).await.good();
    let applied = run(&rig, &["apply", "-f", folder, "--set", "litellm", "--yes"]).await.good();
    assert!(applied.contains("13 created, 0 changed, 0 deleted, 0 unchanged"), "{applied}");

    let (gpt, claude) = ("gpt-4o", "claude-opus-4-8");
    for (value, model, expected) in [
        ("notebook", gpt, true),
        // `best` is another name for it, in the team's list.
        ("notebook", claude, true),
        ("notebook", "llama-3", false),
        // Before the rotation.
        ("earlier", gpt, true),
        ("other", claude, true),
        ("other", gpt, false),
        ("unnamed", gpt, true),
        ("unnamed", claude, false),
        ("blocked", gpt, false),
        ("expired", gpt, false),
        ("of-t-2", gpt, false),
        ("of-t-3", gpt, false),
        ("orphan", gpt, false),
        ("pages", gpt, false),
    ] {
        let value = format!("sk-plain-{value}-0123456789");
        assert_eq!(is_allowed(&rig, &value, model).await, expected, "{value} {model}");
    }
    let moved = files(&out);
    let names: Vec<_> = moved.keys().map(String::as_str).collect();
    assert_eq!(names, ["03-customers.yaml", "04-teams.yaml", "05-keys.yaml", "06-model-configs.yaml", "report.md"]);
    for (file, text) in [
        ("03-customers.yaml", "name: Acme\nbudgets:\n- max_limit: 500\n  reset_duration: 1M\ncalendar_aligned: true\n"),
        ("04-teams.yaml", "- max_limit: 50\n  reset_duration: 1w\ncalendar_aligned: true\n"),
        ("05-keys.yaml", "- max_limit: 20\n  reset_duration: 1d\nrate_limits:\n- request_max_limit: 2\n"),
        ("05-keys.yaml", "labels:\n  team: blue\n  user_id: u-1\n"),
        ("05-keys.yaml", "customer: Acme\nbudgets:\n- max_limit: 9\n"),
        ("06-model-configs.yaml", "model_name: gpt-4o\nprovider: openai\nteam: team-t-3\n"),
        ("06-model-configs.yaml", "model_name: claude-opus-4-8\nprovider: anthropic\nteam: team-t-3\nrate_limits:\n"),
    ] {
        assert!(moved[file].contains(text), "{text}\n{}", moved[file]);
    }

    // Everything that is different or missing stands in the report, with its place.
    let report = &moved["report.md"];
    for text in [
        "`api_key` of its metadata looks like a secret, and files have none\n  - customer Acme: ",
        "`logging` of its metadata is a feature of LiteLLM's",
        "the model `hidden` is left out of what it may use",
        "the model `unheard-of` is left out of what it may use",
        "its members are users of LiteLLM",
        "left out, because its team does not exist",
        "left out, because its token is no SHA-256",
        "of users do not exist here; give a key or a team of their own to those who need them\n  - LiteLLM_UserTable, ",
        "the master key is no key of a caller",
        "there is no budget of the whole proxy",
        "virtual key Acme/Search/expired: LiteLLM_VerificationToken, token 5b3d52536031…",
        "its earlier value works until ",
        "it is a session of LiteLLM's own pages",
        "customer Acme, budget of 1M: 120.50 USD ",
        "virtual key Acme//key-e5ba3423, budget of 1d: 4.50 USD ",
    ] {
        assert!(report.contains(text), "{text}\n{report}");
    }

    // The same again gives the same, and there is nothing to do.
    let again = rig.database.directory().join("again");
    let json = migrate(&config, &database, &again, &["--json"]).await.json().remove(0);
    assert_eq!(json["documents"], 13);
    assert_eq!(files(&again), moved);
    let applied = run(&rig, &["apply", "-f", again.to_str().unwrap(), "--set", "litellm", "--yes"]).await.good();
    assert!(applied.starts_with("nothing to change at revision "), "{applied}");

    // A model that is named is known.
    let named = rig.database.directory().join("named");
    migrate(&config, &database, &named, &["--model", "hidden=openai/gpt-5,unheard-of=vllm/qwen"]).await.good();
    assert!(files(&named)["05-keys.yaml"].contains("- provider: vllm\n  weight: 1\n  allowed_models: [qwen]\n"));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_database_of_litellm_is_told_and_nothing_is_written() {
    if !cluster::is_here("no other database was refused") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (config, out) = (folder.path().join("config.yaml"), folder.path().join("moved"));
    std::fs::write(&config, CONFIG).unwrap();
    let good = spawn_blocking(litellm).await.unwrap();
    let empty = good.replace("schema=gateway", "schema=other");
    let gone = good.replace(&format!("/{}?", name(&good)), "/planted_no_such?").replace("planted_no_such", "gone");
    let earlier = good.clone();
    spawn_blocking(move || {
        let drop = "ALTER TABLE \"gateway\".\"LiteLLM_TeamTable\" RENAME COLUMN team_id TO id";
        Cluster::shared().sql(&name(&earlier), drop);
    })
    .await
    .unwrap();
    for (database, code, expected) in [
        (empty.as_str(), 1, "has no table LiteLLM_VerificationToken, so that it is not LiteLLM's"),
        (gone.as_str(), 1, "gone"),
        (good.as_str(), 1, "has no column team_id"),
        ("mysql://planted@localhost/litellm", 2, "postgres://"),
    ] {
        let said = migrate(&config, database, &out, &[]).await.bad(code);
        assert!(said.contains(expected), "{said}");
        assert!(!out.exists(), "{database}");
    }
    std::fs::write(&config, "model_list: [\n").unwrap();
    assert!(migrate(&config, &good, &out, &[]).await.bad(1).contains("config.yaml:"));
    let said = migrate(&config, &good, &out, &["--model", "fast"]).await.bad(2);
    assert!(said.contains("must be written as fast=openai/gpt-4o-mini"), "{said}");
    assert!(migrate(&config, &good, folder.path(), &[]).await.bad(1).contains("is not empty"));
}

/// What budgets have counted, in nano-dollars, by the names of their owners.
async fn used(rig: &Rig) -> BTreeMap<String, String> {
    let table = run(rig, &["usage", "--json", "--limit", "1000"]).await.json().remove(0);
    let of = |limit: &Value| {
        let name = limit["ownerName"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (name, limit["used"].as_str().unwrap().to_owned())
    };
    let budgets = table["limits"].as_array().unwrap().iter().filter(|limit| limit["kind"] == "LIMIT_KIND_BUDGET");
    budgets.map(of).collect()
}

#[tokio::test]
async fn what_was_spent_in_litellm_comes_along_once() {
    if !cluster::is_here("nothing that was spent in LiteLLM came along") {
        return;
    }
    let (mut rig, api) = Rig::started().await;
    let database = spawn_blocking(litellm).await.unwrap();
    let config = file(&rig, "config.yaml", CONFIG);
    let server = format!("http://{}", rig.address());
    let carry = async |folder: &str| {
        let out = rig.database.directory().join(folder);
        let flags = ["--apply", "--set", "litellm", "--server", &server];
        let said = migrate(&config, &database, &out, &flags).await.good();
        (said, files(&out).remove("report.md").unwrap())
    };
    let expected = |acme: &str| {
        let amounts =
            [("Acme", acme), ("Search", "3250000000"), ("notebook", "1500000000"), ("key-e5ba3423", "4500000000")];
        BTreeMap::from(amounts.map(|(name, amount)| (name.to_owned(), amount.to_owned())))
    };

    let (said, report) = carry("first").await;
    assert!(said.contains("13 created, 0 changed, 0 deleted, 0 unchanged at revision "), "{said}");
    assert_eq!(report.matches(" brought along, into the window from ").count(), 4, "{report}");
    assert_eq!(used(&rig).await, expected("120500000000"));

    // Only what came since is added, whatever was counted here.
    let customer = run(&rig, &["get", "customer", "Acme", "-o", "json"]).await.json().remove(0);
    let limit = customer["budgets"][0]["id"].as_str().unwrap();
    run(&rig, &["usage", "adjust", limit, "--usd", "1", "--reason", "used here"]).await.good();
    let name = name(&database);
    spawn_blocking(move || {
        Cluster::shared().sql(&name, "UPDATE gateway.\"LiteLLM_OrganizationTable\" SET spend = 130")
    })
    .await
    .unwrap();
    let (said, report) = carry("second").await;
    assert!(said.contains("0 created, 0 changed, 0 deleted, 13 unchanged at revision "), "{said}");
    assert_eq!(report.matches(" was brought along before, into the window from ").count(), 3, "{report}");
    assert_eq!(used(&rig).await, expected("131000000000"));
    let (_, report) = carry("third").await;
    assert_eq!(report.matches(" was brought along before, into the window from ").count(), 4, "{report}");
    assert_eq!(used(&rig).await, expected("131000000000"));

    // Without a server the files and the report are there all the same.
    let out = rig.database.directory().join("alone");
    migrate(&config, &database, &out, &["--apply", "--server", "http://127.0.0.1:1"]).await.bad(1);
    assert!(files(&out)["report.md"].contains("budget of 1M: 130.00 USD stays behind"));
    drop(api);
    rig.stop().await;
}
