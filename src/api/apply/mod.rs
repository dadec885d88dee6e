//! Many changes in one revision, and configuration as it was at an earlier one.

mod answer;
mod change;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use super::call::{self, Statuses};
use super::crud::respond;
use crate::domain::{AnyResource, Customer, Error, Kind, Path, ResourceKey, Team, Violations, VirtualKey};
use crate::ledger::{Call, Command};
use crate::proto::v1;
use crate::proto::v1::change_service_server::ChangeService;
use crate::state;
use crate::wire::restore_any;

const METHOD: &str = "tollgate.v1.ChangeService/Apply";
/// The most changes and bytes of a call.
const MAX: Most = Most { changes: 10_000, bytes: 64 * 1024 * 1024 };
/// The most changes and bytes that are checked together, for several calls that are to follow.
const MAX_CHECKED: Most = Most { changes: state::MAX_CHANGES, bytes: 256 * 1024 * 1024 };
/// Calls whose changes are held in memory at a time.
pub(super) const AT_ONCE: usize = 4;
/// Of these, such that only check more changes than a call may make.
pub(super) const LARGE_AT_ONCE: usize = 1;
/// How long a caller may stay silent, and how long all of a call may take to arrive.
const SILENCE: Duration = Duration::from_secs(30);
const ARRIVAL: Duration = Duration::from_secs(300);
/// How often a rollback is decided anew because something else was written while it was read.
const ATTEMPTS: usize = 10;
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How much a call may have.
#[derive(Clone, Copy)]
struct Most {
    changes: usize,
    bytes: usize,
}

impl Most {
    const fn allows(self, changes: usize, bytes: usize) -> bool {
        changes <= self.changes && bytes <= self.bytes
    }
}

#[tonic::async_trait]
impl ChangeService for Api {
    async fn apply(
        &self,
        request: Request<Streaming<v1::ApplyRequest>>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let statuses = Statuses::of(&request);
        let caller = call::caller(&request).map_err(|error| statuses.status(error))?;
        let lapse = caller.principal.lapse().clone().cancelled_owned();
        let place = self.applying.try_acquire().map_err(|_| {
            let what = format!("{AT_ONCE} calls of Apply are being served already");
            statuses.status(Error::Overloaded { what, retry_after: RETRY_AFTER })
        })?;
        let received = tokio::select! {
            received = receive(request.into_inner(), &statuses, &self.applying_large) => received?,
            () = self.watch.drained() => {
                let what = "the server is shutting down".to_owned();
                return Err(statuses.status(Error::Unavailable { what, retry_after: RETRY_AFTER }));
            }
            () = lapse => return Err(statuses.status(Error::Unauthenticated("the token is valid no more"))),
        };
        let applied = self.apply_all(&caller, received).await;
        drop(place);
        respond(applied, &statuses)
    }
}

/// The stream of a caller, read to its end.
struct Received {
    options: v1::ApplyOptions,
    changes: Vec<v1::ApplyChange>,
    /// Hash of all but the id of the request.
    fingerprint: [u8; 32],
    /// Held while a large call is served.
    _large: Option<OwnedSemaphorePermit>,
}

/// Reads the stream to its end. A call that is `large` needs a place.
async fn receive(
    mut stream: Streaming<v1::ApplyRequest>,
    statuses: &Statuses,
    large_places: &Arc<Semaphore>,
) -> Result<Received, Status> {
    use v1::apply_request::Part;
    let refused = |error: Error| statuses.status(error);
    let (mut options, mut changes, mut bytes, mut large) = (None::<v1::ApplyOptions>, Vec::new(), 0, None);
    let mut hasher = blake3::Hasher::new();
    let end = Instant::now() + ARRIVAL;
    loop {
        let next = timeout_at(end.min(Instant::now() + SILENCE), stream.message()).await;
        let Some(mut message) = next.map_err(|_| refused(Error::Late))?? else { break };
        let len = message.encoded_len();
        bytes += len;
        let request_id = match &mut message.part {
            Some(Part::Options(options)) => std::mem::take(&mut options.request_id),
            _ => String::new(),
        };
        let encoded = message.encode_to_vec();
        hasher.update(&(encoded.len() as u64).to_be_bytes()).update(&encoded);
        match (message.part, options.is_some()) {
            (Some(Part::Options(sent)), false) => options = Some(v1::ApplyOptions { request_id, ..sent }),
            (Some(Part::Change(change)), true) => changes.push(change),
            (Some(Part::Options(_)), true) => return Err(refused(misplaced("is sent twice; send it first and once"))),
            (Some(Part::Change(_)), false) => {
                return Err(refused(misplaced("is absent; must be the first message of the stream")));
            }
            (None, _) => return Err(refused(misplaced("or a change must be in each message; one has neither"))),
        }
        if MAX.allows(changes.len(), bytes) {
            continue;
        }
        if !options.as_ref().is_some_and(|options| options.validate_only) {
            let text = "a call has at most 10,000 changes and 64 MiB; make several calls. With validate_only, as many as 100,000 \
                        changes and 256 MiB are checked together";
            return Err(refused(Error::TooLarge(text.to_owned())));
        }
        if !MAX_CHECKED.allows(changes.len(), bytes) {
            let text = "a call with validate_only has at most 100,000 changes and 256 MiB; make several calls";
            return Err(refused(Error::TooLarge(text.to_owned())));
        }
        if large.is_none() {
            let permit = Arc::clone(large_places).try_acquire_owned();
            large = Some(permit.map_err(|_| {
                let what = "another call of Apply with more than 10,000 changes or 64 MiB is being served".to_owned();
                refused(Error::Overloaded { what, retry_after: RETRY_AFTER })
            })?);
        }
    }
    let options = options.ok_or_else(|| refused(misplaced("is absent; must be the first message of the stream")))?;
    Ok(Received { options, changes, fingerprint: *hasher.finalize().as_bytes(), _large: large })
}

fn misplaced(problem: &str) -> Error {
    let mut violations = Violations::new();
    violations.add(Path::root("options"), problem);
    violations.into()
}

impl Api {
    async fn apply_all(&self, caller: &call::Calling, received: Received) -> Result<v1::ApplyResponse, Error> {
        let Received { options, changes, fingerprint, _large } = received;
        let v1::ApplyOptions { validate_only, request_id, .. } = &options;
        let call = caller.call(METHOD, request_id, fingerprint, *validate_only)?;
        check(&options, &changes)?;
        if options.rollback_to_revision != 0 {
            return self.roll_back(&call, &options).await;
        }
        let (of_all, actor) = (options.clone(), call.actor.clone());
        // Thousands of resources are parsed: others would wait for it.
        let prepared = tokio::task::spawn_blocking(move || change::prepare(changes, &of_all, &actor));
        let (steps, values) = prepared.await.map_err(|error| Error::Internal(error.to_string()))?;
        let (with_resources, takes_over) = (options.return_resources, options.take_over);
        let command = Command {
            decide: Box::new(move |state, cx| state::apply(state, cx, &steps, takes_over)),
            answer: Box::new(move |state, decision, _| answer::render(state, decision, with_resources).encode_to_vec()),
        };
        if *validate_only {
            // Nobody who writes is to wait for it.
            let answer = self.ledger.rehearse(call, command).await?;
            return v1::ApplyResponse::decode(answer.response).map_err(|error| Error::Internal(error.to_string()));
        }
        let (mut answer, replayed): (v1::ApplyResponse, bool) = self.submit(call, command).await?;
        if !replayed {
            for (outcome, value) in answer.outcomes.iter_mut().zip(values) {
                if outcome.operation() == v1::ApplyOperation::Created {
                    outcome.value = value.unwrap_or_default();
                }
            }
        }
        Ok(answer)
    }

    async fn roll_back(&self, call: &Call, options: &v1::ApplyOptions) -> Result<v1::ApplyResponse, Error> {
        let wanted = self.wanted(&options.rollback_keys)?;
        let revision = options.rollback_to_revision;
        let with_resources = options.return_resources;
        for _ in 0..ATTEMPTS {
            let past = self.ledger.reader().resources_at(revision).await.map_err(|error| error.to_domain())?;
            if revision > past.head {
                let mut violations = Violations::new();
                let text = format!("is {revision}, which is in the future; the store is at revision {}", past.head);
                violations.add(Path::root("options.rollback_to_revision"), text);
                return Err(violations.into());
            }
            if revision < past.first {
                return Err(Error::Forgotten { revision, first: past.first });
            }
            let is_wanted = |key: &ResourceKey| wanted.is_empty() || wanted.iter().any(|it| it.is(key));
            let resources = past.resources.into_iter().filter(|(key, _)| is_wanted(key));
            let resources = resources.map(|(key, body)| Ok((key, body.map(|body| read(&body)).transpose()?)));
            let resources: Vec<_> = resources.collect::<Result<_, Error>>()?;
            let (head, has_moved) = (past.head, Arc::new(AtomicBool::new(false)));
            let moved = Arc::clone(&has_moved);
            let command = Command {
                decide: Box::new(move |state, cx| {
                    moved.store(state.revision() != head, Ordering::Relaxed);
                    if state.revision() != head {
                        let what = "the configuration changes all the time".to_owned();
                        return Err(Error::Unavailable { what, retry_after: RETRY_AFTER });
                    }
                    state::roll_back(state, cx, &resources)
                }),
                answer: Box::new(move |state, decision, _| {
                    answer::render(state, decision, with_resources).encode_to_vec()
                }),
            };
            match self.submit(call.clone(), command).await {
                Err(Error::Unavailable { .. }) if has_moved.load(Ordering::Relaxed) => {}
                answered => return answered.map(|(answer, _)| answer),
            }
        }
        let what = "the configuration changes all the time".to_owned();
        Err(Error::Unavailable { what, retry_after: RETRY_AFTER })
    }

    /// The resources that a rollback is about; an id that is left out means all of the kind.
    fn wanted(&self, keys: &[v1::ResourceKey]) -> Result<Vec<Wanted>, Error> {
        let (state, mut violations) = (self.state(), Violations::new());
        let options = Path::root("options");
        let list = options.field("rollback_keys");
        let mut wanted = Vec::with_capacity(keys.len());
        for (index, key) in keys.iter().enumerate() {
            let path = list.index(index);
            let Some(kind) = Kind::from_number(key.kind) else {
                violations.add(path.field("kind"), format!("is {}, which is no kind of resource", key.kind));
                continue;
            };
            if kind == Kind::Token {
                let text = "is of access tokens, which stay as they are; leave them out";
                violations.add(path.field("kind"), text);
                continue;
            }
            let field = path.field("id").to_string();
            let id = match kind {
                Kind::Customer => state::meant::<Customer>(&state, &key.id, &field),
                Kind::Team => state::meant::<Team>(&state, &key.id, &field),
                Kind::VirtualKey => state::meant::<VirtualKey>(&state, &key.id, &field),
                _ => Ok(key.id.as_str().into()),
            };
            match id {
                Ok(id) => wanted.push(Wanted { kind, id: (!id.is_empty()).then_some(id) }),
                Err(Error::Invalid(found)) => violations.append(found),
                Err(error) => return Err(error),
            }
        }
        Ok(violations.or(wanted)?)
    }
}

/// Resources that a rollback is about.
struct Wanted {
    kind: Kind,
    /// The one with this id; `None` for all of the kind.
    id: Option<Arc<str>>,
}

impl Wanted {
    fn is(&self, key: &ResourceKey) -> bool {
        self.kind == key.kind && self.id.as_ref().is_none_or(|id| *id == key.id)
    }
}

/// Checks what can be told without a state.
fn check(options: &v1::ApplyOptions, changes: &[v1::ApplyChange]) -> Result<(), Error> {
    let mut violations = Violations::new();
    let root = Path::root("options");
    if options.rollback_to_revision < 0 {
        let text = format!("is {}; must be a revision, or 0 for none", options.rollback_to_revision);
        violations.add(root.field("rollback_to_revision"), text);
    }
    if options.rollback_to_revision != 0 && !changes.is_empty() {
        violations.add(root.field("rollback_to_revision"), "is set beside changes; make two calls");
    }
    if options.rollback_to_revision != 0 && !options.managed_by.is_empty() {
        violations.add(root.field("managed_by"), "is set beside rollback_to_revision, which brings back what it was");
    }
    if options.rollback_to_revision != 0 && options.create_only {
        violations.add(root.field("create_only"), "is set beside rollback_to_revision, which changes what is there");
    }
    if options.rollback_to_revision != 0 && options.take_over {
        violations
            .add(root.field("take_over"), "is set beside rollback_to_revision, which brings back who managed what");
    }
    if options.rollback_to_revision == 0 && !options.rollback_keys.is_empty() {
        violations.add(root.field("rollback_keys"), "is set without rollback_to_revision; set that too");
    }
    if options.managed_by.trim().len() > 128 || options.managed_by.chars().any(char::is_control) {
        violations.add(root.field("managed_by"), "must have at most 128 bytes and no control characters");
    }
    if options.return_resources && changes.len() > MAX.changes {
        let text =
            format!("is set with more than {} changes, whose resources no answer holds; leave it out", MAX.changes);
        violations.add(root.field("return_resources"), text);
    }
    let list = Path::root("changes");
    for (index, _) in changes.iter().enumerate().filter(|(_, change)| change.change.is_none()) {
        violations.add(list.index(index), "has neither upsert nor delete; must have one of them");
    }
    Ok(violations.or(())?)
}

/// A resource as the log has it.
fn read(body: &[u8]) -> Result<AnyResource, Error> {
    let failed = |why: String| Error::Internal(format!("a resource of the log cannot be read: {why}"));
    let message = v1::ConfigResource::decode(body).map_err(|error| failed(error.to_string()))?;
    let mut violations = Violations::new();
    let resource = restore_any(message, &mut violations);
    let why = violations.iter().map(|it| format!("{}: {}", it.field, it.description)).collect::<Vec<_>>().join("; ");
    resource.ok_or_else(|| failed(why))
}
