//! How many calls are served at once, and for how long.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::{descriptor_sets, status};

/// How long a unary call may take, whatever deadline its client set: a call that hangs would hold its place for ever.
const MAX_UNARY: Duration = Duration::from_secs(60);

/// The places for calls. A place is held until the answer is sent whole.
pub(super) struct Limits {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// The paths of all methods of which either side is a stream.
    streaming: HashSet<String>,
}

/// What a call may use.
pub(super) struct Allowance {
    /// Its place.
    pub(super) place: OwnedSemaphorePermit,
    /// How long the answer may take to begin; `None` for a stream.
    pub(super) time: Option<Duration>,
}

impl Limits {
    /// Places for `max_calls` unary and `max_streams` streaming calls.
    ///
    /// # Errors
    ///
    /// A descriptor set does not decode.
    pub(super) fn new(max_calls: usize, max_streams: usize) -> Result<Self, prost::DecodeError> {
        let mut streaming = HashSet::new();
        for encoded in descriptor_sets() {
            for file in FileDescriptorSet::decode(encoded)?.file {
                for service in &file.service {
                    for method in service
                        .method
                        .iter()
                        .filter(|it| it.client_streaming() || it.server_streaming())
                    {
                        streaming.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                    }
                }
            }
        }
        let calls = Arc::new(Semaphore::new(max_calls));
        Ok(Self {
            calls,
            streams: Arc::new(Semaphore::new(max_streams)),
            streaming,
        })
    }

    /// Takes a place for a call.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if there is none.
    pub(super) fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Allowance, Status> {
        let streaming = self.streaming.contains(path);
        let places = if streaming { &self.streams } else { &self.calls };
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| {
            status::overloaded(if streaming {
                "too many streams are open"
            } else {
                "too many calls are in flight"
            })
        })?;
        let time = (!streaming).then(|| grpc_timeout(headers).map_or(MAX_UNARY, |timeout| timeout.min(MAX_UNARY)));
        Ok(Allowance { place, time })
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

    #[test]
    fn timeouts_are_read_as_the_specification_says() {
        let read = |text: &str| {
            grpc_timeout(&HeaderMap::from_iter([(
                "grpc-timeout".parse().unwrap(),
                text.parse().unwrap(),
            )]))
        };
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        for malformed in ["", "S", "1", "123456789S", "-1S", "1s", "+1S"] {
            assert_eq!(read(malformed), None, "{malformed:?}");
        }
    }

    #[test]
    fn places_are_given_back() {
        let limits = Limits::new(1, 1).unwrap();
        let headers = HeaderMap::new();
        let unary = limits.admit("/tollgate.v1.TeamService/GetTeam", &headers).unwrap();
        let stream = limits
            .admit("/tollgate.v1.ConfigService/WatchConfig", &headers)
            .unwrap();
        assert_eq!((unary.time, stream.time), (Some(MAX_UNARY), None));
        let refused = limits
            .admit("/tollgate.v1.TeamService/ListTeams", &headers)
            .err()
            .unwrap();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(unary);
        assert!(limits.admit("/tollgate.v1.TeamService/ListTeams", &headers).is_ok());
    }
}
