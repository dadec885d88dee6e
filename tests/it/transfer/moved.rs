//! What is there after a move, and how everybody goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use tollgate::proto::export::v1::Line;
use tollgate::proto::export::v1::line::Line as Content;
use tollgate::proto::v1::UsageAckStatus::{Applied, Duplicate};
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::{ConfigResource, WatchMode, WatchReason};

use super::*;
use crate::engine::cluster::{self, Cluster};
use crate::engine::on_postgres;
use crate::usage::{NODE, spent, statuses};
use crate::watch::rig::{Rig, node};

fn assert_same(one: Vec<&str>, other: Vec<&str>) {
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

#[tokio::test]
async fn a_store_moves_to_postgresql_and_back_and_nothing_is_lost() {
    // Once, in the run on SQLite, which is the one that has both.
    if on_postgres() {
        return;
    }
    let (mut rig, api) = Rig::started().await;
    fill(&api).await;
    drop(api);
    let beside = export(&rig.database).await;
    rig.stop().await;
    let first = export(&rig.database).await;
    // The server notes when it stops which tokens were used.
    let without_tokens = |file| records(file).into_iter().filter(|line| !line.starts_with("{\"token\"")).collect();
    assert_same(without_tokens(&first), without_tokens(&beside));
    for kind in [
        "customer",
        "team",
        "virtualKey",
        "routingRule",
        "modelConfig",
        "providerGovernance",
        "pricingOverride",
        "mcpClient",
        "modelPrice",
    ] {
        let resource = format!("{{\"resource\":{{\"{kind}\":");
        assert!(first.contains(&resource), "no {kind}");
    }
    let usage = ["usageNode", "usageCounter", "formerKey", "thresholdEvent", "token", "request", "spend"];
    for kind in usage.into_iter().chain(["creditNode", "creditPool", "creditAccount"]) {
        assert!(first.contains(&format!("{{\"{kind}\":")), "no {kind}");
    }

    let mut files = vec![first];
    let mut databases = vec![Database::new()];
    if cluster::binaries().is_some() {
        databases.insert(0, Database::of(Cluster::shared()));
    }
    for database in &databases {
        let last = files.last().unwrap();
        let imported = import(database, last).await.unwrap();
        assert_eq!(imported.records, records(last).len() as u64);
        let next = export(database).await;
        assert_same(records(&next), records(last));
        let (one, two) = (header(last), header(&next));
        for number in ["lastConfigId", "lastIncarnation", "usageVersion", "spendTimeZone", "spendJoinedUntil"] {
            assert_eq!(one[number], two[number], "{number}");
        }
        assert_ne!(one["storeId"], two["storeId"]);
        assert_eq!(two["revision"], imported.revision.to_string());
        files.push(next);
    }
}

#[tokio::test]
async fn nodes_watchers_and_callers_go_on_with_what_they_have() {
    let (mut rig, api) = Rig::started().await;
    let gone = api.team("gone").await;
    let (_, key) = hierarchy(&api).await;
    let mut watcher = node(&api, &[]).await;
    watcher.close();
    api.delete_team(&gone.id).await.unwrap();
    let rotated = api.rotate(&key.id, Some(3_600)).await.unwrap();
    let incarnation = register(&api).await;
    let one = batch(incarnation, 1, vec![entry(&key.id, 900)]);
    let two = batch(incarnation, 2, vec![entry(&key.id, 50)]);
    let acks = report(&api, vec![one.clone(), two.clone()]).await;
    let registered_at = acks[0].store_id.clone();
    let create = v1::CreateTeamRequest {
        team: Some(v1::Team { name: "asked for once".to_owned(), ..Default::default() }),
        request_id: uuid(),
        ..Default::default()
    };
    let asked = TeamServiceClient::new(api.0.clone()).create_team(create.clone()).await.unwrap().into_inner();
    drop(api);
    let file = export(&rig.database).await;
    rig.stop().await;

    let mut rig = Rig::on(Arc::new(Database::new()));
    let imported = import(&rig.database, &file).await.unwrap();
    rig.start().await;
    let api = rig.api().await;

    // The watcher: all of it anew, and from there on as ever.
    let begun = watcher.connect(&api).await.unwrap();
    assert_eq!(begun, (WatchMode::Snapshot, WatchReason::StoreChanged, imported.revision));
    watcher.until_proved(imported.revision).await;
    assert_eq!(watcher.reducer.state().len(), api.all().await.len());
    watcher.close();
    let head = api.label_team(&asked.team.as_ref().unwrap().id, "new").await;
    assert_eq!(head, imported.revision + 1);
    assert_eq!(watcher.connect(&api).await.unwrap(), (WatchMode::Resumed, WatchReason::Unspecified, head));
    watcher.until_proved(head).await;

    // The node: what was counted is a duplicate, and it may go on, of this store or another.
    assert_eq!(spent(&api).await, [950; 4]);
    let three = batch(incarnation, 3, vec![entry(&key.id, 5)]);
    let acks = report(&api, vec![two.clone(), three.clone(), one]).await;
    assert_eq!(statuses(&acks), [(2, Duplicate, 3), (3, Applied, 4), (1, Duplicate, 4)]);
    assert!(acks.iter().all(|ack| ack.store_id == registered_at), "the store that gave the incarnation");
    assert_eq!(spent(&api).await, [955; 4]);
    let request = v1::RegisterNodeRequest { node_id: NODE.to_owned(), ..Default::default() };
    let registered = UsageServiceClient::new(api.0.clone()).register_node(request).await.unwrap().into_inner();
    assert_eq!(registered.incarnation, incarnation + 1);
    assert_ne!(registered.store_id, registered_at);
    let acks = report(&api, vec![batch(registered.incarnation, 1, Vec::new())]).await;
    assert_eq!(acks[0].store_id, registered.store_id);

    // The caller: the same answer, and no second team.
    let again = TeamServiceClient::new(api.0.clone()).create_team(create.clone()).await.unwrap().into_inner();
    assert_eq!(again, asked);
    let other = v1::CreateTeamRequest {
        team: Some(v1::Team { name: "asked for otherwise".to_owned(), ..Default::default() }),
        ..create
    };
    assert!(TeamServiceClient::new(api.0.clone()).create_team(other).await.is_err());

    // Both values of the key, and new ids beyond the old ones.
    assert_eq!(owner(&api, &key.value).await.as_deref(), Some(key.id.as_str()));
    assert_eq!(owner(&api, &rotated.value).await.as_deref(), Some(key.id.as_str()));
    let config = v1::VirtualKeyProviderConfig { provider: "openai".to_owned(), ..Default::default() };
    let another = v1::VirtualKey { name: "new".to_owned(), provider_configs: vec![config], ..Default::default() };
    let another = api.create_virtual_key(another).await.unwrap();
    assert!(another.provider_configs[0].id > key.provider_configs[0].id);

    let api = {
        drop(api);
        rig.restart().await
    };
    assert_eq!(statuses(&report(&api, vec![three]).await), [(3, Duplicate, 4)]);
    assert_eq!(spent(&api).await, [955; 4]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn an_export_beside_a_server_that_writes_is_of_one_revision() {
    let (mut rig, api) = Rig::started().await;
    let teams = [api.team("a").await.id, api.team("b").await.id];
    let (stop, stopped) = tokio::sync::watch::channel(());
    let writes = tokio::spawn({
        let api = api.clone();
        async move {
            let mut writes = 0;
            while !stopped.has_changed().unwrap() {
                writes += 1;
                api.label_team(&teams[writes % 2], &writes.to_string()).await;
                if writes % 3 == 0 {
                    let made = api.team(&format!("for a moment {writes}")).await;
                    api.delete_team(&made.id).await.unwrap();
                }
            }
        }
    });
    let mut files = Vec::new();
    for _ in 0..5 {
        files.push(export(&rig.database).await);
    }
    stop.send(()).unwrap();
    writes.await.unwrap();
    drop(api);
    rig.stop().await;

    let store = rig.store().await;
    let log = store.read_log(0, 1_000_000).await.unwrap();
    store.close().await;
    for file in files {
        let at: i64 = header(&file)["revision"].as_str().unwrap().parse().unwrap();
        let mut expected = BTreeMap::new();
        for row in log.iter().take_while(|txn| txn.revision <= at).flat_map(|txn| &txn.rows) {
            let key = (row.kind, row.id.to_string());
            match &row.after {
                Some(after) => expected.insert(key, ConfigResource::decode(after.bytes()).unwrap()),
                None => expected.remove(&key),
            };
        }
        let teams = expected.into_values().filter_map(|it| match it.resource {
            Some(Resource::Team(team)) => Some(v1::Team { revision: 0, ..team }),
            _ => None,
        });
        let exported = records(&file).into_iter().filter_map(|line| {
            match archive::decode(line.as_bytes(), archive::FORMAT).unwrap() {
                Line { line: Some(Content::Resource(ConfigResource { resource: Some(Resource::Team(team)) })) } => {
                    Some(team)
                }
                _ => None,
            }
        });
        assert_eq!(exported.collect::<Vec<_>>(), teams.collect::<Vec<_>>(), "revision {at}");
        // And it is whole.
        import(&Database::new(), &file).await.unwrap();
    }
}
