//! The client's fold of `WatchConfig`: messages in, a copy of the configuration out.
//!
//! It owns the copy, the cursor, the resume token, and what of the stream is not whole yet. Nodes, `tollgate watch` and
//! the tests call it. It is pure: no runtime, no sockets, no clock. A caller's loop is: open a stream with the token and
//! the revision that [`Reducer::connect`] returns, feed each message to [`Reducer::apply`]; at an error or at the end of
//! the stream, start again with [`Reducer::connect`].
//!
//! The copy changes in whole batches only. Readers on other threads hold a [`StateReader`] and never see part of a
//! revision, nor part of a snapshot: while one comes in, the old state stays.

pub mod digest;
mod progress;
mod usage;
mod view;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use usage::UsageFold;

pub use progress::{Progress, ProtocolError, ResourceChange};
pub use usage::Usage;
pub use view::{ConfigCopy, Fold, StateReader, Summary, View};

use crate::domain::Kind;
use crate::proto::v1::{
    Bookmark, ConfigBatch, ConfigResource, GoAway, ResourceKey, ResourceKind, WatchBegin, WatchConfigResponse,
    WatchMode, watch_config_response,
};

/// How much the visible copy is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Base {
    /// There is none yet.
    Nothing,
    /// It is all there is at its revision: it can be proved by digests.
    Whole,
    /// It holds only what has changed since a token was given: see [`Reducer::without_base`].
    Partial {
        /// Where it stands, once the stream has told.
        cursor: Option<i64>,
    },
}

/// The fragments of a batch until the last is there.
#[derive(Debug)]
struct Fragments<R> {
    from: i64,
    to: i64,
    snapshot: bool,
    upserts: Vec<(ResourceKey, i64, R)>,
    removes: Vec<ResourceKey>,
}

/// The fold. See the module's description for how to use it.
#[derive(Debug)]
pub struct Reducer<V: Fold = View> {
    shared: Arc<ArcSwap<V>>,
    base: Base,
    token: String,
    must_forget_token: bool,
    begun: bool,
    /// The copy as it was when the token came: what a stream that resumes goes on from. The visible copy may be ahead
    /// of it by the batches whose bookmark never came.
    marked: Arc<V>,
    /// Whether a snapshot is coming in.
    snapshot: bool,
    /// What is not visible yet: a snapshot that is coming in, or a resumed copy until it has reached the visible one.
    staging: Option<V>,
    fragments: Option<Fragments<V::Resource>>,
    usage: UsageFold,
}

/// A client that holds nothing yet: its first stream is a snapshot.
impl<V: Fold> Default for Reducer<V> {
    fn default() -> Self {
        Self {
            shared: Arc::default(),
            base: Base::Nothing,
            token: String::new(),
            must_forget_token: false,
            begun: false,
            marked: Arc::default(),
            snapshot: false,
            staging: None,
            fragments: None,
            usage: UsageFold::default(),
        }
    }
}

impl Reducer {
    /// A client that holds nothing yet: its first stream is a snapshot.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client that goes on from a token without the copy that belongs to it. It is told what changes, but holds only
    /// what has changed since, and digests cannot be compared, until a snapshot comes. Not for nodes: a node without
    /// its copy starts with [`Reducer::new`] or [`Reducer::restore`].
    pub fn without_base(resume_token: impl Into<String>) -> Self {
        Self { base: Base::Partial { cursor: None }, token: resume_token.into(), ..Self::new() }
    }

    /// A client that goes on from a copy that it kept: all `resources` as of `revision`, and the token that came with
    /// the bookmark of that revision.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::UnknownResource`], and [`ProtocolError::FromTheFuture`] if a resource is newer than `revision`.
    pub fn restore(
        resources: impl IntoIterator<Item = ConfigResource>,
        revision: i64,
        resume_token: impl Into<String>,
    ) -> Result<Self, ProtocolError> {
        Self::of_resources(resources, revision, resume_token)
    }
}

impl<V: Fold> Reducer<V> {
    /// As [`Reducer::restore`], whatever the stream is folded into.
    ///
    /// # Errors
    ///
    /// Those of [`Reducer::restore`], and [`ProtocolError::UnreadableResource`].
    pub fn of_resources(
        resources: impl IntoIterator<Item = ConfigResource>,
        revision: i64,
        resume_token: impl Into<String>,
    ) -> Result<Self, ProtocolError> {
        let mut view = V::default();
        view.set_revision(revision);
        for message in resources {
            let (key, of, resource) = V::read(message)?;
            if of > revision {
                return Err(ProtocolError::FromTheFuture { revision: of, to: revision });
            }
            view.put(&key, of, resource);
        }
        let marked = Arc::new(view);
        let shared = Arc::new(ArcSwap::new(Arc::clone(&marked)));
        Ok(Self { shared, marked, base: Base::Whole, token: resume_token.into(), ..Self::default() })
    }

    /// The newest whole state.
    pub fn state(&self) -> Arc<V> {
        self.shared.load_full()
    }

    /// What limits have used, for a stream with `include_usage`.
    pub fn usage(&self) -> &Usage {
        self.usage.usage()
    }

    /// A handle to the newest whole state, for other threads.
    pub fn reader(&self) -> StateReader<V> {
        StateReader(Arc::clone(&self.shared))
    }

    /// To be called before each stream: forgets what was not whole of the stream before. Returns what to send as
    /// `WatchConfigRequest.resume_token` and as `min_revision`.
    ///
    /// The revision is that of the visible copy, which may be ahead of the token: so no replica that lags takes the copy
    /// back. It is 0 where there is no token, by which a server could tell that the revision is of a history that is lost.
    pub fn connect(&mut self) -> (&str, i64) {
        self.forget_stream();
        let shown = if self.token.is_empty() { 0 } else { self.shared.load().revision() };
        (&self.token, shown)
    }

    fn forget_stream(&mut self) {
        self.begun = false;
        self.snapshot = false;
        self.staging = None;
        self.fragments = None;
        if let Base::Partial { cursor } = &mut self.base {
            *cursor = None;
        }
    }

    /// The token of the last bookmark; empty if there is none, or if it must be forgotten.
    pub fn resume_token(&self) -> &str {
        &self.token
    }

    /// Whether the copy went wrong, so that a token kept elsewhere (a file, say) must be thrown away too. Until the
    /// next snapshot has come, the old state stays visible.
    pub fn must_forget_token(&self) -> bool {
        self.must_forget_token
    }

    /// Folds one message in.
    ///
    /// # Errors
    ///
    /// [`ProtocolError`]. The visible state is as before; drop the stream and connect again.
    pub fn apply(&mut self, message: WatchConfigResponse) -> Result<Progress<V::Resource>, ProtocolError> {
        let result = self.fold(message);
        if let Err(error) = &result {
            if error.spoils_the_copy() {
                self.must_forget_token = true;
                self.token.clear();
            }
            self.forget_stream();
        }
        result
    }

    fn fold(&mut self, message: WatchConfigResponse) -> Result<Progress<V::Resource>, ProtocolError> {
        use watch_config_response::Event;
        match message.event {
            Some(Event::Begin(begin)) => self.begin(&begin),
            _ if !self.begun => Err(ProtocolError::NotBegun),
            Some(Event::Batch(batch)) => self.batch(batch),
            Some(Event::Bookmark(bookmark)) => self.bookmark(bookmark),
            Some(Event::Usage(update)) => match self.usage.take(update) {
                Some((limits, counted)) => Ok(Progress::Used { limits, counted }),
                None => Ok(Progress::Pending),
            },
            Some(Event::GoAway(GoAway { reason, retry_after })) => {
                Ok(Progress::GoAway { reason, retry_after: duration(retry_after) })
            }
            None => Err(ProtocolError::UnknownEvent),
        }
    }

    fn begin(&mut self, begin: &WatchBegin) -> Result<Progress<V::Resource>, ProtocolError> {
        V::check(begin)?;
        self.forget_stream();
        self.usage.begin();
        self.begun = true;
        match begin.mode() {
            WatchMode::Resumed if self.base == Base::Nothing || self.must_forget_token => {
                return Err(ProtocolError::NothingToResume);
            }
            // The store may have lost what came after the token (a restored backup) and written something else since,
            // so that the visible copy is no base.
            WatchMode::Resumed
                if self.base == Base::Whole && self.marked.revision() != self.shared.load().revision() =>
            {
                self.staging = Some(V::clone(&self.marked));
            }
            WatchMode::Resumed => {}
            WatchMode::Snapshot => {
                self.snapshot = true;
                self.staging = Some(V::default());
            }
            WatchMode::Unspecified => return Err(ProtocolError::UnknownMode(begin.mode)),
        }
        Ok(Progress::Begun {
            mode: begin.mode(),
            reason: begin.reason(),
            head_revision: begin.head_revision,
            heartbeat_interval: duration(begin.heartbeat_interval),
            without_hashes: begin.without_hashes,
        })
    }

    fn batch(&mut self, batch: ConfigBatch) -> Result<Progress<V::Resource>, ProtocolError> {
        let ConfigBatch { from_revision: from, to_revision: to, upserts, removes, more, snapshot, .. } = batch;
        if snapshot != self.snapshot {
            return Err(ProtocolError::Mixed);
        }
        let mut fragments = match self.fragments.take() {
            Some(fragments) if (fragments.from, fragments.to, fragments.snapshot) != (from, to, snapshot) => {
                return Err(ProtocolError::Fragments);
            }
            Some(fragments) => fragments,
            None => {
                self.check_order(from, to)?;
                Fragments { from, to, snapshot, upserts: Vec::new(), removes: Vec::new() }
            }
        };
        for resource in upserts {
            let (key, revision, resource) = V::read(resource)?;
            if revision > to {
                return Err(ProtocolError::FromTheFuture { revision, to });
            }
            fragments.upserts.push((key, revision, resource));
        }
        for key in removes {
            if matches!(ResourceKind::try_from(key.kind), Err(_) | Ok(ResourceKind::Unspecified)) {
                return Err(ProtocolError::UnknownKind(key.kind));
            }
            fragments.removes.push(key);
        }
        if more {
            self.fragments = Some(fragments);
            return Ok(Progress::Pending);
        }
        self.finish(fragments)
    }

    /// A batch fits a copy at any cursor in [from, to). A snapshot is a copy that starts from nothing, at revision 0.
    fn check_order(&self, from: i64, to: i64) -> Result<(), ProtocolError> {
        let cursor = match (&self.staging, self.base) {
            (Some(staging), _) => staging.revision(),
            (None, Base::Partial { cursor: Some(cursor) }) => cursor,
            (None, Base::Partial { cursor: None }) => from,
            (None, Base::Whole | Base::Nothing) => self.shared.load().revision(),
        };
        if from <= cursor && cursor < to { Ok(()) } else { Err(ProtocolError::OutOfOrder { cursor, from, to }) }
    }

    fn finish(&mut self, fragments: Fragments<V::Resource>) -> Result<Progress<V::Resource>, ProtocolError> {
        let Fragments { to, upserts, removes, .. } = fragments;
        if !removes.is_empty() {
            let held: HashSet<&ResourceKey> = upserts.iter().map(|(key, ..)| key).collect();
            if let Some(key) = removes.iter().find(|key| held.contains(key)) {
                return Err(ProtocolError::Contradiction(key.clone()));
            }
        }

        let visible = self.shared.load_full();
        let staged = self.staging.take();
        let catching_up = staged.is_some();
        let mut next = staged.unwrap_or_else(|| V::clone(&visible));
        let mut changes = Vec::with_capacity(upserts.len() + removes.len());
        for (key, revision, resource) in upserts {
            next.put(&key, revision, resource.clone());
            let before = visible.get(&key);
            changes.push(ResourceChange { key, before, after: Some(resource) });
        }
        for key in removes {
            // The key may be unknown: what was created and deleted between cursor and batch was never here.
            next.remove(&key);
            let before = visible.get(&key);
            changes.push(ResourceChange { key, before, after: None });
        }
        next.set_revision(to);

        if fragments.snapshot {
            self.staging = Some(next);
            return Ok(Progress::Staged(changes));
        }
        if catching_up {
            if to < visible.revision() {
                self.staging = Some(next);
                return Ok(Progress::Pending);
            }
            changes = visible.changes_to(&next);
        }
        self.advance(to);
        self.shared.store(Arc::new(next));
        Ok(Progress::Applied(changes))
    }

    fn bookmark(&mut self, bookmark: Bookmark) -> Result<Progress<V::Resource>, ProtocolError> {
        let Bookmark { revision, resume_token, digests, snapshot_end, age, server_time: _ } = bookmark;
        if self.fragments.is_some() {
            return Err(ProtocolError::Fragments);
        }
        if snapshot_end != self.snapshot {
            return Err(ProtocolError::Mixed);
        }
        let visible = self.shared.load_full();
        let staged = self.staging.take();
        let catching_up = staged.is_some();
        let mut next = staged.unwrap_or_else(|| V::clone(&visible));
        // Only a snapshot may take the visible copy back.
        let cursor = if snapshot_end { next.revision() } else { next.revision().max(visible.revision()) };
        if revision < cursor {
            return Err(ProtocolError::WentBack { cursor, bookmark: revision });
        }
        next.set_revision(revision);

        let provable = snapshot_end || self.base == Base::Whole;
        let verified = provable && !digests.is_empty();
        if verified {
            // Every kind of the filter has a digest, so of a kind without one nothing should be here.
            let named: Vec<i32> = digests.iter().map(|digest| digest.kind).collect();
            let kinds = Kind::ALL.into_iter().map(Kind::number);
            let unnamed = kinds.filter(|kind| !named.contains(kind)).map(|kind| (kind, 0));
            for (kind, expected) in digests.iter().map(|digest| (digest.kind, digest.digest)).chain(unnamed) {
                let actual = next.digest(kind);
                if actual != expected {
                    return Err(ProtocolError::DigestMismatch { kind, expected, actual });
                }
            }
        }

        let dropped = if snapshot_end {
            Some(visible.changes_to(&next).into_iter().filter(|change| change.after.is_none()).collect())
        } else {
            catching_up.then(|| visible.changes_to(&next))
        };
        if snapshot_end {
            self.base = Base::Whole;
            self.must_forget_token = false;
        }
        self.snapshot = false;
        self.advance(revision);
        self.marked = Arc::new(next);
        self.shared.store(Arc::clone(&self.marked));
        self.token = resume_token;
        let age = age.map(|age| duration(Some(age)));
        Ok(Progress::Bookmarked { revision, verified, dropped, age })
    }

    fn advance(&mut self, revision: i64) {
        if let Base::Partial { cursor } = &mut self.base {
            *cursor = Some(revision);
        }
    }
}

/// A protobuf duration; negative ones, which no server sends, count as none.
fn duration(duration: Option<prost_types::Duration>) -> Duration {
    duration.and_then(|duration| Duration::try_from(duration).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
