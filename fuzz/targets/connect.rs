//! The target of the Connect protocol.

use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::Rig;

/// A request as it comes over HTTP. The first byte chooses its form, and whether it says that it is compressed; the others are
/// its body, or its query. Methods that change nothing are called, so that the store does not fill up.
pub(crate) async fn connect(rig: &Rig, input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let content_encoding = if choice & 8 == 0 { "identity" } else { "gzip" };
    let post = |path: &str, content_type: &str| {
        // A stream is over once its message was read; the call of a unary method would be over before that.
        let timeout = if content_type.contains("connect+") { "0" } else { "60000" };
        let request = Request::post(format!("http://localhost/tollgate.v1.{path}"));
        request
            .header("content-type", content_type)
            .header("connect-timeout-ms", timeout)
            .header("content-encoding", content_encoding)
            .header("connect-content-encoding", content_encoding)
            .body(Body::new(Full::from(rest.to_vec())))
    };
    let request = match choice & 7 {
        0 | 1 => post("DecisionService/Explain", "application/json"),
        2 => post("DecisionService/Explain", "application/proto"),
        3 => post("ConfigService/WatchConfig", "application/connect+json"),
        4 => post("ConfigService/WatchConfig", "application/connect+proto"),
        5 => post("UsageService/ReportUsage", "application/connect+json"),
        _ => {
            let query = String::from_utf8_lossy(rest);
            let uri = format!("http://localhost/tollgate.v1.TeamService/ListTeams?{query}");
            Request::builder().method(Method::GET).uri(uri).body(Body::empty())
        }
    };
    // A client sends nothing else than requests.
    let Ok(request) = request else { return };
    let (head, body) = rig.channel.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let content_type = head.headers["content-type"].to_str().unwrap();
    let error = match content_type {
        "application/json" if head.status == 200 => Value::Null,
        "application/json" => serde_json::from_slice(&body).unwrap(),
        streamed if streamed.starts_with("application/connect+") => {
            let end = body.windows(6).rposition(|it| it[0] == 2 && it[5] == b'{').unwrap();
            serde_json::from_slice::<Value>(&body[end + 5..]).unwrap()["error"].take()
        }
        _ => Value::Null,
    };
    let code = error["code"].as_str().unwrap_or_default();
    let ours = matches!(code, "internal" | "unknown" | "data_loss") || head.status == 500;
    assert!(!ours, "{:?}: {error}", head.status);
}
