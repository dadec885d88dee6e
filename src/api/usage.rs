//! Usage from nodes.

use std::mem;
use std::pin::Pin;

use futures_util::{Stream, StreamExt as _, future};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::call::{self, Statuses, principal, speaks_for};
use super::crud::respond;
use super::{Api, CallNotes};
use crate::access::Principal;
use crate::domain::{Error, Path, SpendDimensions, Violations};
use crate::ledger::{Ack, Acknowledgement, Batch};
use crate::proto::v1;
use crate::proto::v1::usage_service_server::UsageService;
use crate::store::Registration;
use crate::usage::{Entry, Refusal};
use crate::wire;

/// The longest name or version of a node, in characters; the longest value of its metadata is as long as a name may be.
const MAX_NODE_ID: usize = 128;
const MAX_METADATA: usize = 64;
const MAX_METADATA_VALUE: usize = 1_024;
/// The most entries of a batch.
const MAX_ENTRIES: usize = 10_000;
/// The longest name of a provider or model in an entry.
const MAX_NAME_BYTES: usize = 1_024;
/// Batches of one stream that are counted at a time: as many as a group is worth, so that a node need not wait for acks.
const IN_FLIGHT: usize = 64;

#[tonic::async_trait]
impl UsageService for Api {
    type ReportUsageStream = Pin<Box<dyn Stream<Item = Result<v1::ReportUsageResponse, Status>> + Send>>;

    async fn register_node(
        &self,
        request: Request<v1::RegisterNodeRequest>,
    ) -> Result<Response<v1::RegisterNodeResponse>, Status> {
        let (statuses, notes) = (Statuses::of(&request), CallNotes::of(&request));
        let registered = async {
            let principal = principal(&request)?;
            self.register(request.into_inner(), &principal, &notes).await
        };
        respond(registered.await, &statuses)
    }

    async fn report_usage(
        &self,
        request: Request<Streaming<v1::ReportUsageRequest>>,
    ) -> Result<Response<Self::ReportUsageStream>, Status> {
        let (statuses, notes) = (Statuses::of(&request), CallNotes::of(&request));
        let api = self.clone();
        let principal = principal(&request).map_err(|error| statuses.status(error))?;
        // What was submitted before is still acknowledged.
        let end = future::select(Box::pin(self.watch.drained()), Box::pin(principal.lapse().clone().cancelled_owned()));
        let reports = request.into_inner().take_until(end);
        // `map` submits in the order of the stream; the acknowledgements are awaited together and given in that order.
        let acks = reports.map(move |report| {
            let counted = report.map(|report| api.report(report, &principal, &notes));
            let statuses = statuses.clone();
            async move {
                match counted {
                    Ok(counted) => counted.await.map_err(|error| statuses.status(error)),
                    Err(status) => Err(status),
                }
            }
        });
        let acks = acks.buffered(IN_FLIGHT).scan(false, |failed, ack| {
            let last = std::mem::replace(failed, ack.is_err());
            future::ready((!last).then_some(ack))
        });
        Ok(Response::new(Box::pin(acks)))
    }

    async fn list_threshold_events(
        &self,
        request: Request<v1::ListThresholdEventsRequest>,
    ) -> Result<Response<v1::ListThresholdEventsResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.threshold_events(request.into_inner()).await, &statuses)
    }

    async fn list_spend(
        &self,
        request: Request<v1::ListSpendRequest>,
    ) -> Result<Response<v1::ListSpendResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.spend(request.into_inner()).await, &statuses)
    }

    async fn adjust_usage(
        &self,
        request: Request<v1::AdjustUsageRequest>,
    ) -> Result<Response<v1::AdjustUsageResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.UsageService/AdjustUsage", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.adjust(call, request).await, &statuses)
    }
}

impl Api {
    async fn register(
        &self,
        request: v1::RegisterNodeRequest,
        principal: &Principal,
        notes: &CallNotes,
    ) -> Result<v1::RegisterNodeResponse, Error> {
        let v1::RegisterNodeRequest { node_id, version, metadata } = request;
        let mut violations = Violations::new();
        check_node_id(&node_id, &mut violations);
        check_text(&version, MAX_NODE_ID, "version", &mut violations);
        if metadata.len() > MAX_METADATA {
            let text = format!("has {} pairs; must have at most {MAX_METADATA}", metadata.len());
            violations.add(Path::root("metadata"), text);
        }
        for (key, value) in &metadata {
            check_text(key, MAX_NODE_ID, "metadata", &mut violations);
            check_text(value, MAX_METADATA_VALUE, "metadata", &mut violations);
        }
        violations.or(())?;
        speaks_for(principal, &node_id)?;
        let registered_by = principal.owner().to_string();
        notes.node(&node_id);
        let metadata = serde_json::to_string(&metadata)
            .map_err(|error| Error::Internal(format!("metadata cannot be written as JSON: {error}")))?;
        let registration = Registration { node_id, version, metadata, registered_by, at: self.now() };
        let incarnation = self.ledger.register_node(registration).await?;
        Ok(v1::RegisterNodeResponse { incarnation, store_id: self.state().head().store_id.to_string() })
    }

    /// Submits a batch at once; the answer comes when it is durable.
    fn report(
        &self,
        request: v1::ReportUsageRequest,
        principal: &Principal,
        notes: &CallNotes,
    ) -> impl Future<Output = Result<v1::ReportUsageResponse, Error>> + Send + use<> {
        let store_id = self.state().head().store_id.to_string();
        let sequence = request.sequence;
        let counted =
            speaks_for(principal, &request.node_id).and_then(|()| parse(request, principal.owner())).map(|batch| {
                notes.node(&batch.node_id);
                self.ledger.report_usage(batch)
            });
        async move { Ok(render(counted?.await?, sequence, store_id)) }
    }
}

fn check_node_id(node_id: &str, violations: &mut Violations) {
    if node_id.trim().is_empty() {
        violations.add(Path::root("node_id"), "is empty; must be the node's name, the same at each start");
    }
    check_text(node_id, MAX_NODE_ID, "node_id", violations);
}

fn check_text(text: &str, max: usize, field: &str, violations: &mut Violations) {
    let length = text.chars().count();
    if length > max {
        violations.add(Path::root(field), format!("has {length} characters; must have at most {max}"));
    }
    if text.chars().any(char::is_control) {
        violations.add(Path::root(field), "has control characters; must be printable");
    }
}

fn parse(request: v1::ReportUsageRequest, caller: &str) -> Result<Batch, Error> {
    let fingerprint = *blake3::hash(&request.encode_to_vec()).as_bytes();
    let v1::ReportUsageRequest { node_id, incarnation, sequence, entries, credit_used } = request;
    let mut violations = Violations::new();
    check_node_id(&node_id, &mut violations);
    if entries.len() > MAX_ENTRIES {
        let text = format!("has {} entries; must have at most {MAX_ENTRIES}: send smaller batches", entries.len());
        violations.add(Path::root("entries"), text);
    }
    let credit_used = wire::parse_credit_used(credit_used, &Path::root("credit_used"), &mut violations);
    let credit_used = violations.or(credit_used.unwrap_or_default())?;
    let entries = entries.into_iter().map(parse_entry).collect();
    let (caller, node_id) = (caller.into(), node_id.into());
    Ok(Batch { caller, node_id, incarnation, sequence, fingerprint, entries, credit_used })
}

fn parse_entry(entry: v1::UsageEntry) -> Result<Entry, Refusal> {
    let v1::UsageEntry {
        virtual_key_id,
        provider,
        model,
        requests,
        input_tokens,
        output_tokens,
        cost_nano_usd,
        occurred_at,
        cached_input_tokens,
        cache_write_tokens,
        reasoning_tokens,
        audio_tokens,
        unpriced_requests,
        provider_key_id,
        end_user,
        session,
        tool,
        tags,
    } = entry;
    for (field, name) in [("provider", &provider), ("model", &model), ("provider_key_id", &provider_key_id)] {
        if name.len() > MAX_NAME_BYTES || name.contains(char::is_control) {
            let text =
                format!("{field} has more than {MAX_NAME_BYTES} bytes or control characters; report its plain name");
            return Err(Refusal(text));
        }
    }
    let mut violations = Violations::new();
    let path = Path::root("occurred_at");
    let occurred_at = occurred_at.and_then(|time| wire::parse_timestamp(&time, &path, &mut violations));
    if !violations.is_empty() {
        return Err(Refusal("occurred_at is outside of the years 1 to 9999; leave it out for now".to_owned()));
    }
    SpendDimensions::new(&end_user, &session, &tool, &tags).map_err(|violations| {
        let faults: Vec<_> = violations.iter().map(|it| format!("{} {}", it.field, it.description)).collect();
        Refusal(faults.join("; "))
    })?;
    Ok(Entry {
        virtual_key_id: virtual_key_id.into(),
        provider: provider.into(),
        model: model.into(),
        provider_key_id: (!provider_key_id.is_empty()).then(|| provider_key_id.into()),
        requests,
        input_tokens,
        output_tokens,
        cost: cost_nano_usd,
        cached_input_tokens,
        cache_write_tokens,
        reasoning_tokens,
        audio_tokens,
        unpriced_requests,
        occurred_at,
    })
}

fn render(counted: Acknowledgement, sequence: i64, store_id: String) -> v1::ReportUsageResponse {
    let Acknowledgement { ack, expected_sequence, store_id: origin } = counted;
    let store_id = origin.map_or(store_id, String::from);
    let mut answer = v1::ReportUsageResponse { sequence, expected_sequence, store_id, ..Default::default() };
    let status = match ack {
        Ack::Applied { rejected, late } => {
            let rejected = rejected.into_iter().map(|(index, Refusal(reason))| v1::RejectedEntry {
                index: i32::try_from(index).unwrap_or(i32::MAX),
                reason,
            });
            answer.rejected_entries = rejected.collect();
            answer.late_entries = i32::try_from(late).unwrap_or(i32::MAX);
            v1::UsageAckStatus::Applied
        }
        Ack::Duplicate => v1::UsageAckStatus::Duplicate,
        Ack::Gap => v1::UsageAckStatus::Gap,
        Ack::Rejected(reason) => {
            answer.reason = reason;
            v1::UsageAckStatus::Rejected
        }
    };
    answer.set_status(status);
    answer
}
