//! `tollgate get`, `describe`, `create`, `update`, `edit`, `delete`, `rotate` and `lookup`.

use std::io::Write as _;
use std::process::Stdio;

use super::*;

/// A customer with a team, and a key of that team. The value of the key.
async fn organisation(rig: &Rig) -> String {
    run(rig, &["create", "customer", "Acme", "--budget", "500/1M", "-l", "tier=gold"]).await.good();
    run(rig, &["create", "team", "Acme/Search"]).await.good();
    let allow =
        ["--allow", "openai:gpt-4o*", "--allow", "openai:o3", "--rpm", "60", "--tpm", "90000", "--budget", "5/1d"];
    let create = [&["create", "key", "notebook", "--team", "Acme/Search"][..], &allow].concat();
    let shown = run(rig, &create).await.lines();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[1], "virtual key Acme/Search/notebook created");
    assert!(shown[0].starts_with("sk-tg-"), "{shown:?}");
    shown[0].clone()
}

#[tokio::test]
async fn resources_are_made_and_found_by_kind_and_name() {
    let (mut rig, api) = Rig::started().await;
    let value = organisation(&rig).await;

    // Tables have one line a resource and no more than 80 columns.
    let shown = run(&rig, &["get", "keys"]).await.lines();
    assert_eq!(shown[0], "NAME                  STATE   MODELS             BUDGETS   LIMITS            AGE");
    let row = shown[1].rsplit_once(' ').unwrap().0.trim_end();
    assert_eq!(row, "Acme/Search/notebook  active  openai:gpt-4o*+o3  5 USD/1d  60 req/1m, 9000…");
    for kind in [
        "customers",
        "teams",
        "keys",
        "rules",
        "models",
        "overrides",
        "governance",
        "providers",
        "mcp",
        "prices",
        "budgets",
        "limits",
    ] {
        let shown = run(&rig, &["get", kind]).await.lines();
        assert!(shown.iter().all(|line| line.chars().count() <= 80), "{kind}: {shown:#?}");
    }
    let budgets = run(&rig, &["get", "budgets"]).await.lines();
    assert!(
        budgets.iter().any(|line| line.starts_with("customer Acme") && line.contains("500.00 USD/1M")),
        "{budgets:#?}"
    );
    let limits = run(&rig, &["get", "limits"]).await.lines();
    assert!(limits.iter().any(|line| line.contains("60 req/1m") && line.contains("0.0 %")), "{limits:#?}");

    // By path, by name alone, by id; as JSON of the API, as names.
    let key = run(&rig, &["get", "key", "Acme/Search/notebook", "-o", "json"]).await.json().remove(0);
    assert_eq!(
        (key["name"].as_str(), key["rateLimits"][0]["requestMaxLimit"].as_str()),
        (Some("notebook"), Some("60"))
    );
    let id = key["id"].as_str().unwrap();
    for name in ["notebook", id, "name:Acme/Search/notebook"] {
        assert_eq!(run(&rig, &["get", "key", name, "-o", "name"]).await.good(), "Acme/Search/notebook\n");
    }
    let wide = run(&rig, &["get", "customers", "-o", "wide"]).await.good();
    assert!(wide.contains("tier=gold") && wide.contains("T") && wide.lines().count() == 2, "{wide}");

    // Selectors.
    assert_eq!(run(&rig, &["get", "customers", "-l", "tier=silver"]).await.lines().len(), 1);
    assert_eq!(run(&rig, &["get", "customers", "-l", "tier=gold", "--search", "acm"]).await.lines().len(), 2);
    assert_eq!(run(&rig, &["get", "keys", "--team", "Acme/Search", "-o", "name"]).await.lines().len(), 1);
    assert_eq!(run(&rig, &["get", "teams", "--customer", "Acme", "-o", "name"]).await.good(), "Acme/Search\n");
    let said = run(&rig, &["get", "providers", "--team", "Acme/Search"]).await.bad(2);
    assert!(said.contains("--team is not for this kind"), "{said}");

    // Names that nothing has, or more than one.
    assert!(run(&rig, &["get", "key", "nothing"]).await.bad(1).contains("no virtual key is named \"nothing\""));
    assert!(run(&rig, &["get", "keeys"]).await.bad(2).contains("is none of customers, teams, keys"));
    assert!(run(&rig, &["get", "key", "Acme/notebook"]).await.bad(2).contains("write Customer/Team/Key"));
    run(&rig, &["create", "key", "Acme//notebook"]).await.good();
    let said = run(&rig, &["get", "key", "notebook"]).await.bad(1);
    assert!(said.contains("2 virtual keys are named \"notebook\"; give the path of one: "), "{said}");
    assert!(said.contains("Acme/Search/notebook") && said.contains("Acme//notebook"), "{said}");

    let about = run(&rig, &["describe", "key", "Acme/Search/notebook"]).await.good();
    for part in ["virtual key Acme/Search/notebook", "  team: Acme/Search", "5.00 USD/1d", "create"] {
        assert!(about.contains(part), "{part}: {about}");
    }
    assert!(!about.contains(&value));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn resources_change_field_by_field_and_in_an_editor() {
    let (mut rig, api) = Rig::started().await;
    organisation(&rig).await;
    let path = "Acme/Search/notebook";
    let said =
        run(&rig, &["update", "key", path, "--budget", "8/1d", "--set", "description=for notebooks"]).await.good();
    assert_eq!(said, "virtual key Acme/Search/notebook updated\n");
    let said = run(&rig, &["update", "key", path, "--budget", "8/1d"]).await.good();
    assert_eq!(said, "virtual key Acme/Search/notebook is so already\n");
    let key = run(&rig, &["get", "key", path, "-o", "json"]).await.json().remove(0);
    assert_eq!(
        (key["budgets"][0]["maxLimit"].as_f64(), key["description"].as_str()),
        (Some(8.0), Some("for notebooks"))
    );
    assert_eq!(key["rateLimits"].as_array().unwrap().len(), 2, "what is not given stays");
    run(&rig, &["update", "key", path, "--clear", "description", "--wait=5s"]).await.good();
    let key = run(&rig, &["get", "key", path, "-o", "json"]).await.json().remove(0);
    assert!(key.get("description").is_none(), "{key}");
    let said = run(&rig, &["update", "key", path]).await.bad(2);
    assert!(said.contains("nothing is to be changed"), "{said}");
    let said = run(&rig, &["update", "key", path, "--set", "budgts=[]"]).await.bad(2);
    assert!(said.contains("budgts is no field of VirtualKey; did you mean budgets?"), "{said}");

    let edit = async |script: &str| {
        let editor = file(&rig, "editor.sh", &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&editor, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut edit = command(&["edit", "key", path, "--server", &format!("http://{}", rig.address())]);
        edit.env("VISUAL", "").env("EDITOR", &editor);
        ended(edit).await
    };
    assert_eq!(
        edit("sed -i 's/max_limit: 8/max_limit: 9/' \"$1\"").await.good(),
        "virtual key Acme/Search/notebook updated\n"
    );
    assert!(edit("true").await.bad(1).contains("nothing was changed in the editor"));
    let said = edit("echo 'colour: red' >> \"$1\"").await.bad(1);
    assert!(said.contains("colour is no field of VirtualKey") && said.contains("the text is kept in "), "{said}");
    let kept = said.split("the text is kept in ").nth(1).unwrap().lines().next().unwrap().to_owned();
    std::fs::remove_file(kept).unwrap();
    // Somebody else was faster.
    let (program, server) = (env!("CARGO_BIN_EXE_tollgate"), rig.address());
    let faster = format!("{program} update key {path} --rpm 61 --server http://{server} > /dev/null");
    let said = edit(&format!("{faster}\nsed -i 's/max_limit: 9/max_limit: 7/' \"$1\"")).await.bad(1);
    assert!(said.contains("Aborted"), "{said}");
    let kept = said.split("the text is kept in ").nth(1).unwrap().lines().next().unwrap().to_owned();
    std::fs::remove_file(kept).unwrap();
    let key = run(&rig, &["get", "key", path, "-o", "json"]).await.json().remove(0);
    assert_eq!(key["budgets"][0]["maxLimit"].as_f64(), Some(9.0));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn keys_are_rotated_found_by_value_and_deleted() {
    let (mut rig, api) = Rig::started().await;
    let old = organisation(&rig).await;
    let secrets = rig.database.directory().join("secrets");
    let out = ["--secrets-out", secrets.to_str().unwrap()];
    let said = run(&rig, &[&["rotate", "key", "notebook", "--grace", "1h"][..], &out].concat()).await.good();
    assert_eq!(said, "virtual key Acme/Search/notebook rotated\n");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secrets).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read_to_string(&secrets).unwrap();
    let new = kept.trim().strip_prefix("Acme/Search/notebook\t").unwrap();
    assert!(new.starts_with("sk-tg-") && new != old);

    let lookup = async |value: &str| {
        let server = format!("http://{}", rig.address());
        let mut child = command(&["lookup", "key", "-", "-o", "name", "--server", &server])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        Ran::of(soon(spawn_blocking(move || child.wait_with_output().unwrap())).await.unwrap())
    };
    let (now, before) = (lookup(new).await, lookup(&old).await);
    assert!(before.err.contains("the value before the last rotation"), "{}", before.err);
    assert_eq!((now.good(), before.good()), ("Acme/Search/notebook\n".to_owned(), "Acme/Search/notebook\n".to_owned()));
    lookup("sk-tg-nobody-has-this-value-0123456789").await.bad(1);
    assert!(run(&rig, &["lookup", "key", new]).await.bad(2).contains("other users of the machine"));

    assert!(run(&rig, &["delete", "team", "Acme/Search"]).await.bad(2).contains("give --yes"));
    assert!(run(&rig, &["delete", "team", "Acme/Search", "--yes"]).await.bad(1).contains("virtual key"));
    let dry = run(&rig, &["delete", "team", "Acme/Search", "--children", "delete", "--dry-run"]).await.good();
    assert_eq!(dry, "team Acme/Search would be deleted, with 1 other resource changed\n");
    let did = run(&rig, &["delete", "team", "Acme/Search", "--children", "delete", "-y"]).await.good();
    assert_eq!(did, "team Acme/Search deleted, with 1 other resource changed\n");
    assert_eq!(run(&rig, &["get", "keys"]).await.lines().len(), 1);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_refused_request_ends_explain_with_3() {
    let (mut rig, api) = Rig::started().await;
    let value = organisation(&rig).await;
    let ask = async |key: &str, model: &str| run(&rig, &["explain", "--virtual-key", key, "--model", model]).await;
    for key in ["notebook", "Acme/Search/notebook", &value] {
        assert!(ask(key, "gpt-4o").await.good().starts_with("ALLOW"));
        let refused = ask(key, "claude-opus").await;
        assert!(refused.code == 3 && refused.out.contains("BLOCKED") && refused.err.is_empty(), "{}", refused.out);
    }
    assert_eq!(ask("nobody", "gpt-4o").await.code, 3);
    drop(api);
    rig.stop().await;
}
