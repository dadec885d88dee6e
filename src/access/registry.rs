//! All tokens in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use constant_time_eq::constant_time_eq_32;
use tokio_util::sync::CancellationToken;

use super::Principal;
use crate::domain::{Sha256Hash, Timestamp, Token};
use crate::settings::AccessSettings;
use crate::store::TokenTable;

/// What of a hash finds a token. It is no secret: whoever could choose a token by its hash had the token.
type Prefix = [u8; 8];

/// All tokens in memory, and whether one must be shown.
pub struct Registry {
    insecure: bool,
    certificates: bool,
    known: ArcSwap<Known>,
    /// Held while `known` is replaced, so that older news never replace later ones.
    replacing: Mutex<()>,
    anonymous: Principal,
}

struct Known {
    version: i64,
    by_hash: HashMap<Prefix, Vec<Arc<Entry>>>,
}

struct Entry {
    token: Token,
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
        let known = Known { version: 0, by_hash: HashMap::new() };
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
        !self.insecure && (self.certificates || self.known.load().version > 0)
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
        let entry = candidates.iter().find(|entry| constant_time_eq_32(&entry.token.sha256.0, &hash.0))?;
        if !entry.token.works_at(now) {
            return None;
        }
        entry.used.fetch_max(now.as_micros(), Ordering::Relaxed);
        Some(entry.principal.clone())
    }

    /// Takes over the tokens of the store, unless it knows later ones. Who held one that is not good any more loses its
    /// streams; so do anonymous callers once there is a token.
    pub fn replace(&self, table: TokenTable) {
        let TokenTable { version, tokens } = table;
        // The lock guards no invariant that a panic could break.
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.known.load();
        if version <= before.version {
            return;
        }
        let mut earlier: HashMap<&str, &Arc<Entry>> =
            before.by_hash.values().flatten().map(|entry| (entry.token.id.as_ref(), entry)).collect();
        let mut lapsed = Vec::new();
        let mut by_hash: HashMap<Prefix, Vec<Arc<Entry>>> = HashMap::new();
        for token in tokens {
            let earlier = earlier.remove(token.id.as_ref());
            if token.revoked.is_some() {
                lapsed.extend(earlier);
                continue;
            }
            // A token never changes but for being revoked.
            let entry = earlier.map_or_else(|| Arc::new(Entry::new(token)), Arc::clone);
            by_hash.entry(prefix(&entry.token.sha256)).or_default().push(entry);
        }
        lapsed.extend(earlier.into_values());
        self.known.store(Arc::new(Known { version, by_hash }));
        // Only now: whoever is told that a token is revoked finds it so.
        for entry in lapsed {
            entry.principal.lapse().cancel();
        }
        if self.is_enforced() {
            self.anonymous.lapse().cancel();
        }
    }

    /// Ends the streams of whoever holds a token that has expired.
    pub fn expire(&self, now: Timestamp) {
        for entry in self.known.load().by_hash.values().flatten() {
            if !entry.token.works_at(now) {
                entry.principal.lapse().cancel();
            }
        }
    }

    /// How often the tokens were changed that it knows.
    pub fn version(&self) -> i64 {
        self.known.load().version
    }

    /// Tokens (by id) that were used since what was last noted of them.
    pub(super) fn used(&self) -> Vec<(Arc<str>, Timestamp)> {
        let known = self.known.load();
        let entries = known.by_hash.values().flatten();
        entries
            .filter_map(|entry| {
                let used = entry.used.load(Ordering::Relaxed);
                let new = used > entry.noted.load(Ordering::Relaxed);
                new.then(|| (Arc::clone(&entry.token.id), Timestamp::from_micros(used)))
            })
            .collect()
    }

    /// Takes note that these uses are in the store.
    pub(super) fn note(&self, used: &[(Arc<str>, Timestamp)]) {
        let used: HashMap<&str, i64> = used.iter().map(|(id, at)| (id.as_ref(), at.as_micros())).collect();
        for entry in self.known.load().by_hash.values().flatten() {
            if let Some(at) = used.get(entry.token.id.as_ref()) {
                entry.noted.fetch_max(*at, Ordering::Relaxed);
            }
        }
    }

    /// The last use of the token with this id that this replica knows of.
    pub(super) fn last_used(&self, id: &str) -> Option<Timestamp> {
        let known = self.known.load();
        let entry = known.by_hash.values().flatten().find(|entry| entry.token.id.as_ref() == id)?;
        Some(entry.used.load(Ordering::Relaxed)).filter(|used| *used > 0).map(Timestamp::from_micros)
    }
}

impl Entry {
    fn new(token: Token) -> Self {
        let principal = Principal::of_token(&token, CancellationToken::new());
        Self { token, principal, used: AtomicI64::new(0), noted: AtomicI64::new(0) }
    }
}

fn prefix(hash: &Sha256Hash) -> Prefix {
    let [a, b, c, d, e, f, g, h, ..] = hash.0;
    [a, b, c, d, e, f, g, h]
}
