//! When a contradiction in the database is proven: a lack of memory may look like one, and passes.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::StoreError;

/// How long each reading has to find the same contradiction: longer than a lack of memory or threads usually lasts.
pub(super) const PROOF: Duration = Duration::from_secs(5);
/// The time between two readings at the start. Later the database is read as often as it is polled.
const AGAIN: Duration = Duration::from_millis(250);

/// A contradiction that each reading has found since the first that did.
#[derive(Debug)]
pub(super) struct Finding {
    what: String,
    since: Instant,
}

impl Finding {
    /// Notes in `known` that a reading found `what`. Returns whether that is proven now.
    pub(super) fn note(known: &mut Option<Self>, what: &str) -> bool {
        match known {
            Some(finding) if finding.what == what => finding.since.elapsed() >= PROOF,
            _ => {
                *known = Some(Self { what: what.to_owned(), since: Instant::now() });
                false
            }
        }
    }
}

/// Reads again while that finds a contradiction that is not proven yet; the last result.
///
/// # Errors
///
/// Those of `read`: [`StoreError::Corrupt`] once that is proven, any other at once.
pub async fn proven<T, F>(mut read: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut finding = None;
    loop {
        match read().await {
            Err(error @ StoreError::Corrupt { .. }) if !Finding::note(&mut finding, &error.to_string()) => {
                tokio::time::sleep(AGAIN).await;
            }
            done => return done,
        }
    }
}
