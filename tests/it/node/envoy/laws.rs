//! What holds whatever fails: each admission ends once, and no answer is cut.

use futures_util::future::join_all;

use super::*;

/// The filter that decides, between these lines of the file.
const ADMIT: (&str, &str) = ("                # Waits for", "                # Shows the answer");
/// The filter that reads answers.
const METER: (&str, &str) = ("                # Shows the answer", "                - name: envoy.filters.http.router");

/// Puts another filter in the place of one.
fn instead(text: &str, (from, to): (&str, &str), filter: &str) -> String {
    let (before, rest) = text.split_once(from).unwrap();
    let (_, after) = rest.split_once(to).unwrap();
    format!("{before}{filter}{to}{after}")
}

/// What becomes of a request, and where its usage comes from then.
const FATES: [(&str, Usage); 7] = [
    ("the caller goes before the answer begins", Usage::Estimated),
    ("the caller goes in the middle of the answer", Usage::Estimated),
    ("the provider goes in the middle of the answer", Usage::Estimated),
    ("the provider refuses", Usage::None),
    ("the provider fails once", Usage::Reported),
    ("a whole answer", Usage::Reported),
    ("a whole streamed answer", Usage::Reported),
];

#[derive(Clone, Copy)]
enum Usage {
    Reported,
    Estimated,
    None,
}

/// Sends a request that is answered with a stream, and reads the half of it that comes before it waits.
async fn half(stage: &Stage, how: &str, body: &Value) -> (Answer, Vec<u8>) {
    let path = "/v1/chat/completions";
    let mut answer = stage.send(path, how, body).await;
    let read = answer.read(events(path, true)[..EVENTS / 2].concat().len()).await;
    (answer, read)
}

/// Sends the request of this number and lets its fate take its course.
async fn meet(stage: &Stage, number: usize) {
    let path = "/v1/chat/completions";
    let of = |stream| json!({ "model": "gpt-4o", "messages": [number], "max_tokens": 50, "stream": stream });
    let is_there = || stage.provider.seen().iter().any(|seen| seen.body["messages"] == json!([number]));
    match number % FATES.len() {
        0 => {
            let (bearer, body) = (stage.bearer(), of(number.is_multiple_of(2)).to_string());
            let headers = [("authorization", bearer.as_str()), (HOW, "never")];
            stage.front.leave(path, &headers, body.into(), is_there).await;
        }
        1 => drop(half(stage, "wait", &of(true)).await),
        2 => {
            let (answer, _) = half(stage, "break", &of(true)).await;
            stage.provider.release(&of(true));
            let (status, rest) = answer.whole().await;
            assert!(status == 200 && rest.len() < events(path, true)[EVENTS / 2..].concat().len());
        }
        3 => assert_eq!(stage.send(path, "refuse", &of(false)).await.whole().await.0, 400),
        4 => assert_eq!(stage.send(path, "fail once", &of(false)).await.whole().await.0, 200),
        stream => assert_eq!(stage.send(path, "whole", &of(stream == 6)).await.whole().await.0, 200),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_admission_ends_once_whoever_goes_away() {
    let Some(mut stage) = Stage::new().await else { return };
    let rounds = 4;
    join_all((0..rounds * FATES.len()).map(|number| meet(&stage, number))).await;
    let mut expected = [0; 3];
    for (_, usage) in FATES {
        expected[usage as usize] += rounds as i64;
    }
    assert_eq!(stage.settled().await, expected);
    // Envoy itself is killed.
    let _answer = half(&stage, "wait", &chat(true)).await;
    stage.front.kill();
    expected[Usage::Estimated as usize] += 1;
    assert_eq!(stage.settled().await, expected);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_cut_when_the_node_is_killed_and_none_begins_without_it() {
    let Some(mut stage) = Stage::new().await else { return };
    let path = "/v1/chat/completions";
    let whole = events(path, true).concat();
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(half(&stage, "wait", &chat(true)).await);
    }
    stage.node.kill();
    let refused = stage.send(path, "whole", &chat(false)).await;
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.whole().await.0, 503);
    stage.provider.release(&chat(true));
    for (answer, mut read) in answers {
        let (status, rest) = answer.whole().await;
        read.extend(rest);
        assert_eq!((status, String::from_utf8(read).unwrap()), (200, whole.clone()));
    }
    // The node comes back, and has charged what was under way at its estimate: 5 LLM tokens of the prompt and 50 of the answer.
    stage.node = Stage::node(&stage.world, &stage.socket).await;
    soon(async { while stage.send(path, "whole", &chat(false)).await.whole().await.0 != 200 {} }).await;
    assert_eq!(stage.settled().await, [1, 0, 0]);
    stage.world.until_counted(8 * (5 * PRICES.0 + 50 * PRICES.1) + WHOLE).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_access_log_ends_what_no_meter_saw() {
    let without = |file: &str, text: String| if file == "listener.yaml" { instead(&text, METER, "") } else { text };
    let Some(stage) = Stage::with(&without).await else { return };
    let path = "/v1/chat/completions";
    assert_eq!(stage.send(path, "whole", &chat(false)).await.whole().await.0, 200);
    assert_eq!(stage.send(path, "refuse", &chat(false)).await.whole().await.0, 400);
    let mut answer = stage.send(path, "wait", &chat(true)).await;
    answer.read(10).await;
    drop(answer);
    assert_eq!(stage.settled().await, [0, 2, 1]);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn external_authorization_admits_too() {
    let authorization = r#"                - name: authorize
                  typed_config:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
                    transport_api_version: V3
                    grpc_service: { envoy_grpc: { cluster_name: tollgate-node }, timeout: 60s }
                    clear_route_cache: true
                    with_request_body: { max_request_bytes: 33554432, pack_as_bytes: true }
"#;
    let change = |file: &str, text: String| match file {
        "listener.yaml" => instead(&text, ADMIT, authorization).replace(
            "forwarding_namespaces: { untyped: [tollgate] }",
            "forwarding_namespaces: { untyped: [envoy.filters.http.ext_authz] }",
        ),
        _ => text,
    };
    let Some(stage) = Stage::with(&change).await else { return };
    let path = "/v1/chat/completions";
    assert_eq!(stage.send(path, "whole", &chat(false)).await.whole().await.0, 200);
    // Nobody asked for usage, and nobody could: what came is counted.
    let (status, body) = stage.send(path, "whole", &chat(true)).await.whole().await;
    assert_eq!((status, String::from_utf8(body).unwrap()), (200, events(path, false).concat()));
    let refused =
        stage.front.send(path, &[("authorization", "Bearer sk-of-nobody")], chat(false).to_string().into()).await;
    assert_eq!(refused.header("content-type"), "application/json");
    let (status, body) = refused.whole().await;
    assert_eq!(
        (status, serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"].as_str()),
        (401, Some("unknown_key"))
    );
    let other = json!({ "model": "openai/gpt-4o", "messages": [] });
    let (status, body) = stage.send(path, "whole", &other).await.whole().await;
    let code = serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"].clone();
    assert_eq!((status, code), (403, json!("model_not_changeable")));
    assert_eq!(stage.settled().await, [1, 1, 1]);
    for Seen { headers, .. } in stage.provider.seen() {
        assert_eq!(headers.get("authorization").unwrap(), "Bearer sk-put-your-key-here");
    }
    stage.end().await;
}
