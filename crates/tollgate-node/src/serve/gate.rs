//! The methods of the gate: each takes a message, asks the node, and answers with a message.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::stream::StreamExt as _;
use tokio::sync::watch;
use tokio_stream::Stream;
use tollgate_core::decision::{Explanation, LimitCheck, Verdict};
use tollgate_core::domain::{Fallback, Path, SpendDimensions, Timestamp, Violations};
use tollgate_core::proto::v1 as control;
use tollgate_core::wire::{limit_kind, parse_fallbacks, render_enforcement, render_fallback, timestamp};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::admission::{AdmissionId, RetargetError, SettleError, Target, Used, uncountable};
use crate::decide::{Credential, Estimate, Request as Asked, tokens_of_bytes};
use crate::headers::rate_limit_headers;
use crate::node::Node;
use crate::outbox::OutboxError;
use crate::proto::node::v1;
use crate::proto::node::v1::admit_request::Credential as Given;
use crate::proto::node::v1::admit_response::Outcome;
use crate::proto::node::v1::gate_request::Call;
use crate::proto::node::v1::gate_response::Answer;
use crate::proto::node::v1::gate_service_server::GateService;
use crate::proto::node::v1::touch_response::Outcome as Retargeted;
use crate::refused::{Refusal, Refused};

/// Calls of one stream that are answered at once.
const AT_ONCE: usize = 1_024;

/// See the module.
#[derive(Clone)]
pub(super) struct Gate {
    node: Arc<Node>,
    drained: watch::Receiver<()>,
}

impl Gate {
    pub(super) fn new(node: Arc<Node>, drained: watch::Receiver<()>) -> Self {
        Self { node, drained }
    }

    pub(super) async fn admit(&self, request: v1::AdmitRequest) -> Result<v1::AdmitResponse, Status> {
        let v1::AdmitRequest { credential, provider, model, provider_key_id, request_type, .. } = request;
        let mut violations = Violations::new();
        if model.trim().is_empty() {
            violations.add(Path::root("model"), "is missing; give the model that was asked for, as gpt-4o");
        }
        let fallbacks: Vec<Fallback> = parse_fallbacks(&request.fallbacks, &Path::root("fallbacks"), &mut violations);
        let estimate = estimate_of(request.estimate.unwrap_or_default(), &mut violations);
        let credential = match &credential {
            None => Credential::None,
            Some(Given::VirtualKeyValue(value)) => Credential::Value(value),
            Some(Given::VirtualKeyId(id)) => Credential::VirtualKeyId(id.trim()),
            Some(Given::VirtualKeySha256(hash)) => match <[u8; 32]>::try_from(hash.as_slice()) {
                Ok(hash) => Credential::Sha256(hash),
                Err(_) => {
                    let fault = format!("has {} bytes; an SHA-256 has 32", hash.len());
                    violations.add(Path::root("virtual_key_sha256"), fault);
                    Credential::None
                }
            },
        };
        let dimensions = dimensions(&request.end_user, &request.session, &request.tool, &request.tags, &mut violations);
        refuse(&violations)?;
        let (headers, params) = (lower(request.headers), lower(request.params));
        let request_type = request_type.trim();
        let streams = request_type.strip_suffix("_stream");
        let request_type = match streams.unwrap_or(request_type) {
            "" => Asked::default().request_type,
            known => known,
        };
        let asked = Asked {
            credential,
            provider: provider.trim(),
            model: model.trim(),
            provider_key_id: provider_key_id.trim(),
            request_type,
            headers: &headers,
            params: &params,
            fallbacks: &fallbacks,
            stream: streams.is_some(),
            estimate,
            dimensions: &dimensions,
            seed: None,
        };
        let admitted = if request.validate_only {
            self.node.check(&asked).map(|(explanation, estimate)| self.admission(&explanation, estimate))
        } else {
            self.node.admit(&asked).await.map(|granted| {
                let admission = self.admission(granted.explanation(), granted.estimate());
                let id = granted.detach();
                v1::Admission { admission_id: id.to_string(), expire_time: Some(self.expiry(id)), ..admission }
            })
        };
        let outcome = match admitted {
            Ok(admission) => Outcome::Admitted(admission),
            Err(refused) => Outcome::Refused(refusal(&refused)),
        };
        Ok(v1::AdmitResponse { outcome: Some(outcome) })
    }

    fn admission(&self, explanation: &Explanation, estimate: Estimate) -> v1::Admission {
        admission(explanation, estimate, self.node.engine.now())
    }

    /// When the time of an admission is up.
    fn expiry(&self, id: AdmissionId) -> prost_types::Timestamp {
        (SystemTime::now() + self.node.engine.time_left(id).unwrap_or_default()).into()
    }

    pub(super) async fn settle(&self, request: v1::SettleRequest) -> Result<v1::SettleResponse, Status> {
        let v1::SettleRequest { admission_id, provider, model, input_tokens, output_tokens, cost_nano_usd, .. } =
            request;
        let v1::SettleRequest { cache_read_tokens, cache_creation_tokens, provider_key_id, .. } = request;
        let v1::SettleRequest { end_user, session, tool, tags, .. } = request;
        let id = id_of(&admission_id)?;
        let mut violations = Violations::new();
        let dimensions = dimensions(&end_user, &session, &tool, &tags, &mut violations);
        refuse(&violations)?;
        let used = Used {
            provider,
            model,
            provider_key_id,
            input_tokens,
            cache_read_tokens,
            cache_creation_tokens,
            output_tokens,
            cost_nano_usd,
            dimensions,
        };
        let settled = self.node.settle(id, &used).await.map_err(|error| match error {
            SettleError::Unknown => status(Code::NotFound, control::ErrorReason::NotFound, error.to_string()),
            SettleError::Abandoned => {
                status(Code::FailedPrecondition, control::ErrorReason::ReferenceNotFound, error.to_string())
            }
            SettleError::Invalid { field, why } => {
                let mut violations = Violations::new();
                violations.add(Path::root(field), why);
                invalid(&violations)
            }
            SettleError::Outbox(error) => unwritten(&error),
        })?;
        Ok(v1::SettleResponse {
            input_tokens: settled.input_tokens,
            output_tokens: settled.output_tokens,
            cost_nano_usd: settled.cost_nano_usd,
        })
    }

    pub(super) fn abandon(&self, request: &v1::AbandonRequest) -> Result<v1::AbandonResponse, Status> {
        let id = id_of(&request.admission_id)?;
        let was_open = self.node.abandon(id).map_err(|error| unwritten(&error))?;
        Ok(v1::AbandonResponse { was_open })
    }

    pub(super) async fn touch(&self, request: &v1::TouchRequest) -> Result<v1::TouchResponse, Status> {
        let v1::TouchRequest { admission_id, provider, model, provider_key_id, estimate } = request;
        let id = id_of(admission_id)?;
        let mut violations = Violations::new();
        let estimate = estimate_of(estimate.unwrap_or_default(), &mut violations);
        refuse(&violations)?;
        let (provider, model, provider_key_id) = (provider.trim(), model.trim(), provider_key_id.trim());
        let ended = || status(Code::NotFound, control::ErrorReason::NotFound, RetargetError::Ended.to_string());
        if [provider, model, provider_key_id].iter().all(|name| name.is_empty()) {
            let is_open = self.node.touch(id);
            let touched = v1::TouchResponse { expire_time: Some(self.expiry(id)), outcome: None };
            return if is_open { Ok(touched) } else { Err(ended()) };
        }
        match self.node.retarget(id, &Target { provider, model, provider_key_id, estimate }).await {
            Ok((explanation, estimate)) => {
                let admission = self.admission(&explanation, estimate);
                let expire_time = Some(self.expiry(id));
                let admission = v1::Admission { admission_id: id.to_string(), expire_time, ..admission };
                Ok(v1::TouchResponse { expire_time, outcome: Some(Retargeted::Admitted(admission)) })
            }
            Err(RetargetError::Refused(refused)) => {
                let outcome = Some(Retargeted::Refused(refusal(&refused)));
                Ok(v1::TouchResponse { expire_time: None, outcome })
            }
            Err(RetargetError::Ended) => Err(ended()),
        }
    }

    async fn call(&self, message: v1::GateRequest) -> v1::GateResponse {
        let v1::GateRequest { sequence, call } = message;
        let answer = match call {
            Some(Call::Admit(request)) => self.admit(request).await.map(Answer::Admit),
            Some(Call::Settle(request)) => self.settle(request).await.map(Answer::Settle),
            Some(Call::Abandon(request)) => self.abandon(&request).map(Answer::Abandon),
            Some(Call::Touch(request)) => self.touch(&request).await.map(Answer::Touch),
            None => {
                let mut violations = Violations::new();
                violations.add(Path::root("call"), "is missing; give admit, settle, abandon or touch");
                Err(invalid(&violations))
            }
        };
        let answer = answer.unwrap_or_else(|status| {
            Answer::Error(v1::GateError { code: status.code().into(), message: status.message().to_owned() })
        });
        v1::GateResponse { sequence, answer: Some(answer) }
    }
}

#[tonic::async_trait]
impl GateService for Gate {
    async fn admit(&self, request: Request<v1::AdmitRequest>) -> Result<Response<v1::AdmitResponse>, Status> {
        self.admit(request.into_inner()).await.map(Response::new)
    }

    async fn settle(&self, request: Request<v1::SettleRequest>) -> Result<Response<v1::SettleResponse>, Status> {
        self.settle(request.into_inner()).await.map(Response::new)
    }

    async fn abandon(&self, request: Request<v1::AbandonRequest>) -> Result<Response<v1::AbandonResponse>, Status> {
        self.abandon(request.get_ref()).map(Response::new)
    }

    async fn touch(&self, request: Request<v1::TouchRequest>) -> Result<Response<v1::TouchResponse>, Status> {
        self.touch(request.get_ref()).await.map(Response::new)
    }

    type GateStream = Pin<Box<dyn Stream<Item = Result<v1::GateResponse, Status>> + Send>>;

    async fn gate(&self, request: Request<Streaming<v1::GateRequest>>) -> Result<Response<Self::GateStream>, Status> {
        let (gate, mut drained) = (self.clone(), self.drained.clone());
        let over = async move {
            // The sender is gone, or says so.
            let _ = drained.changed().await;
        };
        let answers = request.into_inner().map(move |message| {
            let gate = gate.clone();
            async move { Ok(gate.call(message?).await) }
        });
        Ok(Response::new(Box::pin(answers.buffer_unordered(AT_ONCE).take_until(Box::pin(over)))))
    }
}

fn admission(explanation: &Explanation, estimate: Estimate, at: Timestamp) -> v1::Admission {
    let Estimate { input_tokens, output_tokens, cost_nano_usd } = estimate;
    let headers = rate_limit_headers(&explanation.limits, Some(estimate), at);
    v1::Admission {
        admission_id: String::new(),
        provider: explanation.provider.to_string(),
        model: explanation.model.to_string(),
        provider_key_id: explanation.key_id.as_deref().unwrap_or_default().to_owned(),
        fallbacks: explanation.fallbacks.iter().map(render_fallback).collect(),
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        estimate: Some(v1::Estimate { input_tokens, prompt_bytes: 0, output_tokens, cost_nano_usd }),
        expire_time: None,
    }
}

/// The dimensions of spend that a caller gives.
fn dimensions(
    end_user: &str,
    session: &str,
    tool: &str,
    tags: &[String],
    violations: &mut Violations,
) -> SpendDimensions {
    SpendDimensions::new(end_user, session, tool, tags).unwrap_or_else(|more| {
        violations.append(more);
        SpendDimensions::NONE
    })
}

/// The estimate that a caller gives.
fn estimate_of(given: v1::Estimate, violations: &mut Violations) -> Estimate {
    let v1::Estimate { input_tokens, prompt_bytes, output_tokens, cost_nano_usd } = given;
    let estimate = Path::root("estimate");
    for (field, value) in [
        ("input_tokens", input_tokens.unwrap_or_default()),
        ("prompt_bytes", prompt_bytes),
        ("output_tokens", output_tokens.unwrap_or_default()),
        ("cost_nano_usd", cost_nano_usd.unwrap_or_default()),
    ] {
        if let Some(why) = uncountable(value) {
            violations.add(estimate.field(field), why);
        }
    }
    let of_bytes = (prompt_bytes > 0).then(|| tokens_of_bytes(prompt_bytes));
    Estimate { input_tokens: input_tokens.or(of_bytes), output_tokens, cost_nano_usd }
}

/// Names in lower case, as routing rules know them.
fn lower(pairs: BTreeMap<String, String>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
}

fn id_of(text: &str) -> Result<AdmissionId, Status> {
    text.parse().map_err(|error: crate::NoAdmissionId| {
        let mut violations = Violations::new();
        violations.add(Path::root("admission_id"), error.to_string());
        invalid(&violations)
    })
}

fn refusal(refused: &Refused) -> v1::Refusal {
    v1::Refusal {
        decision: decision(refused.refusal).into(),
        reason: refused.reason.clone(),
        http_status: i32::from(refused.http_status()),
        retry_after: refused.retry_after.map(whole_millis),
        limit: refused.limit().map(limit),
        for_credit: refused.for_credit,
    }
}

/// Nobody comes back within less.
fn whole_millis(time: Duration) -> prost_types::Duration {
    let millis = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    millis.try_into().unwrap_or_default()
}

pub(crate) fn decision(refusal: Refusal) -> control::Decision {
    use control::Decision;
    match refusal {
        Refusal::NodeStale => Decision::NodeStale,
        Refusal::Unrecorded => Decision::NodeFull,
        Refusal::Unpriced => Decision::ModelUnpriced,
        Refusal::Decided(verdict) => match verdict {
            Verdict::Allow => Decision::Allow,
            Verdict::UnknownKey => Decision::UnknownKey,
            Verdict::KeyInactive => Decision::KeyInactive,
            Verdict::KeyExpired => Decision::KeyExpired,
            Verdict::CustomerInactive => Decision::CustomerInactive,
            Verdict::TeamInactive => Decision::TeamInactive,
            Verdict::ProviderBlocked => Decision::ProviderBlocked,
            Verdict::ModelBlocked => Decision::ModelBlocked,
            Verdict::ProviderKeyBlocked => Decision::ProviderKeyBlocked,
            Verdict::ConcurrencyLimited => Decision::ConcurrencyLimited,
            Verdict::TokenLimited => Decision::TokenLimited,
            Verdict::RequestLimited => Decision::RequestLimited,
            Verdict::BudgetExceeded => Decision::BudgetExceeded,
        },
    }
}

fn limit(limit: &LimitCheck) -> control::ExplainedLimit {
    let LimitCheck { owner, limit_id, kind, used, max, remaining, window, enforcement, blocks, would_block, .. } =
        limit;
    control::ExplainedLimit {
        owner: Some(owner.into()),
        id: limit_id.to_string(),
        kind: limit_kind(*kind).into(),
        used: *used,
        max: *max,
        remaining: *remaining,
        window_start: Some(timestamp(window.start)),
        next_reset: window.has_end().then(|| timestamp(window.end)),
        enforcement: render_enforcement(*enforcement).into(),
        blocks: *blocks,
        would_block: *would_block,
    }
}

fn refuse(violations: &Violations) -> Result<(), Status> {
    if violations.is_empty() { Ok(()) } else { Err(invalid(violations)) }
}

/// Violations as a status that names every one.
fn invalid(violations: &Violations) -> Status {
    let mut details = ErrorDetails::new();
    let mut all = Vec::new();
    for violation in violations.iter() {
        details.add_bad_request_violation(violation.field.to_string(), violation.description.to_string());
        all.push(format!("{}: {}", violation.field, violation.description));
    }
    with_reason(Code::InvalidArgument, control::ErrorReason::InvalidField, all.join("; "), details)
}

fn unwritten(error: &OutboxError) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_secs(1)));
    with_reason(Code::Unavailable, control::ErrorReason::Unavailable, error.to_string(), details)
}

fn status(code: Code, reason: control::ErrorReason, message: String) -> Status {
    with_reason(code, reason, message, ErrorDetails::new())
}

fn with_reason(code: Code, reason: control::ErrorReason, message: String, mut details: ErrorDetails) -> Status {
    let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    details.set_error_info(name, "tollgate", std::collections::HashMap::new());
    Status::with_error_details(code, message, details)
}
