//! Routing rules, model configs, the governance of providers, and pricing overrides.

use serde_json::{Value as Json, json};

use super::client::{World, id};

fn rule() -> Json {
    json!({
        "name": "gold",
        "cel_expression": "model.startsWith(\"gpt-\")",
        "scope": "global",
        "priority": 10,
        "targets": [{ "provider": "openai", "weight": 1 }],
        "query": { "combinator": "and" },
    })
}

#[tokio::test]
async fn create_and_get_routing_rule() {
    let world = World::new().await;
    let made = world.client.made("routing-rules", "rule", rule()).await;
    assert_eq!((&made["enabled"], &made["scope"], &made["scope_id"]), (&json!(true), &json!("global"), &Json::Null));
    let target = json!({ "provider": "openai", "model": null, "key_id": null, "weight": 1.0 });
    assert_eq!((&made["targets"][0], &made["query"]), (&target, &json!({ "combinator": "and" })));
    let path = format!("routing-rules/{}", id(&made));
    assert_eq!(world.client.get(&path).await.of(200)["rule"], made);
    world.client.get("routing-rules/nobody").await.error(404);

    for (property, wrong) in [
        ("cel_expression", json!("model.")),
        ("scope", json!("user")),
        ("scope", Json::Null),
        ("targets", json!([])),
        ("targets", json!([{ "weight": 0.5 }])),
        ("targets", json!([{}])),
        ("priority", json!(1.5)),
        ("fallbacks", json!("openai/gpt-4o")),
        ("scope_id", json!("x")),
    ] {
        let mut body = rule();
        body[property] = wrong.clone();
        let text = world.client.post("routing-rules", &body).await.error(400);
        assert!(text.contains(property), "{property} of {wrong}: {text}");
    }
    world.client.post("routing-rules", &rule()).await.error(409);
    world.end().await;
}

#[tokio::test]
async fn list_update_and_delete_routing_rules() {
    let world = World::new().await;
    let team = world.client.made("teams", "team", json!({ "name": "t" })).await;
    let mut scoped = rule();
    (scoped["scope"], scoped["scope_id"], scoped["priority"]) = (json!("team"), team["id"].clone(), json!(1));
    let scoped = world.client.made("routing-rules", "rule", scoped).await;
    let made = world.client.made("routing-rules", "rule", rule()).await;
    let ids = |list: &Json| list["rules"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&world.client.get("routing-rules").await.of(200)), [scoped["id"].clone(), made["id"].clone()]);
    let path = format!("routing-rules/{}", id(&made));
    let off = world.client.changed(&path, "rule", json!({ "enabled": false, "fallbacks": ["groq/"] })).await;
    assert_eq!((&off["enabled"], &off["fallbacks"], &off["priority"]), (&json!(false), &json!(["groq/"]), &json!(10)));
    let list = world.client.get("routing-rules?scope=global").await.of(200);
    assert_eq!((ids(&list), &list["count"]), (vec![made["id"].clone()], &json!(1)));
    let list = world.client.get(&format!("routing-rules?scope=team&scope_id={}", id(&team))).await.of(200);
    assert_eq!(ids(&list), [scoped["id"].clone()]);
    assert_eq!(ids(&world.client.get("routing-rules?enabled=false").await.of(200)), [made["id"].clone()]);
    world.client.get("routing-rules?scope=user").await.error(400);
    world.client.put(&path, &json!({ "targets": [] })).await.error(400);
    world.client.put("routing-rules/nobody", &json!({ "priority": 3 })).await.error(404);
    world.client.delete(&path).await.of(200);
    world.client.delete(&path).await.error(404);
    world.end().await;
}

#[tokio::test]
async fn model_configs() {
    let world = World::new().await;
    let body = json!({ "model_name": "*", "budgets": [{ "max_limit": 1, "reset_duration": "1d" }] });
    let made = world.client.made("model-configs", "model_config", body.clone()).await;
    assert_eq!((&made["scope"], &made["scope_id"], made.get("provider")), (&json!("global"), &Json::Null, None));
    assert_eq!(made["budget"]["model_config_id"], made["id"]);
    world.client.post("model-configs", &body).await.error(409);
    world.client.post("model-configs", &json!({ "scope": "user" })).await.error(400);
    assert!(world.client.post("model-configs", &json!({})).await.error(400).contains("model_name"));
    let key = world.client.made("virtual-keys", "virtual_key", json!({ "name": "k" })).await;
    let of_key = json!({ "model_name": "gpt-4o", "provider": "openai", "scope": "virtual_key", "scope_id": key["id"] });
    let of_key = world.client.made("model-configs", "model_config", of_key).await;
    assert_eq!((&of_key["scope_name"], &of_key["provider"]), (&json!("k"), &json!("openai")));
    let path = format!("model-configs/{}", id(&of_key));
    assert_eq!(world.client.get(&path).await.of(200)["model_config"], of_key);
    let list = world.client.get("model-configs").await.of(200);
    assert_eq!((list["model_configs"].as_array().unwrap().len(), &list["total_count"]), (2, &json!(2)));
    let list = world.client.get("model-configs?scope=virtual_key").await.of(200);
    assert_eq!((&list["model_configs"][0]["id"], &list["total_count"]), (&of_key["id"], &json!(1)));
    let changed =
        json!({ "model_name": "gpt-4*", "scope": "virtual_key", "scope_id": key["id"], "calendar_aligned": true });
    assert_eq!(world.client.changed(&path, "model_config", changed).await["model_name"], json!("gpt-4*"));
    assert!(world.client.put(&path, &json!({ "scope": "global" })).await.error(400).contains("scope"));
    for path in ["model-configs/nobody", "model-configs/%00"] {
        world.client.get(path).await.error(404);
        world.client.put(path, &json!({ "model_name": "x" })).await.error(404);
        world.client.delete(path).await.error(404);
    }
    world.client.delete(&path).await.of(200);
    world.end().await;
}

#[tokio::test]
async fn provider_governance() {
    let world = World::new().await;
    let none = world.client.get("providers").await.of(200);
    assert_eq!((&none["providers"], &none["count"]), (&json!([]), &json!(0)));
    let set = world
        .client
        .put("providers/openai", &json!({ "budget": { "max_limit": 9, "reset_duration": "1w" } }))
        .await
        .of(200);
    assert_eq!((&set["provider"], &set["budget"]["max_limit"]), (&json!("openai"), &json!(9.0)));
    assert!(set["message"].is_string());
    let more =
        json!({ "budget": { "max_limit": 10 }, "rate_limit": { "token_max_limit": 5, "token_reset_duration": "1d" } });
    let set = world.client.put("providers/openai", &more).await.of(200);
    assert_eq!((&set["budget"]["reset_duration"], &set["rate_limit"]["provider"]), (&json!("1w"), &json!("openai")));
    let list = world.client.get("providers").await.of(200);
    assert_eq!((&list["providers"][0]["provider"], &list["count"]), (&json!("openai"), &json!(1)));
    assert!(world.client.put("providers/openai", &json!({ "provider": "groq" })).await.error(400).contains("provider"));
    world.client.put("providers/openai", &json!({ "budgets": [{ "max_limit": "1" }] })).await.error(400);
    let limit = json!({ "budgets": [{ "max_limit": 1, "reset_duration": "1d" }] });
    world.client.put("providers/nobody", &limit).await.error(404);
    let cleared = world.client.put("providers/openai", &json!({ "budgets": [], "rate_limit": {} })).await.of(200);
    assert_eq!((&cleared["provider"], &cleared["budgets"]), (&json!("openai"), &json!([])));
    world.client.put("providers/openai", &more).await.error(400);
    world.client.delete("providers/openai").await.of(200);
    world.client.delete("providers/nobody").await.error(404);
    world.end().await;
}

fn override_of(name: &str) -> Json {
    json!({
        "name": name,
        "scope_kind": "provider",
        "provider_id": "openai",
        "match_type": "wildcard",
        "pattern": "gpt-4o*",
        "request_types": ["chat_completion", "responses"],
        "patch": { "input_cost_per_token": 0.0000025, "output_cost_per_token": 0 },
    })
}

#[tokio::test]
async fn pricing_overrides() {
    let world = World::new().await;
    let made = world.client.made("pricing-overrides", "pricing_override", override_of("a")).await;
    assert_eq!((&made["scope_kind"], &made["virtual_key_id"]), (&json!("provider"), &Json::Null));
    assert_eq!(made["patch"], json!({ "input_cost_per_token": 0.0000025, "output_cost_per_token": 0.0 }));
    let text: Json = serde_json::from_str(made["pricing_patch"].as_str().unwrap()).unwrap();
    assert_eq!(text, made["patch"]);
    for (property, wrong) in [
        ("provider_id", Json::Null),
        ("virtual_key_id", json!("x")),
        ("request_types", json!([])),
        ("request_types", json!(["talk"])),
        ("match_type", json!("regex")),
        ("pattern", json!("a*b")),
        ("patch", json!({ "input_cost_per_token": -1 })),
        ("patch", json!({ "price": 1 })),
    ] {
        let mut body = override_of("b");
        body[property] = wrong;
        assert!(world.client.post("pricing-overrides", &body).await.error(400).contains(property), "{property}");
    }
    let list = world.client.get("pricing-overrides?scope_kind=provider&provider_id=openai").await.of(200);
    assert_eq!((&list["pricing_overrides"][0]["id"], &list["count"]), (&made["id"], &json!(1)));
    assert_eq!(world.client.get("pricing-overrides?provider_key_id=x").await.of(200)["pricing_overrides"], json!([]));
    world.client.get("pricing-overrides?scope_kind=user").await.error(400);
    let path = format!("pricing-overrides/{}", id(&made));
    let changed = json!({ "scope_kind": "global", "provider_id": null, "patch": { "input_cost_per_token": 1 } });
    let changed = world.client.changed(&path, "pricing_override", changed).await;
    assert_eq!((&changed["provider_id"], &changed["name"]), (&Json::Null, &json!("a")));
    assert_eq!(changed["patch"], json!({ "input_cost_per_token": 1.0 }));
    world.client.put(&path, &json!({ "request_types": [] })).await.error(400);
    world.client.put("pricing-overrides/nobody", &json!({ "name": "x" })).await.error(404);
    world.client.delete(&path).await.of(200);
    world.client.delete(&path).await.error(404);
    world.end().await;
}
