//! Streams end when the rights of their caller do.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio_stream::StreamExt as _;
use tollgate::domain::Timestamp;
use tollgate::ledger::{Clock, Reading};
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tollgate::proto::v1::{self, Role, Token};
use tonic::{Code, Status, Streaming};

use super::support::{Caller, caller, closed, closed_by, make, revoke, start, token};
use crate::watch::rig::{Rig, soon};

pub(crate) async fn watch(caller: Caller, node_id: &str) -> Result<Streaming<v1::WatchConfigResponse>, Status> {
    let request = v1::WatchConfigRequest { node_id: node_id.to_owned(), ..Default::default() };
    Ok(ConfigServiceClient::new(caller).watch_config(request).await?.into_inner())
}

/// Reads the stream to its end, which must be a GoAway; its reason.
pub(crate) async fn farewell(mut stream: Streaming<v1::WatchConfigResponse>) -> String {
    let mut last = None;
    while let Some(message) = soon(stream.message()).await.unwrap() {
        last = message.event;
    }
    match last {
        Some(Event::GoAway(go_away)) => go_away.reason,
        other => panic!("the stream ended with {other:?}"),
    }
}

#[tokio::test]
async fn a_revocation_ends_the_streams_of_its_token_and_no_other() {
    let (mut rig, channel) = closed().await;
    let [gone, stays] = ["gone", "stays"].map(|name| make(&channel, token(name, Role::Node)));
    let (gone, stays) = (gone.await.unwrap(), stays.await.unwrap());
    let ending = watch(caller(&channel, &gone.value), "a").await.unwrap();
    let mut going_on = watch(caller(&channel, &stays.value), "b").await.unwrap();
    let (reports, sent) = tokio::sync::mpsc::channel(1);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut acks =
        UsageServiceClient::new(caller(&channel, &gone.value)).report_usage(sent).await.unwrap().into_inner();

    revoke(&channel, &gone.id).await.unwrap();
    assert!(farewell(ending).await.contains("revoked"));
    assert!(soon(acks.next()).await.is_none_or(|end| end.unwrap_err().code() == Code::Unauthenticated));
    drop(reports);
    assert_eq!(watch(caller(&channel, &gone.value), "a").await.unwrap_err().code(), Code::Unauthenticated);
    // Three heartbeats later the other still goes on.
    for _ in 0..6 {
        assert!(!matches!(soon(going_on.message()).await.unwrap().unwrap().event, Some(Event::GoAway(_))));
    }
    drop((acks, going_on, channel));
    rig.stop().await;
}

#[tokio::test]
async fn expiry_ends_streams_too_and_a_clock_that_jumps_does_not() {
    const MINUTE: i64 = 60_000_000;
    const HOUR: i64 = 60 * MINUTE;
    let now = Timestamp::now();
    let (passed, ahead) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let clock = {
        let (passed, ahead) = (Arc::clone(&passed), Arc::clone(&ahead));
        Clock::new(move || {
            let passed = passed.load(SeqCst);
            let steady = Duration::from_micros(u64::try_from(passed).unwrap());
            Reading { wall: now.plus_micros(passed + ahead.load(SeqCst)), steady }
        })
    };
    let (mut rig, channel) = closed_by(clock).await;
    let (seconds, nanos) = now.plus_micros(HOUR).parts();
    let expires_at = Some(prost_types::Timestamp { seconds, nanos });
    let made = make(&channel, Token { expires_at, ..token("short", Role::Node) }).await.unwrap();
    let holder = caller(&channel, &made.value);
    let mut ending = watch(holder.clone(), "a").await.unwrap();

    ahead.store(2 * HOUR, SeqCst);
    // Half a second, in which expiry is looked for twice.
    for _ in 0..10 {
        assert!(!matches!(soon(ending.message()).await.unwrap().unwrap().event, Some(Event::GoAway(_))));
    }
    watch(holder.clone(), "b").await.unwrap();
    ahead.store(0, SeqCst);
    passed.store(HOUR - MINUTE, SeqCst);
    watch(holder.clone(), "c").await.unwrap();
    passed.store(HOUR + MINUTE, SeqCst);
    assert!(farewell(ending).await.contains("expired"));
    assert_eq!(watch(holder.clone(), "a").await.unwrap_err().code(), Code::Unauthenticated);
    drop((holder, channel));
    rig.stop().await;
}

#[tokio::test]
async fn the_first_token_ends_the_streams_of_whoever_had_none() {
    let mut rig = Rig::new();
    let channel = start(&mut rig).await;
    let ending = watch(caller(&channel, ""), "a").await.unwrap();
    let request = v1::CreateTokenRequest { token: Some(token("root", Role::Admin)), ..Default::default() };
    v1::token_service_client::TokenServiceClient::new(channel.clone()).create_token(request).await.unwrap();
    farewell(ending).await;
    drop(channel);
    rig.stop().await;
}

async fn register(caller: &Caller, node_id: &str) -> Result<i64, Status> {
    let request = v1::RegisterNodeRequest { node_id: node_id.to_owned(), ..Default::default() };
    Ok(UsageServiceClient::new(caller.clone()).register_node(request).await?.into_inner().incarnation)
}

async fn report(caller: &Caller, node_id: &str, incarnation: i64) -> Result<v1::UsageAckStatus, Status> {
    let batch = v1::ReportUsageRequest {
        node_id: node_id.to_owned(),
        incarnation,
        sequence: 1,
        entries: Vec::new(),
        ..Default::default()
    };
    let mut acks = UsageServiceClient::new(caller.clone()).report_usage(tokio_stream::once(batch)).await?.into_inner();
    Ok(soon(acks.message()).await?.unwrap().status())
}

#[tokio::test]
async fn a_bound_token_speaks_for_its_node_only() {
    let (mut rig, channel) = closed().await;
    let bound = |name: &str| Token { node_id: "gw-1".to_owned(), ..token(name, Role::Node) };
    let made = make(&channel, bound("gw-1")).await.unwrap();
    let node = caller(&channel, &made.value);
    for own in ["", "gw-1"] {
        watch(node.clone(), own).await.unwrap();
    }
    assert_eq!(watch(node.clone(), "gw-2").await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(register(&node, "gw-2").await.unwrap_err().code(), Code::PermissionDenied);
    let incarnation = register(&node, "gw-1").await.unwrap();
    assert_eq!(report(&node, "gw-2", incarnation).await.unwrap_err().code(), Code::PermissionDenied);

    // Another token of the same node goes on with its incarnation; one that is not bound does not.
    let stranger = make(&channel, token("any", Role::Node)).await.unwrap();
    let stranger = caller(&channel, &stranger.value);
    assert_eq!(report(&stranger, "gw-1", incarnation).await.unwrap(), v1::UsageAckStatus::Rejected);
    let renewed = make(&channel, bound("gw-1b")).await.unwrap();
    let renewed = caller(&channel, &renewed.value);
    assert_eq!(report(&renewed, "gw-1", incarnation).await.unwrap(), v1::UsageAckStatus::Applied);
    let its_own = register(&stranger, "gw-1").await.unwrap();
    assert_eq!(report(&stranger, "gw-1", its_own).await.unwrap(), v1::UsageAckStatus::Applied);
    assert_eq!(report(&renewed, "gw-1", its_own).await.unwrap(), v1::UsageAckStatus::Rejected);
    drop((node, stranger, renewed, channel));
    rig.stop().await;
}
