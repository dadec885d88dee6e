//! Teams and customers, whose clients in the mirrored gateway know one budget.

use serde_json::{Value as Json, json};

use super::client::{World, id};

/// A kind of owner: teams and customers have these tests in common.
struct Owner {
    path: &'static str,
    one: &'static str,
    /// A property of keys, and of what else belongs to it.
    belongs: &'static str,
}

const TEAM: Owner = Owner { path: "teams", one: "team", belongs: "team_id" };
const CUSTOMER: Owner = Owner { path: "customers", one: "customer", belongs: "customer_id" };

async fn create(owner: Owner) {
    let Owner { path, one, .. } = owner;
    let world = World::new().await;
    let budget = json!({ "max_limit": 10, "reset_duration": "1M", "calendar_aligned": true });
    let made = world.client.made(path, one, json!({ "name": "research", "budget": budget })).await;
    assert_eq!((&made["calendar_aligned"], &made["budget"]["calendar_aligned"]), (&json!(true), &json!(true)));
    assert_eq!((&made["budget"], &made["budget_id"]), (&made["budgets"][0], &made["budgets"][0]["id"]));
    assert!(made["budget"]["last_reset"].is_string() && made["budget"]["current_usage"].is_number());
    let both = json!({ "name": "b", "budget": { "max_limit": 1, "reset_duration": "1d" }, "budgets": [] });
    assert!(world.client.post(path, &both).await.error(400).contains("budget"));
    world.client.post(path, &json!({ "name": "research" })).await.error(409);
    let missing = world.client.post(path, &json!({ "budget": { "max_limit": 1 }, "name": null })).await.error(400);
    assert!(missing.contains("name: ") && missing.contains("budget.reset_duration: "), "{missing}");
    let hourly = json!({ "name": "b", "budget": { "max_limit": 1, "reset_duration": "1h", "calendar_aligned": true } });
    assert!(world.client.post(path, &hourly).await.error(400).contains("budget.calendar_aligned"));
    let never = json!({ "name": "b", "budget": { "max_limit": -1, "reset_duration": "1x" } });
    let text = world.client.post(path, &never).await.error(400);
    assert!(text.contains("budget.max_limit: ") && text.contains("budget.reset_duration: "), "{text}");
    world.end().await;
}

async fn update(owner: Owner) {
    let Owner { path, one, .. } = owner;
    let world = World::new().await;
    let made = world
        .client
        .made(path, one, json!({ "name": "a", "budget": { "max_limit": 10, "reset_duration": "1M" } }))
        .await;
    let at = format!("{path}/{}", id(&made));
    let put = |body: Json| world.client.changed(&at, one, body);
    let raised = put(json!({ "budget": { "max_limit": 20 } })).await;
    assert_eq!((&raised["budget_id"], &raised["budget"]["max_limit"]), (&made["budget_id"], &json!(20.0)));
    assert_eq!(raised["budget"]["reset_duration"], json!("1M"));
    assert_eq!(put(json!({ "budget": { "calendar_aligned": true } })).await["calendar_aligned"], json!(true));
    assert_eq!(put(json!({ "budget": { "calendar_aligned": false } })).await["calendar_aligned"], json!(false));
    // Sent back as it was read, with both.
    let got = world.client.get(&at).await.of(200)[one].clone();
    assert_eq!(put(got.clone()).await["revision"], got["revision"]);
    let mut torn = got.clone();
    torn["budget"]["max_limit"] = json!(30);
    assert!(world.client.put(&at, &torn).await.error(400).contains("budgets"));
    let two =
        json!({ "budgets": [{ "max_limit": 1, "reset_duration": "1d" }, { "max_limit": 20, "reset_duration": "1M" }] });
    let two = put(two).await;
    assert_eq!(two["budgets"][1]["id"], made["budget_id"], "the one of the same length");
    assert!(world.client.put(&at, &json!({ "budget": { "max_limit": 3 } })).await.error(400).contains("there are 2"));
    let named = put(json!({ "budget": { "id": made["budget_id"], "max_limit": 3 } })).await;
    assert_eq!([&named["budgets"][0]["max_limit"], &named["budgets"][1]["max_limit"]], [&json!(1.0), &json!(3.0)]);
    assert_eq!(put(json!({ "budget": {} })).await["budgets"], json!([]));
    let incomplete = world.client.put(&at, &json!({ "budget": { "max_limit": 3 } })).await.error(400);
    assert!(incomplete.contains("budget.reset_duration"), "{incomplete}");
    let limited = put(json!({ "rate_limit": { "request_max_limit": 0, "request_reset_duration": "1m" } })).await;
    assert_eq!(limited["rate_limit"]["request_max_limit"], json!(0));
    assert_eq!(put(json!({ "rate_limit": { "request_max_limit": null } })).await["rate_limits"], json!([]));
    assert_eq!(put(json!({ "labels": { "cost-centre": "7" } })).await["labels"], json!({ "cost-centre": "7" }));
    assert_eq!(put(json!({ "labels": {} })).await["labels"], json!({}));
    put(json!({ "reset_budget_usage": true, "reset_rate_limit_usage": false })).await;
    world.client.put(&at, &json!({ "reset_budget_usage": "yes" })).await.error(400);
    world.client.put(&format!("{path}/nobody"), &json!({ "name": "x" })).await.error(404);
    world.end().await;
}

async fn delete(owner: Owner) {
    let Owner { path, one, belongs } = owner;
    let world = World::new().await;
    let made = world.client.made(path, one, json!({ "name": "a" })).await;
    let key = world.client.made("virtual-keys", "virtual_key", json!({ "name": "k", belongs: made["id"] })).await;
    assert_eq!(key[belongs], made["id"]);
    let at = format!("{path}/{}", id(&made));
    assert!(world.client.delete(&at).await.of(200)["message"].is_string());
    let key = world.client.get(&format!("virtual-keys/{}", id(&key))).await.of(200)["virtual_key"].clone();
    assert_eq!((key.get(belongs), &key["is_active"]), (None, &json!(true)), "it goes on without it");
    world.client.delete(&at).await.error(404);
    world.end().await;
}

#[tokio::test]
async fn create_team() {
    create(TEAM).await;
}

#[tokio::test]
async fn create_customer() {
    create(CUSTOMER).await;
}

#[tokio::test]
async fn update_team() {
    update(TEAM).await;
}

#[tokio::test]
async fn update_customer() {
    update(CUSTOMER).await;
}

#[tokio::test]
async fn delete_team() {
    delete(TEAM).await;
}

#[tokio::test]
async fn delete_customer() {
    delete(CUSTOMER).await;
}

#[tokio::test]
async fn names_that_are_taken_are_conflicts() {
    let world = World::new().await;
    let mut customers = Vec::new();
    for (name, team) in [("acme", "research"), ("globex", "sales")] {
        let customer = world.client.made("customers", "customer", json!({ "name": name })).await;
        world.client.made("teams", "team", json!({ "name": team, "customer_id": customer["id"] })).await;
        customers.push(customer);
    }
    let own = world.client.made("teams", "team", json!({ "name": "sales" })).await;
    world.client.made("teams", "team", json!({ "name": "research" })).await;
    for path in ["teams", "virtual-keys"] {
        world.client.post(path, &json!({ "name": "x" })).await.of(200);
        world.client.post(path, &json!({ "name": "x" })).await.error(409);
    }
    world.client.post("customers", &json!({ "name": "acme" })).await.error(409);
    let renamed = world.client.put(&format!("teams/{}", id(&own)), &json!({ "name": "research" })).await.error(409);
    assert!(renamed.contains("name"), "{renamed}");
    let [acme, globex] = [0, 1].map(|it| format!("customers/{}", id(&customers[it])));
    world.client.put(&acme, &json!({ "name": "globex" })).await.error(409);
    // Its team would be one of two without a customer and with one name.
    let deleted = world.client.delete(&globex).await.error(409);
    assert!(deleted.contains("sales"), "{deleted}");
    world.client.get(&globex).await.of(200);
    world.client.changed(&format!("teams/{}", id(&own)), "team", json!({ "name": "other" })).await;
    world.client.delete(&globex).await.of(200);
    world.end().await;
}

#[tokio::test]
async fn answers_to_writes_embed_what_answers_to_reads_do() {
    let world = World::new().await;
    let names = |list: &Json| list.as_array().unwrap().iter().map(|it| it["name"].clone()).collect::<Vec<_>>();
    let customer = world.client.made("customers", "customer", json!({ "name": "acme" })).await;
    assert_eq!(customer, world.client.get(&format!("customers/{}", id(&customer))).await.of(200)["customer"]);
    let team = json!({ "name": "research", "customer_id": customer["id"] });
    let team = world.client.made("teams", "team", team).await;
    assert_eq!(team["customer"]["name"], json!("acme"));
    assert_eq!(team, world.client.get(&format!("teams/{}", id(&team))).await.of(200)["team"]);
    let key = world.client.made("virtual-keys", "virtual_key", json!({ "name": "k", "team_id": team["id"] })).await;
    let read = world.client.get(&format!("virtual-keys/{}", id(&key))).await.of(200)["virtual_key"].clone();
    assert_eq!((&key["team"]["name"], &key["customer"]["name"]), (&json!("research"), &json!("acme")));
    assert_eq!([&key["team"], &key["customer"]], [&read["team"], &read["customer"]]);
    assert!(key["value"].as_str().unwrap().starts_with("sk-tg-"), "the whole value, once: {key}");

    let (at_key, at_team) = (format!("virtual-keys/{}", id(&key)), format!("teams/{}", id(&team)));
    let at_customer = format!("customers/{}", id(&customer));
    let moved = json!({ "team_id": null, "customer_id": customer["id"] });
    let moved = world.client.changed(&at_key, "virtual_key", moved).await;
    assert_eq!((moved.get("team"), &moved["customer"]["name"]), (None, &json!("acme")));
    world.client.changed(&at_key, "virtual_key", json!({ "team_id": team["id"], "customer_id": null })).await;
    let renamed = world.client.changed(&at_team, "team", json!({ "name": "labs" })).await;
    assert_eq!((&renamed["customer"]["name"], names(&renamed["virtual_keys"])), (&json!("acme"), vec![json!("k")]));
    assert_eq!(renamed, world.client.get(&at_team).await.of(200)["team"]);
    let renamed = world.client.changed(&at_customer, "customer", json!({ "name": "acme inc" })).await;
    assert_eq!(names(&renamed["teams"]), [json!("labs")]);
    assert_eq!(renamed, world.client.get(&at_customer).await.of(200)["customer"]);
    world.end().await;
}

#[tokio::test]
async fn get_and_list_teams_and_customers() {
    let world = World::new().await;
    let customer = world.client.made("customers", "customer", json!({ "name": "acme" })).await;
    let profile = json!({ "floor": 3.0, "people": ["a"] });
    let body = json!({ "name": "research", "customer_id": customer["id"], "profile": profile });
    let team = world.client.made("teams", "team", body).await;
    world.client.made("virtual-keys", "virtual_key", json!({ "name": "k", "team_id": team["id"] })).await;
    world.client.made("teams", "team", json!({ "name": "other" })).await;
    for query in ["", "?from_memory=true"] {
        let got = world.client.get(&format!("teams/{}{query}", id(&team))).await.of(200)["team"].clone();
        assert_eq!((&got["customer"]["name"], &got["virtual_keys"][0]["name"]), (&json!("acme"), &json!("k")));
        assert_eq!((&got["profile"], &got["virtual_key_count"]), (&profile, &json!(1)));
        let got = world.client.get(&format!("customers/{}{query}", id(&customer))).await.of(200)["customer"].clone();
        assert_eq!(got["teams"][0]["id"], team["id"]);
        let list = world.client.get(&format!("customers{query}")).await.of(200);
        assert_eq!((&list["customers"][0]["id"], &list["count"]), (&customer["id"], &json!(1)));
        let list = world.client.get(&format!("teams{query}")).await.of(200);
        assert_eq!((&list["teams"][0]["id"], &list["count"]), (&team["id"], &json!(2)));
    }
    let list = world.client.get(&format!("teams?customer_id={}", id(&customer))).await.of(200);
    assert_eq!((list["teams"].as_array().unwrap().len(), &list["total_count"]), (1, &json!(1)));
    assert_eq!(world.client.get("teams?search=OTH").await.of(200)["teams"][0]["name"], json!("other"));
    let cleared = world.client.changed(&format!("teams/{}", id(&team)), "team", json!({ "customer_id": null })).await;
    assert_eq!(cleared.get("customer_id"), None);
    for path in ["teams/nobody", "customers/nobody"] {
        world.client.get(path).await.error(404);
    }
    world.end().await;
}

#[tokio::test]
async fn updates_that_need_what_is_stored_wait_for_each_other() {
    let world = World::new().await;
    let budgets = json!([{ "max_limit": 1, "reset_duration": "1d" }, { "max_limit": 1, "reset_duration": "1M" }]);
    let made = world.client.made("teams", "team", json!({ "name": "a", "budgets": budgets })).await;
    let at = format!("teams/{}", id(&made));
    let raised = (0..6).map(|number| {
        let (client, at) = (world.client.clone(), at.clone());
        let budget = json!({ "id": made["budgets"][number % 2]["id"], "max_limit": 10 * (number % 2 + 1) });
        async move { client.put(&at, &json!({ "budget": budget })).await.of(200) }
    });
    futures_util::future::join_all(raised).await;
    let team = world.client.get(&at).await.of(200)["team"].clone();
    assert_eq!([&team["budgets"][0]["max_limit"], &team["budgets"][1]["max_limit"]], [&json!(10.0), &json!(20.0)]);
    world.end().await;
}
