//! Lists: of limits, and longer ones than a page.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
use tollgate::proto::v1;
use tollgate::proto::v1::team_service_client::TeamServiceClient;

use super::client::World;
use crate::access::support::{ROOT, caller};
use crate::watch::rig::{endpoint, soon};

#[tokio::test]
async fn list_budgets() {
    limits("budgets", json!({ "max_limit": 1, "reset_duration": "1d" })).await;
}

#[tokio::test]
async fn list_rate_limits() {
    limits("rate_limits", json!({ "request_max_limit": 1, "request_reset_duration": "1d" })).await;
}

async fn limits(name: &'static str, limit: Json) {
    let world = World::new().await;
    let path = name.replace('_', "-");
    let team = world.client.made("teams", "team", json!({ "name": "t", name: [limit] })).await;
    world.client.put("providers/openai", &json!({ name: [limit] })).await.of(200);
    let mut key = json!({ "name": "k", "provider_configs": [{ "provider": "openai" }] });
    key["provider_configs"][0][name] = json!([limit]);
    let key = world.client.made("virtual-keys", "virtual_key", key).await;
    for query in ["", "?from_memory=true"] {
        let list = world.client.get(&format!("{path}{query}")).await.of(200);
        assert_eq!((&list["count"], &list["total_count"]), (&json!(3), &json!(3)));
        assert_eq!(list[name][0]["team_id"], team["id"]);
        assert_eq!(list[name][1]["provider"], json!("openai"));
        assert_eq!(list[name][2]["provider_config_id"], key["provider_configs"][0]["id"]);
        assert!(list[name].as_array().unwrap().iter().all(|it| it["config_hash"] == json!("")));
    }
    let list = world.client.get(&format!("{path}?provider=openai")).await.of(200);
    assert_eq!((&list[name][0]["provider"], &list["count"]), (&json!("openai"), &json!(1)));
    world.client.get(&format!("{path}?owner=openai")).await.error(400);
    world.end().await;
}

#[tokio::test]
async fn a_list_without_a_limit_is_whole() {
    const TEAMS: usize = 1_200;
    let world = World::new().await;
    let channel = soon(endpoint(world.rig.address()).connect()).await.unwrap();
    let calls = (0..TEAMS).map(|number| {
        let mut teams = TeamServiceClient::new(caller(&channel, ROOT));
        let team = v1::Team { name: format!("team {number}"), ..Default::default() };
        async move { teams.create_team(v1::CreateTeamRequest { team: Some(team), ..Default::default() }).await.unwrap() }
    });
    // A few at a time: a caller has only so many calls.
    let calls: Vec<_> = calls.collect();
    let mut calls = calls.into_iter();
    loop {
        let some: Vec<_> = calls.by_ref().take(50).collect();
        if some.is_empty() {
            break;
        }
        futures_util::future::join_all(some).await;
    }
    let ids = |list: &Json| {
        let rows = list["teams"].as_array().unwrap();
        rows.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let whole = world.client.get("teams").await.of(200);
    let all = ids(&whole);
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (TEAMS, TEAMS));
    let numbers = ["count", "total_count", "limit", "offset"].map(|it| whole[it].as_u64().unwrap());
    assert_eq!(numbers, [1_200, 1_200, 1_200, 0]);
    assert_eq!(ids(&world.client.get("teams?offset=900&limit=200").await.of(200)), all[900..1_100]);
    assert_eq!(ids(&world.client.get("teams?offset=1150").await.of(200)), all[1_150..]);
    assert_eq!(ids(&world.client.get("teams?offset=1150&limit=100").await.of(200)), all[1_150..]);
    assert_eq!(ids(&world.client.get("teams?limit=4000").await.of(200)), all[..1_000]);
    assert_eq!(ids(&world.client.get("teams?offset=1300&from_memory=true").await.of(200)), Vec::<String>::new());
    drop(channel);
    world.end().await;
}
