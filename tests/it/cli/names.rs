//! What is there already, what is renamed, and what goes by a name.

use super::*;

#[tokio::test]
async fn nothing_that_exists_is_created_again() {
    let (mut rig, api) = Rig::started().await;
    let targets = "targets=[{model: gpt-4o-mini, weight: 1}]";
    let rates = "rates={input_cost_per_token: 1e-6}";
    let kinds: [(&str, &str, &[&str]); 9] = [
        ("customer", "Acme", &[]),
        ("team", "Search", &[]),
        ("key", "notebook", &[]),
        ("rule", "cheap", &["--set", "scope=global", "--set", targets]),
        ("model", "gpt-4o", &["--set", "scope=global", "--rpm", "5"]),
        ("governance", "openai", &["--budget", "10/1d"]),
        ("provider", "mine", &[]),
        ("mcp", "tools", &[]),
        ("price", "openai/mine", &["--set", rates]),
    ];
    for (kind, name, fields) in kinds {
        let create = [&["create", kind, name][..], fields].concat();
        let tried = run(&rig, &[&create[..], &["--dry-run"]].concat()).await.good();
        assert!(tried.contains("would be created"), "{tried}");
        let made = run(&rig, &create).await.good();
        assert!(made.contains(" created"), "{made}");
        let before = run(&rig, &["status", "--json"]).await.json().remove(0)["revision"].clone();
        for again in [&create[..], &[&create[..], &["--dry-run"]].concat()] {
            let said = run(&rig, again).await.bad(1);
            let remedy = format!("to change it: tollgate update {kind} '{name}' …");
            assert!(said.contains("AlreadyExists") && said.contains(&remedy), "{said}");
        }
        assert_eq!(run(&rig, &["status", "--json"]).await.json().remove(0)["revision"], before, "{kind}");
    }
    let json =
        run(&rig, &["create", "governance", "anthropic", "--budget", "7/1d", "-o", "json"]).await.json().remove(0);
    assert_eq!((json["provider"].as_str(), json["budgets"][0]["maxLimit"].as_f64()), (Some("anthropic"), Some(7.0)));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn an_update_renames_and_changes_what_it_names_and_nothing_else() {
    let (mut rig, api) = Rig::started().await;
    run(&rig, &["create", "customer", "Acme"]).await.good();
    run(&rig, &["create", "team", "Acme/Search", "--budget", "5/1d"]).await.good();
    let key = ["create", "key", "Acme/Search/notebook", "--rpm", "60", "--description", "for notebooks"];
    run(&rig, &[&key[..], &["-l", "a=b,c=d", "--allow", "openai:a", "--allow", "openai:b,anthropic:c"]].concat())
        .await
        .good();
    let read = async |kind: &str, name: &str| run(&rig, &["get", kind, name, "-o", "json"]).await.json().remove(0);

    // By path and by id; the id stays, and what belongs to it.
    let before = read("team", "Acme/Search").await;
    let said = run(&rig, &["update", "team", "Acme/Search", "--name", "R/D"]).await.good();
    assert_eq!(said, "team Acme/R%2FD updated\n");
    assert_eq!(run(&rig, &["get", "keys", "-o", "name"]).await.good(), "Acme/R%2FD/notebook\n");
    let id = before["id"].as_str().unwrap();
    let said = run(&rig, &["update", "team", id, "--name", "Ads", "--budget", "6/1d"]).await.good();
    assert_eq!(said, "team Acme/Ads updated\n");
    let after = read("team", "Acme/Ads").await;
    assert_eq!((&after["id"], after["budgets"][0]["maxLimit"].as_f64()), (&before["id"], Some(6.0)));
    assert_eq!(after["budgets"][0]["id"], before["budgets"][0]["id"]);
    for (kind, name, new) in [("customer", "Acme", "Emca"), ("key", "notebook", "laptop")] {
        run(&rig, &["update", kind, name, "--name", new]).await.good();
    }
    let path = "Emca/Ads/laptop";
    let key = read("key", path).await;
    let lists = [&key["labels"]["a"], &key["labels"]["c"], &key["providerConfigs"][0]["allowedModels"]];
    assert_eq!(lists, [&"b".into(), &"d".into(), &serde_json::json!(["a", "b"])]);
    assert_eq!(key["providerConfigs"][1]["allowedModels"], serde_json::json!(["c"]));

    // A value that is the default is a value.
    let update = ["update", "key", path, "--description", "", "--set", "calendar_aligned=false"];
    run(&rig, &update).await.good();
    let described = read("key", path).await;
    assert!(described.get("description").is_none(), "{described}");
    assert_eq!((&described["rateLimits"], &described["labels"]), (&key["rateLimits"], &key["labels"]));
    run(
        &rig,
        &[
            "create",
            "rule",
            "r",
            "--set",
            "scope=global",
            "--set",
            "priority=5",
            "--set",
            "targets=[{model: m, weight: 1}]",
        ],
    )
    .await
    .good();
    run(&rig, &["update", "rule", "r", "--set", "priority=0"]).await.good();
    assert!(read("rule", "r").await.get("priority").is_none());

    // Out of its team, by the word that put it there; and into it again.
    run(&rig, &["update", "key", path, "--clear", "team"]).await.good();
    assert_eq!(run(&rig, &["get", "keys", "-o", "name"]).await.good(), "laptop\n");
    run(&rig, &["update", "key", "laptop", "--team", "Emca/Ads"]).await.good();
    assert_eq!(run(&rig, &["get", "keys", "-o", "name"]).await.good(), "Emca/Ads/laptop\n");

    for (update, why) in [
        (&["provider", "openai", "--name", "mine"][..], "a provider is known by what it is about, and keeps its name"),
        (&["governance", "openai", "--name", "mine"], "keeps its name"),
        (&["key", "laptop", "--name", "x", "--set", "name=y"], "has \"name\" twice"),
        (&["key", "laptop", "--set", "id=x"], "an id cannot change"),
        (&["key", "laptop", "--budget", "5/1d", "--clear", "budgets"], "--clear budgets: is given a value too"),
        (&["key", "laptop", "--team", ""], "--clear team"),
        (&["key", "laptop"], "nothing is to be changed"),
    ] {
        let said = run(&rig, &[&["update"][..], update].concat()).await.bad(2);
        assert!(said.contains(why), "{update:?}: {said}");
    }
    let said = run(&rig, &["update", "team", "Emca/Ads", "--customer", "nobody"]).await.bad(1);
    assert!(said.contains("no customer is named \"nobody\""), "{said}");
    let said = run(&rig, &["update", "key", "laptop", "--team", "nobody"]).await.bad(1);
    assert!(said.contains("no team is named \"nobody\""), "{said}");

    // A name with a slash is written as in a path wherever it stands.
    run(&rig, &["create", "key", "a%2Fb"]).await.good();
    assert_eq!(read("key", "a%2Fb").await["name"], "a/b");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn the_audit_trail_is_read_by_name() {
    let (mut rig, api) = Rig::started().await;
    run(&rig, &["create", "customer", "Acme"]).await.good();
    run(&rig, &["create", "team", "Acme/Search"]).await.good();
    run(&rig, &["create", "key", "Acme/Search/notebook"]).await.good();
    run(&rig, &["update", "key", "notebook", "--rpm", "5"]).await.good();
    let id = run(&rig, &["get", "key", "notebook", "-o", "json"]).await.json().remove(0)["id"].clone();
    let id = id.as_str().unwrap();
    let changes = async |args: &[&str]| run(&rig, &[&["changes", "--json"][..], args].concat()).await.json().len();
    for (kind, named) in
        [("key", "notebook"), ("keys", "Acme/Search/notebook"), ("virtual_key", id), ("virtual-key", id)]
    {
        assert_eq!(changes(&["--kind", kind, "--id", named]).await, 2, "{kind} {named}");
    }
    assert_eq!(changes(&["--id", id]).await, 2);
    assert_eq!(changes(&["--kind", "provider", "--id", "openai"]).await, changes(&["--id", "openai"]).await);
    let said = run(&rig, &["changes", "--id", "notebook"]).await.bad(1);
    assert!(said.contains("no change is of the id \"notebook\"") && said.contains("--kind key"), "{said}");
    run(&rig, &["delete", "key", "notebook", "--yes"]).await.good();
    let said = run(&rig, &["changes", "--kind", "key", "--id", "notebook"]).await.bad(1);
    assert!(said.contains("of one that is deleted give the id"), "{said}");
    assert_eq!(changes(&["--kind", "key", "--id", id]).await, 3);
    let said = run(&rig, &["changes", "--kind", "keey"]).await.bad(2);
    assert!(said.contains("is none of customer, team, key, rule"), "{said}");

    // Revisions that are not there yet have no differences to show.
    let said = run(&rig, &["diff", "1", "4711"]).await.bad(1);
    assert!(said.contains("revision 4711 is in the future; the store is at revision "), "{said}");
    run(&rig, &["diff", "4711"]).await.bad(1);
    let same = run(&rig, &["diff", "2", "2"]).await;
    assert_eq!((same.out.as_str(), same.err.as_str()), ("", "tollgate: nothing differs between revisions 2 and 2\n"));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_lock_is_written_down_as_one() {
    let (mut rig, api) = Rig::started().await;
    run(&rig, &["create", "customer", "Acme", "--budget", "0/1M"]).await.good();
    let yaml = run(&rig, &["get", "customer", "Acme", "-o", "yaml"]).await.good();
    assert_eq!(yaml, "kind: Customer\nname: Acme\nbudgets:\n- max_limit: 0\n  reset_duration: 1M\n");
    let kept = file(&rig, "acme.yaml", &yaml);
    let said = run(&rig, &["plan", "-f", kept.to_str().unwrap(), "--exit-code"]).await.good();
    assert!(said.contains("1 unchanged"), "{said}");
    drop(api);
    rig.stop().await;
}
