//! A provider that answers as each request asks it to, and tells what it was sent.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

/// The header by which a request says how it is to be answered: a word, and for streams how many events come at once.
pub(super) const HOW: &str = "x-how";
/// LLM tokens of each prompt and of each answer.
pub(super) const TOKENS: (i64, i64) = (120, 30);
/// Events of each stream that have text.
pub(super) const EVENTS: usize = 12;

/// A request, as the provider got it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// See the module. Dropping it ends it.
pub(super) struct Provider {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The messages of requests whose streams need not wait in their middle any more.
    released: watch::Sender<Vec<Value>>,
    serving: tokio::task::JoinHandle<()>,
}

type Body = BoxBody<Bytes, std::io::Error>;

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let released = watch::Sender::new(Vec::new());
        let (requests, gate) = (Arc::clone(&seen), released.clone());
        let serving = tokio::spawn(async move {
            // They end with this.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((connection, _)) = listener.accept().await else { return };
                let (requests, gate) = (Arc::clone(&requests), gate.clone());
                let service = service_fn(move |request| answer(request, Arc::clone(&requests), gate.subscribe()));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service);
                // Callers go away as they like.
                connections.spawn(async { drop(connection.await) });
            }
        });
        Self { address, seen, released, serving }
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Lets the streams of this request go on, or break, that wait in their middle.
    pub(super) fn release(&self, request: &Value) {
        self.released.send_modify(|released| released.push(request["messages"].clone()));
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn usage(path: &str) -> Value {
    let (input, output) = TOKENS;
    match path {
        "/v1/messages" => json!({ "input_tokens": input - 20, "cache_read_input_tokens": 20, "output_tokens": output }),
        "/v1/responses" => json!({ "input_tokens": input, "output_tokens": output }),
        "/v1/embeddings" => json!({ "prompt_tokens": input, "total_tokens": input }),
        _ => json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output }),
    }
}

/// The events of a streamed answer.
pub(super) fn events(path: &str, includes_usage: bool) -> Vec<String> {
    let event = |data: Value| format!("event: x\ndata: {data}\n\n");
    let text = |word: usize| match path {
        "/v1/messages" => {
            json!({ "type": "content_block_delta", "delta": { "type": "text_delta", "text": format!("word {word} ") } })
        }
        "/v1/responses" => json!({ "type": "response.output_text.delta", "delta": format!("word {word} ") }),
        _ => json!({ "choices": [{ "index": 0, "delta": { "content": format!("word {word} ") } }] }),
    };
    let (input, output) = TOKENS;
    let mut all = Vec::new();
    if path == "/v1/messages" {
        let usage = json!({ "input_tokens": input, "output_tokens": 1 });
        all.push(event(json!({ "type": "message_start", "message": { "usage": usage } })));
    }
    all.extend((0..EVENTS).map(|word| event(text(word))));
    match path {
        "/v1/messages" => all.push(event(json!({ "type": "message_delta", "usage": { "output_tokens": output } }))),
        "/v1/responses" => {
            all.push(event(json!({ "type": "response.completed", "response": { "usage": usage(path) } })));
        }
        _ => {
            all.extend(includes_usage.then(|| event(json!({ "choices": [], "usage": usage(path) }))));
            all.push("data: [DONE]\n\n".to_owned());
        }
    }
    all
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    mut released: watch::Receiver<Vec<Value>>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let how = parts.headers.get(HOW).map_or("whole", |how| how.to_str().unwrap()).to_owned();
    let path = parts.uri.path().to_owned();
    let attempts = {
        let mut seen = seen.lock().unwrap();
        seen.push(Seen { headers: parts.headers, body: body.clone() });
        seen.iter().filter(|it| it.body == body).count()
    };
    let respond = |status: u16, content_type: &str, body: Body| {
        let response = Response::builder().status(StatusCode::from_u16(status).unwrap());
        response.header("content-type", content_type).body(body).unwrap()
    };
    let whole = |bytes: Vec<u8>| Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed();
    let error = |status| respond(status, "application/json", whole(br#"{"error":{"message":"no"}}"#.to_vec()));
    let json = json!({ "object": "answer", "text": "word ".repeat(5), "usage": usage(&path) }).to_string();
    Ok(match how.as_str() {
        "refuse" => error(400),
        "fail once" if attempts == 1 => error(503),
        "never" => std::future::pending().await,
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(json.as_bytes()).unwrap();
            let mut response = respond(200, "application/json", whole(encoder.finish().unwrap()));
            response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            response
        }
        _ if body["stream"] != true => respond(200, "application/json", whole(json.into_bytes())),
        how => {
            let (how, events) = (how.to_owned(), events(&path, body["stream_options"]["include_usage"] == true));
            let (to, frames) = mpsc::channel::<Result<Frame<Bytes>, std::io::Error>>(1);
            tokio::spawn(async move {
                for (number, event) in events.into_iter().enumerate() {
                    if number == EVENTS / 2 && (how == "wait" || how == "break") {
                        drop(released.wait_for(|released| released.contains(&body["messages"])).await);
                        if how == "break" {
                            drop(to.send(Err(std::io::Error::other("broken"))).await);
                            return;
                        }
                    }
                    if to.send(Ok(Frame::data(event.into()))).await.is_err() {
                        return;
                    }
                }
            });
            respond(200, "text/event-stream", BodyExt::boxed(StreamBody::new(ReceiverStream::new(frames))))
        }
    })
}
