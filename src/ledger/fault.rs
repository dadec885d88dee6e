//! What the store's errors mean to callers, and to the log.

use std::time::Duration;

use crate::domain::{Error, Violations};
use crate::store::StoreError;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Whether something that is done again and again fails now. The log tells of the first failure and of the end of the
/// failures, and of none while the ledger tells of an outage.
#[derive(Default)]
pub(crate) struct Failing(bool);

/// What the log is to tell.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It fails from now on.
    Fails(StoreError),
    /// It fails no longer.
    Recovers,
}

impl Failing {
    /// Notes how it went this time.
    pub(crate) fn note(&mut self, result: Result<(), StoreError>) -> Option<Turn> {
        match result {
            Ok(()) => std::mem::take(&mut self.0).then_some(Turn::Recovers),
            Err(StoreError::Away { .. } | StoreError::NotCurrent) => None,
            Err(error) => (!std::mem::replace(&mut self.0, true)).then_some(Turn::Fails(error)),
        }
    }
}

impl StoreError {
    /// The error and what the driver said, for the log.
    pub(crate) fn report(&self) -> String {
        match self.detail() {
            "" => self.to_string(),
            detail => format!("{self} ({detail})"),
        }
    }

    /// The error as callers meet it: nothing of the driver, and `Internal` for what they can do nothing about.
    pub(crate) fn to_domain(&self) -> Error {
        match self {
            Self::Away { .. } | Self::Short { .. } | Self::Unavailable { .. } | Self::Unknown { .. } => {
                Error::Unavailable { what: self.to_string(), retry_after: RETRY_AFTER }
            }
            Self::NotCurrent => Error::NotCurrent { retry_after: RETRY_AFTER },
            Self::Overflow => {
                let mut violations = Violations::new();
                violations.add("to", "makes a range whose sums do not fit into 64 bits; ask for less");
                violations.into()
            }
            Self::Url(_)
            | Self::TimeZone(_)
            | Self::Open { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::Refused { .. }
            | Self::Fenced => Error::Internal(self.report()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_and_its_end_are_told_once_and_an_outage_not_at_all() {
        let full = || Err(StoreError::Unavailable { what: "the disk is full", detail: String::new() });
        let away = || Err(StoreError::Away { detail: String::new() });
        let mut failing = Failing::default();
        let mut told = |results: Vec<Result<(), StoreError>>| -> Vec<_> {
            let turns = results.into_iter().filter_map(|result| failing.note(result));
            turns.map(|turn| matches!(turn, Turn::Fails(_))).collect()
        };
        assert_eq!(told(vec![Ok(()), away(), away(), Err(StoreError::NotCurrent), Ok(())]), [false; 0]);
        assert_eq!(told(vec![full(), full(), away(), full()]), [true]);
        assert_eq!(told(vec![Ok(()), Ok(()), full()]), [false, true]);
    }
}
