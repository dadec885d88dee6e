//! Deliveries: signed, repeated until they are through, by one server at a time.

use std::collections::BTreeSet;
use std::process::Command;

use tollgate::proto::v1::WebhookDeliveryState::{Failed, Waiting};
use tonic::Code;

use super::receiver::{Answer, Received, Receiver};
use super::*;
use crate::engine::{Database, on_postgres};
use crate::process::{Server, verify};
use crate::usage::{batch, entry, register, report};
use crate::watch::rig::endpoint;

/// Verifies a request with the published library, if this machine has it. Prints what it verified.
const VERIFY: &str = r#"
import sys
try:
    from standardwebhooks import Webhook
except ImportError:
    sys.exit(3)
secret, body, id, timestamp, signature = sys.argv[1:]
headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}
Webhook(secret).verify(body, headers)
try:
    Webhook(secret).verify(body + " ", headers)
except Exception:
    print("verified")
"#;

/// Whether it is signed with `secret`, by the published library or, where there is none, by our own arithmetic.
async fn is_signed(received: &Received, secret: &str) -> bool {
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| received.header(name).to_owned());
    let arguments = [&[secret.to_owned(), received.body.clone()][..], &headers].concat();
    let run = move || Command::new("python3").args(["-c", VERIFY]).args(arguments).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    if output.status.code() == Some(3) {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "the gate installs standardwebhooks");
        println!(
            "SKIPPED: no standardwebhooks on this machine (pip install standardwebhooks); checked by our own arithmetic"
        );
        return own_check(received, secret);
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout == b"verified\n"
}

/// HMAC-SHA256 by its definition.
fn own_check(received: &Received, secret: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};
    let mut key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    key.resize(64, 0);
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let signed = format!("{}.{}.{}", received.id(), received.header("webhook-timestamp"), received.body);
    let inner = Sha256::digest([pad(0x36), signed.into_bytes()].concat());
    let outer = Sha256::digest([pad(0x5c), inner.to_vec()].concat());
    received.header("webhook-signature") == format!("v1,{}", STANDARD.encode(outer))
}

#[tokio::test]
async fn a_delivery_is_signed_and_carries_its_id() {
    let (mut rig, api) = started().await;
    let mut receiver = Receiver::start(&[Answer::Status(204)]).await;
    let webhook = create(&api.0, webhook("ops", &receiver.url(), &[WebhookEvent::NodeSilent])).await;
    let id = test(&api.0, &webhook).await;
    let received = receiver.next().await;
    assert_eq!((received.id(), received.path.as_str()), (id.as_str(), "/alerts?of=tollgate"));
    assert_eq!(received.header("content-type"), "application/json");
    assert!(received.header("user-agent").starts_with("tollgate/"));
    assert!(is_signed(&received, &webhook.secret).await);
    assert!(!own_check(&received, &format!("whsec_{}", "A".repeat(44))));
    let body = received.json();
    assert_eq!((&body["type"], &body["data"]["webhook_name"]), (&"test".into(), &"ops".into()));
    let delivered = delivery(&api.0, &id, is_delivered).await;
    assert_eq!((delivered.attempts, delivered.last_status, delivered.last_error.as_str()), (1, 204, ""));
    assert_eq!((&delivered.body, delivered.event()), (&received.body, WebhookEvent::Test));
    assert!(delivered.finished_at.is_some() && delivered.next_attempt_at.is_none());
    drop(api);
    rig.stop().await;
    let (agrees, said) = verify(&rig.database, &[]);
    assert!(agrees, "{said}");
}

#[tokio::test]
async fn receivers_that_fail_or_misbehave_are_tried_again_and_keep_nobody_waiting() {
    use Answer::{Dribble, Endless, Hang, Redirect, Status};
    let (mut rig, api) = started().await;
    let mut elsewhere = Receiver::start(&[Status(200)]).await;
    let answers: [(&str, &[Answer]); 7] = [
        ("hangs", &[Hang]),
        ("dribbles", &[Dribble]),
        ("fails", &[Status(500), Status(503), Status(200)]),
        ("redirects", &[Redirect(elsewhere.url()), Status(200)]),
        ("is endless", &[Endless(200)]),
        ("fails endlessly", &[Endless(500), Status(200)]),
        ("is gone", &[Status(410)]),
    ];
    let mut made = Vec::new();
    for (name, answers) in answers {
        let receiver = Receiver::start(answers).await;
        let webhook = create(&api.0, webhook(name, &receiver.url(), &[WebhookEvent::NodeSilent])).await;
        // One that hangs has more waiting than may be on their way to it.
        let sent = if name == "hangs" { 10 } else { 1 };
        for _ in 1..sent {
            test(&api.0, &webhook).await;
        }
        let id = test(&api.0, &webhook).await;
        made.push((name, receiver, id));
    }
    for (name, receiver, id) in &mut made {
        let first = receiver.next().await;
        match *name {
            // Their 10 seconds are not over; so all that follows happens meanwhile.
            "hangs" | "dribbles" => continue,
            _ => assert_eq!(first.id(), id),
        }
        let over = delivery(&api.0, id, |it| it.state() != Waiting).await;
        let (delivered, attempts, status) = match *name {
            "fails" => (true, 3, 200),
            "redirects" | "fails endlessly" => (true, 2, 200),
            "is endless" => (true, 1, 200),
            _ => (false, 1, 410),
        };
        assert_eq!((is_delivered(&over), over.attempts, over.last_status), (delivered, attempts, status), "{name}");
        assert_eq!(over.last_error.contains("410"), !delivered, "{name}: {}", over.last_error);
        let repeats = receiver.rest();
        assert_eq!(repeats.len(), usize::try_from(attempts).unwrap() - 1, "{name}");
        assert!(repeats.iter().all(|repeat| repeat.id() == id && repeat.body == first.body), "{name}");
    }
    assert!(elsewhere.rest().is_empty(), "a redirect was followed");

    // A receiver that is not there, and one that gives no answer in time.
    let nobody = webhook("nobody", "http://127.0.0.1:1/", &[WebhookEvent::NodeSilent]);
    let nobody = create(&api.0, nobody).await;
    let id = test(&api.0, &nobody).await;
    let failed = delivery(&api.0, &id, |it| it.attempts > 0).await;
    assert!(failed.last_error.contains("no connection to 127.0.0.1"), "{}", failed.last_error);
    assert_eq!((failed.state(), failed.last_status), (Waiting, 0));
    for (name, _, id) in made.iter().filter(|(name, ..)| ["hangs", "dribbles"].contains(name)) {
        let late = delivery(&api.0, id, |it| it.attempts > 0 || *name == "hangs").await;
        assert_eq!(late.state(), Waiting);
        if *name == "dribbles" {
            assert!(late.last_error.contains("did not answer within 10 seconds"), "{}", late.last_error);
        }
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_crossed_a_threshold_is_delivered_through_kills() {
    let database = Database::new();
    let launch = || Server::launch(database.directory(), &database.settings.url, &["--allow-private-webhooks"], &[]);
    let (server, address) = launch().await.unwrap();
    let api = Api(soon(endpoint(address).connect()).await.unwrap());
    // The first that takes it does not say so before the server is killed.
    let mut receiver = Receiver::start(&[Answer::Hang, Answer::Status(200)]).await;
    let webhook = create(&api.0, webhook("ops", &receiver.url(), &[WebhookEvent::ThresholdCrossed])).await;
    let (_, key) = spenders(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 850_000_000)])]).await;
    // Killed between the event and its delivery.
    server.kill();
    let (server, _) = launch().await.unwrap();
    let first = receiver.next().await;
    // Killed while it is being delivered.
    server.kill();
    let (mut server, again) = launch().await.unwrap();
    let channel = soon(endpoint(again).connect()).await.unwrap();
    let repeat = receiver.next().await;
    assert_eq!((repeat.id(), &repeat.body), (first.id(), &first.body), "the receiver can tell the repeat");
    assert_eq!(first.json()["type"], "threshold.crossed");
    assert!(is_signed(&repeat, &webhook.secret).await);
    delivery(&channel, first.id(), is_delivered).await;
    assert_eq!(deliveries(&channel, &webhook.id).await.len(), 1, "one event");
    assert!(server.ended().is_none());
}

#[tokio::test]
async fn servers_of_one_database_deliver_each_event_once() {
    if !on_postgres() {
        // SQLite has one server.
        return;
    }
    let (mut rig, api) = started().await;
    let mut other = Rig::on(std::sync::Arc::clone(&rig.database));
    other.settings.webhooks.allow_private = true;
    other.start().await;
    let there = other.api().await;
    let mut receiver = Receiver::start(&[Answer::Status(200)]).await;
    let webhook = create(&api.0, webhook("ops", &receiver.url(), &[WebhookEvent::NodeSilent])).await;
    let mut sent = BTreeSet::new();
    for number in 0..20 {
        let channel = if number % 2 == 0 { &api.0 } else { &there.0 };
        if number == 1 {
            // The other server knows of the webhook once it has read on.
            let mut client = WebhookServiceClient::new(there.0.clone());
            let request = v1::GetWebhookRequest { id: webhook.id.clone(), from_memory: true, ..Default::default() };
            while client.get_webhook(request.clone()).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        sent.insert(test(channel, &webhook).await);
    }
    for id in &sent {
        delivery(&api.0, id, is_delivered).await;
    }
    let received: Vec<String> = receiver.rest().iter().map(|it| it.id().to_owned()).collect();
    assert_eq!(received.len(), 20);
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), sent);
    drop((api, there));
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn private_receivers_are_refused_unless_they_are_allowed() {
    // Names and numbers that mean this machine.
    const HOSTS: [&str; 5] = ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001"];
    let (mut rig, api) = started().await;
    let mut receiver = Receiver::start(&[Answer::Status(200)]).await;
    let port = receiver.address.port();
    let mut made = Vec::new();
    for host in HOSTS {
        let url = format!("https://{host}:{port}/");
        made.push(create(&api.0, webhook(host, &url, &[WebhookEvent::NodeSilent])).await);
    }
    drop(api);
    rig.stop().await;

    // A server that does not allow them takes none of them any more.
    rig.settings.webhooks.allow_private = false;
    rig.start().await;
    let api = rig.api().await;
    let mut client = WebhookServiceClient::new(api.0.clone());
    let private = HOSTS.map(|host| (format!("https://{host}:{port}/"), format!("leads to {host}, which is private")));
    let plain = (receiver.url(), "is not encrypted; use https".to_owned());
    for (url, why) in private.into_iter().chain([plain]) {
        let asked = webhook("another", &url, &[WebhookEvent::NodeSilent]);
        let create = v1::CreateWebhookRequest { webhook: Some(asked.clone()), ..Default::default() };
        let update = v1::UpdateWebhookRequest {
            webhook: Some(v1::Webhook { id: made[0].id.clone(), ..asked }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["url".to_owned()] }),
            ..Default::default()
        };
        for refused in
            [client.create_webhook(create).await.unwrap_err(), client.update_webhook(update).await.unwrap_err()]
        {
            assert_eq!(refused.code(), Code::InvalidArgument);
            let expected = format!("webhook.url: {why}");
            assert!(refused.message().contains(&expected), "{}", refused.message());
            assert!(refused.message().contains("--allow-private-webhooks"), "{}", refused.message());
        }
    }
    // One that is there already can still be changed, and is sent nothing.
    let renamed = v1::UpdateWebhookRequest {
        webhook: Some(v1::Webhook { name: "renamed".to_owned(), ..made[0].clone() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
        ..Default::default()
    };
    client.update_webhook(renamed).await.unwrap();
    for (host, webhook) in HOSTS.iter().zip(&made) {
        let id = test(&api.0, webhook).await;
        let failed = delivery(&api.0, &id, |it| it.attempts > 0).await;
        let why = ["private addresses only", "cannot be looked up"].iter().any(|why| failed.last_error.contains(why));
        assert!(why && failed.state() != Failed, "{host}: {}", failed.last_error);
    }
    assert!(receiver.rest().is_empty());
    drop((api, client));
    rig.stop().await;
}
