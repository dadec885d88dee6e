//! Webhooks in their table, `webhook`.

use super::cell::{self, Reading};
use super::entity::webhook;
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{Kind, Stored, Webhook, WebhookEvent, WebhookFormat, WebhookOwner, WebhookSecret};

impl Row for webhook::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }

    fn moved(&self, before: &Self) -> bool {
        self.name != before.name
    }
}

impl Persist for Webhook {
    fn lay(stored: &Stored<Self>, _other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { name, url, secret, events, owner, format, is_active, managed_by } = resource;
        let (owner_kind, owner_id) = match owner {
            None => ("", ""),
            Some(WebhookOwner::Customer(id)) => (Kind::Customer.name(), id.as_str()),
            Some(WebhookOwner::Team(id)) => (Kind::Team.name(), id.as_str()),
            Some(WebhookOwner::VirtualKey(id)) => (Kind::VirtualKey.name(), id.as_str()),
        };
        let events: Vec<Box<str>> = events.iter().map(|event| event.name().into()).collect();
        rows.webhook.push(webhook::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            name: name.to_string(),
            url: url.to_string(),
            secret: secret.as_ref().map(|secret| secret.reveal().to_owned()).unwrap_or_default(),
            events: cell::list(&events),
            owner_kind: owner_kind.to_owned(),
            owner_id: owner_id.to_owned(),
            format: format.name().to_owned(),
            is_active: *is_active,
            managed_by: managed_by.to_string(),
        });
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let webhooks = rows(tx, which.select::<webhook::Entity>(webhook::Column::Id)).await?;
        let mut read = |row: webhook::Model| {
            let reading = Reading { table: "webhook", id: &row.id };
            let events = reading.list(&row.events)?;
            let events = events.iter().map(|name| WebhookEvent::from_name(name)).collect::<Option<_>>();
            let is_kind = |kind: Kind| row.owner_kind == kind.name();
            Ok(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self {
                    name: row.name.as_str().into(),
                    url: row.url.as_str().into(),
                    secret: match row.secret.as_str() {
                        "" => None,
                        text => Some(WebhookSecret::new(text).ok_or_else(|| reading.corrupt("its secret is none"))?),
                    },
                    events: events.ok_or_else(|| reading.corrupt("it is for an unknown event"))?,
                    owner: match row.owner_id.as_str() {
                        "" if row.owner_kind.is_empty() => None,
                        id if is_kind(Kind::Customer) => Some(WebhookOwner::Customer(names.share(id))),
                        id if is_kind(Kind::Team) => Some(WebhookOwner::Team(names.share(id))),
                        id if is_kind(Kind::VirtualKey) => Some(WebhookOwner::VirtualKey(names.share(id))),
                        _ => return Err(reading.corrupt("its owner is of an unknown kind")),
                    },
                    format: WebhookFormat::from_name(&row.format)
                        .ok_or_else(|| reading.corrupt("its format is unknown"))?,
                    is_active: row.is_active,
                    managed_by: row.managed_by.as_str().into(),
                },
            })
        };
        webhooks.into_iter().map(&mut read).collect()
    }
}
