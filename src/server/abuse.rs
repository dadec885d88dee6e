//! What one address may do before it is known who calls: so many calls a second, so many failures before they are
//! slowed, so many connections. Whoever shows a valid token is not counted here.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::Status;

use super::complaints::Complaints;
use super::status;
use crate::api::Peer;

/// Calls a second that an address may make without being known, and how many it may save up.
const CALLS: Rate = Rate { per_second: 100.0, saved: 200.0 };
/// Failed authentications a second that are answered at once, and how many may be saved up.
const FAILURES: Rate = Rate { per_second: 1.0, saved: 10.0 };
/// How long the answer to every further failure takes.
const SLOWED: Duration = Duration::from_secs(1);
/// Answers that are slowed at a time; what comes on top is refused instead.
const MAX_SLOWED: usize = 256;
/// Addresses that are remembered. One is forgotten when all that it spent is saved up again, at the latest in 10 s.
const ADDRESSES: usize = 10_000;

struct Rate {
    per_second: f64,
    saved: f64,
}

/// Counts what unknown callers do.
pub(super) struct Abuse {
    addresses: Mutex<HashMap<IpAddr, Account>>,
    slowed: Semaphore,
    complaints: Complaints,
}

/// What an address has left.
#[derive(Clone, Copy)]
struct Account {
    calls: f64,
    failures: f64,
    at: Instant,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self { calls: CALLS.saved, failures: FAILURES.saved, at: now }
    }

    fn catch_up(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.calls = (self.calls + seconds * CALLS.per_second).min(CALLS.saved);
        self.failures = (self.failures + seconds * FAILURES.per_second).min(FAILURES.saved);
        self.at = now;
    }

    fn is_full(&self) -> bool {
        self.calls >= CALLS.saved && self.failures >= FAILURES.saved
    }
}

impl Abuse {
    pub(super) fn new() -> Self {
        Self { addresses: Mutex::default(), slowed: Semaphore::new(MAX_SLOWED), complaints: Complaints::default() }
    }

    /// Takes a call of somebody who is not known.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if there were too many of them.
    pub(super) fn call(&self, peer: Option<Peer>) -> Result<(), Status> {
        let spent = self.spend(peer, |account| &mut account.calls);
        if spent { Ok(()) } else { Err(status::overloaded("too many calls without a valid token from this address")) }
    }

    /// Takes a failed authentication: after some, the answer takes a second.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED if too many answers are waiting already.
    pub(super) async fn failure(&self, peer: Option<Peer>) -> Result<(), Status> {
        if self.spend(peer, |account| &mut account.failures) {
            return Ok(());
        }
        let Ok(_place) = self.slowed.try_acquire() else {
            return Err(status::overloaded("too many failed authentications"));
        };
        tokio::time::sleep(SLOWED).await;
        Ok(())
    }

    /// Notes that a call of somebody who is not known found no place.
    pub(super) fn refused(&self, peer: Option<Peer>) {
        if let Some(peer) = peer {
            self.complain(source(peer));
        }
    }

    fn complain(&self, address: IpAddr) {
        if let Some(calls) = self.complaints.count(address) {
            tracing::warn!(
                peer.ip = %address,
                calls,
                "many calls without a valid token come from this address: they are slowed and refused, and logged at debug"
            );
        }
    }

    /// Whether there was one left.
    fn spend(&self, peer: Option<Peer>, of: impl Fn(&mut Account) -> &mut f64) -> bool {
        let Some(address) = peer.map(source) else { return true };
        let now = Instant::now();
        // The lock guards no invariant that a panic could break.
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES && !addresses.contains_key(&address) {
            addresses.retain(|_, account| {
                account.catch_up(now);
                !account.is_full()
            });
            if addresses.len() >= ADDRESSES {
                // A flood from everywhere: better to forget all than to grow or to refuse everybody.
                tracing::warn!(addresses = ADDRESSES, "unauthenticated calls from very many addresses");
                addresses.clear();
            }
        }
        let account = addresses.entry(address).or_insert_with(|| Account::new(now));
        account.catch_up(now);
        if *of(account) >= 1.0 {
            *of(account) -= 1.0;
            return true;
        }
        drop(addresses);
        self.complain(address);
        false
    }
}

/// The connections that each address has open.
#[derive(Clone)]
pub(super) struct Connections {
    max: usize,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Connections {
    /// At most `max` of each address.
    pub(super) fn new(max: usize) -> Self {
        Self { max, open: Arc::default() }
    }

    /// A place for another connection of `peer`; `None` if it has too many.
    pub(super) fn admit(&self, peer: Peer) -> Option<Held<IpAddr>> {
        Held::take(&self.open, source(peer), self.max)
    }
}

/// One of several things that somebody holds, counted until it is dropped.
pub(super) struct Held<K: Eq + Hash> {
    counts: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Held<K> {
    /// Counts one more for `key`, unless it has `max`.
    pub(super) fn take(counts: &Arc<Mutex<HashMap<K, usize>>>, key: K, max: usize) -> Option<Self> {
        let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key.clone()).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Self { counts: Arc::clone(counts), key })
    }
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut all = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.key);
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the network of 64 bits that an IPv6 host has to itself.
pub(super) fn source(peer: Peer) -> IpAddr {
    match peer.address().ip() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer::new(address.parse().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_callers_have_so_many_calls_and_get_them_back() {
        let abuse = Abuse::new();
        let one = peer("10.0.0.1:1");
        assert_eq!((0..300).filter(|_| abuse.call(one).is_ok()).count(), 200);
        assert!(abuse.call(peer("10.0.0.2:1")).is_ok(), "another address");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..300).filter(|_| abuse.call(one).is_ok()).count(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_slowed_and_then_refused() {
        let abuse = Arc::new(Abuse::new());
        let one = peer("[2001:db8::1]:1");
        for _ in 0..10 {
            assert!(tokio::time::timeout(Duration::ZERO, abuse.failure(one)).await.unwrap().is_ok());
        }
        let neighbour = peer("[2001:db8::2]:7");
        assert!(tokio::time::timeout(SLOWED / 2, abuse.failure(neighbour)).await.is_err(), "it is the same host");
        let waiting: Vec<_> = (0..MAX_SLOWED + 1)
            .map(|_| {
                let abuse = Arc::clone(&abuse);
                tokio::spawn(async move { abuse.failure(one).await.is_ok() })
            })
            .collect();
        let mut slowed = 0;
        for waiting in waiting {
            slowed += usize::from(waiting.await.unwrap());
        }
        assert_eq!(slowed, MAX_SLOWED);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let abuse = Abuse::new();
        for number in 0..u32::try_from(3 * ADDRESSES).unwrap() {
            abuse.call(Some(Peer::new((IpAddr::from(number.to_be_bytes()), 1).into()))).unwrap();
        }
        assert!(abuse.addresses.lock().unwrap().len() <= ADDRESSES);
    }

    #[test]
    fn connections_are_counted_until_they_end() {
        let connections = Connections::new(2);
        let [one, other] = ["10.0.0.1:1", "10.0.0.2:1"].map(|it| peer(it).unwrap());
        let held = (connections.admit(one).unwrap(), connections.admit(one).unwrap());
        assert!(connections.admit(one).is_none() && connections.admit(other).is_some());
        drop(held);
        assert!(connections.admit(one).is_some());
        assert!(connections.open.lock().unwrap().is_empty());
    }
}
