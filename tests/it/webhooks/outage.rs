//! A database that cannot be written is told of all the same.

use std::sync::Arc;

use super::receiver::{Answer, Receiver};
use super::*;
use crate::engine::{Database, cluster, on_postgres};

/// It has a cluster of its own, which it lets crash: the run on SQLite is enough.
#[tokio::test]
async fn a_database_that_cannot_be_written_is_told_of_from_memory() {
    if on_postgres() || cluster::binaries().is_none() {
        return;
    }
    let cluster = cluster::Cluster::start(&["fsync=off"]);
    let mut rig = Rig::on(Arc::new(Database::of(&cluster)));
    rig.settings.webhooks.allow_private = true;
    rig.start().await;
    let api = rig.api().await;
    let mut receiver = Receiver::start(&[Answer::Status(200)]).await;
    let webhook = create(&api.0, webhook("ops", &receiver.url(), &[WebhookEvent::StoreNotWritable])).await;
    cluster.crash();
    let told = receiver.next().await;
    let body = told.json();
    assert_eq!(body["type"], "store.not_writable");
    assert!(body["data"]["replica"].as_str().unwrap().contains(':'));
    cluster.resume();
    // The outbox has it, once it can be written.
    let mut client = WebhookServiceClient::new(api.0.clone());
    let request = v1::ListWebhookDeliveriesRequest { webhook_id: webhook.id.clone(), ..Default::default() };
    let known = async {
        loop {
            match client.list_webhook_deliveries(request.clone()).await {
                Ok(page) if !page.get_ref().deliveries.is_empty() => return,
                _ => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        }
    };
    soon(known).await;
    delivery(&api.0, told.id(), is_delivered).await;
    assert_eq!(deliveries(&api.0, &webhook.id).await.len(), 1);
    // Had the database come back before the answer, it would have been sent twice, as the same.
    assert!(receiver.rest().iter().all(|repeat| repeat.id() == told.id()));
    drop((api, client));
    rig.stop().await;
}
