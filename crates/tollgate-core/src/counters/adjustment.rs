//! Corrections of what was counted.

use super::CounterKey;

/// A correction of what a limit has counted in its current window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adjustment {
    /// The window.
    pub key: CounterKey,
    /// How much was to be added; negative to take away.
    pub delta: i64,
    /// The amount that was counted before.
    pub before: i64,
    /// The amount that is counted after it: the sum of both, but never less than 0.
    pub used: i64,
    /// Why, in the caller's words.
    pub reason: Box<str>,
}
