//! A node that governs what passes through a real Envoy, with the files of `deploy/envoy`, to a provider that only pretends.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::admit::World;
use super::running::Running;
use super::*;
use front::{Answer, Change, Front, envoy};
use provider::{EVENTS, HOW, Provider, Seen, TOKENS, events};

mod front;
mod laws;
mod provider;

/// Nano-dollars of an LLM token of a prompt, and of an answer.
const PRICES: (i64, i64) = (1_000, 2_000);
/// Nano-dollars of each whole answer, and of each embedding.
const WHOLE: i64 = TOKENS.0 * PRICES.0 + TOKENS.1 * PRICES.1;
const EMBEDDED: i64 = TOKENS.0 * PRICES.0;

/// All that takes part.
struct Stage {
    world: World,
    node: Running,
    socket: PathBuf,
    front: Front,
    provider: Provider,
}

impl Stage {
    /// `None` if there is no Envoy.
    async fn new() -> Option<Self> {
        Self::with(&|_, text| text).await
    }

    /// With changes of Envoy's files.
    async fn with(change: Change<'_>) -> Option<Self> {
        let program = envoy()?;
        let world = World::new().await;
        let key = made::<v1::VirtualKey>(&world.api, key("caller", Vec::new(), vec![budget(1.0)])).await;
        let world = World { key, ..world };
        for (provider, model) in [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5")] {
            let rates = v1::PricingPatch {
                input_cost_per_token: Some(PRICES.0 as f64 / 1e9),
                output_cost_per_token: Some(PRICES.1 as f64 / 1e9),
                cache_read_input_token_cost: Some(PRICES.0 as f64 / 1e9),
                ..Default::default()
            };
            let (provider, model) = (provider.to_owned(), model.to_owned());
            made::<v1::ModelPrice>(
                &world.api,
                v1::ModelPrice { provider, model, rates: Some(rates), ..Default::default() },
            )
            .await;
        }
        let socket = world.directory.path().join("node.sock");
        let node = Self::node(&world, &socket).await;
        let provider = Provider::start().await;
        let pretenders = include_str!("../../../deploy/envoy/demo/providers.yaml");
        let pretenders = pretenders.replace("PORT", &provider.address.port().to_string());
        let change = |file: &str, text| change(file, if file == "providers.yaml" { pretenders.clone() } else { text });
        let front = Front::start(&program, &world.directory.path().join("envoy"), &socket, &change).await;
        Some(Self { world, node, socket, front, provider })
    }

    async fn node(world: &World, socket: &std::path::Path) -> Running {
        Running::start(world, &["--envoy", "--listen", &format!("unix://{}", socket.display())]).await
    }

    /// Sends a request with the key of the caller, which is to be answered in some way.
    async fn send(&self, path: &str, how: &str, body: &Value) -> Answer {
        let bearer = self.bearer();
        self.front.send(path, &[("authorization", &bearer), (HOW, how)], body.to_string().into()).await
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.world.key.value)
    }

    /// Waits until no admission is open and all that ended are counted, and checks that each ended once. The counts, by where their
    /// usage came from: reported, estimated, none.
    async fn settled(&self) -> [i64; 3] {
        soon(async {
            loop {
                let status = self.node.status().await;
                let count = |name: &str| status["requests"][name].as_str().map_or(0, |it| it.parse::<i64>().unwrap());
                let ended = count("settled") + count("abandoned");
                let metered = self.metered().await;
                if status["inFlight"].is_null() && metered.iter().sum::<i64>() >= ended {
                    assert_eq!((count("admitted"), metered.iter().sum()), (ended, ended), "{status}");
                    return metered;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
    }

    async fn metered(&self) -> [i64; 3] {
        let (_, metrics) = self.node.get("/metrics").await;
        ["reported", "estimated", "none"].map(|usage| {
            let name = format!("tollgate_node_metered_total{{usage=\"{usage}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
        })
    }

    async fn end(mut self) {
        assert_eq!(self.node.terminate().await, Some(0));
        self.world.rig.stop().await;
    }
}

fn key(name: &str, rate_limits: Vec<v1::RateLimit>, budgets: Vec<v1::Budget>) -> v1::VirtualKey {
    let config = |provider: &str, models: &str| v1::VirtualKeyProviderConfig {
        budgets: Vec::new(),
        ..config(provider, Some(1.0), &[models])
    };
    v1::VirtualKey {
        name: name.to_owned(),
        provider_configs: vec![config("openai", "gpt-*"), config("anthropic", "claude-*")],
        budgets,
        rate_limits,
        ..Default::default()
    }
}

fn chat(stream: bool) -> Value {
    let messages = json!([{ "role": "user", "content": "How do you do?" }]);
    json!({ "model": "gpt-4o", "messages": messages, "max_tokens": 50, "stream": stream })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_answer_is_passed_on_whole_and_counted_as_its_provider_says() {
    let Some(stage) = Stage::new().await else { return };
    let image = format!("data:image/png;base64,{}", "A".repeat(8 << 20));
    let with_image = json!([{ "type": "image_url", "image_url": { "url": image } }]);
    let claude = |stream| json!({ "model": "claude-sonnet-4-5", "messages": [], "max_tokens": 50, "stream": stream });
    let response = |stream| json!({ "model": "openai/gpt-4o", "input": "Hello", "stream": stream });
    let mut expected = 0;
    let mut count = 0;
    for (path, how, body, cost) in [
        ("/v1/chat/completions", "whole", chat(false), WHOLE),
        ("/v1/chat/completions", "whole", chat(true), WHOLE),
        ("/v1/chat/completions", "gzip", chat(false), WHOLE),
        (
            "/v1/chat/completions",
            "fail once",
            json!({ "model": "gpt-4o", "messages": ["again"], "max_tokens": 50 }),
            WHOLE,
        ),
        (
            "/v1/chat/completions",
            "whole",
            json!({ "model": "openai/gpt-4o", "max_tokens": 50, "messages": [{ "role": "user", "content": with_image }] }),
            WHOLE,
        ),
        ("/v1/responses", "whole", response(false), WHOLE),
        ("/v1/responses", "whole", response(true), WHOLE),
        ("/v1/embeddings", "whole", json!({ "model": "gpt-4o", "input": ["Hello"] }), EMBEDDED),
        ("/v1/messages", "whole", claude(false), WHOLE),
        ("/v1/messages?beta=true", "whole", claude(true), WHOLE),
    ] {
        let answer = stage.send(path, how, &body).await;
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "", "there is no such limit");
        let (status, answer) = answer.whole().await;
        assert_eq!(status, 200, "{path} {how}: {}", String::from_utf8_lossy(&answer));
        if body["stream"] == true {
            let path = path.split('?').next().unwrap();
            assert_eq!(String::from_utf8(answer).unwrap(), events(path, true).concat(), "{path} {how}");
        } else if how != "gzip" {
            assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["object"], "answer", "{path} {how}");
        }
        (expected, count) = (expected + cost, count + 1);
    }
    assert_eq!(stage.settled().await, [count, 0, 0]);
    stage.world.until_counted(expected).await;

    for Seen { headers, body } in stage.provider.seen() {
        let of = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        let keys = (of("authorization"), of("x-api-key"));
        match body["model"].as_str().unwrap() {
            "gpt-4o" => assert_eq!(keys, (Some("Bearer sk-put-your-key-here"), None)),
            "claude-sonnet-4-5" => assert_eq!(keys, (None, Some("sk-ant-put-your-key-here"))),
            other => panic!("the provider was asked for {other}"),
        }
        assert_eq!((of("accept-encoding"), of("x-tollgate-provider")), (None, None));
        let secret = stage.world.key.value.as_bytes();
        assert!(!headers.values().any(|value| value.as_bytes().windows(secret.len()).any(|it| it == secret)));
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_is_refused_in_the_words_of_its_api_and_reaches_no_provider() {
    let Some(stage) = Stage::new().await else { return };
    let api = &stage.world.api;
    let poor = made::<v1::VirtualKey>(api, key("poor", Vec::new(), vec![budget(0.000_05)])).await.value;
    let limited = made::<v1::VirtualKey>(api, key("limited", rate(1), Vec::new())).await.value;
    let caller = stage.world.key.value.clone();
    // Nobody chooses a provider by a header, either.
    let send = async |path: &str, key: &str, body: &str| {
        let headers = [("x-api-key", key), ("x-tollgate-provider", "anthropic"), ("x-tollgate-provider-key", "mine")];
        stage.front.send(path, if key.is_empty() { &headers[1..] } else { &headers }, body.as_bytes().to_vec()).await
    };
    let body = chat(false).to_string();
    // Until the node knows the keys.
    for key in [&poor, &limited] {
        let known = async { while send("/v1/messages", key, r#"{"model":"o3"}"#).await.whole().await.0 == 401 {} };
        soon(known).await;
    }
    let first = send("/v1/chat/completions", &limited, &body).await;
    assert_eq!(
        (first.header("x-ratelimit-limit-requests"), first.header("x-ratelimit-remaining-requests")),
        ("1", "0")
    );
    assert_eq!(first.whole().await.0, 200);
    let reached = stage.provider.seen();
    assert_eq!(reached.last().unwrap().headers.get("authorization").unwrap(), "Bearer sk-put-your-key-here");
    for (path, key, body, status, error, code) in [
        ("/v1/chat/completions", "", body.as_str(), 401, "authentication_error", "no_virtual_key"),
        ("/v1/chat/completions", "sk-of-nobody", &body, 401, "authentication_error", "unknown_key"),
        ("/v1/chat/completions", &poor, &body, 402, "insufficient_quota", "budget_exceeded"),
        ("/v1/chat/completions", &limited, &body, 429, "rate_limit_error", "request_limited"),
        ("/v1/messages", &limited, &body, 429, "rate_limit_error", "request_limited"),
        ("/v1/chat/completions", &caller, r#"{"model":"o3"}"#, 403, "permission_error", "model_blocked"),
        ("/v1/messages", &caller, r#"{"model":"o3"}"#, 403, "permission_error", "model_blocked"),
        ("/v1/chat/completions", &caller, r#"{"model":"#, 400, "invalid_request_error", "invalid_request"),
        ("/v1/chat/completions", &caller, "", 400, "invalid_request_error", "invalid_request"),
        ("/v1/files", &caller, &body, 404, "invalid_request_error", "unknown_request"),
    ] {
        let answer = send(path, key, body).await;
        let (retry, limit) =
            (answer.header("retry-after").to_owned(), answer.header("x-ratelimit-limit-requests").to_owned());
        assert_eq!(answer.header("content-type"), "application/json");
        let (got, answer) = answer.whole().await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let told = (got, answer["error"]["type"].as_str().unwrap(), answer["error"]["code"].as_str().unwrap());
        assert_eq!(told, (status, error, code), "{path} {body}");
        assert_eq!(answer["type"].as_str(), path.ends_with("messages").then_some("error"), "{path}: {answer}");
        assert_eq!(!retry.is_empty(), status == 429 || status == 402, "{path} {body}: {retry}");
        assert_eq!(limit.as_str(), if status == 429 { "1" } else { "" });
    }
    assert_eq!(stage.provider.seen().len(), reached.len());
    let (_, estimated, none) = <(i64, i64, i64)>::from(stage.settled().await);
    assert_eq!((estimated, none), (0, 0));
    stage.end().await;
}

/// The files as they are, real providers and all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_takes_the_files_that_are_shipped() {
    let Some(program) = envoy() else { return };
    let directory = tempfile::TempDir::new().unwrap();
    let socket = directory.path().join("nobody.sock");
    let front = Front::start(&program, directory.path(), &socket, &|_, text| text).await;
    let stats = front.admin("/stats").await;
    for stat in ["cluster_manager.cds.update_rejected: 0", "listener_manager.lds.update_rejected: 0"] {
        assert!(stats.lines().any(|line| line == stat), "{stats}");
    }
    // Without a node, nothing goes on.
    let answer = front.send("/v1/chat/completions", &[], chat(false).to_string().into()).await;
    assert_eq!(answer.header("retry-after"), "1");
    let (status, body) = answer.whole().await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("node_unavailable")));
}
