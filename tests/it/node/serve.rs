//! `tollgate node` as a process, asked as gateways and people ask it.

use serde_json::{Value, json};
use tollgate_node::proto::node::v1 as local;
use tollgate_node::proto::node::v1::gate_service_client::GateServiceClient;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::admit::{COST, World};
use super::running::{Running, head, node_command};
use super::*;

impl World {
    /// The request of the world, as JSON, for so many nano-dollars.
    pub(super) fn asked(&self, cost: i64) -> Value {
        let estimate = json!({ "input_tokens": 2, "output_tokens": 3, "cost_nano_usd": cost.to_string() });
        json!({ "virtual_key_value": self.key.value, "model": "gpt-4o", "estimate": estimate })
    }

    pub(super) async fn end(mut self) {
        self.rig.stop().await;
    }
}

pub(super) fn settlement(id: &Value, cost: i64) -> Value {
    json!({ "admission_id": id, "input_tokens": 2, "output_tokens": 3, "cost_nano_usd": cost })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_speaks_json_admits_and_settles() {
    let world = World::new().await;
    let node = Running::start(&world, &[]).await;
    let (status, answer) = node.post("/v1/admit", &world.asked(COST)).await;
    let admitted = &answer["admitted"];
    assert_eq!(
        (status, &admitted["provider"], &admitted["model"]),
        (200, &json!("openai"), &json!("gpt-4o")),
        "{answer}"
    );
    let id = admitted["admissionId"].clone();
    assert_eq!(id.as_str().unwrap().len(), 32);
    assert_eq!(node.status().await["inFlight"], json!("1"));
    assert_eq!(node.post("/v1/touch", &json!({ "admission_id": id })).await.0, 200);
    let settled = json!({ "inputTokens": "2", "outputTokens": "3", "costNanoUsd": "15000" });
    assert_eq!(node.post("/v1/settle", &settlement(&id, 15_000)).await, (200, settled.clone()));
    // Sent again by a gateway that did not see the answer.
    assert_eq!(node.post("/v1/settle", &settlement(&id, 99_000)).await, (200, settled));
    assert_eq!(node.post("/v1/touch", &json!({ "admission_id": id })).await.0, 404);
    assert_eq!(node.post("/v1/abandon", &json!({ "admission_id": id })).await, (200, json!({})));

    let (_, answer) = node.post("/v1/admit", &world.asked(COST)).await;
    let id = answer["admitted"]["admissionId"].clone();
    assert_eq!(node.post("/v1/abandon", &json!({ "admission_id": id })).await, (200, json!({ "wasOpen": true })));
    let (status, answer) = node.post("/v1/settle", &settlement(&id, 1)).await;
    assert_eq!((status, &answer["code"]), (400, &json!("failed_precondition")), "{answer}");

    // To decide only holds nothing, and there is nothing to end.
    let mut only = world.asked(2_000_001);
    only["validate_only"] = json!(true);
    let (status, answer) = node.post("/v1/admit", &only).await;
    let refused = &answer["refused"];
    assert_eq!((status, &refused["decision"]), (200, &json!("DECISION_BUDGET_EXCEEDED")), "{answer}");
    assert_eq!((&refused["httpStatus"], &refused["limit"]["max"]), (&json!(402), &json!("2000000")), "{answer}");
    let (_, answer) = node.post("/v1/admit", &json!({ "virtual_key_value": "sk-none", "model": "gpt-4o" })).await;
    assert_eq!(answer["refused"]["decision"], json!("DECISION_UNKNOWN_KEY"), "{answer}");
    assert!(!answer.to_string().contains("sk-none"));
    world.until_counted(15_000).await;
    let status = node.status().await;
    let requests = json!({ "admitted": "2", "refused": "1", "settled": "1", "abandoned": "1" });
    assert_eq!(
        (&status["state"], &status["admits"], &status["requests"]),
        (&json!("NODE_STATE_READY"), &json!(true), &requests),
        "{status}"
    );
    assert_eq!(node.terminate().await, Some(0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_speaks_grpc_admits_and_settles() {
    let mut world = World::new().await;
    let node = Running::start(&world, &[]).await;
    let channel = node.channel().await;
    let mut gate = GateServiceClient::new(channel.clone());
    let request = || local::AdmitRequest {
        credential: Some(local::admit_request::Credential::VirtualKeyId(world.key.id.clone())),
        model: "gpt-4o".to_owned(),
        estimate: Some(local::Estimate { cost_nano_usd: Some(COST), ..Default::default() }),
        ..Default::default()
    };
    let admitted = |answer: local::AdmitResponse| match answer.outcome {
        Some(local::admit_response::Outcome::Admitted(admission)) => admission,
        other => panic!("{other:?}"),
    };
    let admission = admitted(gate.admit(request()).await.unwrap().into_inner());
    // Another attempt is asked for first, and may be refused.
    let touch = |provider: &str, model: &str| local::TouchRequest {
        admission_id: admission.admission_id.clone(),
        provider: provider.to_owned(),
        model: model.to_owned(),
        ..Default::default()
    };
    let touched = gate.touch(touch("", "o3")).await.unwrap().into_inner();
    let moved = touched.outcome.unwrap();
    let local::touch_response::Outcome::Admitted(moved) = moved else { panic!("{moved:?}") };
    assert_eq!((&moved.admission_id, moved.model.as_str()), (&admission.admission_id, "o3"));
    assert!(touched.expire_time.is_some() && touched.expire_time == moved.expire_time);
    let touched = gate.touch(touch("groq", "")).await.unwrap().into_inner();
    let refused = touched.outcome.unwrap();
    let local::touch_response::Outcome::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!((refused.decision(), refused.http_status), (v1::Decision::ProviderBlocked, 403));
    assert_eq!(touched.expire_time, None);
    let touched = gate.touch(touch("", "")).await.unwrap().into_inner();
    assert!(touched.outcome.is_none() && touched.expire_time.is_some());
    let negative = Some(local::Estimate { cost_nano_usd: Some(-1), ..Default::default() });
    let wrong = gate.touch(local::TouchRequest { estimate: negative, ..touch("groq", "") }).await.unwrap_err();
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
    let used =
        local::SettleRequest { admission_id: admission.admission_id, cost_nano_usd: Some(7), ..Default::default() };
    assert_eq!(gate.settle(used).await.unwrap().into_inner().cost_nano_usd, 7);
    let unknown = local::SettleRequest { admission_id: "0".repeat(32), ..Default::default() };
    assert_eq!(gate.settle(unknown).await.unwrap_err().code(), tonic::Code::NotFound);

    // All in one stream, without waiting between them: each message has its answer.
    let call = |sequence, call| local::GateRequest { sequence, call: Some(call) };
    let (calls, to_send) = tokio::sync::mpsc::channel(64);
    let stream = tokio_stream::wrappers::ReceiverStream::new(to_send);
    for sequence in 1..=20 {
        calls.send(call(sequence, local::gate_request::Call::Admit(request()))).await.unwrap();
    }
    calls.send(local::GateRequest { sequence: 21, call: None }).await.unwrap();
    let mut answers = gate.gate(stream).await.unwrap().into_inner();
    let (mut seen, mut open) = (BTreeSet::new(), Vec::new());
    while seen.len() < 21 {
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert!(seen.insert(answer.sequence), "{} twice", answer.sequence);
        match answer.answer.unwrap() {
            local::gate_response::Answer::Admit(answer) => open.push(admitted(answer).admission_id),
            local::gate_response::Answer::Error(error) => assert_eq!((answer.sequence, error.code), (21, 3)),
            other => panic!("{other:?}"),
        }
    }
    for (sequence, admission_id) in (100..).zip(open) {
        let used = local::SettleRequest { admission_id, cost_nano_usd: Some(COST), ..Default::default() };
        calls.send(call(sequence, local::gate_request::Call::Settle(used))).await.unwrap();
    }
    drop(calls);
    let mut settled = 0;
    while let Some(answer) = soon(answers.message()).await.unwrap() {
        assert!(matches!(answer.answer, Some(local::gate_response::Answer::Settle(_))), "{answer:?}");
        settled += 1;
    }
    assert_eq!(settled, 20);
    world.until_counted(20 * COST + 7).await;

    // Probes: of requests, and of the way to the control plane.
    let mut health = HealthClient::new(channel);
    let gates = "tollgate.node.v1.GateService";
    for name in ["", gates, "tollgate.node.v1.control_plane"] {
        assert_eq!(health_of(&mut health, name).await, ServingStatus::Serving, "{name}");
    }
    world.rig.stop().await;
    let lost = async {
        while health_of(&mut health, "tollgate.node.v1.control_plane").await != ServingStatus::NotServing {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(lost).await;
    assert_eq!(health_of(&mut health, gates).await, ServingStatus::Serving);
    gate.admit(request()).await.unwrap();
    assert_eq!(node.status().await["state"], json!("NODE_STATE_STALE"));
}

async fn health_of(health: &mut HealthClient<Channel>, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    health.check(request).await.unwrap().into_inner().status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_call_is_said() {
    let world = World::new().await;
    let node = Running::start(&world, &[]).await;
    let zeros = "0".repeat(32);
    for (path, body, status, code, said) in [
        ("admit", json!({ "virtual_key_value": "sk", "modle": "gpt-4o" }), 400, "invalid_argument", "modle"),
        ("admit", json!({ "virtual_key_value": "sk" }), 400, "invalid_argument", "model: is missing"),
        (
            "admit",
            json!({ "model": "m", "estimate": { "output_tokens": -1 } }),
            400,
            "invalid_argument",
            "estimate.output_tokens",
        ),
        (
            "admit",
            json!({ "model": "m", "virtual_key_sha256": "AAAA" }),
            400,
            "invalid_argument",
            "virtual_key_sha256: has 3 bytes",
        ),
        ("admit", json!({ "model": "m", "fallbacks": ["m"] }), 400, "invalid_argument", "fallbacks[0]"),
        ("admit", json!([]), 400, "invalid_argument", ""),
        ("settle", json!({ "admission_id": "mine" }), 400, "invalid_argument", "admission_id"),
        ("settle", json!({ "admission_id": zeros }), 404, "not_found", ""),
        ("touch", json!({ "admission_id": zeros }), 404, "not_found", "no open admission"),
    ] {
        let (got, answer) = node.post(&format!("/v1/{path}"), &body).await;
        assert_eq!((got, answer["code"].as_str().unwrap()), (status, code), "{path} {body}: {answer}");
        assert!(answer["message"].as_str().unwrap().contains(said), "{path} {body}: {answer}");
    }
    let (_, answer) = node.post("/v1/admit", &world.asked(COST)).await;
    let id = &answer["admitted"]["admissionId"];
    let (status, answer) = node.post("/v1/settle", &settlement(id, -1)).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("cost_nano_usd"), "{answer}");

    let body = world.asked(COST).to_string();
    for (head, body, status) in [
        // What pages of a browser can send without being allowed to, or by a name of their own for this machine.
        (head("POST", "/v1/admit", body.len()).replace("application/json", "text/plain"), body.as_bytes(), 400),
        (head("POST", "/v1/admit", body.len()).replace("localhost", "evil.example"), body.as_bytes(), 403),
        (head("GET", "/v1/status", 0).replace("localhost", "evil.example"), b"", 403),
        (
            head("POST", "/tollgate.node.v1.GateService/Admit", 5).replace("application/json", "text/plain"),
            b"\0\0\0\0\0",
            400,
        ),
        (head("GET", "/metrics", 0).replace("localhost", "evil.example"), b"", 403),
        (head("GET", "/v1/admit", 0), b"", 405),
        (head("POST", "/v1/none", 2), b"{}", 404),
        (head("POST", "/v1/admit", 1), b"{", 400),
        (head("POST", "/v1/admit", 2), b"\xff\xff", 400),
        // It is not read.
        (head("POST", "/v1/admit", 100_000_000), b"", 413),
        (head("POST", "/v1/admit", 0).replace("content-length: 0", "transfer-encoding: chunked"), &chunk(1 << 21), 413),
    ] {
        let (got, answer) = node.raw(&head, body).await;
        assert_eq!(got, status, "{head}: {answer}");
    }
    // The node goes on, and nothing was held but what was admitted.
    assert_eq!(node.status().await["inFlight"], json!("1"));
    world.end().await;
}

/// A body of one chunk, of so many bytes.
fn chunk(length: usize) -> Vec<u8> {
    let mut body = format!("{length:x}\r\n").into_bytes();
    body.resize(body.len() + length, b' ');
    body.extend(b"\r\n0\r\n\r\n");
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_loses_nothing_that_it_answered() {
    let world = World::new().await;
    let directory = tempfile::TempDir::new().unwrap();
    let socket = directory.path().join("node.sock");
    let place = format!("unix://{}", socket.display());
    let mut node = Running::start(&world, &["--listen", &place]).await;
    assert_eq!(node.place, place);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let (_, answer) = node.post("/v1/admit", &world.asked(COST)).await;
        ids.push(answer["admitted"]["admissionId"].clone());
    }
    for id in &ids[..3] {
        assert_eq!(node.post("/v1/settle", &settlement(id, 1_000)).await.0, 200);
    }
    let elsewhere = directory.path().join("another");
    let (code, log) = Running::launch(&world, &elsewhere, &["--listen", &place]).await.map(|_| ()).unwrap_err();
    assert!(code == 1 && log.contains("another process listens at"), "{code}: {log}");
    let data = node.data.clone();
    let (code, log) = Running::launch(&world, &data, &[]).await.map(|_| ()).unwrap_err();
    assert!(code == 1 || code == 2, "{code}: {log}");

    node.kill();
    assert!(socket.exists());
    let node = Running::start(&world, &["--listen", &place]).await;
    // What was settled, and what was in flight at its estimate.
    world.until_counted(3 * 1_000 + 2 * COST).await;
    let again = json!({ "inputTokens": "2", "outputTokens": "3", "costNanoUsd": "1000" });
    assert_eq!(node.post("/v1/settle", &settlement(&ids[0], 5)).await, (200, again));
    let (_, answer) = node.post("/v1/settle", &settlement(&ids[4], COST + 5)).await;
    assert_eq!(answer["costNanoUsd"], json!((COST + 5).to_string()));
    world.until_counted(3 * 1_000 + 2 * COST + 5).await;
    assert_eq!(node.terminate().await, Some(0));
    assert!(!socket.exists());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_why_it_does_not_start() {
    let world = World::new().await;
    let directory = tempfile::TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let in_the_way = format!("unix://{}", file.display());
    let nowhere = format!("unix://{}/none/node.sock", directory.path().display());
    let not_a_directory = file.display().to_string();
    for (arguments, code, said) in [
        (&["--listen", "0.0.0.0:0"][..], 2, "other machines may reach"),
        (&["--listen", "here"], 2, "127.0.0.1:50052 or unix:///run/tollgate/node.sock"),
        (&["--listen", &in_the_way], 2, "is no socket"),
        (&["--listen", &nowhere], 1, "cannot listen at"),
        (&["--data-dir", &not_a_directory], 1, "file"),
        (&["--server", "http://127.0.0.1:1", "--start-timeout", "100ms"], 1, "127.0.0.1:1"),
        (&["--start-timeout", "soon"], 2, "--start-timeout"),
    ] {
        let mut command =
            node_command(&["--server", &format!("http://{}", world.rig.address()), "--node-id", "gateway"]);
        let given = |name| arguments.contains(&name);
        if !given("--data-dir") {
            command.arg("--data-dir").arg(directory.path().join("outbox"));
        }
        if !given("--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if given("--server") {
            command = node_command(&["--data-dir", &directory.path().join("outbox").display().to_string()]);
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {log}");
        assert!(log.contains(said), "{arguments:?}: {log}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_ask_a_node_from_the_command_line() {
    let world = World::new().await;
    let node = Running::start(&world, &[]).await;
    let unlimited = v1::VirtualKeyProviderConfig { budgets: Vec::new(), ..config("openai", None, &["*"]) };
    let unlimited =
        v1::VirtualKey { name: "other".to_owned(), provider_configs: vec![unlimited], ..Default::default() };
    let key = &made::<v1::VirtualKey>(&world.api, unlimited).await.value;
    soon(async { while node.ask(&["check", key, "openai/gpt-4o"]).await.status.code() != Some(0) {} }).await;
    let output = node.ask(&["check", key, "openai/gpt-4o", "--input-tokens", "2"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.starts_with("ALLOW: goes to openai/gpt-4o\n"), "{text}");
    let output = node.ask(&["check", key, "groq/gpt-4o"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(3) && text.starts_with("PROVIDER_BLOCKED: "), "{text}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let output = node.ask(&["check", key, "groq/gpt-4o", "--json"]).await;
    let refused: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &refused["refused"]["httpStatus"]), (Some(3), &json!(403)), "{refused}");
    let output = node.ask(&["status"]).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.starts_with("READY\n") && text.contains("node gateway"), "{text}");
    assert!(text.contains("copy confirmed ") && text.contains("control plane heard "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let output = node.ask(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["nodeId"], json!("gateway"));

    // Monitoring reads what docs/metrics.md says, by the same address.
    let (status, text) = node.get("/metrics").await;
    assert_eq!((status, text.ends_with("# EOF\n")), (200, true), "{text}");
    let read: BTreeSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(crate::metrics::queried).collect();
    assert_eq!(read, crate::metrics::documented(crate::metrics::Of::Node));

    let place = node.place.clone();
    assert_eq!(node.terminate().await, Some(0));
    let mut command = node_command(&["status", "--node", &place]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("start one with `tollgate node`"), "{text}");
    world.end().await;
}
