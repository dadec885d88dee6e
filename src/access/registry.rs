//! The access tokens that work, found by their values.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use constant_time_eq::constant_time_eq_32;
use tokio_util::sync::CancellationToken;

use super::Principal;
use crate::domain::{Kind, Sha256Hash, Stored, Timestamp, Token};
use crate::settings::AccessSettings;
use crate::state::State;

/// What of a hash finds a token. It is no secret: whoever could choose a token by its hash had the token.
type Prefix = [u8; 8];

/// The access tokens that are not revoked, and whether one must be shown.
pub struct Registry {
    insecure: bool,
    certificates: bool,
    known: ArcSwap<Known>,
    /// Held while `known` is replaced, so that an older state never replaces a later one.
    replacing: Mutex<()>,
    anonymous: Principal,
}

struct Known {
    /// The digest of all tokens of the state that this is from: it tells whether they changed.
    digest: u64,
    /// Whether there was ever a token.
    has_had_tokens: bool,
    by_hash: HashMap<Prefix, Vec<Arc<Entry>>>,
    /// Ids of those that are refused whatever the state says of them.
    refused: Arc<HashSet<String>>,
}

struct Entry {
    token: Arc<Stored<Token>>,
    principal: Principal,
    /// When it was last used, in microseconds; 0 for not yet.
    used: AtomicI64,
    /// What of `used` is in the store.
    noted: AtomicI64,
}

impl Registry {
    /// Without tokens: authentication is off until the store has one. It is off for ever if that is what the settings
    /// say, and on from the start if callers have `certificates`.
    pub fn new(settings: &AccessSettings, certificates: bool) -> Self {
        let known = Known { digest: 0, has_had_tokens: false, by_hash: HashMap::new(), refused: Arc::default() };
        Self {
            insecure: settings.insecure,
            certificates,
            known: ArcSwap::from_pointee(known),
            replacing: Mutex::default(),
            anonymous: Principal::anonymous(CancellationToken::new()),
        }
    }

    /// Whether callers must show a token, or a certificate.
    pub fn is_enforced(&self) -> bool {
        !self.insecure && (self.certificates || self.known.load().has_had_tokens)
    }

    /// Whether everybody is an administrator, and nobody said that this is wanted: the store never had a token. Then
    /// only this machine is served.
    pub fn has_never_had_tokens(&self) -> bool {
        !self.insecure && !self.is_enforced()
    }

    /// Who calls without showing a token, while that is allowed.
    pub fn anonymous(&self) -> Option<Principal> {
        (!self.is_enforced()).then(|| self.anonymous.clone())
    }

    /// The holder of the token `value`, if it is good at `now`. The time that it takes tells nothing of other tokens:
    /// what is compared are hashes, in constant time.
    pub fn authenticate(&self, value: &str, now: Timestamp) -> Option<Principal> {
        let hash = Sha256Hash::of(value);
        let known = self.known.load();
        let candidates = known.by_hash.get(&prefix(&hash)).map(Vec::as_slice).unwrap_or_default();
        let entry = candidates.iter().find(|entry| constant_time_eq_32(&entry.token.resource.sha256.0, &hash.0))?;
        if !entry.token.resource.works_at(now) {
            return None;
        }
        entry.used.fetch_max(now.as_micros(), Ordering::Relaxed);
        Some(entry.principal.clone())
    }

    /// Takes over the tokens of the `latest` state, which it asks for when its turn has come. Who held one that is not good any
    /// more loses its streams; so do anonymous callers once there is a token.
    pub fn follow(&self, latest: impl FnOnce() -> Arc<State>) {
        // The lock guards no invariant that a panic could break.
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let state = latest();
        let (before, digest) = (self.known.load(), state.config().digest(Kind::Token));
        if digest == before.digest {
            return;
        }
        let mut earlier: HashMap<&str, &Arc<Entry>> =
            before.by_hash.values().flatten().map(|entry| (entry.token.id.as_str(), entry)).collect();
        let mut by_hash: HashMap<Prefix, Vec<Arc<Entry>>> = HashMap::new();
        let refused = Arc::clone(&before.refused);
        let works =
            |token: &&Arc<Stored<Token>>| token.resource.revoked.is_none() && !refused.contains(token.id.as_str());
        for token in state.config().all::<Token>().filter(works) {
            // It never changes but for being revoked, unless another history took the place of the one before: then it is another.
            let is_same = |entry: &&Arc<Entry>| entry.token.resource == token.resource;
            let same = earlier.get(token.id.as_str()).copied().filter(is_same);
            if same.is_some() {
                earlier.remove(token.id.as_str());
            }
            let entry = same.map_or_else(|| Arc::new(Entry::new(token)), Arc::clone);
            by_hash.entry(prefix(&entry.token.resource.sha256)).or_default().push(entry);
        }
        let has_had_tokens = before.has_had_tokens || state.config().count::<Token>() > 0;
        let lapsed: Vec<_> = earlier.into_values().collect();
        self.known.store(Arc::new(Known { digest, has_had_tokens, by_hash, refused }));
        // Only now: whoever is told that a token is revoked finds it so.
        for entry in lapsed {
            entry.principal.lapse().cancel();
        }
        if self.is_enforced() {
            self.anonymous.lapse().cancel();
        }
    }

    /// Refuses the access tokens with these ids from now on: they were revoked, and the states of this server do not say so yet.
    pub(super) fn refuse(&self, ids: HashSet<String>) {
        // As in `follow`.
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.known.load();
        if ids.is_subset(&before.refused) {
            return;
        }
        let refused: HashSet<String> = before.refused.union(&ids).cloned().collect();
        let (mut by_hash, mut lapsed) = (before.by_hash.clone(), Vec::new());
        for entries in by_hash.values_mut() {
            lapsed.extend(entries.extract_if(.., |entry| refused.contains(entry.token.id.as_str())));
        }
        let Known { digest, has_had_tokens, .. } = **before;
        self.known.store(Arc::new(Known { digest, has_had_tokens, by_hash, refused: Arc::new(refused) }));
        for entry in lapsed {
            entry.principal.lapse().cancel();
        }
    }

    /// Ends the streams of whoever holds a token that has expired.
    pub fn expire(&self, now: Timestamp) {
        for entry in self.known.load().by_hash.values().flatten() {
            if !entry.token.resource.works_at(now) {
                entry.principal.lapse().cancel();
            }
        }
    }

    /// Tokens (by id) that were used since what was last noted of them.
    pub(super) fn used(&self) -> Vec<(Arc<str>, Timestamp)> {
        let known = self.known.load();
        let entries = known.by_hash.values().flatten();
        entries
            .filter_map(|entry| {
                let used = entry.used.load(Ordering::Relaxed);
                let new = used > entry.noted.load(Ordering::Relaxed);
                new.then(|| (entry.token.id.shared(), Timestamp::from_micros(used)))
            })
            .collect()
    }

    /// Takes note that these uses are in the store.
    pub(super) fn note(&self, used: &[(Arc<str>, Timestamp)]) {
        let used: HashMap<&str, i64> = used.iter().map(|(id, at)| (id.as_ref(), at.as_micros())).collect();
        for entry in self.known.load().by_hash.values().flatten() {
            if let Some(at) = used.get(entry.token.id.as_str()) {
                entry.noted.fetch_max(*at, Ordering::Relaxed);
            }
        }
    }

    /// The last use of the token with this id that this replica knows of.
    pub(super) fn last_used(&self, id: &str) -> Option<Timestamp> {
        let known = self.known.load();
        let entry = known.by_hash.values().flatten().find(|entry| entry.token.id.as_str() == id)?;
        Some(entry.used.load(Ordering::Relaxed)).filter(|used| *used > 0).map(Timestamp::from_micros)
    }
}

impl Entry {
    fn new(token: &Arc<Stored<Token>>) -> Self {
        let principal = Principal::of_token(token, CancellationToken::new());
        Self { token: Arc::clone(token), principal, used: AtomicI64::new(0), noted: AtomicI64::new(0) }
    }
}

fn prefix(hash: &Sha256Hash) -> Prefix {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    [a, b, c, d, e, f, g, h]
}
