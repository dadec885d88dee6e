//! Webhooks.

use super::text::{bounded, managed_by, name, reference, timestamp};
use super::{Form, Wire};
use crate::domain::{Id, Path, Stored, Violations, Webhook, WebhookEvent, WebhookFormat, WebhookOwner, WebhookSecret};
use crate::proto::v1;

/// The longest URL.
const MAX_URL_BYTES: usize = 2_048;
/// Stands in a mask for the part of a secret that is not shown.
const HIDDEN: char = '…';

impl Wire for Webhook {
    type Message = v1::Webhook;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at"];
    const IMMUTABLE: &'static [&'static str] = &[];

    /// Without a secret, or with the mask of one, it has none: `state` keeps the stored one then.
    fn parse(message: v1::Webhook, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::Webhook { name: text, url, secret, events, format, is_active, managed_by: manager, .. } = &message;
        Some(Self {
            name: name(text, &path.field("name"), violations),
            url: parse_url(url, &path.field("url"), violations),
            secret: parse_secret(secret, &path.field("secret"), violations),
            events: parse_events(events, &path.field("events"), violations),
            owner: parse_owner(&message, path, violations),
            format: match v1::WebhookFormat::try_from(*format) {
                Ok(v1::WebhookFormat::Unspecified | v1::WebhookFormat::Standard) => WebhookFormat::Standard,
                Ok(v1::WebhookFormat::Slack) => WebhookFormat::Slack,
                Err(_) => {
                    let names = "WEBHOOK_FORMAT_STANDARD or WEBHOOK_FORMAT_SLACK";
                    violations.add(path.field("format"), format!("is {format}; must be {names}, or left out"));
                    WebhookFormat::Standard
                }
            },
            is_active: is_active.unwrap_or(true),
            managed_by: managed_by(manager, path, violations),
        })
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::Webhook {
        let Self { name, url, secret, events, owner, format, is_active, managed_by } = &stored.resource;
        let [customer_id, team_id, virtual_key_id] = match owner {
            None => [""; 3],
            Some(WebhookOwner::Customer(id)) => [id.as_str(), "", ""],
            Some(WebhookOwner::Team(id)) => ["", id.as_str(), ""],
            Some(WebhookOwner::VirtualKey(id)) => ["", "", id.as_str()],
        };
        let secret = secret.as_ref().map(|secret| match form {
            Form::Log => secret.reveal().to_owned(),
            Form::Answer(_) | Form::Stream => secret.mask(),
        });
        v1::Webhook {
            id: stored.id.to_string(),
            name: name.to_string(),
            url: url.to_string(),
            secret: secret.unwrap_or_default(),
            events: events.iter().map(|event| event.number()).collect(),
            customer_id: customer_id.to_owned(),
            team_id: team_id.to_owned(),
            virtual_key_id: virtual_key_id.to_owned(),
            format: render_format(*format).into(),
            is_active: Some(*is_active),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, _message: &v1::Webhook, form: Form, path: &Path<'_>, violations: &mut Violations) {
        if form == Form::Stream {
            violations.add(path, "is on the stream, which carries no webhooks");
        }
    }

    fn times(message: &v1::Webhook) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::Webhook) -> (&str, i64) {
        (&message.id, message.revision)
    }

    /// There is one owner: naming another takes the place of the one before.
    fn mend(merged: &mut v1::Webhook, fields: &[&str]) {
        let named = |field: &str, id: &str| fields.contains(&field) && !id.is_empty();
        let named = [
            named("customer_id", &merged.customer_id),
            named("team_id", &merged.team_id),
            named("virtual_key_id", &merged.virtual_key_id),
        ];
        if named.iter().filter(|named| **named).count() == 1 {
            let owners = [&mut merged.customer_id, &mut merged.team_id, &mut merged.virtual_key_id];
            for (owner, _) in owners.into_iter().zip(named).filter(|(_, named)| !named) {
                owner.clear();
            }
        }
    }

    fn config_resource(message: v1::Webhook) -> v1::config_resource::Resource {
        v1::config_resource::Resource::Webhook(message)
    }
}

/// A format as the API has it.
fn render_format(format: WebhookFormat) -> v1::WebhookFormat {
    match format {
        WebhookFormat::Standard => v1::WebhookFormat::Standard,
        WebhookFormat::Slack => v1::WebhookFormat::Slack,
    }
}

/// The URL up to its path, for whoever may not see the rest: that is a secret at many receivers.
pub fn host_alone(url: &str) -> String {
    let rest = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let host = rest.find(['/', '?']).unwrap_or(rest.len());
    let end = url.len() - rest.len() + host;
    format!("{}/{HIDDEN}", url.get(..end).unwrap_or_default())
}

/// Takes what is secret out of a webhook, for people to read.
pub(super) fn hide(webhook: &mut v1::Webhook) {
    webhook.url = host_alone(&webhook.url);
    webhook.secret = WebhookSecret::new(&webhook.secret).map(|secret| secret.mask()).unwrap_or_default();
}

/// An absolute URL of a host, without anybody who is to log in there.
fn parse_url(url: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    let remedy = "must be an absolute URL such as https://alerts.example.com/tollgate";
    let host = url.split_once("://").and_then(|(scheme, rest)| {
        matches!(scheme, "https" | "http").then(|| rest.split(['/', '?']).next().unwrap_or_default())
    });
    match host {
        None => violations.add(path, format!("has no scheme; {remedy}")),
        Some("") => violations.add(path, format!("names no host; {remedy}")),
        Some(host) if host.contains('@') => {
            violations.add(path, "has a user or a password; give it without: deliveries are signed instead");
        }
        Some(_) if !url.bytes().all(|byte| byte.is_ascii_graphic()) => {
            violations.add(path, "has spaces or characters beyond ASCII; escape them as %20 or the like");
        }
        Some(_) if url.contains(['#', '\\', '"', '<', '>', '^', '`', '{', '|', '}']) => {
            violations
                .add(path, "has a fragment or a character that no URL has; remove it, or escape it as %23 or the like");
        }
        Some(_) => {}
    }
    bounded(url, MAX_URL_BYTES, false, path, violations)
}

fn parse_secret(secret: &str, path: &Path<'_>, violations: &mut Violations) -> Option<WebhookSecret> {
    if secret.is_empty() || secret.contains(HIDDEN) {
        return None;
    }
    let parsed = WebhookSecret::new(secret);
    if parsed.is_none() {
        let remedy = "leave it out and the server makes one";
        violations.add(path, format!("is none; must be `whsec_` and Base64 of 24 to 64 bytes, or {remedy}"));
    }
    parsed
}

fn parse_events(events: &[i32], path: &Path<'_>, violations: &mut Violations) -> Vec<WebhookEvent> {
    if events.is_empty() {
        violations.add(path, "is empty; must name at least one event, such as WEBHOOK_EVENT_THRESHOLD_CROSSED");
    }
    let mut parsed = Vec::new();
    for (index, number) in events.iter().enumerate() {
        match WebhookEvent::from_number(*number) {
            None | Some(WebhookEvent::Test) => {
                violations.add(path.index(index), format!("is {number}, which is no event that can be asked for"));
            }
            Some(event) if parsed.contains(&event) => violations.add(path.index(index), "is a duplicate; remove it"),
            Some(event) => parsed.push(event),
        }
    }
    parsed
}

fn parse_owner(message: &v1::Webhook, path: &Path<'_>, violations: &mut Violations) -> Option<WebhookOwner> {
    let v1::Webhook { customer_id, team_id, virtual_key_id, .. } = message;
    let named = [("customer_id", customer_id), ("team_id", team_id), ("virtual_key_id", virtual_key_id)];
    let mut named = named.into_iter().filter(|(_, id)| !id.is_empty());
    let (field, id) = named.next()?;
    for (other, _) in named {
        violations.add(path.field(other), format!("is set beside {field}; leave all but one out"));
    }
    let id = reference(id, &path.field(field), violations);
    Some(match field {
        "customer_id" => WebhookOwner::Customer(Id::new(id)),
        "team_id" => WebhookOwner::Team(Id::new(id)),
        _ => WebhookOwner::VirtualKey(Id::new(id)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(url: &str) -> usize {
        let mut violations = Violations::new();
        parse_url(url, &Path::root("url"), &mut violations);
        violations.iter().count()
    }

    #[test]
    fn urls_are_absolute_and_name_a_host_alone() {
        for good in ["https://a.example", "https://a.example:8443/x?y=%20", "http://[::1]:80/", "https://10.0.0.1"] {
            assert_eq!(faults(good), 0, "{good}");
        }
        let long = format!("https://a.example/{}", "x".repeat(MAX_URL_BYTES));
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https:///x",
            "https://u:p@a.example/",
            "https://a/ b",
            "https://a/#b",
            &long,
        ] {
            assert_ne!(faults(bad), 0, "{bad}");
        }
        assert_eq!(host_alone("https://hooks.example/services/T/B/secret"), "https://hooks.example/…");
        assert_eq!(host_alone("https://hooks.example?secret"), "https://hooks.example/…");
        assert_eq!(host_alone("https://hooks.example"), "https://hooks.example/…");
    }
}
