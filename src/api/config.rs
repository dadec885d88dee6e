//! The change stream, the audit trail, and what is said of the control plane as a whole.

use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use tokio_stream::Empty;
use tonic::body::Body;
use tonic::{Request, Response, Status};

use super::body::FrameBody;
use super::call;
use super::call::{Statuses, principal};
use super::crud::respond;
use super::page::{self, Scope};
use super::permissions::sees_hashes;
use super::{Api, CallNotes};
use crate::domain::{Error, Kind, Path, Violations};
use crate::proto::v1;
use crate::proto::v1::config_service_server::ConfigService;
use crate::store::{ChangeFilter, LogBody, LoggedChange};
use crate::watch::{Filter, KindSet, Subscription};
use crate::wire;

const MAX_NODE_ID: usize = 1_024;
/// Most incarnations that a stream may name.
const MAX_INCARNATIONS: usize = 100;

/// The body of an answer that is a stream, on its way past tonic.
#[derive(Clone)]
struct Streamed(Arc<Mutex<Option<Body>>>);

/// The answer with the body of its stream, if it is one: for all answers of the service.
pub(super) fn streamed(answer: http::Response<Body>) -> http::Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let streamed = parts.extensions.remove::<Streamed>();
    let streamed = streamed.and_then(|it| it.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    http::Response::from_parts(parts, streamed.unwrap_or(body))
}

#[tonic::async_trait]
impl ConfigService for Api {
    /// Of no use: the body of the answer is another one, which tonic does not copy.
    type WatchConfigStream = Empty<Result<v1::WatchConfigResponse, Status>>;

    async fn watch_config(
        &self,
        request: Request<v1::WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        let statuses = Statuses::of(&request);
        let notes = CallNotes::of(&request);
        let begun = async {
            let principal = principal(&request)?;
            let request = request.into_inner();
            // A node that is bound need not say who it is.
            if !request.node_id.is_empty() {
                call::speaks_for(&principal, &request.node_id)?;
            }
            let subscription = subscription(request, sees_hashes(principal.role()))?;
            notes.node(&subscription.node_id);
            self.watch.begin(subscription, principal.lapse().clone()).await
        };
        let follower = begun.await.map_err(|error| statuses.status(error))?;
        let mut response = Response::new(tokio_stream::empty());
        let body = Body::new(FrameBody::new(follower));
        response.extensions_mut().insert(Streamed(Arc::new(Mutex::new(Some(body)))));
        Ok(response)
    }

    async fn list_changes(
        &self,
        request: Request<v1::ListChangesRequest>,
    ) -> Result<Response<v1::ListChangesResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.changes(request.into_inner()).await, &statuses)
    }

    async fn wait_for_revision(
        &self,
        request: Request<v1::WaitForRevisionRequest>,
    ) -> Result<Response<v1::WaitForRevisionResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.wait_for(request.into_inner()).await, &statuses)
    }

    async fn get_server_info(
        &self,
        request: Request<v1::GetServerInfoRequest>,
    ) -> Result<Response<v1::GetServerInfoResponse>, Status> {
        let statuses = Statuses::of(&request);
        let info = self.server_info().await;
        respond(info.map(|info| v1::GetServerInfoResponse { server_info: Some(info) }), &statuses)
    }
}

impl Api {
    async fn changes(&self, request: v1::ListChangesRequest) -> Result<v1::ListChangesResponse, Error> {
        let filters = v1::ListChangesRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListChanges", &filters);
        let v1::ListChangesRequest { page_size, page_token, kind, id, actor, from, to, revision } = request;
        let mut violations = Violations::new();
        let time = |time: Option<prost_types::Timestamp>, field: &str, violations: &mut Violations| {
            time.and_then(|time| wire::parse_timestamp(&time, &Path::root(field), violations))
        };
        // The name of access tokens is enough. Several may have had it, one after the other.
        let mut actors: Vec<String> = self.state().actors_named(&actor).collect();
        if actors.is_empty() && !actor.is_empty() {
            actors.push(actor);
        }
        let filter = ChangeFilter {
            kind: parse_kind(kind, &Path::root("kind"), &mut violations),
            id: Some(id).filter(|id| !id.is_empty()),
            actors,
            from: time(from, "from", &mut violations),
            to: time(to, "to", &mut violations),
            revision: Some(revision).filter(|revision| *revision != 0),
        };
        violations.or(())?;
        let limit = page::size(page_size)?;
        let before = match scope.read(&page_token)? {
            None => None,
            Some((revision, ord)) => Some((revision, ord.parse().map_err(|_| Error::PageToken)?)),
        };
        // Changes of kinds that this version serves not yet cannot exist: such a filter finds nothing.
        let unserved = kind != 0 && filter.kind.is_none();
        let found = if unserved {
            Vec::new()
        } else {
            let found = self.ledger.reader().list_changes(&filter, before, limit as u64 + 1).await;
            found.map_err(|error| error.to_domain())?
        };
        let (mut changes, mut bytes, mut last, mut more) = (Vec::new(), 0, None, found.len() > limit);
        for logged in found.into_iter().take(limit) {
            let place = (logged.txn.revision, logged.ord);
            let change = change(logged)?;
            bytes += change.encoded_len();
            if bytes > page::MAX_BYTES && !changes.is_empty() {
                more = true;
                break;
            }
            changes.push(change);
            last = Some(place);
        }
        let next_page_token = match last {
            Some((revision, ord)) if more => scope.token(revision, &ord.to_string()),
            _ => String::new(),
        };
        Ok(v1::ListChangesResponse { changes, next_page_token })
    }
}

fn change(logged: LoggedChange) -> Result<v1::Change, Error> {
    let LoggedChange { txn, ord: _, row } = logged;
    let decode = |body: Option<LogBody>| {
        body.map(|body| {
            let mut resource = v1::ConfigResource::decode(body.bytes()).map_err(|error| {
                Error::Internal(format!("the log of revision {} cannot be read: {error}", txn.revision))
            })?;
            wire::strip_secrets(&mut resource);
            Ok::<_, Error>(resource)
        })
        .transpose()
    };
    let adjustment = txn.adjustment.map(v1::UsageAdjustment::decode).transpose().map_err(|error| {
        Error::Internal(format!("the adjustment of revision {} cannot be read: {error}", txn.revision))
    })?;
    Ok(v1::Change {
        revision: txn.revision,
        kind: wire::kind(row.kind).into(),
        id: row.id.to_string(),
        op: row.op.number(),
        commit_time: Some(wire::timestamp(txn.committed_at)),
        before: decode(row.before)?,
        after: decode(row.after)?,
        actor: txn.actor,
        peer: txn.peer,
        method: txn.method,
        request_id: txn.request_id,
        adjustment,
    })
}

fn subscription(request: v1::WatchConfigRequest, hashes: bool) -> Result<Subscription, Error> {
    let v1::WatchConfigRequest { node_id, resume_token, kinds, include_usage, min_revision, incarnations } = request;
    let mut violations = Violations::new();
    if node_id.len() > MAX_NODE_ID || node_id.chars().any(char::is_control) {
        let text = format!("must have at most {MAX_NODE_ID} bytes and no control characters");
        violations.add(Path::root("node_id"), text);
    }
    if min_revision < 0 {
        violations.add(Path::root("min_revision"), format!("is {min_revision}; must be a revision, or 0 for any"));
    }
    if incarnations.len() > MAX_INCARNATIONS {
        let text =
            format!("has {} numbers; name at most {MAX_INCARNATIONS}: those that still deliver", incarnations.len());
        violations.add(Path::root("incarnations"), text);
    }
    if !incarnations.is_empty() && !include_usage {
        violations.add(Path::root("incarnations"), "is about usage; set include_usage too");
    }
    let root = Path::root("kinds");
    let numbers: Vec<i32> = kinds
        .into_iter()
        .enumerate()
        .filter_map(|(index, number)| match v1::ResourceKind::try_from(number) {
            Ok(v1::ResourceKind::Unspecified) | Err(_) => {
                violations.add(root.index(index), format!("is {number}, which is no kind; leave kinds empty for all"));
                None
            }
            Ok(_) if Kind::from_number(number).is_some_and(|kind| !kind.is_streamed()) => {
                violations.add(root.index(index), format!("is {number}, a kind that is on no stream; leave it out"));
                None
            }
            Ok(_) => Some(number),
        })
        .collect();
    violations.or(())?;
    let filter = Filter { kinds: KindSet::of_numbers(&numbers), hashes };
    Ok(Subscription { node_id, filter, resume_token, min_revision, include_usage, incarnations })
}

/// The kind that a filter names; a violation if it is none.
fn parse_kind(number: i32, path: &Path<'_>, violations: &mut Violations) -> Option<Kind> {
    if v1::ResourceKind::try_from(number).is_err() {
        violations.add(path, format!("is {number}, which is no kind; leave it out for all"));
    }
    Kind::from_number(number)
}
