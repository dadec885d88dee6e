//! Thresholds of limits.

use std::ops::RangeInclusive;
use std::sync::Arc;

/// The percentages of a limit whose crossing is recorded: distinct, in order. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AlertPercents(Option<Arc<[i32]>>);

impl AlertPercents {
    /// Those of a limit that names none.
    pub const USUAL: [i32; 3] = [80, 90, 100];
    /// The range of each percentage.
    pub const RANGE: RangeInclusive<i32> = 1..=1_000;
    /// How many a limit may name.
    pub const MAX_COUNT: usize = 20;

    /// These, or the usual ones if the list is empty; `None` if they are too many, out of range, or two are alike.
    pub fn new(mut percents: Vec<i32>) -> Option<Self> {
        percents.sort_unstable();
        let in_order = percents.is_sorted_by(|one, next| one < next);
        let possible = percents.len() <= Self::MAX_COUNT && percents.iter().all(|it| Self::RANGE.contains(it));
        (in_order && possible).then(|| match percents[..] {
            [] => Self(None),
            _ if percents == Self::USUAL => Self(None),
            _ => Self(Some(percents.into())),
        })
    }

    /// The percentages, in order.
    pub fn percents(&self) -> &[i32] {
        self.0.as_deref().unwrap_or(&Self::USUAL)
    }

    /// Whether they are the [`USUAL`](Self::USUAL) ones.
    pub fn are_usual(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_distinct_bounded_and_in_order() {
        let of = |percents: &[i32]| AlertPercents::new(percents.to_vec());
        for (named, kept) in [
            (&[][..], &[80, 90, 100][..]),
            (&[100, 80, 90], &[80, 90, 100]),
            (&[1_000, 1], &[1, 1_000]),
            (&[100], &[100]),
        ] {
            assert_eq!(of(named).unwrap().percents(), kept);
            assert_eq!(of(named), of(kept));
            assert_eq!(of(named).unwrap().are_usual(), kept == AlertPercents::USUAL);
        }
        for refused in [&[0][..], &[-1], &[1_001], &[50, 60, 50], &(1..=21).collect::<Vec<_>>()] {
            assert_eq!(of(refused), None, "{refused:?}");
        }
        assert!(of(&(1..=20).collect::<Vec<_>>()).is_some());
    }
}
