//! How many calls are served at once, and for how long.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::abuse::{Held, source};
use super::{DESCRIPTOR_SETS, status};
use crate::access::Principal;
use crate::api::Peer;
use crate::settings::TransportSettings;

/// How long a unary call may take, whatever deadline its client set: a call that hangs would hold its place for ever.
const MAX_UNARY: Duration = Duration::from_secs(60);

/// The same for callers who are not known.
const MAX_UNKNOWN_UNARY: Duration = Duration::from_secs(10);
/// Calls, and as many streams, of callers who are not known, all together: they must not take the places of others.
const UNKNOWN: usize = 256;
/// Of these, calls and streams of one address: one stranger must not keep health checks and keys' quotas from the others.
const UNKNOWN_OF_ADDRESS: usize = 64;

/// The places for calls. A place is held until the answer is sent whole.
pub(super) struct Limits {
    known: Places,
    unknown: Places,
    calls_per_caller: Share<Arc<str>>,
    streams_per_caller: Share<Arc<str>>,
    unknown_per_address: Share<IpAddr>,
    /// The paths of all methods of which either side is a stream.
    streaming: HashSet<String>,
}

struct Places {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// What each caller may have at once, and has.
struct Share<K> {
    max: usize,
    held: Arc<Mutex<HashMap<K, usize>>>,
}

/// A place among all calls, and among those of its caller, or of the address of one who is not known.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_caller: Option<Held<Arc<str>>>,
    _of_address: Option<Held<IpAddr>>,
}

/// What a call may use.
pub(super) struct Allowance {
    /// Its place.
    pub(super) place: Place,
    /// How long the answer may take to begin; `None` for a stream.
    pub(super) time: Option<Duration>,
}

impl Limits {
    /// As many places as the settings say.
    ///
    /// # Errors
    ///
    /// A descriptor set does not decode.
    pub(super) fn new(settings: &TransportSettings) -> Result<Self, prost::DecodeError> {
        let mut streaming = HashSet::new();
        for encoded in DESCRIPTOR_SETS {
            for file in FileDescriptorSet::decode(encoded)?.file {
                for service in &file.service {
                    for method in service.method.iter().filter(|it| it.client_streaming() || it.server_streaming()) {
                        streaming.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                    }
                }
            }
        }
        Ok(Self {
            known: Places::new(settings.max_calls, settings.max_streams),
            unknown: Places::new(UNKNOWN, UNKNOWN),
            calls_per_caller: Share::new(settings.max_calls_per_caller),
            streams_per_caller: Share::new(settings.max_streams_per_caller),
            unknown_per_address: Share::new(UNKNOWN_OF_ADDRESS),
            streaming,
        })
    }

    /// Takes a place for a call of `caller`, or of somebody at `peer` who is not known. A request whose call before had a `place`
    /// keeps it.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if there is none.
    pub(super) fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        caller: Option<&Principal>,
        peer: Option<Peer>,
        place: Option<Place>,
    ) -> Result<Allowance, Status> {
        let streaming = self.streaming.contains(path);
        let longest = if caller.is_some() { MAX_UNARY } else { MAX_UNKNOWN_UNARY };
        let time = (!streaming).then(|| grpc_timeout(headers).map_or(longest, |timeout| timeout.min(longest)));
        if let Some(place) = place {
            return Ok(Allowance { place, time });
        }
        let places = if caller.is_some() { &self.known } else { &self.unknown };
        let (places, share) = match streaming {
            true => (&places.streams, &self.streams_per_caller),
            false => (&places.calls, &self.calls_per_caller),
        };
        let what = if streaming { "streams are open" } else { "calls are in flight" };
        // Callers that nobody tells apart share nothing.
        let of_caller = match caller.filter(|caller| caller.is_authenticated()) {
            Some(caller) => {
                let held = share.take(Arc::clone(caller.actor()));
                Some(held.ok_or_else(|| status::overloaded(format!("too many {what} with this token")))?)
            }
            None => None,
        };
        let of_address = match peer.filter(|_| caller.is_none()) {
            Some(peer) => {
                let held = self.unknown_per_address.take(source(peer));
                let text = || format!("too many {what} without a valid token from this address");
                Some(held.ok_or_else(|| status::overloaded(text()))?)
            }
            None => None,
        };
        let of_all = Arc::clone(places).try_acquire_owned();
        let of_all = of_all.map_err(|_| status::overloaded(format!("too many {what}")))?;
        Ok(Allowance { place: Place { _of_all: of_all, _of_caller: of_caller, _of_address: of_address }, time })
    }
}

impl<K: Clone + Eq + Hash> Share<K> {
    fn new(max: usize) -> Self {
        Self { max, held: Arc::default() }
    }

    fn take(&self, key: K) -> Option<Held<K>> {
        Held::take(&self.held, key, self.max)
    }
}

impl Places {
    fn new(calls: usize, streams: usize) -> Self {
        Self { calls: Arc::new(Semaphore::new(calls)), streams: Arc::new(Semaphore::new(streams)) }
    }
}

/// The deadline that the client set. A malformed one counts as none, as in other implementations.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    #[test]
    fn timeouts_are_read_as_the_specification_says() {
        let read = |text: &str| {
            grpc_timeout(&HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), text.parse().unwrap())]))
        };
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        for malformed in ["", "S", "1", "123456789S", "-1S", "1s", "+1S"] {
            assert_eq!(read(malformed), None, "{malformed:?}");
        }
    }

    fn limits(max_calls: usize, max_calls_per_caller: usize) -> Limits {
        Limits::new(&TransportSettings { max_calls, max_calls_per_caller, ..TransportSettings::default() }).unwrap()
    }

    fn principal(name: &str) -> Principal {
        Principal::of_certificate(name, Role::Admin, None)
    }

    #[test]
    fn places_are_given_back() {
        let limits = limits(1, 1);
        let headers = HeaderMap::new();
        let [one, other] = ["one", "other"].map(principal);
        let unary = limits.admit("/tollgate.v1.TeamService/GetTeam", &headers, Some(&one), None, None).unwrap();
        let stream = limits.admit("/tollgate.v1.ConfigService/WatchConfig", &headers, Some(&one), None, None).unwrap();
        assert_eq!((unary.time, stream.time), (Some(MAX_UNARY), None));
        let refused =
            limits.admit("/tollgate.v1.TeamService/ListTeams", &headers, Some(&other), None, None).err().unwrap();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(unary);
        assert!(limits.admit("/tollgate.v1.TeamService/ListTeams", &headers, Some(&other), None, None).is_ok());
    }

    #[test]
    fn nobody_takes_the_places_of_others() {
        let limits = limits(4, 2);
        let headers = HeaderMap::new();
        let [one, other] = ["one", "other"].map(principal);
        let admit = |caller| limits.admit("/tollgate.v1.TeamService/GetTeam", &headers, caller, None, None);
        let held = [admit(Some(&one)).unwrap(), admit(Some(&one)).unwrap()];
        assert!(admit(Some(&one)).is_err() && admit(Some(&other)).is_ok());
        let unknown: Vec<_> = std::iter::from_fn(|| admit(None).ok()).take(1_000).collect();
        assert_eq!((unknown.len(), unknown[0].time), (UNKNOWN, Some(MAX_UNKNOWN_UNARY)));
        assert!(admit(Some(&other)).is_ok());
        drop(held);
        assert!(admit(Some(&one)).is_ok());
    }
    #[test]
    fn a_stranger_takes_the_places_of_no_other_stranger() {
        let limits = limits(1, 1);
        let headers = HeaderMap::new();
        let admit = |address: &str| {
            let peer = Some(Peer::new(address.parse().unwrap()));
            limits.admit("/grpc.health.v1.Health/Check", &headers, None, peer, None)
        };
        let held: Vec<_> = std::iter::from_fn(|| admit("10.0.0.1:1").ok()).take(1_000).collect();
        assert_eq!(held.len(), UNKNOWN_OF_ADDRESS);
        assert!(admit("10.0.0.2:1").is_ok());
        drop(held);
        assert!(admit("10.0.0.1:1").is_ok());
    }
}
