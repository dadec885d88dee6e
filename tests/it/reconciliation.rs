//! Lists that are sent whole (`docs/design/semantics.md §4`): what of a key's provider and MCP configs is kept, and what is new.

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use tollgate::domain::VirtualKey;
use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate_testkit::valid::{MCP_CLIENT, PROVIDERS, Sample as _};
use tonic::{Code, Status};

use crate::usage::{batch, entry, register, report};
use crate::watch::api::{Api, common};
use crate::watch::rig::Rig;

const PATHS: [&str; 4] = ["budgets", "rate_limits", "provider_configs", "mcp_configs"];

fn rights(provider: &str, models: &[&str]) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        allowed_models: models.iter().map(|model| (*model).to_owned()).collect(),
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }
}

fn with_id(id: i64, rights: v1::VirtualKeyProviderConfig) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig { id, ..rights }
}

async fn made(api: &Api, provider_configs: Vec<v1::VirtualKeyProviderConfig>) -> v1::VirtualKey {
    api.create_virtual_key(v1::VirtualKey { name: "key".to_owned(), provider_configs, ..Default::default() })
        .await
        .unwrap()
}

async fn update(api: &Api, key: v1::VirtualKey, paths: &[&str]) -> Result<v1::VirtualKey, Status> {
    match api.update_virtual_key(key, paths).await?.resource {
        Some(Resource::VirtualKey(key)) => Ok(key),
        other => panic!("{other:?}"),
    }
}

async fn list(
    api: &Api,
    key: &v1::VirtualKey,
    provider_configs: Vec<v1::VirtualKeyProviderConfig>,
) -> Result<v1::VirtualKey, Status> {
    let desired = v1::VirtualKey { id: key.id.clone(), provider_configs, ..Default::default() };
    update(api, desired, &["provider_configs"]).await
}

/// The key with its revision, without windows, which turn while the test runs.
fn lasting(key: &v1::VirtualKey) -> v1::ConfigResource {
    common(&v1::ConfigResource { resource: Some(Resource::VirtualKey(key.clone())) })
}

#[tokio::test]
async fn what_is_applied_again_changes_nothing_and_takes_no_revision() {
    let (mut rig, api) = Rig::started().await;
    for name in PROVIDERS {
        let keys = vec![v1::ProviderKey { id: format!("{name}-key"), ..Default::default() }];
        api.update_provider(v1::Provider { id: name.to_owned(), keys, ..Default::default() }, &["keys"]).await.unwrap();
    }
    let client = v1::McpClient { name: MCP_CLIENT.to_owned(), ..Default::default() };
    api.create_mcp_client(client).await.unwrap();
    let mut runner = TestRunner::deterministic();
    let samples = (VirtualKey::valid(), VirtualKey::valid());
    let mut several = 0;
    for number in 0..60 {
        let (first, second) = samples.new_tree(&mut runner).unwrap().current();
        // As a file has it, which knows no ids.
        let file = |key: v1::VirtualKey| v1::VirtualKey {
            name: format!("key {number}"),
            team_id: String::new(),
            customer_id: String::new(),
            ..key
        };
        let created = api.create_virtual_key(file(first.clone())).await.unwrap();
        for desired in [first, second] {
            let desired = v1::VirtualKey { id: created.id.clone(), ..file(desired) };
            let once = update(&api, desired.clone(), &["*"]).await.unwrap();
            let twice = update(&api, desired.clone(), &["*"]).await.unwrap();
            assert_eq!(lasting(&twice), lasting(&once), "{desired:?}");
            let parts = update(&api, desired, &PATHS).await.unwrap();
            assert_eq!(lasting(&parts), lasting(&once));
            several += usize::from(once.provider_configs.len() > 1);
        }
    }
    assert!(several > 10, "{several} keys had several provider configs");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn entries_without_ids_take_the_place_of_what_is_like_them() {
    let (mut rig, api) = Rig::started().await;
    let held = || vec![rights("openai", &["gpt-4o"]), rights("openai", &["o3"]), rights("anthropic", &["*"])];
    let [a, b, c] = [Some(0), Some(1), Some(2)];
    for (desired, places) in [
        (held(), vec![a, b, c]),
        (vec![rights("anthropic", &["*"]), rights("openai", &["o3"])], vec![c, b]),
        // The allow list is another one: the first that is left.
        (vec![rights("openai", &["x"])], vec![a]),
        (vec![rights("openai", &["x"]), rights("openai", &["gpt-4o"])], vec![b, a]),
        (vec![rights("openai", &["x"]), rights("openai", &["y"]), rights("openai", &["z"])], vec![a, b, None]),
        (vec![rights("groq", &["*"]), rights("anthropic", &[])], vec![None, c]),
        (vec![], vec![]),
    ] {
        let key = made(&api, held()).await;
        let ids: Vec<i64> = key.provider_configs.iter().map(|config| config.id).collect();
        let after = list(&api, &key, desired.clone()).await.unwrap();
        let kept = after.provider_configs.iter().map(|config| ids.iter().position(|id| *id == config.id));
        assert_eq!(kept.collect::<Vec<_>>(), places, "{desired:?}");
        api.delete_virtual_key(&key.id).await.unwrap();
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn entries_with_ids_claim_theirs_first_and_an_id_of_another_key_is_refused() {
    let (mut rig, api) = Rig::started().await;
    let key = made(&api, vec![rights("openai", &["gpt-4o"]), rights("openai", &["o3"])]).await;
    let [a, b] = [key.provider_configs[0].id, key.provider_configs[1].id];
    let desired = vec![rights("openai", &["gpt-4o"]), with_id(a, rights("anthropic", &["*"]))];
    let after = list(&api, &key, desired).await.unwrap();
    let told: Vec<_> = after.provider_configs.iter().map(|it| (it.id, it.provider.as_str())).collect();
    assert_eq!(told, [(b, "openai"), (a, "anthropic")]);

    let entry = || rights("openai", &["o3"]);
    let refused = list(&api, &key, vec![with_id(b, entry()), with_id(a + b + 1, entry()), with_id(b, entry())]);
    let refused = refused.await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for says in [
        "virtual_key.provider_configs[1].id: is not the id of a provider config of this owner; leave the id out for a new",
        "virtual_key.provider_configs[2].id: is named twice",
    ] {
        assert!(refused.message().contains(says), "{says}: {}", refused.message());
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_kept_keeps_its_limits_and_what_was_used_of_them() {
    let (mut rig, api) = Rig::started().await;
    let budget = v1::Budget { max_limit: 100.0, reset_duration: "10Y".to_owned(), ..Default::default() };
    let limited = || {
        let rights = rights("openai", &["*"]);
        v1::VirtualKeyProviderConfig { weight: Some(1.0), budgets: vec![budget.clone()], ..rights }
    };
    let key = made(&api, vec![limited()]).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 500_000_000)])]).await;
    let file = v1::VirtualKey {
        id: key.id.clone(),
        description: "changed in the file".to_owned(),
        provider_configs: vec![rights("groq", &["*"]), limited()],
        ..Default::default()
    };
    let after = update(&api, file, &["description", "provider_configs"]).await.unwrap();
    let kept = &after.provider_configs[1];
    assert_eq!(kept.id, key.provider_configs[0].id);
    assert_eq!(kept.budgets[0].id, key.provider_configs[0].budgets[0].id);
    assert_eq!(kept.budgets[0].current_usage, 0.5);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn mcp_configs_are_matched_by_their_client() {
    let (mut rig, api) = Rig::started().await;
    for name in ["files", "mail", "calendar"] {
        api.create_mcp_client(v1::McpClient { name: name.to_owned(), ..Default::default() }).await.unwrap();
    }
    let tools = |client: &str, tools: &[&str]| v1::VirtualKeyMcpConfig {
        mcp_client_name: client.to_owned(),
        tools_to_execute: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        ..Default::default()
    };
    let key = made(&api, Vec::new()).await;
    let list = |mcp_configs| {
        let desired = v1::VirtualKey { id: key.id.clone(), mcp_configs, ..Default::default() };
        update(&api, desired, &["mcp_configs"])
    };
    let before = list(vec![tools("files", &["read"]), tools("mail", &[])]).await.unwrap();
    let again = list(vec![tools("files", &["read"]), tools("mail", &[])]).await.unwrap();
    assert_eq!(again, before);
    let after = list(vec![tools("calendar", &[]), tools("mail", &["send"]), tools("files", &["*"])]).await.unwrap();
    let [files, mail] = [before.mcp_configs[0].id, before.mcp_configs[1].id];
    assert_eq!([after.mcp_configs[1].id, after.mcp_configs[2].id], [mail, files]);
    assert!(![files, mail].contains(&after.mcp_configs[0].id));
    drop(api);
    rig.stop().await;
}
