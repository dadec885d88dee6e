//! Alerts: what is sent, to whom, and what becomes of it, with receivers that really are there.

mod deliveries;
mod events;
mod expiry;
mod outage;
mod receiver;
mod secrets;

use tollgate::proto::v1;
use tollgate::proto::v1::webhook_service_client::WebhookServiceClient;
use tollgate::proto::v1::{WebhookDeliveryState, WebhookEvent};
use tonic::transport::Channel;

use crate::watch::api::Api;
use crate::watch::rig::{Rig, soon};

/// A server whose webhooks may lead to this machine.
async fn started() -> (Rig, Api) {
    let mut rig = Rig::new();
    rig.settings.webhooks.allow_private = true;
    rig.start().await;
    let api = rig.api().await;
    (rig, api)
}

fn webhook(name: &str, url: &str, events: &[WebhookEvent]) -> v1::Webhook {
    let events = events.iter().map(|event| i32::from(*event)).collect();
    v1::Webhook { name: name.to_owned(), url: url.to_owned(), events, ..Default::default() }
}

/// A team with a budget of a dollar a day, and a key of it without limits.
async fn spenders(api: &Api) -> (v1::Team, v1::VirtualKey) {
    let budget = v1::Budget { max_limit: 1.0, reset_duration: "1d".to_owned(), ..Default::default() };
    let team = v1::Team { name: "spenders".to_owned(), budgets: vec![budget], ..Default::default() };
    let team = api.create_team(team).await.unwrap();
    let key = v1::VirtualKey { name: "spender".to_owned(), team_id: team.id.clone(), ..Default::default() };
    let key = api.create_virtual_key(key).await.unwrap();
    (team, key)
}

/// Makes a webhook; with its secret.
async fn create(channel: &Channel, webhook: v1::Webhook) -> v1::Webhook {
    let request = v1::CreateWebhookRequest { webhook: Some(webhook), ..Default::default() };
    let created = WebhookServiceClient::new(channel.clone()).create_webhook(request).await.unwrap();
    created.into_inner().webhook.unwrap()
}

/// Sends a test event; the id of the delivery.
async fn test(channel: &Channel, webhook: &v1::Webhook) -> String {
    let request = v1::SendTestEventRequest { id: webhook.id.clone() };
    let answer = WebhookServiceClient::new(channel.clone()).send_test_event(request).await.unwrap();
    answer.into_inner().delivery.unwrap().id
}

/// All deliveries, the newest first, read page by page.
async fn deliveries(channel: &Channel, webhook_id: &str) -> Vec<v1::WebhookDelivery> {
    let mut client = WebhookServiceClient::new(channel.clone());
    let webhook_id = webhook_id.to_owned();
    let mut request = v1::ListWebhookDeliveriesRequest { page_size: 2, webhook_id, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = client.list_webhook_deliveries(request.clone()).await.unwrap().into_inner();
        all.extend(page.deliveries);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return all;
        }
    }
}

/// The delivery with this id, as soon as `holds` does.
async fn delivery(channel: &Channel, id: &str, holds: impl Fn(&v1::WebhookDelivery) -> bool) -> v1::WebhookDelivery {
    let look = async {
        loop {
            let found = deliveries(channel, "").await.into_iter().find(|it| it.id == id).unwrap();
            if holds(&found) {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    soon(look).await
}

fn is_delivered(delivery: &v1::WebhookDelivery) -> bool {
    delivery.state() == WebhookDeliveryState::Delivered
}
