//! Callers who ask much and read nothing.

use http::{Method, Request};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::support::{BOTH, json, request, send};
use crate::access::support::ROOT;
use crate::watch::rig::{Rig, soon};

const LIST: &str = "TeamService/ListTeams";
/// Bytes of an answer that this client takes before it reads.
const WINDOW: u32 = 1_024;

#[tokio::test]
async fn an_answer_that_is_not_read_holds_a_place() {
    let mut rig = Rig::new();
    rig.settings.transport.max_calls_per_caller = 1;
    rig.settings.access.bootstrap_token = Some(tollgate::settings::BootstrapToken(ROOT.to_owned()));
    rig.start().await;
    let address = rig.address();
    // Answers of more than what the connection is handed at a time.
    for number in 0..40 {
        let long = "n".repeat(2_000);
        let team = format!(r#"{{"team":{{"name":"{number}","profile":{{"note":"{long}"}}}}}}"#);
        let made = send(address, BOTH[1], json("TeamService/CreateTeam", &team)).await;
        assert_eq!(made.status, 200, "whoever read the answer has the place again: {made:?}");
    }
    for large in [json(LIST, r#"{"pageSize":1000}"#), request(Method::GET, "/api/governance/teams", &[], "")] {
        let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .handshake(socket)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let (mut head, body) = large.into_parts();
        head.uri = format!("http://{address}{}", head.uri).parse().unwrap();
        let what = head.uri.to_string();
        let unread = soon(client.send_request(Request::from_parts(head, Full::new(body)))).await.unwrap();
        assert_eq!(unread.status(), 200, "{what}");
        for version in BOTH {
            let refused = send(address, version, json(LIST, "{}")).await;
            assert_eq!(refused.status, 429, "beside {what}");
        }
        drop(unread);
        // The server hears of it a little later.
        soon(async { while send(address, BOTH[1], json(LIST, r#"{"pageSize":1}"#)).await.status == 429 {} }).await;
        connection.abort();
    }
    rig.stop().await;
}
