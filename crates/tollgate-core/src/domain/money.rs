//! Money.

/// An amount of US dollars in whole nano-dollars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct NanoUsd(i64);

impl NanoUsd {
    /// The greatest amount a limit may have, in dollars; it leaves room below `i64::MAX` nano-dollars.
    pub const MAX_USD: f64 = 9.2e9;
    /// [`MAX_USD`](Self::MAX_USD) exactly.
    pub const MAX: Self = Self(9_200_000_000_000_000_000);

    /// `nanos` nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The limit closest to `usd` dollars, half to even. `None` unless it is more than 0 and at most [`Self::MAX_USD`].
    pub fn limit_from_usd(usd: f64) -> Option<Self> {
        if !usd.is_finite() || usd > Self::MAX_USD {
            return None;
        }
        let nanos = (usd * 1e9).round_ties_even() as i64;
        (nanos > 0 || usd == 0.0).then_some(Self(nanos))
    }

    /// Nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Dollars.
    pub fn usd(self) -> f64 {
        self.0 as f64 / 1e9
    }
}
