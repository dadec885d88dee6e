//! Bodies of requests that are compressed.

use bytes::Bytes;
use serde_json::json;

use super::client::{World, id};
use crate::connect::support::gzip;

#[tokio::test]
async fn bodies_are_unpacked_within_the_limit() {
    let world = World::new().await;
    let send = async |verb: &str, path: &str, coding: &str, body: Vec<u8>| {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        world.client.raw(verb, &format!("/api/governance/{path}"), &headers, Bytes::from(body)).await
    };
    let made = send("POST", "teams", "gzip", gzip(br#"{"name":"packed"}"#)).await.of(200)["team"].clone();
    assert_eq!(made["name"], json!("packed"));
    let path = format!("teams/{}", id(&made));
    // An update that needs what is stored reads its body once.
    let budget = gzip(br#"{"budget":{"max_limit":1,"reset_duration":"1d"}}"#);
    assert_eq!(send("PUT", &path, "gzip", budget).await.of(200)["team"]["budget"]["max_limit"], json!(1.0));
    assert!(!send("PUT", &path, "identity", b"{}".to_vec()).await.of(200)["team"]["revision"].is_null());

    for (coding, body, status) in [
        ("gzip", br#"{"name":"plain"}"#.to_vec(), 400),
        ("gzip", gzip(br#"{"name":"cut"}"#)[..12].to_vec(), 400),
        // Few bytes that become more than a request may have.
        ("gzip", gzip(&vec![b' '; 9 << 20]), 413),
        ("br", b"{}".to_vec(), 415),
        ("gzip, gzip", gzip(&gzip(b"{}")), 415),
    ] {
        let refused = send("POST", "teams", coding, body).await;
        refused.error(status);
        let takes = refused.headers.get("accept-encoding").map(|it| it.to_str().unwrap());
        assert_eq!(takes, (status == 415).then_some("gzip, identity"), "{coding}");
    }
    assert_eq!(world.client.get("teams").await.of(200)["total_count"], json!(1), "nothing of this was done");
    world.end().await;
}
