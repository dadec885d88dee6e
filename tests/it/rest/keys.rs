//! Virtual keys.

use serde_json::{Value as Json, json};

use super::client::{Client, World, id};

fn key() -> Json {
    json!({
        "name": "ci",
        "description": "builds",
        "provider_configs": [{
            "provider": "openai",
            "weight": 0.5,
            "allowed_models": ["gpt-4o*"],
            "blacklisted_models": ["gpt-4o-audio"],
            "key_ids": ["*"],
            "budgets": [{ "max_limit": 5, "reset_duration": "1d" }],
            "rate_limit": { "token_max_limit": 1000, "token_reset_duration": "1h", "request_reset_duration": "1m" },
        }],
        "budgets": [{ "max_limit": 50, "reset_duration": "1M" }],
        "rate_limit": { "request_max_limit": 60, "request_reset_duration": "1m" },
    })
}

#[tokio::test]
async fn create_virtual_key() {
    let world = World::new().await;
    let made = world.client.made("virtual-keys", "virtual_key", key()).await;
    assert!(made["value"].as_str().unwrap().starts_with("sk-tg-"), "the whole value, once: {made}");
    assert_eq!((&made["is_active"], &made["calendar_aligned"]), (&json!(true), &json!(false)));
    assert_eq!((&made["mcp_configs"], &made["config_hash"]), (&json!([]), &json!("")));
    assert_eq!(made["rate_limit"], made["rate_limits"][0]);
    assert_eq!(made["rate_limit_id"], made["rate_limits"][0]["id"]);
    assert_eq!(made["budgets"][0]["virtual_key_id"], made["id"]);
    let config = &made["provider_configs"][0];
    assert_eq!((&config["weight"], &config["allow_all_keys"]), (&json!(0.5), &json!(true)));
    assert_eq!(config["blacklisted_models"], json!(["gpt-4o-audio"]));
    assert_eq!(config["virtual_key_id"], made["id"]);
    assert_eq!(config["rate_limit"]["token_max_limit"], json!(1000));
    // A duration without its limit says nothing.
    assert_eq!(config["rate_limit"].get("request_max_limit"), None);
    assert!(config["rate_limit"]["request_last_reset"].is_string());

    let taken = world.client.post("virtual-keys", &json!({ "name": "ci" })).await.error(409);
    assert!(taken.contains("name"), "{taken}");
    let wrong = json!({ "name": 5, "provider_configs": [{ "weight": "heavy" }], "budgets": [{ "max_limit": 1 }], "colour": "red" });
    let reply = world.client.post("virtual-keys", &wrong).await;
    let text = reply.error(400);
    let details = reply.json()["error"]["details"].clone();
    let fields: Vec<_> =
        details.as_array().unwrap().iter().map(|it| it["field"].as_str().unwrap().to_owned()).collect();
    for field in
        ["name", "provider_configs[0].weight", "provider_configs[0].provider", "budgets[0].reset_duration", "colour"]
    {
        assert!(text.contains(field) && fields.iter().any(|it| it == field), "{field} in {fields:?}: {text}");
    }
    let nobody = json!({ "name": "other", "team_id": "nobody" });
    assert!(world.client.post("virtual-keys", &nobody).await.error(400).contains("team_id"));
    let refused =
        json!({ "name": "other", "provider_configs": [{ "provider": "openai", "blacklisted_models": ["a", "a"] }] });
    let text = world.client.post("virtual-keys", &refused).await.error(400);
    assert!(text.starts_with("provider_configs[0].blacklisted_models"), "in the names of this API: {text}");
    world.end().await;
}

#[tokio::test]
async fn get_virtual_key() {
    let world = World::new().await;
    let team = world.client.made("teams", "team", json!({ "name": "research" })).await;
    let made = world.client.made("virtual-keys", "virtual_key", json!({ "name": "ci", "team_id": team["id"] })).await;
    for query in ["", "?from_memory=true"] {
        let got = world.client.get(&format!("virtual-keys/{}{query}", id(&made))).await.of(200)["virtual_key"].clone();
        assert_eq!((&got["id"], &got["team"]["name"]), (&made["id"], &json!("research")));
        assert_ne!(got["value"], made["value"], "it is shown once");
        assert_eq!(got.get("customer_id"), None);
        assert_eq!(got["expires_at"], Json::Null);
    }
    assert!(world.client.get("virtual-keys/nobody").await.error(404).contains("nobody"));
    world.client.get("virtual-keys/nobody?from_memory=perhaps").await.error(400);
    world.end().await;
}

#[tokio::test]
async fn list_virtual_keys() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.client.made("virtual-keys", "virtual_key", json!({ "name": name, "is_active": name != "b" })).await;
    }
    let names = |list: &Json| {
        let rows = list["virtual_keys"].as_array().unwrap();
        rows.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().concat()
    };
    for (query, found, numbers) in [
        ("", "abc", [3, 3, 3, 0]),
        ("?from_memory=true", "abc", [3, 3, 3, 0]),
        ("?limit=2", "ab", [2, 3, 2, 0]),
        ("?limit=2&offset=1", "bc", [2, 3, 2, 1]),
        ("?offset=2", "c", [1, 3, 1, 2]),
        ("?limit=0", "abc", [3, 3, 25, 0]),
        ("?limit=5000&offset=10000", "", [0, 3, 1000, 10000]),
        ("?search=B&is_active=false", "b", [1, 1, 1, 0]),
        ("?team_id=", "abc", [3, 3, 3, 0]),
        ("?customer_id=nobody", "", [0, 0, 0, 0]),
    ] {
        let list = world.client.get(&format!("virtual-keys{query}")).await.of(200);
        assert_eq!(names(&list), found, "{query}");
        let given = ["count", "total_count", "limit", "offset"].map(|it| list[it].as_i64().unwrap());
        assert_eq!(given, numbers, "{query}");
    }
    for query in ["limit=-1", "limit=x", "offset=10001", "offset=-1", "is_active=1", "sort_by=name", "limit=1&limit=2"]
    {
        let name = query.split('=').next().unwrap();
        let text = world.client.get(&format!("virtual-keys?{query}")).await.error(400);
        assert!(text.contains(name), "{query}: {text}");
    }
    world.end().await;
}

#[tokio::test]
async fn update_virtual_key() {
    let world = World::new().await;
    let team = world.client.made("teams", "team", json!({ "name": "research" })).await;
    let customer = world.client.made("customers", "customer", json!({ "name": "acme" })).await;
    let mut body = key();
    body["team_id"] = team["id"].clone();
    let made = world.client.made("virtual-keys", "virtual_key", body).await;
    let path = format!("virtual-keys/{}", id(&made));
    let put = |body: Json| world.client.changed(&path, "virtual_key", body);
    // A property that is left out, or null, stays as it is.
    let same = put(json!({ "description": null, "budgets": null, "is_active": null })).await;
    assert_eq!(
        (&same["description"], &same["budgets"], &same["team_id"]),
        (&json!("builds"), &made["budgets"], &team["id"])
    );
    let renamed = put(json!({ "name": "cd", "description": "" })).await;
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("cd"), &json!("")));
    // One owner takes the place of the other, and null is none.
    let moved = put(json!({ "customer_id": customer["id"] })).await;
    assert_eq!((moved.get("team_id"), &moved["customer_id"]), (None, &customer["id"]));
    assert_eq!(put(json!({ "customer_id": null })).await.get("customer_id"), None);
    let back = put(json!({ "team_id": team["id"] })).await;
    assert_eq!(back["team_id"], team["id"]);
    assert_eq!(put(json!({ "team_id": "" })).await.get("team_id"), None);
    // An entry with its id keeps the limits that it does not say, and loses what else it does not say.
    let config = &made["provider_configs"][0];
    let kept = put(json!({ "provider_configs": [{ "id": config["id"], "allowed_models": ["*"] }] })).await;
    let entry = &kept["provider_configs"][0];
    assert_eq!((&entry["id"], &entry["provider"]), (&config["id"], &json!("openai")));
    assert_eq!((&entry["budgets"][0]["id"], &entry["weight"]), (&config["budgets"][0]["id"], &Json::Null));
    assert_eq!(entry["rate_limits"][0]["id"], config["rate_limits"][0]["id"]);
    let less = put(json!({ "provider_configs": [{ "id": config["id"], "budgets": [], "rate_limit": {} }] })).await;
    assert_eq!(
        (&less["provider_configs"][0]["budgets"], &less["provider_configs"][0]["rate_limits"]),
        (&json!([]), &json!([]))
    );
    // Limits: the one stands for the list.
    let one = json!({ "token_max_limit": 7, "token_reset_duration": "1h" });
    let limited = put(json!({ "rate_limit": one, "budget": { "max_limit": 60 } })).await;
    assert_eq!(limited["rate_limits"][0]["id"], made["rate_limits"][0]["id"]);
    assert_eq!(
        (&limited["rate_limit"]["token_max_limit"], limited["rate_limit"].get("request_max_limit")),
        (&json!(7), None)
    );
    assert_eq!((&limited["budget"]["max_limit"], &limited["budget"]["reset_duration"]), (&json!(60.0), &json!("1M")));
    assert_eq!(limited["budget_id"], made["budgets"][0]["id"]);
    let bare = put(json!({ "rate_limit": {}, "budgets": [], "provider_configs": [] })).await;
    assert_eq!(
        (&bare["rate_limits"], &bare["budgets"], &bare["provider_configs"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(bare.get("rate_limit"), None);
    let dated = put(json!({ "expires_at": "2099-01-31T12:00:00+01:00" })).await;
    assert_eq!(dated["expires_at"], json!("2099-01-31T11:00:00Z"));
    assert_eq!(put(json!({ "expires_at": null })).await["expires_at"], Json::Null);
    // A key that was read can be sent back.
    let got = world.client.get(&path).await.of(200)["virtual_key"].clone();
    let again = put(got.clone()).await;
    assert_eq!(again["revision"], got["revision"], "nothing has changed");

    world.client.put("virtual-keys/nobody", &json!({ "name": "x" })).await.error(404);
    world.client.put("virtual-keys/nobody", &json!({ "budget": { "max_limit": 1 } })).await.error(404);
    world.client.put(&path, &json!({ "revision": 1 })).await.error(409);
    assert!(world.client.put(&path, &json!({ "name": "" })).await.error(400).starts_with("name"));
    let both = json!({ "team_id": team["id"], "customer_id": customer["id"] });
    world.client.put(&path, &both).await.error(400);
    let foreign = json!({ "provider_configs": [{ "id": 987654, "provider": "openai" }] });
    assert!(world.client.put(&path, &foreign).await.error(400).contains("provider_configs[0].id"));
    world.client.put(&path, &json!([])).await.error(400);
    world.end().await;
}

#[tokio::test]
async fn delete_virtual_key() {
    let world = World::new().await;
    let made = world.client.made("virtual-keys", "virtual_key", json!({ "name": "ci" })).await;
    let path = format!("virtual-keys/{}", id(&made));
    assert!(world.client.delete(&path).await.of(200)["message"].is_string());
    world.client.delete(&path).await.error(404);
    world.client.get(&path).await.error(404);
    world.end().await;
}

#[tokio::test]
async fn get_virtual_key_quota() {
    let world = World::new().await;
    let made = world.client.made("virtual-keys", "virtual_key", key()).await;
    let value = made["value"].as_str().unwrap();
    let stranger = Client { authorization: None, ..world.client.clone() };
    let bearer = format!("Bearer {value}");
    for (name, secret) in [("x-bf-vk", value), ("authorization", &*bearer), ("x-api-key", value)] {
        let path = "/api/governance/virtual-keys/quota";
        let quota = stranger.raw("GET", path, &[(name, secret)], bytes::Bytes::new()).await.of(200);
        assert_eq!((&quota["virtual_key_name"], &quota["is_active"]), (&json!("ci"), &json!(true)), "{name}");
        assert_eq!(quota["budgets"][0]["max_limit"], json!(50.0));
        assert_eq!(quota["rate_limit"]["request_max_limit"], json!(60));
        assert_eq!(quota["provider_configs"][0]["keys"], Json::Null);
        assert!(quota.get("value").is_none());
    }
    for client in [&stranger, &world.client] {
        let refused = client.get("virtual-keys/quota").await;
        assert!(refused.of(401)["error"].is_string(), "the one error with a text");
    }
    world.end().await;
}
