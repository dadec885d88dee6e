//! What is special about virtual keys: their secrets, rotation, look-up, and the quota that a key may ask for itself.

use std::collections::BTreeMap;

use tonic::metadata::MetadataMap;

use super::Api;
use super::crud::{Served, check_revision, identifier, render};
use super::page::label_facets;
use super::view::{Detail, View as _};
use crate::decision::Caller;
use crate::domain::{
    Error, Kind, ModelConfig, Path, PreviousSecret, ScopeKind, Secret, Sha256Hash, Stored, Timestamp, Violations,
    VirtualKey,
};
use crate::ledger::{Call, Command};
use crate::proto::v1;
use crate::proto::v1::lookup_virtual_key_request::Key;
use crate::state::{self, Facet, Query, State};
use crate::wire::{Form, Wire as _, parse_secrets};
/// Model configs that a quota shows at most.
const MODEL_CONFIGS: usize = 1_000;
/// Where a key may be given for its quota, in the order in which they are looked at.
const CREDENTIALS: [&str; 6] = ["x-tg-vk", "x-bf-vk", "authorization", "x-api-key", "x-goog-api-key", "api-key"];

impl Api {
    pub(super) async fn create_virtual_key(
        &self,
        call: Call,
        message: Option<v1::VirtualKey>,
    ) -> Result<v1::CreateVirtualKeyResponse, Error> {
        let mut violations = Violations::new();
        let root = Path::root("virtual_key");
        let brought = message.as_ref().map(|message| parse_secrets(message, &root, &mut violations));
        let (present, previous) = brought.unwrap_or_default();
        let (value, secret) = match present {
            Some(secret) => (None, secret),
            None => {
                let (value, secret) = Secret::generate();
                (Some(value), secret)
            }
        };
        if !violations.is_empty() {
            // Everything else that is wrong is told too.
            if let Some(message) = message {
                VirtualKey::accept(message, &root, &mut violations);
            }
            return Err(violations.into());
        }
        // A secret that was not stored works nowhere, so what validates only shows the mask.
        let value = value.filter(|_| !call.validate_only);
        let created_by = call.actor.as_str().into();
        let prepare = |key: &mut VirtualKey| {
            key.secret = secret;
            key.previous_secret = previous.map(Box::new);
            key.created_by = created_by;
        };
        let answer = |virtual_key| v1::CreateVirtualKeyResponse { virtual_key: Some(virtual_key) };
        let (mut answer, replayed) = self.create::<VirtualKey, _>(call, message, prepare, answer).await?;
        if let (Some(key), Some(value), false) = (&mut answer.virtual_key, value, replayed) {
            key.value = value;
        }
        Ok(answer)
    }

    pub(super) async fn rotate(
        &self,
        call: Call,
        request: v1::RotateVirtualKeyRequest,
    ) -> Result<v1::RotateVirtualKeyResponse, Error> {
        let v1::RotateVirtualKeyRequest { id, grace_period, revision, request_id: _, validate_only } = request;
        let id = identifier::<VirtualKey>(&id, "id")?.to_owned();
        let mut violations = Violations::new();
        check_revision(revision, &Path::root("revision"), &mut violations);
        let grace = grace_period.unwrap_or_default();
        let in_range = (0..=PreviousSecret::MAX_GRACE_SECONDS).contains(&grace.seconds)
            && (0..1_000_000_000).contains(&grace.nanos)
            && (grace.seconds < PreviousSecret::MAX_GRACE_SECONDS || grace.nanos == 0);
        if !in_range {
            violations.add(Path::root("grace_period"), "must be from 0 to 30 days (2592000s)");
        }
        violations.or(())?;
        let grace_micros = grace.seconds * 1_000_000 + i64::from(grace.nanos / 1_000);

        let (value, secret) = Secret::generate();
        let command = Command {
            decide: Box::new(move |state, cx| state::rotate(state, cx, &id, revision, &secret, grace_micros)),
            answer: Box::new(|state, decision, now| {
                let virtual_key = Some(render::<VirtualKey>(state, &decision.subject, now));
                prost::Message::encode_to_vec(&v1::RotateVirtualKeyResponse { virtual_key })
            }),
        };
        let (mut answer, replayed): (v1::RotateVirtualKeyResponse, bool) = self.submit(call, command).await?;
        if let (Some(key), false, false) = (&mut answer.virtual_key, replayed, validate_only) {
            key.value = value;
        }
        Ok(answer)
    }

    pub(super) fn lookup(&self, request: v1::LookupVirtualKeyRequest) -> Result<v1::LookupVirtualKeyResponse, Error> {
        let mut violations = Violations::new();
        let hash = match request.key {
            Some(Key::Value(value)) => Some(Sha256Hash::of(&value)),
            Some(Key::ValueSha256(bytes)) => {
                let hash = Sha256Hash::from_slice(&bytes);
                if hash.is_none() {
                    let text = format!("has {} bytes; must be the SHA-256 of the secret, 32 bytes", bytes.len());
                    violations.add(Path::root("value_sha256"), text);
                }
                hash
            }
            None => {
                violations.add(Path::root("key"), "is absent; must be value or value_sha256");
                None
            }
        };
        let Some(hash) = violations.or(hash)? else {
            return Err(Error::Internal("a look-up without a hash".to_owned()));
        };
        let (state, now) = (self.state(), self.now());
        let Some((stored, previous)) = state.config().key_by_secret(&hash, now) else {
            // What was looked for is not repeated: it may be a secret.
            return Err(Error::NotFound { kind: Kind::VirtualKey, id: "(of this value)".into() });
        };
        let mut virtual_key = VirtualKey::render(stored, Form::Answer(now));
        VirtualKey::complete(&mut virtual_key, &state, now, Detail::Basic, false);
        Ok(v1::LookupVirtualKeyResponse { virtual_key: Some(virtual_key), previous })
    }

    pub(super) fn quota(&self, metadata: &MetadataMap) -> Result<v1::GetVirtualKeyQuotaResponse, Error> {
        let (state, now) = (self.state(), self.now());
        // Missing and unknown keys get the same answer for the same work; what is looked up is a hash, so that a key that
        // is nearly right is as far off as any other.
        let hash = Sha256Hash::of(&credential(metadata).unwrap_or_default());
        let (stored, _) = state.config().key_by_secret(&hash, now).ok_or(Error::Unauthenticated(
            "no known virtual key; send it as x-tg-vk, authorization: Bearer, x-api-key, x-goog-api-key or api-key",
        ))?;
        let mut key = VirtualKey::render(stored, Form::Answer(now));
        VirtualKey::complete(&mut key, &state, now, Detail::Basic, false);
        let facets = vec![Facet::ScopeKind(ScopeKind::VirtualKey), Facet::ScopeId(stored.id.shared())];
        let configs = state.list::<ModelConfig>(&Query { facets, limit: MODEL_CONFIGS, ..Query::default() });
        Ok(v1::GetVirtualKeyQuotaResponse {
            virtual_key_name: key.name,
            is_active: Caller::of(state.config(), stored).works_at(now),
            budgets: key.budgets,
            rate_limits: key.rate_limits,
            provider_configs: key.provider_configs,
            model_configs: configs.items.iter().map(|config| rendered::<ModelConfig>(config, &state, now)).collect(),
        })
    }
}

fn rendered<R: Served>(stored: &Stored<R>, state: &State, now: Timestamp) -> R::Message {
    let mut message = R::render(stored, Form::Answer(now));
    R::complete(&mut message, state, now, Detail::Basic, false);
    message
}

/// The first credential that is present. A token of an administrator or a node beside it is none.
fn credential(metadata: &MetadataMap) -> Option<String> {
    CREDENTIALS.iter().find_map(|name| {
        let text = metadata.get(*name)?.to_str().ok()?.trim();
        if *name != "authorization" {
            return Some(text.to_owned());
        }
        let (scheme, secret) = text.split_once(' ')?;
        let is_key = scheme.eq_ignore_ascii_case("bearer") && !secret.trim().starts_with("tg_");
        is_key.then(|| secret.trim().to_owned())
    })
}

/// The facets of a filter on virtual keys.
pub(super) fn facets(
    team_id: &str,
    customer_id: &str,
    is_active: Option<bool>,
    labels: BTreeMap<String, String>,
) -> Vec<Facet> {
    let mut facets = label_facets(labels);
    match (team_id.is_empty(), customer_id.is_empty(), is_active) {
        (false, true, Some(active)) => facets.push(Facet::TeamActive(team_id.into(), active)),
        (true, false, Some(active)) => facets.push(Facet::CustomerActive(customer_id.into(), active)),
        (no_team, no_customer, active) => {
            // A key has one owner: asking for both finds nothing, which walking either one shows.
            facets.extend((!no_team).then(|| Facet::Team(team_id.into())));
            facets.extend((!no_customer).then(|| Facet::Customer(customer_id.into())));
            facets.extend(active.map(Facet::Active));
        }
    }
    facets
}
