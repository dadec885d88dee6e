//! What the store's errors mean to callers, and to the log.

use std::time::Duration;

use crate::domain::Error;
use crate::store::StoreError;

const RETRY_AFTER: Duration = Duration::from_secs(1);

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
            Self::Url(_)
            | Self::Open { .. }
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::Refused { .. }
            | Self::Fenced => Error::Internal(self.report()),
        }
    }
}
