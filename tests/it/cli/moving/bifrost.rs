//! Bifrost: its config store on both engines, and config.json.

use sha2::{Digest as _, Sha256};

use super::*;

const STORE: &str = include_str!("bifrost.sql");
const CONFIG: &str = include_str!("bifrost.json");

/// The script that makes a store, with its hashes and times.
fn script() -> String {
    let mut parts = STORE.split("{sha256:");
    let mut script = parts.next().unwrap().to_owned();
    for part in parts {
        let (value, rest) = part.split_once('}').unwrap();
        script += &format!("{}{rest}", hex::encode(Sha256::digest(value)));
    }
    let tomorrow = std::time::SystemTime::now() + std::time::Duration::from_hours(24);
    script.replace("{tomorrow}", &humantime::format_rfc3339_seconds(tomorrow).to_string())
}

/// A config store in SQLite.
fn sqlite(folder: &Path, script: &str) -> String {
    let path = folder.join("config.db");
    let run = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
    cluster::run(Command::new("python3").args(["-c", run]).arg(&path).arg(script));
    format!("sqlite://{}", path.display())
}

/// A config store in PostgreSQL.
fn postgres(script: &str) -> String {
    let url = Cluster::shared().create();
    Cluster::shared().sql(&name(&url), script);
    url.replacen("tollgate@", "tollgate:planted-word@", 1)
}

/// Migrates from a config store.
async fn migrate(store: &str, out: &Path, flags: &[&str]) -> Ran {
    let mut command = command(&["migrate-from", "bifrost"]);
    command.args(flags).env("TOLLGATE_BIFROST_CONFIG_STORE", store);
    migrated(command, out).await
}

#[tokio::test]
async fn keys_of_bifrost_work_here_with_the_values_that_their_callers_have() {
    let (mut rig, api) = Rig::started().await;
    let folder = rig.database.directory();
    let store = sqlite(folder, &script());
    let before = std::fs::read(folder.join("config.db")).unwrap();
    let out = folder.join("moved");
    let said = migrate(&store, &out, &[]).await.good();
    assert!(said.starts_with("16 documents; "), "{said}");
    ended(command(&["validate", "-f", out.to_str().unwrap()])).await.good();
    let applied = run(&rig, &["apply", "-f", out.to_str().unwrap(), "--set", "bifrost", "--yes"]).await.good();
    assert!(applied.contains("15 created, 1 changed, 0 deleted, 0 unchanged"), "{applied}");

    for (value, model, expected) in [
        ("notebook-0123456789", "openai/gpt-4o", true),
        // The key must not use it, and that comes before what it may use.
        ("notebook-0123456789", "openai/gpt-5", false),
        // What it must not use of this provider is a regular expression.
        ("notebook-0123456789", "house/llama", false),
        // Before the rotation.
        ("earlier-0123456789", "openai/gpt-4o", true),
        ("planted-inactive", "openai/gpt-4o", false),
        ("planted-expired", "openai/gpt-4o", false),
        ("planted-unhashed", "anthropic/claude-opus-4-8", true),
        ("planted-all", "house/llama", true),
    ] {
        assert_eq!(is_allowed(&rig, &format!("sk-bf-{value}"), model).await, expected, "{value} {model}");
    }
    let moved = files(&out);
    for (file, text) in [
        ("01-providers.yaml", "name: house\n"),
        ("01-providers.yaml", "name: openai\nkeys:\n- id: pk-openai\n  name: main\n"),
        ("01-providers.yaml", "name: spare\n"),
        ("02-mcp-clients.yaml", "name: notes\n"),
        ("03-customers.yaml", "name: Acme\nbudgets:\n- max_limit: 500\n  reset_duration: 1M\ncalendar_aligned: true\n"),
        (
            "04-teams.yaml",
            "customer: Acme\nbudgets:\n- max_limit: 60\n  reset_duration: 1w\n- max_limit: 4\n  reset_duration: 1d\n",
        ),
        ("05-keys.yaml", "description: of the search team\n"),
        ("05-keys.yaml", "  key_ids: [pk-openai]\n  budgets:\n  - max_limit: 5\n    reset_duration: 30d\n"),
        ("05-keys.yaml", "- mcp_client_name: wiki\n  tools_to_execute: [search]\n"),
        ("05-keys.yaml", "- mcp_client_name: notes\n  tools_to_execute: [\"*\"]\n"),
        ("05-keys.yaml", "- request_max_limit: 60\n  request_reset_duration: 1m\n"),
        ("05-keys.yaml", "labels:\n  cost_center: cc-42\n"),
        ("05-keys.yaml", "budgets:\n- max_limit: 20\n  reset_duration: 30d\nrate_limits:\n- request_max_limit: 60\n"),
        (
            "05-keys.yaml",
            "- provider: house\n  weight: 1\n  allowed_models: [\"*\"]\n  key_ids: [\"*\"]\n  budgets:\n  - max_limit: 6\n",
        ),
        ("06-model-configs.yaml", "virtual_key: Acme/Search/notebook\nrate_limits:\n- token_max_limit: 1000\n"),
        ("07-governance.yaml", "provider: openai\nbudgets:\n- max_limit: 300\n  reset_duration: 1d\n"),
        ("08-rules.yaml", "team: Acme/Search\n"),
        ("08-rules.yaml", "fallbacks: [spare/gpt-4o-mini, openai/o4]\n"),
        ("09-overrides.yaml", "virtual_key: Acme/Search/notebook\n"),
    ] {
        assert!(moved[file].contains(text), "{text}\n{}", moved[file]);
    }

    // Everything that is different or missing stands in the report, with its place.
    let report = &moved["report.md"];
    for text in [
        "the models that it must not use are regular expressions",
        "left out: its value is encrypted and has no hash; start a newer Bifrost once, which makes one\n  - governance_virtual_keys, id k-5\n",
        "its earlier value works until ",
        "it expired at 2020-01-01T00:00:00Z, and is not active here",
        "its profile is left out",
        "a second budget of 30d is left out",
        "a second limit on requests of 1m is left out",
        "the override of a budget that holds forever is part of its max_limit",
        "the override of a budget for some windows is left out",
        "a limit of `1.5d` is left out; it needs an integer and one of d, w, M, Q, Y",
        "the window of a budget is over, so that nothing of its spend counts",
        "`api_key` of its metadata looks like a secret, and files have none",
        "it may use the MCP client `notes` by an entry of its own",
        "left out: there are no users here; give a key of their own to those who need limits\n  - governance_model_configs, id m-5\n",
        "left out: other limits of the same models and scope are there, which hold\n  - governance_model_configs, id m-6\n",
        "left out: what its scope names does not exist here, or was left out\n  - routing_rules, id rule-3\n",
        "targets of weight 0 are left out",
        "its ttft_timeout_ms is left out",
        "the provider keys of its fallbacks are left out",
        "left out: cel_expression ",
        "left out: it has rates or request types that do not exist here\n  - governance_pricing_overrides, id o-2\n",
        "provider keys are here by their ids alone",
        "customer Acme, budget of 1M: 120.50 USD ",
        "virtual key Acme/Search/notebook, budget of 30d for openai: 0.25 USD ",
    ] {
        assert!(report.contains(text), "{text}\n{report}");
    }

    // The same again gives the same, and there is nothing to do. Nothing was written there.
    let again = folder.join("again");
    migrate(&store, &again, &["--json"]).await.good();
    assert_eq!(files(&again), moved);
    let applied = run(&rig, &["apply", "-f", again.to_str().unwrap(), "--set", "bifrost", "--yes"]).await.good();
    assert!(applied.starts_with("nothing to change at revision "), "{applied}");
    assert_eq!(std::fs::read(folder.join("config.db")).unwrap(), before);
    drop(api);
    rig.stop().await;
}

/// What budgets have counted, in nano-dollars, the smallest first; of those that have counted something.
async fn amounts(rig: &Rig) -> Vec<i64> {
    let table = run(rig, &["usage", "--json", "--limit", "1000"]).await.json().remove(0);
    let limits = table["limits"].as_array().unwrap().iter();
    let budgets = limits.filter(|limit| limit["kind"] == "LIMIT_KIND_BUDGET");
    let used = budgets.map(|limit| limit["used"].as_str().unwrap().parse().unwrap());
    let mut used: Vec<i64> = used.filter(|used| *used > 0).collect();
    used.sort_unstable();
    used
}

#[tokio::test]
async fn what_was_spent_in_bifrost_comes_along_once() {
    let (mut rig, api) = Rig::started().await;
    let store = sqlite(rig.database.directory(), &script());
    let server = format!("http://{}", rig.address());
    let carry = async |folder: &str| {
        let out = rig.database.directory().join(folder);
        migrate(&store, &out, &["--apply", "--set", "bifrost", "--server", &server]).await.good();
        files(&out).remove("report.md").unwrap()
    };
    let report = carry("first").await;
    assert_eq!(report.matches(" brought along, into the window from ").count(), 4, "{report}");
    let expected = [250_000_000, 1_500_000_000, 2_000_000_000, 120_500_000_000];
    assert_eq!(amounts(&rig).await, expected);
    let report = carry("second").await;
    assert_eq!(report.matches(" was brought along before, into the window from ").count(), 4, "{report}");
    assert_eq!(amounts(&rig).await, expected);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn both_engines_of_bifrosts_config_store_give_the_same() {
    if !cluster::is_here("no config store of Bifrost in PostgreSQL was read") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("sqlite"), folder.path().join("postgres"));
    let script = script();
    migrate(&sqlite(folder.path(), &script), &one, &[]).await.good();
    migrate(&spawn_blocking(move || postgres(&script)).await.unwrap(), &other, &[]).await.good();
    let documents = |out| files(out).into_iter().filter(|(name, _)| name != "report.md").collect::<BTreeMap<_, _>>();
    let documents = (documents(&one), documents(&other));
    assert_eq!(documents.0.len(), 9);
    assert_eq!(documents.0, documents.1);
}

#[tokio::test]
async fn config_json_has_keys_too_unless_there_is_a_config_store() {
    let folder = tempfile::tempdir().unwrap();
    let migrate = async |config: &str, name: &str| {
        let (file, out) = (folder.path().join(format!("{name}.json")), folder.path().join(name));
        std::fs::write(&file, config).unwrap();
        let mut command = command(&["migrate-from", "bifrost", "--config", file.to_str().unwrap()]);
        command.env("BIFROST_KEY", "sk-bf-planted-environment");
        let ran = migrated(command, &out).await;
        (ran, out)
    };
    let (ran, out) = migrate(CONFIG, "moved").await;
    assert!(ran.good().starts_with("5 documents; "));
    ended(command(&["validate", "-f", out.to_str().unwrap()])).await.good();
    let moved = files(&out);
    let hash = |value: &str| hex::encode(Sha256::digest(value));
    for (file, text) in [
        ("01-providers.yaml", "name: openai\nkeys:\n- id: main\n"),
        ("03-customers.yaml", "name: Acme\nbudgets:\n- max_limit: 100\n"),
        ("04-teams.yaml", "customer: Acme\nrate_limits:\n- request_max_limit: 60\n"),
        ("05-keys.yaml", "  key_ids: [main]\n  budgets:\n  - max_limit: 5\n"),
        ("05-keys.yaml", &hash("sk-bf-planted-notebook")),
        ("05-keys.yaml", &hash("sk-bf-planted-environment")),
    ] {
        assert!(moved[file].contains(text), "{text}\n{}", moved[file]);
    }
    for text in [
        "left out: it has no value here, since Bifrost made one; read the config store with --config-store\n",
        "left out: its value is in a variable of the environment that is not set; set it, and run again\n",
        "`auth_config`: who administers Bifrost",
        "`access_profiles`: is not read",
    ] {
        assert!(moved["report.md"].contains(text), "{text}\n{}", moved["report.md"]);
    }

    // Before version 1.5 an empty list meant all, which version 1 of the file still says.
    let (ran, out) = migrate(
        r#"{"version": 1, "providers": {"OpenAI": {}, "house": {}}, "mcp": {"client_configs": [{"name": "wiki"}]},
            "config_store": {"enabled": true},
            "governance": {"virtual_keys": [
                {"name": "all", "value": "sk-bf-planted-all-of-them"},
                {"name": "some", "value": "sk-bf-planted-some-of-them", "provider_configs": [{"provider": "openai"}]}
            ]}}"#,
        "earlier",
    )
    .await;
    ran.good();
    let earlier = files(&out);
    let openai = "- provider: openai\n  weight: 1\n  allowed_models: [\"*\"]\n  key_ids: [\"*\"]\n";
    let wiki = "- mcp_client_name: wiki\n  tools_to_execute: [\"*\"]\n";
    assert!(
        earlier["05-keys.yaml"].contains(&format!(
            "- provider: house\n  weight: 1\n  allowed_models: [\"*\"]\n  key_ids: [\"*\"]\n{openai}mcp_configs:\n{wiki}"
        )),
        "{}",
        earlier["05-keys.yaml"]
    );
    assert!(
        earlier["05-keys.yaml"].contains("- provider: openai\n  allowed_models: [\"*\"]\n  key_ids: [\"*\"]\n"),
        "{}",
        earlier["05-keys.yaml"]
    );
    assert!(earlier["report.md"].contains("Bifrost goes by its config store, which may have more than this file"));
}

#[tokio::test]
async fn what_is_no_config_store_of_bifrost_is_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("moved");
    let other = folder.path().join("other.db");
    let run = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
    cluster::run(Command::new("python3").args(["-c", run]).arg(&other).arg("CREATE TABLE planted (id TEXT)"));
    std::fs::write(folder.path().join("text.db"), "planted").unwrap();
    for (name, expected) in [
        ("other.db", "has no table governance_virtual_keys, so that it is not Bifrost's config store"),
        ("none.db", "there is no database "),
        ("text.db", "text.db"),
    ] {
        let store = format!("sqlite://{}", folder.path().join(name).display());
        let said = migrate(&store, &out, &[]).await.bad(1);
        assert!(said.contains(expected), "{said}");
        assert!(!out.exists() && !folder.path().join("none.db").exists(), "{name}");
    }
    let said = ended(command(&["migrate-from", "bifrost", "--out", out.to_str().unwrap()])).await.bad(2);
    assert!(said.contains("--config"), "{said}");
}
