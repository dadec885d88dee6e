//! Bad input to a node's local service: paths, methods, figures, ids and names.

use serde_json::{Value, json};

use super::admit::{COST, World};
use super::running::{Running, head};
use super::serve::settlement;
use super::*;

/// The id of an admission that is open now.
async fn admitted(node: &Running, request: &Value) -> Value {
    let (status, answer) = node.post("/v1/admit", request).await;
    assert!(status == 200 && answer["admitted"]["admissionId"].is_string(), "{answer}");
    answer["admitted"]["admissionId"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_path_or_method_is_answered_with_the_right_ones() {
    let mut world = World::new().await;
    let node = Running::start(&world, &["--max-staleness", "1ms"]).await;
    for (method, path, allowed, right) in [
        ("GET", "/v1/admit", "POST", "send POST"),
        ("PUT", "/v1/settle", "POST", "send POST"),
        ("DELETE", "/v1/abandon", "POST", "send POST"),
        ("GET", "/v1/touch", "POST", "send POST"),
        ("POST", "/v1/status", "GET,HEAD", "send GET"),
        ("POST", "/healthz", "GET,HEAD", "send GET"),
        ("POST", "/metrics", "GET,HEAD", "send GET"),
    ] {
        let (answered, body) = node.whole(&head(method, path, 2), b"{}").await;
        let answered = answered.to_lowercase();
        assert!(answered.starts_with("http/1.1 405 "), "{answered}");
        let allow = format!("\r\nallow: {}", allowed.to_lowercase());
        assert_eq!(answered.matches(&allow).count(), 1, "{answered}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let message = body["message"].as_str().unwrap();
        assert_eq!(body["code"], json!("unimplemented"));
        assert!(message.contains(method) && message.contains(path) && message.contains(right), "{message}");
    }
    for path in ["/", "/v1", "/v1/none", "/v1/admit/", "/health"] {
        let (status, body) = node.get(path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        let message = body["message"].as_str().unwrap();
        assert_eq!((status, &body["code"]), (404, &json!("not_found")), "{path}");
        for served in ["/v1/admit", "/v1/settle", "/v1/abandon", "/v1/touch", "/v1/status", "/healthz", "/metrics"] {
            assert!(message.contains(served), "{path}: {message}");
        }
    }

    let health = |body: String| serde_json::from_str::<Value>(&body).unwrap();
    let (status, body) = node.get("/healthz").await;
    assert_eq!((status, health(body)), (200, json!({ "admits": true, "reason": "", "state": "NODE_STATE_READY" })));
    let stranger = head("GET", "/healthz", 0).replace("localhost", "evil.example");
    assert_eq!(node.raw(&stranger, b"").await.0, 403);
    // Without its control plane it admits nothing after a millisecond.
    world.rig.stop().await;
    let body = soon(async {
        loop {
            match node.get("/healthz").await {
                (200, _) => tokio::time::sleep(Duration::from_millis(20)).await,
                (status, body) => break (status, health(body)),
            }
        }
    });
    let (status, body) = body.await;
    assert_eq!((status, &body["admits"], &body["state"]), (503, &json!(false), &json!("NODE_STATE_STALE")), "{body}");
    assert!(body["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{body}");
    let status = node.status().await;
    assert!(status["copyAge"].is_string() && status["contactAge"].is_string(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_cannot_be_counted_and_names_that_cannot_be_recorded_are_refused() {
    let world = World::new().await;
    let node = Running::start(&world, &[]).await;
    let id = admitted(&node, &world.asked(COST)).await;
    const LARGEST: i64 = 9_007_199_254_740_991;
    for figure in ["input_tokens", "cache_read_tokens", "cache_creation_tokens", "output_tokens", "cost_nano_usd"] {
        for (value, said) in [
            (json!(-1), "is -1; must be at least 0"),
            (json!((LARGEST + 1).to_string()), "must be at most 9007199254740991"),
            (json!(i64::MAX.to_string()), "must be at most 9007199254740991"),
            (json!("9223372036854775808"), ""),
            (json!(1e30), ""),
            (json!(0.5), ""),
        ] {
            let (status, answer) = node.post("/v1/settle", &json!({ "admission_id": id, figure: value })).await;
            let message = answer["message"].as_str().unwrap();
            assert_eq!((status, &answer["code"]), (400, &json!("invalid_argument")), "{figure} {value}: {answer}");
            assert!(message.contains(said), "{figure} {value}: {message}");
            assert!(said.is_empty() || message.contains(figure), "{figure} {value}: {message}");
        }
    }
    for figure in ["input_tokens", "prompt_bytes", "output_tokens", "cost_nano_usd"] {
        for value in [-1, LARGEST + 1, i64::MAX] {
            let estimate = json!({ figure: value.to_string() });
            let mut request = world.asked(COST);
            request["estimate"] = estimate.clone();
            for (path, body) in
                [("/v1/admit", request), ("/v1/touch", json!({ "admission_id": id, "estimate": estimate }))]
            {
                let (status, answer) = node.post(path, &body).await;
                let message = answer["message"].as_str().unwrap();
                assert_eq!(status, 400, "{path} {figure} {value}: {answer}");
                assert!(message.contains(&format!("estimate.{figure}: is {value}; must be at")), "{message}");
            }
        }
    }
    for field in ["provider", "model", "provider_key_id"] {
        for (name, said) in [("gpt\n4o".to_owned(), "control characters"), ("x".repeat(257), "257 bytes")] {
            let mut body = settlement(&id, 1);
            body[field] = json!(name);
            let (status, answer) = node.post("/v1/settle", &body).await;
            let message = answer["message"].as_str().unwrap();
            assert_eq!(status, 400, "{field}: {answer}");
            assert!(message.starts_with(field) && message.contains(said), "{field}: {message}");
        }
    }
    let mut request = world.asked(COST);
    request["model"] = json!("gpt\u{7}4o");
    let (_, answer) = node.post("/v1/admit", &request).await;
    assert_eq!(answer["refused"]["decision"], json!("DECISION_MODEL_BLOCKED"), "{answer}");

    // Nothing of all that ended the admission, and the first figures that can be are the ones that count.
    assert_eq!(node.status().await["inFlight"], json!("1"));
    let settled = json!({ "inputTokens": "2", "outputTokens": "3", "costNanoUsd": "15000" });
    assert_eq!(node.post("/v1/settle", &settlement(&id, 15_000)).await, (200, settled.clone()));
    let other = json!({ "admission_id": id, "input_tokens": 70, "model": "o3", "cost_nano_usd": 0 });
    assert_eq!(node.post("/v1/settle", &other).await, (200, settled));
    // Even then, what cannot be is no figure.
    assert_eq!(node.post("/v1/settle", &settlement(&id, -1)).await.0, 400);

    let unknown = "0".repeat(31) + "1";
    for (path, id, expected) in [
        ("settle", unknown.as_str(), 404),
        ("touch", &unknown, 404),
        ("abandon", &unknown, 200),
        ("settle", "", 400),
        ("touch", "0", 400),
        ("abandon", "+0000000000000000000000000000001", 400),
    ] {
        let (status, answer) = node.post(&format!("/v1/{path}"), &json!({ "admission_id": id })).await;
        assert_eq!(status, expected, "{path} {id}: {answer}");
        assert!(status != 400 || answer["message"].as_str().unwrap().contains("32 hexadecimal"), "{path}: {answer}");
    }
    world.until_counted(15_000).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn white_space_around_names_is_no_part_of_them() {
    let world = World::new().await;
    let node = Running::start(&world, &[]).await;
    let request = json!({
        "virtual_key_id": format!(" {}\n", world.key.id),
        "provider": "\topenai ",
        "model": " gpt-4o\n",
        "request_type": " chat_completion ",
        "fallbacks": [" openai / o3 "],
        "estimate": { "cost_nano_usd": COST },
    });
    let (_, answer) = node.post("/v1/admit", &request).await;
    let admission = &answer["admitted"];
    assert_eq!((&admission["provider"], &admission["model"]), (&json!("openai"), &json!("gpt-4o")), "{answer}");
    assert_eq!(admission["fallbacks"], json!(["openai/o3"]), "{answer}");
    let mut used = settlement(&admission["admissionId"], 12_000);
    used["provider"] = json!(" openai ");
    used["model"] = json!("\tgpt-4o\n");
    used["provider_key_id"] = json!("  ");
    assert_eq!(node.post("/v1/settle", &used).await.0, 200);
    // It is the target that it was admitted for.
    assert_eq!(node.status().await["requests"], json!({ "admitted": "1", "settled": "1" }));
    world.until_counted(12_000).await;
    world.end().await;
}
