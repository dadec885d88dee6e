//! Webhooks.

use super::*;

subject!(
    Webhook,
    v1::webhook_service_client::WebhookServiceClient<Channel>,
    webhook,
    |n| v1::Webhook {
        name: name(n),
        url: format!("https://alerts-{n}.invalid/tollgate?of=tests"),
        secret: format!("whsec_{}{:04}", "AbCd".repeat(9), n),
        events: vec![v1::WebhookEvent::KeyExpiring.into(), v1::WebhookEvent::StoreNotWritable.into()],
        ..Default::default()
    },
    |it| {
        it.format = v1::WebhookFormat::Slack.into();
        "format"
    },
    view = 0,
    create_webhook,
    CreateWebhookRequest,
    get_webhook,
    GetWebhookRequest,
    list_webhooks,
    ListWebhooksRequest,
    webhooks,
    update_webhook,
    UpdateWebhookRequest,
    delete_webhook,
    DeleteWebhookRequest
);
