//! Instants.

use std::fmt;

/// An instant in whole microseconds since 1970-01-01T00:00:00Z: what every engine stores exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 0001-01-01T00:00:00Z, the earliest that protobuf allows.
    pub const MIN: Self = Self(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z, the latest that protobuf allows.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The instant `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant by the machine's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_microsecond())
    }

    /// From protobuf's seconds and nanoseconds, cut to microseconds; `None` outside of protobuf's years 1 to 9999.
    pub fn from_parts(seconds: i64, nanos: i32) -> Option<Self> {
        if !(0..1_000_000_000).contains(&nanos) {
            return None;
        }
        let micros = seconds.checked_mul(1_000_000)?.checked_add(i64::from(nanos / 1_000))?;
        let instant = Self(micros);
        (Self::MIN..=Self::MAX).contains(&instant).then_some(instant)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds and the nanoseconds beyond, as protobuf has them.
    pub const fn parts(self) -> (i64, i32) {
        (self.0.div_euclid(1_000_000), (self.0.rem_euclid(1_000_000) * 1_000) as i32)
    }

    /// This instant and `micros` microseconds, bounded by the range of protobuf.
    pub const fn plus_micros(self, micros: i64) -> Self {
        let sum = self.0.saturating_add(micros);
        if sum > Self::MAX.0 {
            Self::MAX
        } else if sum < Self::MIN.0 {
            Self::MIN
        } else {
            Self(sum)
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}
