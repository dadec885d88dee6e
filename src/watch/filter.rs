//! The filter of a stream: what of the configuration it carries.

use crate::domain::Kind;

/// What of the configuration a stream carries. A resume token is good for one filter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Filter {
    /// The kinds of its resources.
    pub kinds: KindSet,
    /// Whether its virtual keys have the hashes of their secrets.
    pub hashes: bool,
}

impl Filter {
    /// All there is.
    pub const ALL: Self = Self { kinds: KindSet::ALL, hashes: true };
}

/// A set of kinds, by their numbers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KindSet(u32);

impl KindSet {
    /// All kinds, those that a later version adds included.
    pub const ALL: Self = Self(u32::MAX);

    /// These kinds; all if there are none.
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        match kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind.number()) {
            0 => Self::ALL,
            bits => Self(bits),
        }
    }

    /// The kinds with these numbers, from 1 to 31; all if there are none.
    pub fn of_numbers(numbers: &[i32]) -> Self {
        match numbers.iter().filter(|number| (1..32).contains(*number)).fold(0, |bits, number| bits | 1 << number) {
            0 => Self::ALL,
            bits => Self(bits),
        }
    }

    /// Whether `kind` is one of them.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind.number() != 0
    }

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}
