//! Create, get, list, update and delete, once for all kinds.

use std::sync::Arc;

use prost::Message;
use tonic::Status;

use super::Api;
use super::call::Statuses;
use super::mask::Patch;
use super::page::{self, Scope};
use super::view::{Detail, View};
use crate::domain::{Error, Id, Path, ResourceKey, Stored, Violations};
use crate::ledger::{Answer, Call, Command};
use crate::proto::v1;
use crate::state::{self, Children, Page, Query, Reset, Rules};
use crate::store::Persist;
use crate::wire::{self, Form, Wire};

/// Other resources that an answer lists as changed, at most.
const LISTED_CHANGES: usize = 1_000;

/// A kind with services.
pub(super) trait Served: Wire + Rules + Persist + View {}

impl<R: Wire + Rules + Persist + View> Served for R {}

/// Where and how an answer is to be read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// From memory rather than from the tables.
    pub(super) from_memory: bool,
    /// `ResourceView`.
    pub(super) view: i32,
}

/// A page to be listed.
pub(super) struct Listing {
    pub(super) page_size: i32,
    pub(super) page_token: String,
    pub(super) reading: Reading,
    pub(super) scope: Scope,
    pub(super) query: Query,
}

/// What an update is to do.
pub(super) struct Edit<M> {
    /// The resource, with its id and the fields to change.
    pub(super) message: Option<M>,
    /// The fields to change.
    pub(super) mask: Option<prost_types::FieldMask>,
    /// The usage that is set to zero.
    pub(super) reset: Reset,
}

/// A deletion that is asked for.
pub(super) struct Removal<'a> {
    pub(super) id: &'a str,
    /// The revision that it expects, or 0.
    pub(super) expected: i64,
    /// `Children`.
    pub(super) children: i32,
}

impl<'a> Removal<'a> {
    /// The deletion of what has no children.
    pub(super) fn new(id: &'a str, expected: i64) -> Self {
        Self { id, expected, children: v1::Children::Unspecified.into() }
    }
}

/// A page.
pub(super) struct Listed<M> {
    pub(super) items: Vec<M>,
    pub(super) next_page_token: String,
    pub(super) total_size: i32,
}

impl Api {
    pub(super) async fn get<R: Served>(&self, id: &str, reading: Reading) -> Result<R::Message, Error> {
        let detail = detail(reading.view)?;
        let id = identifier::<R>(id, "id")?;
        let found = if reading.from_memory {
            self.state().find::<R>(id).cloned()
        } else {
            let named = state::meant::<R>(&self.state(), id, "id")?;
            let (_, mut found) =
                self.ledger.reader().read::<R>(&[Id::new(named)]).await.map_err(|error| error.to_domain())?;
            found.pop().map(Arc::new)
        };
        let stored = found.ok_or_else(|| Error::NotFound { kind: R::KIND, id: id.into() })?;
        let (state, now) = (self.state(), self.now());
        let mut message = R::render(&stored, Form::Answer(now));
        R::complete(&mut message, &state, now, detail, true);
        Ok(message)
    }

    pub(super) async fn list<R: Served>(&self, listing: Listing) -> Result<Listed<R::Message>, Error> {
        let Listing { page_size, page_token, reading, scope, mut query } = listing;
        detail(reading.view)?;
        query.limit = page::size(page_size)?;
        query.after = scope.read_created(&page_token)?;
        query.search = query.search.filter(|search| !search.is_empty()).map(|search| search.to_lowercase());

        let state = self.state();
        let found = state.list::<R>(&query);
        let token = |last: &Stored<R>| scope.token(last.created_at.as_micros(), last.id.as_str());
        self.page::<R>(&state, found, reading, token).await
    }

    /// A page of what memory found. Memory has the indexes: it tells which resources are on the page. The tables tell
    /// what these are.
    pub(super) async fn page<R: Served>(
        &self,
        state: &state::State,
        found: Page<Arc<Stored<R>>>,
        reading: Reading,
        token: impl Fn(&Stored<R>) -> String,
    ) -> Result<Listed<R::Message>, Error> {
        let (detail, now) = (detail(reading.view)?, self.now());
        let stored: Vec<Stored<R>> = if reading.from_memory {
            found.items.iter().map(|stored| Stored::clone(stored)).collect()
        } else {
            let ids: Vec<Id<R>> = found.items.iter().map(|stored| stored.id.clone()).collect();
            let (revision, stored) = self.ledger.reader().read::<R>(&ids).await.map_err(|error| error.to_domain())?;
            if revision == state.revision() && stored.len() != ids.len() {
                let text = format!("memory and tables differ at revision {revision}: {} {}s", R::KIND, ids.len());
                return Err(Error::Internal(text));
            }
            stored
        };

        let mut listed = Listed {
            items: Vec::with_capacity(stored.len()),
            next_page_token: String::new(),
            total_size: i32::try_from(found.total).unwrap_or(i32::MAX),
        };
        let mut bytes = 0;
        let mut last = None;
        let mut more = found.more;
        for stored in &stored {
            let mut message = R::render(stored, Form::Answer(now));
            R::complete(&mut message, state, now, detail, false);
            bytes += message.encoded_len();
            if bytes > page::MAX_BYTES && !listed.items.is_empty() {
                more = true;
                break;
            }
            listed.items.push(message);
            last = Some(stored);
        }
        if more && let Some(last) = last {
            listed.next_page_token = token(last);
        }
        Ok(listed)
    }

    /// Creates what `message` says. `prepare` completes the parsed value with what does not come from the message.
    pub(super) async fn create<R: Served, A: Message + Default + 'static>(
        &self,
        call: Call,
        message: Option<R::Message>,
        prepare: impl FnOnce(&mut R),
        answer: fn(R::Message) -> A,
    ) -> Result<(A, bool), Error> {
        let mut violations = Violations::new();
        let root = Path::root(R::KIND.name());
        let Some(message) = message else {
            return Err(absent::<R>());
        };
        let name = R::NAMED_BY_ID.then(|| R::identity(&message).0.to_owned());
        let parsed = R::accept(message, &root, &mut violations);
        let mut resource = match parsed {
            Some(parsed) => violations.or(parsed)?,
            None => return Err(violations.into()),
        };
        prepare(&mut resource);
        let command = Command {
            decide: Box::new(move |state, cx| state::create(state, cx, name.as_deref(), &resource)),
            answer: Box::new(move |state, decision, now| {
                answer(render::<R>(state, &decision.subject, now)).encode_to_vec()
            }),
        };
        self.submit(call, command).await
    }

    pub(super) async fn update<R: Served, A: Message + Default + 'static>(
        &self,
        call: Call,
        edit: Edit<R::Message>,
        answer: fn(R::Message, Vec<v1::ResourceKey>) -> A,
    ) -> Result<A, Error> {
        let Edit { message, mask, reset } = edit;
        let field = if R::NAMED_BY_ID { "name" } else { "id" };
        let (message, id, expected) = identified::<R>(message, field)?;
        let patch = Patch::<R>::new(message, mask)?;
        let command = Command {
            decide: Box::new(move |state, cx| {
                state::update(state, cx, &id, expected, reset, |stored| patch.merge(stored))
            }),
            answer: Box::new(move |state, decision, now| {
                let also = decision.also_changed().take(LISTED_CHANGES).map(|key| wire::resource_key(&key)).collect();
                answer(render::<R>(state, &decision.subject, now), also).encode_to_vec()
            }),
        };
        Ok(self.submit(call, command).await?.0)
    }

    pub(super) async fn delete<R: Served, A: Message + Default + 'static>(
        &self,
        call: Call,
        Removal { id, expected, children }: Removal<'_>,
        answer: fn(i64, Vec<v1::ResourceKey>, i32) -> A,
    ) -> Result<A, Error> {
        let id = identifier::<R>(id, "id")?.to_owned();
        let mut violations = Violations::new();
        let children = parse_children(children, &mut violations);
        check_revision(expected, &Path::root("revision"), &mut violations);
        violations.or(())?;
        let command = Command {
            decide: Box::new(move |state, cx| state::delete::<R>(state, cx, &id, expected, children)),
            answer: Box::new(move |state, decision, _| {
                let count = decision.also_changed().count();
                let also = decision.also_changed().take(LISTED_CHANGES).map(|key| wire::resource_key(&key)).collect();
                answer(state.revision(), also, i32::try_from(count).unwrap_or(i32::MAX)).encode_to_vec()
            }),
        };
        Ok(self.submit(call, command).await?.0)
    }

    /// Submits and decodes the answer; also whether it is that of an earlier call.
    pub(super) async fn submit<A: Message + Default>(&self, call: Call, command: Command) -> Result<(A, bool), Error> {
        let Answer { response, replayed } = self.ledger.submit(call, command).await?;
        let answer =
            A::decode(response).map_err(|error| Error::Internal(format!("an answer cannot be read: {error}")))?;
        Ok((answer, replayed))
    }
}

/// The resource as an answer to a change of it.
pub(super) fn render<R: Served>(state: &state::State, key: &ResourceKey, now: crate::domain::Timestamp) -> R::Message {
    let Some(stored) = state.config().get::<R>(&key.id) else {
        return R::Message::default();
    };
    let mut message = R::render(stored, Form::Answer(now));
    R::complete(&mut message, state, now, Detail::Basic, false);
    message
}

pub(super) fn parse_children(number: i32, violations: &mut Violations) -> Children {
    match v1::Children::try_from(number) {
        Ok(v1::Children::Unspecified) => Children::Refuse,
        Ok(v1::Children::Detach) => Children::Detach,
        Ok(v1::Children::Deactivate) => Children::Deactivate,
        Ok(v1::Children::Delete) => Children::Delete,
        Err(_) => {
            let names = "CHILDREN_DETACH, CHILDREN_DEACTIVATE or CHILDREN_DELETE";
            violations.add(Path::root("children"), format!("is {number}; must be {names}, or left out"));
            Children::Refuse
        }
    }
}

/// The message of an update, the id that it names in `field`, and the revision that it expects.
pub(super) fn identified<R: Served>(
    message: Option<R::Message>,
    field: &str,
) -> Result<(R::Message, String, i64), Error> {
    let message = message.ok_or_else(absent::<R>)?;
    let (id, expected) = R::identity(&message);
    let root = Path::root(R::KIND.name());
    let mut violations = Violations::new();
    if id.trim().is_empty() {
        violations.add(root.field(field), "is empty; must say which resource is to change");
    }
    if let Err(Error::Invalid(found)) = state::check_path(R::KIND, id.trim(), &root.field(field).to_string()) {
        violations.append(found);
    }
    check_revision(expected, &root.field("revision"), &mut violations);
    violations.or(())?;
    let id = id.trim().to_owned();
    Ok((message, id, expected))
}

/// A filter with a number that its enum does not have.
pub(super) fn unknown(field: &str, number: i32, of: &str) -> Error {
    let mut violations = Violations::new();
    violations.add(Path::root(field), format!("is {number}, which is no value of {of}; leave it out for all"));
    violations.into()
}

/// `text` if it is not empty.
pub(super) fn present<'a>(text: &'a str, field: &str) -> Result<&'a str, Error> {
    if !text.is_empty() {
        return Ok(text);
    }
    let mut violations = Violations::new();
    violations.add(Path::root(field), "is empty; must say which resource is meant");
    Err(violations.into())
}

/// The id, or path, of a resource of kind `R`.
pub(super) fn identifier<'a, R: Served>(text: &'a str, field: &str) -> Result<&'a str, Error> {
    let text = present(text, field)?;
    state::check_path(R::KIND, text, field)?;
    Ok(text)
}

pub(super) fn check_revision(revision: i64, path: &Path<'_>, violations: &mut Violations) {
    if revision < 0 {
        violations.add(path, format!("is {revision}; must be the revision that you read, or 0 for any"));
    }
}

pub(super) fn absent<R: Served>() -> Error {
    let mut violations = Violations::new();
    violations.add(Path::root(R::KIND.name()), "is absent; must be the resource");
    violations.into()
}

fn detail(view: i32) -> Result<Detail, Error> {
    match v1::ResourceView::try_from(view) {
        Ok(v1::ResourceView::Unspecified | v1::ResourceView::Basic) => Ok(Detail::Basic),
        Ok(v1::ResourceView::Full) => Ok(Detail::Full),
        Err(_) => {
            let mut violations = Violations::new();
            violations.add(Path::root("view"), format!("is {view}; must be RESOURCE_VIEW_BASIC or RESOURCE_VIEW_FULL"));
            Err(violations.into())
        }
    }
}

/// An answer, or the status of the error.
pub(super) fn respond<T>(result: Result<T, Error>, statuses: &Statuses) -> Result<tonic::Response<T>, Status> {
    result.map(tonic::Response::new).map_err(|error| statuses.status(error))
}
