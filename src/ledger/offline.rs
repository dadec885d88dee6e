//! One command on a store that no ledger of this process has: for a command line that must not serve.

use super::group::CommitBatchBuilder;
use super::{Answer, Call, Clock, Command, follow};
use crate::domain::Error;
use crate::store::{Store, StoreError};

/// How often to begin again if a server writes to the database meanwhile.
const ATTEMPTS: usize = 5;

/// Decides `command` on what the store holds and, once it is durable, answers. Servers that share the database follow it. It is
/// not remembered for retries.
///
/// # Errors
/// What the decision refused; `Unavailable` if the store cannot be read or written now.
pub async fn submit_offline(store: &Store, clock: &Clock, call: &Call, command: &Command) -> Result<Answer, Error> {
    for _ in 0..ATTEMPTS {
        match attempt(store, clock, call, command).await {
            Ok(None) => {}
            Ok(Some(answer)) => return answer,
            Err(error) => return Err(error.to_domain()),
        }
    }
    Err(StoreError::Unavailable { what: "others write to it all the time", detail: String::new() }.to_domain())
}

/// `None` if somebody else wrote after the store was read.
async fn attempt(
    store: &Store,
    clock: &Clock,
    call: &Call,
    command: &Command,
) -> Result<Option<Result<Answer, Error>>, StoreError> {
    let (state, ..) = super::load(store).await?;
    let tx = store.lock().await?;
    if tx.position().is_some_and(|position| *position != follow::position(&state)) {
        tx.rollback().await;
        return Ok(None);
    }
    let mut batch = CommitBatchBuilder::new(state, Vec::new(), clock.now());
    let answer = batch.decide(call, command);
    match batch.close() {
        None => tx.rollback().await,
        Some((group, _)) => tx.commit(&group).await?,
    }
    Ok(Some(answer))
}
