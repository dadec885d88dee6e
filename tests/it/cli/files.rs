//! `tollgate validate` and `diff`.

use super::*;

pub(super) const ACME: &str = "\
kind: Customer
name: Acme
budgets: [{ max_limit: 500, reset_duration: 1M }]
---
kind: Team
name: Search
customer: Acme
---
kind: VirtualKey
name: notebook
team: Acme/Search
provider_configs:
- { provider: openai, weight: 1, allowed_models: [\"gpt-4o*\"], key_ids: [\"*\"] }
";

pub(super) const RULE: &str = "\
kind: RoutingRule
name: cheap
team: Acme/Search
cel_expression: model == \"gpt-4o\"
targets: [{ model: gpt-4o-mini, weight: 1 }]
";

#[tokio::test]
async fn files_are_checked_without_a_server() {
    let (mut rig, api) = Rig::started().await;
    let good = file(&rig, "good/a.yaml", ACME);
    file(&rig, "good/b/rules.yml", RULE);
    file(&rig, "good/.git/x.yaml", "no document");
    let folder = good.parent().unwrap().to_str().unwrap();
    let said = ended(command(&["validate", "-f", folder])).await.good();
    assert_eq!(said, "4 documents in 2 files: no fault found\n");
    let bad = file(&rig, "bad.yaml", &RULE.replace("model ==", "model ="));
    let said = ended(command(&["validate", "-f", bad.to_str().unwrap()])).await.bad(1);
    assert!(said.contains("bad.yaml:4: cel_expression "), "{said}");
    assert!(said.contains("1 fault in the files; nothing was done"), "{said}");
    assert!(ended(command(&["validate", "-f", "/no/such.yaml"])).await.bad(1).contains("/no/such.yaml cannot be read"));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn two_revisions_are_compared_field_by_field() {
    let (mut rig, api) = Rig::started().await;
    run(&rig, &["create", "customer", "Acme", "--budget", "500/1M"]).await.good();
    let revision = || async { run(&rig, &["get", "customer", "Acme", "--json"]).await.json()[0]["revision"].clone() };
    let first = revision().await.as_str().unwrap().to_owned();
    run(&rig, &["update", "customer", "Acme", "--budget", "800/1M"]).await.good();
    run(&rig, &["create", "customer", "Other"]).await.good();
    let shown = run(&rig, &["diff", &first]).await.good();
    let expected = ["~ customer Acme\n    budgets[0].max_limit: 500.0 → 800.0\n", "+ customer Other\n"];
    assert!(expected.iter().all(|part| shown.contains(part)), "{shown}");
    let second = revision().await.as_str().unwrap().to_owned();
    let back = run(&rig, &["diff", &second, &first]).await.good();
    assert_eq!(back, "~ customer Acme\n    budgets[0].max_limit: 800.0 → 500.0\n");
    assert_eq!(run(&rig, &["diff", &first, "--kind", "team"]).await.good(), "");
    assert_eq!(run(&rig, &["diff", &first, "--json"]).await.json().len(), 2);
    drop(api);
    rig.stop().await;
}

/// The configuration of a server is written as documents that are right.
#[tokio::test]
async fn a_whole_store_is_written_as_documents() {
    let (mut rig, api) = Rig::started().await;
    run(&rig, &["create", "customer", "Acme"]).await.good();
    run(&rig, &["create", "team", "Acme/R%2FD"]).await.good();
    run(&rig, &["create", "key", "Acme/R%2FD/notebook", "--allow", "openai:*"]).await.good();
    run(&rig, &["create", "model", "openai/gpt-4o", "--set", "team=Acme/R%2FD", "--budget", "3/1d"]).await.good();
    run(&rig, &["create", "governance", "openai", "--rpm", "100"]).await.good();
    run(&rig, &["create", "mcp", "github", "--set", "tools=[a, b]"]).await.good();
    run(&rig, &["create", "price", "openai/gpt-4o", "--set", "rates={input_cost_per_token: 2.5e-06}"]).await.good();
    let rule = ["--set", "virtual_key=Acme/R%2FD/notebook", "--set", "targets=[{model: o3, weight: 1}]"];
    run(&rig, &[&["create", "rule", "cheap"][..], &rule].concat()).await.good();
    let all = run(&rig, &["get", "all", "-o", "yaml"]).await.good();
    for line in ["customer: Acme\n", "team: \"Acme/R%2FD\"\n", "virtual_key: \"Acme/R%2FD/notebook\"\n"] {
        assert!(all.contains(line), "{line} {all}");
    }
    let path = file(&rig, "all.yaml", &all);
    let said = ended(command(&["validate", "-f", path.to_str().unwrap()])).await.good();
    assert_eq!(said, "8 documents in 1 file: no fault found\n");
    drop(api);
    rig.stop().await;
}
