//! Lines in the log that a stranger could multiply: one a minute for each address, which says how many there were.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often the log tells of the same address.
const TELL: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const ADDRESSES: usize = 10_000;

/// Counts what is complained of, by address.
#[derive(Default)]
pub(super) struct Complaints(Mutex<HashMap<IpAddr, Told>>);

/// When an address was told of, and how often it gave cause to since then.
struct Told {
    at: Instant,
    since: u64,
}

impl Complaints {
    /// Counts one of `address`. If it is to be logged: how many there were since the last that was, with this one.
    pub(super) fn count(&self, address: IpAddr) -> Option<u64> {
        let now = Instant::now();
        // The lock guards no invariant that a panic could break.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES && !all.contains_key(&address) {
            all.retain(|_, told| now.saturating_duration_since(told.at) < TELL);
            if all.len() >= ADDRESSES {
                // A flood from everywhere: its first addresses are told of, and that is enough.
                return None;
            }
        }
        let Some(told) = all.get_mut(&address) else {
            all.insert(address, Told { at: now, since: 0 });
            return Some(1);
        };
        told.since += 1;
        if now.saturating_duration_since(told.at) < TELL {
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_told_of_once_a_minute_with_a_count() {
        let complaints = Complaints::default();
        let [one, other] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        assert_eq!(complaints.count(one), Some(1));
        assert!((0..99).all(|_| complaints.count(one).is_none()));
        assert_eq!(complaints.count(other), Some(1));
        tokio::time::advance(TELL).await;
        assert_eq!((complaints.count(one), complaints.count(one)), (Some(100), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let complaints = Complaints::default();
        let flood = || (0..3 * u32::try_from(ADDRESSES).unwrap()).map(|number| IpAddr::from(number.to_be_bytes()));
        assert_eq!(flood().filter(|address| complaints.count(*address).is_some()).count(), ADDRESSES);
        tokio::time::advance(TELL).await;
        assert!(complaints.count([255, 0, 0, 1].into()).is_some(), "the others are forgotten");
    }
}
