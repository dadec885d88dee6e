//! What a store holds as lines, and back.

mod credit;
mod spend;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost_types::Timestamp as Time;

use crate::counters::{Counter, CounterKey};
use crate::domain::{
    AlertPercents, AnyResource, Id, KeyOwner, Kind, Path, Resource as _, Stored, Timestamp, Token, Violations,
};
use crate::proto::export::v1::line::Line as Content;
use crate::proto::export::v1::{self as file, former_key};
use crate::proto::v1;
use crate::state::Crossing;
use crate::store::{Record, Registration, Remembered, UsageNode};
use crate::usage::FormerKey;
use crate::wire::{self, Form, Wire as _, timestamp};

/// More than any id, name of a node or name of a caller has.
const MAX_TEXT_BYTES: usize = 4_096;

/// A record as it stands on a line.
pub fn render(record: &Record) -> file::Line {
    let content = match record {
        Record::Resource(any) => Content::Resource(render_resource(any)),
        Record::Token(token, last_used_at) => Content::Token(render_token(token, *last_used_at)),
        Record::UsageNode(node) => Content::UsageNode(render_node(node)),
        Record::Counter(key, counter) => Content::UsageCounter(file::UsageCounter {
            limit_id: key.limit_id.to_string(),
            kind: wire::limit_kind(key.kind).into(),
            window_start: Some(timestamp(key.window_start)),
            used: counter.used,
            version: counter.version,
        }),
        Record::FormerKey(id, former) => Content::FormerKey(file::FormerKey {
            virtual_key_id: id.to_string(),
            owner: former.owner.as_ref().map(|owner| match owner {
                KeyOwner::Team(id) => former_key::Owner::TeamId(id.to_string()),
                KeyOwner::Customer(id) => former_key::Owner::CustomerId(id.to_string()),
            }),
            deleted_at: Some(timestamp(former.deleted_at)),
        }),
        Record::Crossing(crossing) => Content::ThresholdEvent(file::ThresholdEvent {
            event: Some(v1::ThresholdEvent {
                limit_id: crossing.key.limit_id.to_string(),
                kind: wire::limit_kind(crossing.key.kind).into(),
                owner: Some((&crossing.owner).into()),
                percent: crossing.percent,
                window_start: Some(timestamp(crossing.key.window_start)),
                used: crossing.used,
                max: crossing.max,
                crossed_at: Some(timestamp(crossing.crossed_at)),
            }),
            version: crossing.version,
        }),
        Record::Request(request) => Content::Request(file::Request {
            caller: request.caller.clone(),
            method: request.method.clone(),
            request_id: request.request_id.clone(),
            fingerprint: request.fingerprint.to_vec().into(),
            response: request.response.clone(),
            accepted_at: Some(timestamp(request.accepted_at)),
        }),
        Record::Spend(cell, amounts) => Content::Spend(spend::render(cell, *amounts)),
        Record::Credit(change) => credit::render(change),
    };
    file::Line { line: Some(content) }
}

/// A resource with everything that is stored of it, but for secrets: hashes alone are in a file.
fn render_resource(any: &AnyResource) -> v1::ConfigResource {
    let mut resource = wire::render_any(any, Form::Log);
    if let Some(v1::config_resource::Resource::Webhook(webhook)) = &mut resource.resource {
        webhook.secret.clear();
    }
    resource
}

fn render_node(node: &UsageNode) -> file::UsageNode {
    let UsageNode { incarnation, registration, sequence, fingerprint, store_id } = node;
    let Registration { node_id, version, metadata, registered_by, at } = registration;
    file::UsageNode {
        incarnation: *incarnation,
        node_id: node_id.clone(),
        version: version.clone(),
        metadata: metadata.clone(),
        registered_at: Some(timestamp(*at)),
        registered_by: registered_by.clone(),
        last_sequence: *sequence,
        last_fingerprint: fingerprint.to_vec().into(),
        store_id: store_id.to_string(),
    }
}

/// The record on a line; `None` with everything that is wrong with it. Whether anything else is on the line, that no
/// record has, shows when it is rendered again.
pub fn parse(content: Content, violations: &mut Violations) -> Option<Record> {
    let mut fields = Fields(violations);
    let record = match content {
        Content::Resource(resource) => {
            let any = restore(resource, &mut fields)?;
            if any.kind() == Kind::Token {
                fields.0.add("resource.token", "stands among the resources; access tokens have lines of their own");
            }
            Record::Resource(any)
        }
        Content::Token(token) => parse_token(token, &mut fields)?,
        Content::UsageNode(node) => Record::UsageNode(parse_node(node, &mut fields)),
        Content::UsageCounter(counter) => {
            let file::UsageCounter { limit_id, kind, window_start, used, version } = counter;
            let key = fields.counter(&limit_id, kind, window_start, "")?;
            Record::Counter(key, Counter { used: fields.at_least(0, used, "used"), version })
        }
        Content::FormerKey(former) => {
            let file::FormerKey { virtual_key_id, owner, deleted_at } = former;
            let owner = owner.map(|owner| match owner {
                former_key::Owner::TeamId(id) => KeyOwner::Team(Id::new(fields.id(&id, "team_id"))),
                former_key::Owner::CustomerId(id) => KeyOwner::Customer(Id::new(fields.id(&id, "customer_id"))),
            });
            let deleted_at = fields.time(deleted_at, "deleted_at");
            Record::FormerKey(fields.id(&virtual_key_id, "virtual_key_id").into(), FormerKey { owner, deleted_at })
        }
        Content::ThresholdEvent(event) => Record::Crossing(parse_crossing(event, &mut fields)?),
        Content::Request(request) => {
            let file::Request { caller, method, request_id, fingerprint, response, accepted_at } = request;
            Record::Request(Remembered {
                caller: fields.text(caller, "caller"),
                method: fields.id(&method, "method").to_owned(),
                request_id: fields.id(&request_id, "request_id").to_owned(),
                fingerprint: fields.hash(&fingerprint, "fingerprint"),
                response,
                accepted_at: fields.time(accepted_at, "accepted_at"),
            })
        }
        Content::Spend(spent) => spend::parse(spent, &mut fields)?,
        Content::CreditNode(node) => credit::parse_node(node, &mut fields),
        Content::CreditPool(pool) => credit::parse_pool(pool, &mut fields)?,
        Content::CreditAccount(account) => credit::parse_account(account, &mut fields)?,
        Content::Header(_) | Content::Trailer(_) => {
            fields.0.add("line", "is a header or a trailer, where a record must be");
            return None;
        }
    };
    violations.is_empty().then_some(record)
}

fn render_token(token: &Stored<Token>, last_used_at: Option<Timestamp>) -> file::Token {
    let mut token = Token::render(token, Form::Log);
    token.last_used_at = last_used_at.map(timestamp);
    // It follows from the other times.
    token.updated_at = None;
    let value_sha256 = std::mem::take(&mut token.value_sha256);
    file::Token { token: Some(token), value_sha256 }
}

fn parse_token(token: file::Token, fields: &mut Fields<'_>) -> Option<Record> {
    let file::Token { token, value_sha256 } = token;
    let Some(mut token) = token else {
        fields.0.add("token", "is absent");
        return None;
    };
    let last_used_at = token.last_used_at.is_some().then(|| fields.time(token.last_used_at, "token.last_used_at"));
    fields.hash(&value_sha256, "value_sha256");
    token.value_sha256 = value_sha256;
    token.updated_at = token.revoked_at.or(token.created_at);
    let any = restore(v1::ConfigResource { resource: Some(v1::config_resource::Resource::Token(token)) }, fields)?;
    Some(Record::Token(Arc::clone(Token::unwrap(&any)?), last_used_at))
}

/// A resource with everything that is stored of it.
fn restore(resource: v1::ConfigResource, fields: &mut Fields<'_>) -> Option<AnyResource> {
    let any = wire::restore_any(resource, fields.0)?;
    if any.revision() != 0 {
        let text = format!("is {}; must be left out: another store counts anew", any.revision());
        fields.0.add(format!("{}.revision", any.key().kind), text);
    }
    Some(any)
}

fn parse_node(node: file::UsageNode, fields: &mut Fields<'_>) -> UsageNode {
    let file::UsageNode {
        incarnation,
        node_id,
        version,
        metadata,
        registered_at,
        registered_by,
        last_sequence,
        last_fingerprint,
        store_id,
    } = node;
    if serde_json::from_str::<BTreeMap<String, String>>(&metadata).is_err() {
        fields.0.add("metadata", "is no JSON object of strings");
    }
    UsageNode {
        incarnation,
        registration: Registration {
            node_id: fields.id(&node_id, "node_id").to_owned(),
            version: fields.text(version, "version"),
            metadata,
            registered_by: fields.text(registered_by, "registered_by"),
            at: fields.time(registered_at, "registered_at"),
        },
        sequence: fields.at_least(0, last_sequence, "last_sequence"),
        fingerprint: fields.hash(&last_fingerprint, "last_fingerprint"),
        store_id: fields.id(&store_id, "store_id").into(),
    }
}

fn parse_crossing(event: file::ThresholdEvent, fields: &mut Fields<'_>) -> Option<Crossing> {
    let file::ThresholdEvent { event, version } = event;
    let v1::ThresholdEvent { limit_id, kind, owner, percent, window_start, used, max, crossed_at } =
        event.unwrap_or_default();
    let key = fields.counter(&limit_id, kind, window_start, "event.");
    let range = AlertPercents::RANGE;
    if !range.contains(&percent) {
        let text = format!("is {percent}; must be from {} to {}", range.start(), range.end());
        fields.0.add("event.percent", text);
    }
    if owner.is_none() {
        fields.0.add("event.owner", "is absent");
    }
    let crossed_at = fields.time(crossed_at, "event.crossed_at");
    Some(Crossing { key: key?, owner: owner?.into(), percent, used, max, version, crossed_at })
}

/// Reads fields, and notes what is wrong with them.
struct Fields<'a>(&'a mut Violations);

impl Fields<'_> {
    fn id<'t>(&mut self, text: &'t str, field: &str) -> &'t str {
        if text.is_empty() {
            self.0.add(field, "is empty");
        }
        self.check(text, field);
        text
    }

    fn text(&mut self, text: String, field: &str) -> String {
        self.check(&text, field);
        text
    }

    /// No engine takes every character.
    fn check(&mut self, text: &str, field: &str) {
        if text.len() > MAX_TEXT_BYTES || text.contains(char::is_control) {
            let text =
                format!("has control characters or more than {MAX_TEXT_BYTES} bytes, which nothing of its kind has");
            self.0.add(field, text);
        }
    }

    fn time(&mut self, time: Option<Time>, field: &str) -> Timestamp {
        if time.is_none() {
            self.0.add(field, "is absent; must be a time");
        }
        time.and_then(|time| wire::parse_timestamp(&time, &Path::root(field), self.0)).unwrap_or_default()
    }

    fn hash(&mut self, bytes: &[u8], field: &str) -> [u8; 32] {
        bytes.try_into().unwrap_or_else(|_| {
            self.0.add(field, format!("has {} bytes; must have 32", bytes.len()));
            [0; 32]
        })
    }

    fn at_least(&mut self, least: i64, number: i64, field: &str) -> i64 {
        if number < least {
            self.0.add(field, format!("is {number}; must be at least {least}"));
        }
        number
    }

    fn counter(&mut self, limit_id: &str, kind: i32, start: Option<Time>, within: &str) -> Option<CounterKey> {
        let window_start = self.time(start, &format!("{within}window_start"));
        let limit_id = self.id(limit_id, &format!("{within}limit_id")).into();
        let kind = wire::read_limit_kind(kind);
        if kind.is_none() {
            self.0.add(format!("{within}kind"), "is missing or unknown; must be a value of LimitKind");
        }
        let kind = kind?;
        Some(CounterKey { limit_id, kind, window_start })
    }
}
