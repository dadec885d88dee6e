//! Rates as integers, by their places in `RATE_NAMES`.

use super::{Tier, Usage};
use crate::domain::{RATE_NAMES, Rates};

/// Digits of a rate behind the point, in dollars.
const DIGITS: usize = 18;

/// The place of a rate, found when this is compiled.
pub(super) const fn place(name: &str) -> usize {
    let mut place = 0;
    while place < RATE_NAMES.len() {
        if alike(RATE_NAMES[place].as_bytes(), name.as_bytes()) {
            return place;
        }
        place += 1;
    }
    assert!(place < RATE_NAMES.len(), "there is no rate of this name");
    place
}

const fn alike(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The places of the rates of one kind of LLM token, for all tiers and sizes of prompts.
pub(super) struct Line {
    pub(super) base: usize,
    pub(super) batches: Option<usize>,
    pub(super) priority: Option<usize>,
    pub(super) above_128k: Option<usize>,
    pub(super) above_200k: Option<usize>,
}

impl Line {
    /// A line with the rate `name` alone.
    pub(super) const fn flat(name: &str) -> Self {
        Self { base: place(name), batches: None, priority: None, above_128k: None, above_200k: None }
    }
}

/// Rates by place, in 10⁻¹⁸ dollars.
pub(super) struct Table([Option<u128>; RATE_NAMES.len()]);

impl Table {
    pub(super) fn of(rates: &Rates) -> Self {
        let mut table = [None; RATE_NAMES.len()];
        for (place, rate) in &rates.0 {
            if let Some(entry) = table.get_mut(usize::from(*place)) {
                *entry = Some(exact(*rate));
            }
        }
        Self(table)
    }

    /// The rate at `place`, if it is stated.
    pub(super) fn get(&self, place: usize) -> Option<u128> {
        self.0.get(place).copied().flatten()
    }

    /// The rate of `line` for this request. Of a batch, the rate for batches goes before that for long prompts; otherwise the
    /// rate for long prompts goes first.
    pub(super) fn line(&self, line: &Line, used: &Usage) -> Option<u128> {
        let Line { base, batches, priority, above_128k, above_200k } = line;
        let get = |place: &Option<usize>| self.get((*place)?);
        let above = |size: u64, place: &Option<usize>| get(place).filter(|_| used.input_tokens > size);
        let long = above(200_000, above_200k).or(above(128_000, above_128k));
        match used.tier {
            Tier::Standard => long,
            Tier::Batch => get(batches).or(long),
            Tier::Priority => long.or(get(priority)),
        }
        .or(self.get(*base))
    }
}

/// A rate in 10⁻¹⁸ dollars: the shortest decimal that names the double, rounded half to even. What exceeds the range is
/// the greatest that there is.
pub(super) fn exact(rate: f64) -> u128 {
    // `Display` writes the shortest decimal, without an exponent.
    let text = rate.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (kept, rest) = fraction.split_at(fraction.len().min(DIGITS));
    let value = format!("{whole}{kept:0<DIGITS$}").parse().unwrap_or(u128::MAX);
    let up = rest > "5" || rest == "5" && value % 2 == 1;
    value.saturating_add(up.into())
}
