//! By what a copy of the configuration is proved: per kind, a sum over its resources that does not depend on the order
//! in which they came. The server's end sends the sums in bookmarks; the [`Reducer`](super::Reducer) compares.

use std::collections::BTreeMap;

pub use crate::domain::resource_digest;

/// The sums of all kinds, modulo 2^64, kept up to date as resources come and go. A kind without resources has sum 0.
#[derive(Clone, Default, Debug)]
pub struct Sums(BTreeMap<i32, u64>);

impl Sums {
    /// Counts a resource in.
    pub fn add(&mut self, kind_number: i32, id: &str, revision: i64) {
        let sum = self.0.entry(kind_number).or_default();
        *sum = sum.wrapping_add(resource_digest(kind_number, id, revision));
    }

    /// Takes a resource out that was counted in with the same revision.
    pub fn subtract(&mut self, kind_number: i32, id: &str, revision: i64) {
        let sum = self.0.entry(kind_number).or_default();
        *sum = sum.wrapping_sub(resource_digest(kind_number, id, revision));
    }

    /// The sum of a kind.
    pub fn of(&self, kind_number: i32) -> u64 {
        self.0.get(&kind_number).copied().unwrap_or_default()
    }

    /// The kinds whose sum is not 0, with their sums.
    pub fn iter(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        self.0.iter().map(|(&kind, &sum)| (kind, sum)).filter(|&(_, sum)| sum != 0)
    }
}

impl PartialEq for Sums {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_any_client_computes() {
        // printf '2/0190a8f0-0000-7000-8000-000000000001/42' | sha256sum | cut -c1-16
        assert_eq!(resource_digest(2, "0190a8f0-0000-7000-8000-000000000001", 42), 0xcd3b_095b_8193_df2a);
    }

    #[test]
    fn sums_forget_what_is_taken_out_and_do_not_know_order() {
        let mut left = Sums::default();
        left.add(1, "a", 1);
        left.add(2, "b", 2);
        left.add(1, "c", 3);
        left.subtract(1, "a", 1);

        let mut right = Sums::default();
        right.add(1, "c", 3);
        right.add(2, "b", 2);

        assert_eq!(left, right);
        assert_eq!(left.of(1), resource_digest(1, "c", 3));
        assert_eq!(left.of(9), 0);

        left.subtract(1, "c", 3);
        left.subtract(2, "b", 2);
        assert_eq!(left, Sums::default());
    }
}
