//! `tollgate plan`, `apply` and `rollback`: files against a server.

use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;

use super::files::{ACME, RULE};
use super::*;

#[tokio::test]
async fn files_are_planned_and_applied_in_one_revision() {
    let (mut rig, api) = Rig::started().await;
    let path = file(&rig, "acme/acme.yaml", ACME);
    file(&rig, "acme/rules.yaml", RULE);
    let folder = path.parent().unwrap().to_str().unwrap().to_owned();
    let plan = ["plan", "-f", &folder, "--set", "acme", "--prune", "--exit-code"];
    let apply = ["apply", "-f", &folder, "--set", "acme", "--prune", "--yes"];

    let planned = run(&rig, &plan).await;
    assert_eq!(planned.code, 2, "{}", planned.err);
    let expected = "+ customer Acme\n+ team Acme/Search\n+ virtual key Acme/Search/notebook\n+ routing rule cheap\n\
                    4 to create, 0 to change, 0 to delete, 0 unchanged\n";
    assert_eq!(planned.out, expected);
    assert_eq!(run(&rig, &["get", "teams"]).await.lines().len(), 1, "a plan changes nothing");

    let secrets = rig.database.directory().join("new-keys");
    let out = ["--secrets-out", secrets.to_str().unwrap()];
    let applied = run(&rig, &[&apply[..], &out].concat()).await.good();
    assert!(applied.contains("4 created, 0 changed, 0 deleted, 0 unchanged at revision "), "{applied}");
    let value = std::fs::read_to_string(&secrets).unwrap();
    assert!(value.starts_with("Acme/Search/notebook\tsk-tg-"), "{value}");
    let changes = run(&rig, &["changes", "--json"]).await.json();
    let revision = changes[0]["revision"].as_str().unwrap().to_owned();
    assert_eq!(changes.iter().filter(|change| change["revision"] == revision.as_str()).count(), 4);

    // Applied again, the files change nothing.
    assert_eq!(run(&rig, &plan).await.good(), "0 to create, 0 to change, 0 to delete, 4 unchanged\n");
    assert_eq!(run(&rig, &apply).await.good(), format!("nothing to change at revision {revision}\n"));

    // A change elsewhere is seen; what is in the files no longer goes, and what others own stays.
    run(&rig, &["update", "customer", "Acme", "--budget", "800/1M"]).await.good();
    run(&rig, &["create", "key", "Acme//other"]).await.good();
    std::fs::remove_file(path.with_file_name("rules.yaml")).unwrap();
    let planned = run(&rig, &plan).await;
    let expected = "~ customer Acme  (changed elsewhere at revision ";
    assert!(planned.code == 2 && planned.out.starts_with(expected), "{} {}", planned.out, planned.err);
    let rest = "    budgets[0].max_limit: 800.0 → 500.0\n- routing rule cheap\n\
                0 to create, 1 to change, 1 to delete, 2 unchanged\n";
    assert!(planned.out.ends_with(rest), "{}", planned.out);
    let unasked = [&apply[..apply.len() - 1]].concat();
    assert!(run(&rig, &unasked).await.bad(2).contains("give --yes"));
    let applied = run(&rig, &apply).await.good();
    assert!(applied.contains("0 created, 1 changed, 1 deleted, 2 unchanged at revision "), "{applied}");
    assert_eq!(run(&rig, &["get", "keys", "-o", "name"]).await.lines().len(), 2);

    // Back to where it was, with the rule as it was.
    let back = run(&rig, &["rollback", "--to", &revision, "--yes"]).await.good();
    assert!(
        back.contains("configuration of revision ") && back.contains("1 created, ") && back.contains(" 1 deleted"),
        "{back}"
    );
    assert_eq!(run(&rig, &["get", "rules", "-o", "name"]).await.lines().len(), 1);
    assert_eq!(run(&rig, &["diff", &revision]).await.good(), "", "nothing differs since");
    assert_eq!(
        run(&rig, &["rollback", "--to", &revision]).await.good(),
        format!("configuration is what it was at revision {revision}\n")
    );
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn documents_are_created_only_if_nothing_of_them_is_there() {
    let (mut rig, api) = Rig::started().await;
    let path = file(&rig, "acme.yaml", ACME);
    let create = ["create", "-f", path.to_str().unwrap()];
    let planned = run(&rig, &[&create[..], &["--dry-run"]].concat()).await.good();
    assert!(planned.ends_with("3 to create, 0 to change, 0 to delete, 0 unchanged\n"), "{planned}");
    assert_eq!(run(&rig, &["get", "customers"]).await.lines().len(), 1);
    let created = run(&rig, &create).await.good();
    assert!(created.contains("sk-tg-") && created.contains("3 created, 0 changed"), "{created}");

    // One of them is there: none is created.
    let more = file(&rig, "more.yaml", &format!("kind: Customer\nname: Other\n---\n{ACME}"));
    let said = run(&rig, &["create", "-f", more.to_str().unwrap()]).await.bad(1);
    assert!(said.contains("more.yaml:5: name is refused: AlreadyExists"), "{said}");
    assert!(said.contains("customer.name is taken by customer"), "{said}");
    assert_eq!(run(&rig, &["get", "customers", "-o", "name"]).await.good(), "Acme\n");

    for wrong in [&["create", "customer", "x", "-f", create[2]][..], &["create"], &["create", "customer"]] {
        run(&rig, wrong).await.bad(2);
    }
    let said = run(&rig, &[&create[..], &["--rpm", "5"]].concat()).await.bad(2);
    assert!(said.contains("with -f, documents say all of it"), "{said}");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_fault_that_only_the_server_knows_has_file_and_line_and_nothing_is_done() {
    let (mut rig, api) = Rig::started().await;
    let text = format!("{ACME}---\nkind: Team\nname: Ads\ncustomer: Nobody\n");
    let path = file(&rig, "acme.yaml", &text);
    let said = run(&rig, &["apply", "-f", path.to_str().unwrap()]).await.bad(1);
    assert!(said.contains("acme.yaml:17: customer") && said.contains("Nobody"), "{said}");
    assert_eq!(run(&rig, &["get", "customers"]).await.lines().len(), 1);
    let missing = ACME.replace("provider: openai", "provider: nobody");
    let path = file(&rig, "acme.yaml", &missing);
    let said = run(&rig, &["apply", "-f", path.to_str().unwrap()]).await.bad(1);
    assert!(said.contains("nobody"), "{said}");
    let missing = ACME.replace("team: Acme/Search\n", "team: Acme/Search\nvalue_from: { env: TOLLGATE_NO_SUCH }\n");
    let path = file(&rig, "acme.yaml", &missing);
    let said = run(&rig, &["apply", "-f", path.to_str().unwrap()]).await.bad(1);
    assert!(said.contains("acme.yaml:12: value_from names TOLLGATE_NO_SUCH"), "{said}");
    assert_eq!(run(&rig, &["get", "customers"]).await.lines().len(), 1);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn pruning_never_touches_what_others_manage() {
    let (mut rig, api) = Rig::started().await;
    let path = file(&rig, "acme.yaml", ACME);
    let apply = ["apply", "-f", path.to_str().unwrap(), "--set", "acme", "--prune", "--yes"];
    run(&rig, &apply).await.good();
    let name = run(&rig, &["get", "all", "--managed-by", "acme", "-o", "yaml"]).await.good();
    assert_eq!(name.matches("managed_by: acme").count(), 3, "{name}");
    // A rule of somebody else would go with the key.
    let rule = RULE.replace("team: Acme/Search", "virtual_key: Acme/Search/notebook");
    let other = file(&rig, "other.yaml", &rule);
    run(&rig, &["apply", "-f", other.to_str().unwrap(), "--set", "other", "--prune", "--yes"]).await.good();
    let without_key = ACME.split("---\nkind: VirtualKey").next().unwrap();
    std::fs::write(&path, without_key).unwrap();
    let said = run(&rig, &apply).await.bad(1);
    assert!(
        said.contains("--prune would change what is not managed by this set, 1 other with them: 1 routing rule"),
        "{said}"
    );
    assert_eq!(run(&rig, &["get", "keys", "-o", "name"]).await.lines().len(), 1);
    run(&rig, &["delete", "rule", "cheap", "--yes"]).await.good();
    let done = run(&rig, &apply).await.good();
    assert!(done.contains("- virtual key Acme/Search/notebook") && done.contains("1 deleted"), "{done}");
    drop(api);
    rig.stop().await;
}

/// The configuration of a server, as files, makes an empty server have the same.
#[tokio::test]
async fn a_whole_store_moves_as_files() {
    let (mut rig, api) = Rig::started().await;
    let path = file(&rig, "acme.yaml", &format!("{ACME}---\n{RULE}"));
    run(&rig, &["apply", "-f", path.to_str().unwrap()]).await.good();
    run(&rig, &["create", "model", "openai/gpt-4o", "--set", "team=Acme/Search", "--budget", "3/1d"]).await.good();
    run(&rig, &["create", "governance", "openai", "--rpm", "100"]).await.good();
    run(&rig, &["create", "mcp", "github", "--set", "tools=[a, b]"]).await.good();
    run(&rig, &["create", "price", "openai/gpt-4o", "--set", "rates={input_cost_per_token: 2.5e-06}"]).await.good();
    let all = run(&rig, &["get", "all", "-o", "yaml"]).await.good();

    let (mut empty, other) = Rig::started().await;
    let path = file(&empty, "all.yaml", &all);
    let applied = run(&empty, &["apply", "-f", path.to_str().unwrap()]).await.good();
    assert!(applied.contains("8 created"), "{applied}");
    assert_eq!(run(&empty, &["get", "all", "-o", "yaml"]).await.good(), all);
    drop((api, other));
    rig.stop().await;
    empty.stop().await;
}

#[tokio::test]
async fn each_missing_name_is_told_with_file_and_line() {
    let (mut rig, _) = Rig::started().await;
    let text = "kind: Team\nname: a\ncustomer: Nobody\n---\nkind: VirtualKey\nname: k\nteam: a/b\n";
    let path = file(&rig, "names.yaml", text);
    let refused = run(&rig, &["plan", "-f", path.to_str().unwrap()]).await.bad(1);
    for told in [
        "names.yaml:3: ",
        "customer \"name:Nobody\" does not exist",
        "names.yaml:7: ",
        "team \"name:a/b\" does not exist",
    ] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    assert!(refused.contains("2 faults in the files; nothing was done"), "{refused}");
    rig.stop().await;
}

#[tokio::test]
async fn what_another_set_manages_is_taken_over_only_if_that_is_said() {
    let (mut rig, _) = Rig::started().await;
    let path = file(&rig, "acme.yaml", "kind: Customer\nname: Acme\n");
    let path = path.to_str().unwrap().to_owned();
    run(&rig, &["apply", "-f", &path]).await.good();
    // What nobody manages may be managed from now on.
    run(&rig, &["apply", "-f", &path, "--set", "acme"]).await.good();
    for command in ["plan", "apply"] {
        for set in [&["--set", "web"][..], &[]] {
            let refused = run(&rig, &[&[command, "-f", &path], set].concat()).await.bad(1);
            let told = "is managed by \"acme\"; change it there, apply it as \"acme\", or take it over";
            assert!(refused.contains("acme.yaml:1") && refused.contains(told), "{refused}");
        }
    }
    let taken = run(&rig, &["apply", "-f", &path, "--set", "web", "--take-over"]).await.good();
    assert!(taken.contains("    managed_by: \"acme\" → \"web\""), "{taken}");
    assert_eq!(run(&rig, &["get", "customers", "--managed-by", "web", "-o", "name"]).await.lines().len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn more_than_one_revision_takes_is_checked_whole_and_made_parents_first() {
    let (mut rig, api) = Rig::started().await;
    let others: String = (0..10_010).map(|number| format!("---\nkind: Customer\nname: c{number}\n")).collect();
    let key = "kind: VirtualKey\nname: notebook\nteam: Last/Search\n";
    let parents = "---\nkind: Team\nname: Search\ncustomer: Last\n---\nkind: Customer\nname: Last\n";
    let path = file(&rig, "many.yaml", &format!("{key}{others}{parents}"));
    let path = path.to_str().unwrap().to_owned();
    let head = async || {
        let mut client = ConfigServiceClient::new(api.0.clone());
        client
            .get_server_info(v1::GetServerInfoRequest {})
            .await
            .unwrap()
            .into_inner()
            .server_info
            .unwrap()
            .head_revision
    };
    let before = head().await;

    let planned = run(&rig, &["plan", "-f", &path, "--exit-code"]).await;
    assert_eq!(planned.code, 2, "{}", planned.err);
    assert!(planned.out.ends_with("10013 to create, 0 to change, 0 to delete, 0 unchanged\n"), "{}", planned.err);
    assert_eq!(head().await, before);

    // What is wrong anywhere is found before anything is done.
    let wrong =
        file(&rig, "wrong.yaml", &format!("{key}{others}{parents}---\nkind: Team\nname: a\ncustomer: Nobody\n"));
    let refused = run(&rig, &["apply", "-f", wrong.to_str().unwrap()]).await.bad(1);
    assert!(refused.contains("wrong.yaml:") && refused.contains("Nobody"), "{refused}");
    assert_eq!(head().await, before);

    let secrets = rig.database.directory().join("new-keys");
    let out = ["--secrets-out", secrets.to_str().unwrap()];
    let applied = run(&rig, &[&["apply", "-f", &path], &out[..]].concat()).await.good();
    let told = format!("10013 created, 0 changed, 0 deleted, 0 unchanged at revision {}\n", before + 2);
    assert!(applied.ends_with(&told), "{}", applied.lines().last().unwrap_or_default());
    let value = std::fs::read_to_string(&secrets).unwrap();
    assert!(value.starts_with("Last/Search/notebook\tsk-tg-"), "{value}");
    let applied = run(&rig, &["apply", "-f", &path]).await.good();
    assert_eq!(applied, format!("nothing to change at revision {}\n", before + 2));

    // Of what is made already, the same command makes no more.
    run(&rig, &["delete", "key", "Last/Search/notebook", "--yes"]).await.good();
    run(&rig, &["update", "customer", "c7", "--budget", "5/1M"]).await.good();
    let applied = run(&rig, &["apply", "-f", &path]).await.good();
    assert!(applied.contains("1 created, 1 changed, 0 deleted, 10011 unchanged at revision "), "{applied}");
    assert_eq!(head().await, before + 5);
    drop(api);
    rig.stop().await;
}
