//! Webhooks, and what is on its way to them.

use std::mem;

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses, principal};
use super::crud::{Edit, Listing, Reading, Removal, present, respond, unknown};
use super::page::{self, Scope, managed_facet};
use super::permissions::sees_urls;
use crate::domain::{Error, Path, Violations, Webhook};
use crate::ledger::Call;
use crate::proto::v1;
use crate::proto::v1::webhook_service_server::WebhookService;
use crate::state::{Query, Reset};
use crate::store::{Delivery, DeliveryFilter, DeliveryState};
use crate::webhooks;
use crate::wire::{self, timestamp};

#[tonic::async_trait]
impl WebhookService for Api {
    async fn list_webhooks(
        &self,
        request: Request<v1::ListWebhooksRequest>,
    ) -> Result<Response<v1::ListWebhooksResponse>, Status> {
        let statuses = Statuses::of(&request);
        let hides = hides_urls(&request, &statuses)?;
        let v1::ListWebhooksRequest { page_size, page_token, from_memory, view, managed_by } = request.into_inner();
        let filters = v1::ListWebhooksRequest { managed_by: managed_by.clone(), ..Default::default() };
        let scope = Scope::new("ListWebhooks", &filters);
        let query = Query { facets: managed_facet(managed_by).into_iter().collect(), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<Webhook>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListWebhooksResponse {
            webhooks: listed.items.into_iter().map(|webhook| shown(webhook, hides)).collect(),
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_webhook(
        &self,
        request: Request<v1::CreateWebhookRequest>,
    ) -> Result<Response<v1::CreateWebhookResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.WebhookService/CreateWebhook", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.create_webhook(call, request.webhook).await, &statuses)
    }

    async fn get_webhook(
        &self,
        request: Request<v1::GetWebhookRequest>,
    ) -> Result<Response<v1::GetWebhookResponse>, Status> {
        let statuses = Statuses::of(&request);
        let hides = hides_urls(&request, &statuses)?;
        let v1::GetWebhookRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<Webhook>(&id, Reading { from_memory, view }).await;
        respond(found.map(|webhook| v1::GetWebhookResponse { webhook: Some(shown(webhook, hides)) }), &statuses)
    }

    async fn update_webhook(
        &self,
        request: Request<v1::UpdateWebhookRequest>,
    ) -> Result<Response<v1::UpdateWebhookResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.WebhookService/UpdateWebhook", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.update_webhook(call, request.webhook, request.update_mask).await, &statuses)
    }

    async fn delete_webhook(
        &self,
        request: Request<v1::DeleteWebhookRequest>,
    ) -> Result<Response<v1::DeleteWebhookResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.WebhookService/DeleteWebhook", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteWebhookResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(self.delete::<Webhook, _>(call, Removal::new(&request.id, request.revision), answer).await, &statuses)
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<v1::ListWebhookDeliveriesRequest>,
    ) -> Result<Response<v1::ListWebhookDeliveriesResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.list_deliveries(request.into_inner()).await, &statuses)
    }

    async fn send_test_event(
        &self,
        request: Request<v1::SendTestEventRequest>,
    ) -> Result<Response<v1::SendTestEventResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.send_test_event(&request.into_inner().id).await, &statuses)
    }
}

impl Api {
    async fn create_webhook(
        &self,
        call: Call,
        webhook: Option<v1::Webhook>,
    ) -> Result<v1::CreateWebhookResponse, Error> {
        let validates = call.validate_only;
        let mut webhook = webhook;
        let mut secret = String::new();
        if let Some(webhook) = &mut webhook {
            self.check_url(webhook)?;
            if webhook.secret.is_empty() {
                webhook.secret = webhooks::new_secret();
                secret.clone_from(&webhook.secret);
            }
        }
        let answer = |webhook| v1::CreateWebhookResponse { webhook: Some(webhook) };
        let (mut response, replayed) = self.create::<Webhook, _>(call, webhook, |_| {}, answer).await?;
        // A secret that the caller chose, the caller knows.
        if let Some(webhook) = response.webhook.as_mut().filter(|_| !replayed && !validates && !secret.is_empty()) {
            webhook.secret = secret;
        }
        Ok(response)
    }

    async fn update_webhook(
        &self,
        call: Call,
        webhook: Option<v1::Webhook>,
        mask: Option<prost_types::FieldMask>,
    ) -> Result<v1::UpdateWebhookResponse, Error> {
        let (validates, mut webhook) = (call.validate_only, webhook);
        let mut secret = String::new();
        if let Some(webhook) = &mut webhook {
            let names = |field: &str| mask.as_ref().is_some_and(|mask| mask.paths.iter().any(|path| path == field));
            // A URL that stays may be from a time when the server allowed more.
            if names("url") || names("*") || mask.as_ref().is_none_or(|mask| mask.paths.is_empty()) {
                self.check_url(webhook)?;
            }
            if names("secret") && webhook.secret.is_empty() {
                webhook.secret = webhooks::new_secret();
                secret.clone_from(&webhook.secret);
            }
        }
        let answer = |webhook, also_changed| v1::UpdateWebhookResponse { webhook: Some(webhook), also_changed };
        let edit = Edit { message: webhook, mask, reset: Reset::default() };
        let mut response = self.update::<Webhook, _>(call, edit, answer).await?;
        // Of a retry, the secret that was made first is the one that counts: the mask of this one is another.
        let made = crate::domain::WebhookSecret::new(&secret).map(|secret| secret.mask());
        if let Some(webhook) = response.webhook.as_mut().filter(|it| !validates && made.as_ref() == Some(&it.secret)) {
            webhook.secret = secret;
        }
        Ok(response)
    }

    /// A URL to which nothing could ever be sent is refused when it is written, not when the first alert is lost.
    fn check_url(&self, webhook: &v1::Webhook) -> Result<(), Error> {
        let mut violations = Violations::new();
        if let Some(text) = self.webhooks.refuses(&webhook.url) {
            violations.add(Path::root("webhook").field("url"), text);
        }
        Ok(violations.or(())?)
    }

    async fn list_deliveries(
        &self,
        request: v1::ListWebhookDeliveriesRequest,
    ) -> Result<v1::ListWebhookDeliveriesResponse, Error> {
        let filters = v1::ListWebhookDeliveriesRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListWebhookDeliveries", &filters);
        let v1::ListWebhookDeliveriesRequest { page_size, page_token, webhook_id, state } = request;
        let limit = page::size(page_size)?;
        let after = scope.read(&page_token)?.map(|(number, _)| number);
        let filter = DeliveryFilter {
            webhook_id: Some(webhook_id).filter(|id| !id.is_empty()),
            state: match state {
                0 => None,
                number => Some(
                    DeliveryState::from_number(number)
                        .ok_or_else(|| unknown("state", number, "WebhookDeliveryState"))?,
                ),
            },
        };
        let found = self.ledger.reader().list_deliveries(&filter, after, limit as u64 + 1).await;
        let found = found.map_err(|error| error.to_domain())?;
        let (mut deliveries, mut bytes, mut last, mut more) = (Vec::new(), 0, None, found.len() > limit);
        for delivery in found.into_iter().take(limit) {
            let number = delivery.number;
            let rendered = render(delivery);
            bytes += rendered.encoded_len();
            if bytes > page::MAX_BYTES && !deliveries.is_empty() {
                more = true;
                break;
            }
            deliveries.push(rendered);
            last = Some(number);
        }
        let next_page_token = last.filter(|_| more).map(|number| scope.token(number, "")).unwrap_or_default();
        Ok(v1::ListWebhookDeliveriesResponse { deliveries, next_page_token })
    }

    async fn send_test_event(&self, id: &str) -> Result<v1::SendTestEventResponse, Error> {
        let id = present(id, "id")?;
        let state = self.state();
        let webhook = state.config().get::<Webhook>(id);
        let webhook = webhook.ok_or_else(|| Error::NotFound { kind: crate::domain::Kind::Webhook, id: id.into() })?;
        if !webhook.resource.is_active {
            let mut violations = Violations::new();
            violations
                .add(Path::root("id"), "is of a webhook that is not active, which is sent nothing; set is_active");
            return Err(violations.into());
        }
        let delivery = self.webhooks.test(webhook).await.map_err(|error| error.to_domain())?;
        Ok(v1::SendTestEventResponse { delivery: Some(render(delivery)) })
    }
}

/// Whether the caller may not see all of a URL.
fn hides_urls<T>(request: &Request<T>, statuses: &Statuses) -> Result<bool, Status> {
    let principal = principal(request).map_err(|error| statuses.status(error))?;
    Ok(!sees_urls(principal.role()))
}

fn shown(mut webhook: v1::Webhook, hides: bool) -> v1::Webhook {
    if hides {
        webhook.url = wire::host_alone(&webhook.url);
    }
    webhook
}

fn render(delivery: Delivery) -> v1::WebhookDelivery {
    let Delivery { id, number: _, webhook_id, event, state, body, attempts, last_status, last_error, .. } = delivery;
    v1::WebhookDelivery {
        id: id.into(),
        webhook_id: webhook_id.into(),
        event: event.number(),
        state: state.number(),
        body: body.into(),
        attempts,
        last_status,
        last_error: last_error.into(),
        created_at: Some(timestamp(delivery.created_at)),
        next_attempt_at: (state == DeliveryState::Waiting).then(|| timestamp(delivery.next_attempt_at)),
        finished_at: delivery.finished_at.map(timestamp),
    }
}
