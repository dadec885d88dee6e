//! Who sees what of a webhook: its secret is shown once, its URL to administrators, and neither is in a log, on a stream or in
//! an export.

use prost::Message as _;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::{ResourceKind, Role};
use tonic::Code;

use super::*;
use crate::access::support::{Process, ROOT, caller, closed, make, token};
use crate::watch::rig::Node;

const URL: &str = "https://hooks.invalid/services/T0/B0/the-secret-of-the-url";

#[tokio::test]
async fn a_secret_is_shown_once_and_a_url_to_administrators() {
    let (mut rig, channel) = closed().await;
    let admin = caller(&channel, ROOT);
    let mut client = WebhookServiceClient::new(admin.clone());
    let asked = v1::CreateWebhookRequest {
        webhook: Some(webhook("ops", URL, &[WebhookEvent::KeyExpiring])),
        request_id: "0190a8f0-0000-7000-8000-000000000001".to_owned(),
        validate_only: false,
    };
    let tried = v1::CreateWebhookRequest { validate_only: true, ..asked.clone() };
    let tried = client.create_webhook(tried).await.unwrap().into_inner().webhook.unwrap();
    assert!(tried.secret.contains('…'), "what only validates makes no secret");
    let made = client.create_webhook(asked.clone()).await.unwrap().into_inner().webhook.unwrap();
    assert!(made.secret.starts_with("whsec_") && !made.secret.contains('…') && made.secret.len() > 40);
    let retried = client.create_webhook(asked).await.unwrap().into_inner().webhook.unwrap();
    let masked = v1::Webhook { secret: retried.secret.clone(), ..made.clone() };
    assert!(retried == masked && retried.secret.contains('…'));

    // An update keeps it, unless its mask names it: then there is another.
    let renamed = v1::Webhook { name: "people".to_owned(), ..masked.clone() };
    let update = |webhook: v1::Webhook, paths: &[&str]| v1::UpdateWebhookRequest {
        webhook: Some(webhook),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(|it| (*it).to_owned()).collect() }),
        ..Default::default()
    };
    let renamed = client.update_webhook(update(renamed, &["*"])).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!((renamed.secret.as_str(), renamed.url.as_str()), (masked.secret.as_str(), URL));
    let bare = v1::Webhook { id: made.id.clone(), ..Default::default() };
    let changed = client.update_webhook(update(bare, &["secret"])).await.unwrap().into_inner().webhook.unwrap();
    assert!(!changed.secret.contains('…') && changed.secret != made.secret);

    // A viewer reads them without.
    let value = make(&channel, token("viewer", Role::Viewer)).await.unwrap().value;
    let viewer = caller(&channel, &value);
    let mut reads = WebhookServiceClient::new(viewer.clone());
    let get = v1::GetWebhookRequest { id: made.id.clone(), ..Default::default() };
    let seen = reads.get_webhook(get.clone()).await.unwrap().into_inner();
    let listed = reads.list_webhooks(v1::ListWebhooksRequest::default()).await.unwrap().into_inner();
    assert_eq!(seen.webhook.as_ref().unwrap().url, "https://hooks.invalid/…");
    assert_eq!(listed.webhooks, [seen.webhook.clone().unwrap()]);
    assert_eq!(client.get_webhook(get).await.unwrap().into_inner().webhook.unwrap().url, URL);
    let of_webhooks = v1::ListChangesRequest { kind: ResourceKind::Webhook.into(), ..Default::default() };
    let mut told = vec![seen.encode_to_vec(), listed.encode_to_vec()];
    for caller in [viewer.clone(), admin] {
        let changes = ConfigServiceClient::new(caller).list_changes(of_webhooks.clone()).await.unwrap().into_inner();
        assert_eq!(changes.changes.len(), 3, "created, renamed, with another secret");
        told.push(changes.encode_to_vec());
    }
    for told in told {
        for secret in [&made.secret[6..], &changed.secret[6..], "the-secret-of-the-url"] {
            assert!(!told.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is told");
        }
    }
    drop((client, reads, viewer, channel));
    rig.stop().await;
}

#[tokio::test]
async fn webhooks_are_on_no_stream() {
    let (mut rig, api) = Rig::started().await;
    let mut node = Node::new(&[]);
    node.connect(&api).await.unwrap();
    let made = create(&api.0, webhook("ops", URL, &[WebhookEvent::KeyExpiring])).await;
    let team = api.team("after").await;
    node.until(team.revision).await;
    let kinds = |node: &Node| node.reducer.state().iter().map(|(key, _)| key.kind).collect::<Vec<_>>();
    assert!(!kinds(&node).contains(&ResourceKind::Webhook.into()));
    let request = v1::DeleteWebhookRequest { id: made.id, ..Default::default() };
    let deleted = WebhookServiceClient::new(api.0.clone()).delete_webhook(request).await.unwrap().into_inner();
    // The revision is passed on, and nothing of it.
    node.until(deleted.revision).await;
    let mut fresh = Node::new(&[]);
    fresh.connect(&api).await.unwrap();
    fresh.until(deleted.revision).await;
    assert_eq!(kinds(&fresh).len(), kinds(&node).len());
    let refused = Node::new(&[ResourceKind::Webhook]).connect(&api).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("a kind that is on no stream"), "{}", refused.message());
    drop((api, node, fresh));
    rig.stop().await;
}

#[tokio::test]
async fn an_export_has_no_secret_and_an_imported_webhook_asks_for_one() {
    let (mut rig, api) = Rig::started().await;
    let made = create(&api.0, webhook("ops", URL, &[WebhookEvent::KeyExpiring])).await;
    drop(api);
    rig.stop().await;
    let file = rig.database.directory().join("export.jsonl").display().to_string();
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate")).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["export", "--database", &rig.database.settings.url, "--output", &file]);
    let exported = std::fs::read_to_string(&file).unwrap();
    assert!(exported.contains("\"webhook\"") && !exported.contains(&made.secret[6..]));
    let mut copy = Rig::new();
    run(&["migrate", "up", "--database", &copy.database.settings.url]);
    run(&["import", "--database", &copy.database.settings.url, "--input", &file]);
    copy.settings.webhooks.allow_private = true;
    copy.start().await;
    let api = copy.api().await;
    let mut client = WebhookServiceClient::new(api.0.clone());
    let get = v1::GetWebhookRequest { id: made.id.clone(), ..Default::default() };
    let moved = client.get_webhook(get).await.unwrap().into_inner().webhook.unwrap();
    assert_eq!((moved.url.as_str(), moved.secret.as_str(), moved.created_at), (URL, "", made.created_at));
    let id = test(&api.0, &moved).await;
    let failed = delivery(&api.0, &id, |it| it.attempts > 0).await;
    assert!(failed.last_error.contains("has no secret"), "{}", failed.last_error);
    drop((api, client));
    copy.stop().await;
    let (agrees, said) = crate::process::verify(&copy.database, &[]);
    assert!(agrees, "{said}");
}

#[tokio::test]
async fn no_log_has_a_secret_and_the_command_shows_what_became_of_deliveries() {
    let process = Process::start(&["--allow-private-webhooks"], &[]).await;
    let url = URL.replace("hooks.invalid", "localhost:1");
    let create =
        ["webhooks", "create", "--name", "ops", "--url", &url, "--event", "key-expiring", "--event", "node-silent"];
    let secret = process.run(&create, &[]).unwrap().trim().to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let listed = process.run(&["webhooks"], &[]).unwrap();
    assert!(
        listed.contains("key-expiring,node-silent") && listed.contains(&url) && !listed.contains(&secret),
        "{listed}"
    );
    assert_eq!(process.run(&["webhooks", "list"], &[]).unwrap(), listed);
    assert!(process.run(&["webhooks", "test", "ops"], &[]).unwrap().contains("a test event is on its way"));
    let shown = async {
        loop {
            let shown =
                process.run(&["webhooks", "deliveries", "--webhook", "ops", "--state", "waiting"], &[]).unwrap();
            if shown.contains("no connection to localhost") {
                return shown;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let shown = soon(shown).await;
    assert!(shown.contains("ops") && shown.contains("test"), "{shown}");
    assert!(process.run(&["webhooks", "delete", "ops"], &[]).unwrap().contains("deleted webhook"));
    assert!(!process.run(&["webhooks"], &[]).unwrap().contains("ops"));
    let files = process.kill();
    let (_, log) = files.iter().find(|(name, _)| name.ends_with("/log")).unwrap();
    let log = String::from_utf8_lossy(log);
    assert!(log.contains("CreateWebhook"));
    for secret in [&secret[6..], "the-secret-of-the-url"] {
        assert!(!log.contains(secret), "the log has {secret}");
    }
}
