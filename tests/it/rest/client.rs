//! A client that knows nothing but HTTP and JSON.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;

use crate::access::support::{ROOT, closed};
use crate::watch::rig::{Rig, soon};

/// A server with tokens, and somebody who calls it.
pub(super) struct World {
    pub(super) rig: Rig,
    pub(super) client: Client,
}

impl World {
    pub(super) async fn new() -> Self {
        let (rig, channel) = closed().await;
        drop(channel);
        let client = Client { address: rig.address(), authorization: Some(format!("Bearer {ROOT}")) };
        Self { rig, client }
    }

    pub(super) async fn end(mut self) {
        self.rig.stop().await;
    }
}

#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) authorization: Option<String>,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: http::HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(super) fn of(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The message of an error with this status, whose form is checked.
    #[track_caller]
    pub(super) fn error(&self, status: u16) -> String {
        let error = self.of(status);
        assert_eq!((&error["is_bifrost_error"], &error["status_code"]), (&json!(false), &json!(status)));
        assert!(error["error"]["type"].is_string() && error["error"]["code"].is_string(), "{error}");
        error["error"]["message"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(super) async fn raw(&self, verb: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = http::Request::builder().method(verb).uri(path).header("host", self.address.to_string());
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let (head, body) = soon(send.send_request(request)).await.unwrap().into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        drop(send);
        drop(soon(connection).await);
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.raw("GET", &format!("/api/governance/{path}"), &[], Bytes::new()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        self.raw("DELETE", &format!("/api/governance/{path}"), &[], Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Json) -> Reply {
        self.with_body("POST", path, body).await
    }

    pub(super) async fn put(&self, path: &str, body: &Json) -> Reply {
        self.with_body("PUT", path, body).await
    }

    async fn with_body(&self, verb: &str, path: &str, body: &Json) -> Reply {
        let headers = [("content-type", "application/json; charset=utf-8")];
        self.raw(verb, &format!("/api/governance/{path}"), &headers, body.to_string().into()).await
    }

    /// Makes something, and gives what the answer says of it.
    pub(super) async fn made(&self, path: &str, one: &str, body: Json) -> Json {
        let status = if path == "pricing-overrides" { 201 } else { 200 };
        let answer = self.post(path, &body).await.of(status);
        assert!(answer["message"].as_str().unwrap().ends_with("created"), "{answer}");
        answer[one].clone()
    }

    /// Changes something, and gives what the answer says of it.
    pub(super) async fn changed(&self, path: &str, one: &str, body: Json) -> Json {
        let answer = self.put(path, &body).await.of(200);
        assert!(answer["message"].as_str().unwrap().ends_with("updated"), "{answer}");
        answer[one].clone()
    }
}

/// The id of something.
pub(super) fn id(of: &Json) -> &str {
    of["id"].as_str().unwrap()
}
