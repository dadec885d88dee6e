//! A gateway in one file: an OpenAI-compatible proxy that lets Tollgate's node decide on each request.
//!
//! ```sh
//! tollgate serve &                                                # a control plane, and in it a virtual key
//! cargo run -p tollgate-node --example gateway                    # this, on 127.0.0.1:8080, with a provider that only pretends
//! curl -H "authorization: Bearer sk-tg-…" -H 'content-type: application/json' \
//!   -d '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}' 127.0.0.1:8080/v1/chat/completions
//! ```
//!
//! `TOLLGATE_SERVER` is the control plane (http://127.0.0.1:50051), `TOLLGATE_TOKEN` the node's access token, `UPSTREAM` the
//! provider as `host:port` over plain HTTP, `UPSTREAM_KEY` its key, `LISTEN` the gateway's own address.

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use futures_util::stream::{self, StreamExt as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tollgate_node::{Credential, Estimate, Granted, Node, Refused, Request as Asked, Used};

struct Gateway {
    node: Node,
    client: Client<HttpConnector, Body>,
    upstream: String,
    upstream_key: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let mut node = Node::builder(setting("TOLLGATE_SERVER", "http://127.0.0.1:50051")).node_id("gateway");
    node = node.data_dir(setting("TOLLGATE_NODE_DATA_DIR", "tollgate-node"));
    if let Ok(access_token) = env::var("TOLLGATE_TOKEN") {
        node = node.access_token(access_token);
    }
    let upstream = if let Ok(upstream) = env::var("UPSTREAM") { upstream } else { pretended().await? };
    let (client, upstream_key) = (Client::builder(TokioExecutor::new()).build_http(), env::var("UPSTREAM_KEY").ok());
    let gateway = Arc::new(Gateway { node: node.start().await?, client, upstream, upstream_key });
    let listener = TcpListener::bind(setting("LISTEN", "127.0.0.1:8080")).await?;
    println!("http://{}/v1/chat/completions", listener.local_addr()?);
    let routes = Router::new().route("/v1/chat/completions", post(complete)).with_state(Arc::clone(&gateway));
    axum::serve(listener, routes).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    gateway.node.shutdown().await;
    Ok(())
}

/// Admits a request, sends it to where the node says, and settles what the answer says that it used.
async fn complete(State(gateway): State<Arc<Gateway>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(mut call) = serde_json::from_slice::<Value>(&body) else {
        return error(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    let key = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    // LLM tokens have some four bytes.
    let input_tokens = i64::try_from(body.len() / 4).unwrap_or(i64::MAX);
    let model = call["model"].as_str().unwrap_or_default().to_owned();
    let asked = Asked {
        credential: key.map_or(Credential::None, Credential::Value),
        model: &model,
        stream: call["stream"] == json!(true),
        estimate: Estimate::of(input_tokens, call["max_tokens"].as_i64()),
        ..Asked::default()
    };
    let granted = match gateway.node.admit(&asked).await {
        Ok(granted) => granted,
        Err(refused) => return refusal(&refused),
    };
    call["model"] = json!(granted.model());
    if call["stream"] == json!(true) {
        call["stream_options"]["include_usage"] = json!(true);
    }
    match gateway.ask(&call).await {
        Ok(answer) if answer.status().is_success() => settled(granted, answer),
        // Nothing was used: dropping the admission gives it up.
        Ok(answer) => answer,
        Err(_) => error(StatusCode::BAD_GATEWAY, "the provider cannot be reached"),
    }
}

impl Gateway {
    async fn ask(&self, call: &Value) -> Result<Response, Box<dyn Error + Send + Sync>> {
        let request = Request::post(format!("http://{}/v1/chat/completions", self.upstream));
        let mut request = request.header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.upstream_key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        Ok(self.client.request(request.body(Body::from(call.to_string()))?).await?.map(Body::new))
    }
}

/// The answer as it comes. When all of it has passed, what it says of usage is settled; if the caller goes away before, that is
/// charged which has been seen.
fn settled(granted: Granted, answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    for (name, value) in granted.rate_limit_headers() {
        parts.headers.extend(HeaderValue::from_str(&value).map(|value| (http::HeaderName::from_static(name), value)));
    }
    let metered = Meter { granted: Some(granted), seen: Vec::new(), events: 0 };
    let passed = stream::unfold((body.into_data_stream(), metered), |(mut body, mut meter)| async move {
        match body.next().await {
            Some(passed) => {
                meter.seen.extend_from_slice(passed.as_deref().unwrap_or_default());
                meter.events += 1;
                Some((passed, (body, meter)))
            }
            None => {
                meter.settle().await;
                None
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(passed))
}

/// The part of an answer that has been seen.
struct Meter {
    granted: Option<Granted>,
    seen: Vec<u8>,
    events: i64,
}

impl Meter {
    /// The usage that the answer says: as one object, or in the last event of a stream.
    fn used(&self) -> Used {
        let text = String::from_utf8_lossy(&self.seen);
        let objects = text.lines().rev().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        let said = std::iter::once(text.as_ref()).chain(objects);
        let usage = said.filter_map(|text| serde_json::from_str::<Value>(text).ok()).map(|it| it["usage"].clone());
        match usage.into_iter().find(Value::is_object) {
            Some(usage) => Used {
                input_tokens: usage["prompt_tokens"].as_i64().unwrap_or_default(),
                output_tokens: usage["completion_tokens"].as_i64().unwrap_or_default(),
                ..Used::default()
            },
            // The end is missing: each event has some one LLM token.
            None => {
                let estimate = self.granted.as_ref().and_then(|granted| granted.estimate().input_tokens);
                Used { input_tokens: estimate.unwrap_or_default(), output_tokens: self.events, ..Used::default() }
            }
        }
    }

    async fn settle(mut self) {
        let used = self.used();
        if let Some(granted) = self.granted.take()
            && let Err(error) = granted.settle(used).await
        {
            eprintln!("not settled: {error}");
        }
    }
}

impl Drop for Meter {
    /// The caller went away.
    fn drop(&mut self) {
        let Self { granted, seen, events } = self;
        if granted.is_some() {
            tokio::spawn(Self { granted: granted.take(), seen: std::mem::take(seen), events: *events }.settle());
        }
    }
}

fn refusal(refused: &Refused) -> Response {
    let mut response =
        error(StatusCode::from_u16(refused.http_status()).unwrap_or(StatusCode::FORBIDDEN), &refused.reason);
    response.headers_mut().extend(refused.retry_after.map(|time| (RETRY_AFTER, (time.as_secs() + 1).into())));
    response
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message, "type": "tollgate" } }))).into_response()
}

/// A provider that says hello, whatever it is asked. Its address.
async fn pretended() -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let answer = async |Json(call): Json<Value>| {
        let usage = json!({ "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 });
        if call["stream"] != json!(true) {
            let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "Hello there" } });
            return Json(json!({ "model": call["model"], "choices": [choice], "usage": usage })).into_response();
        }
        let word = |text: &str| format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] }));
        let last = format!("data: {}\n\ndata: [DONE]\n\n", json!({ "choices": [], "usage": usage }));
        ([(CONTENT_TYPE, "text/event-stream")], [word("Hello"), word(" there"), last].concat()).into_response()
    };
    let routes = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}
