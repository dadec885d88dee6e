//! Changes that the ledger itself makes at a start, before it serves.

use super::{Call, Command, Ledger};
use crate::domain::{Error, ModelPrice};
use crate::state::{Context, Decision, State, adopt_tokens, furnish};
use crate::store::StoreError;

impl Ledger {
    /// Gives a store what it begins with, and a store of an earlier version the built-in providers that it lacks.
    pub(super) async fn furnish(&self, prices: Vec<ModelPrice>) -> Result<(), StoreError> {
        if self.state().missing_providers().next().is_none() {
            return Ok(());
        }
        // Another server that starts may have been first: what is missing is told by the state at the time.
        let decide = move |state: &State, cx: &mut Context<'_>| furnish(state, cx, &prices);
        self.submit_own("bootstrap", "the built-in providers cannot be written", decide).await
    }

    /// Enters access tokens of an earlier version into the log.
    pub(super) async fn adopt_tokens(&self) -> Result<(), StoreError> {
        if !self.state().has_unlogged_tokens() {
            return Ok(());
        }
        self.submit_own("adopt", "access tokens of an earlier version cannot be logged", adopt_tokens).await
    }

    /// Decides something that nobody called for.
    async fn submit_own(
        &self,
        method: &'static str,
        failure: &'static str,
        decide: impl Fn(&State, &mut Context<'_>) -> Result<Decision, Error> + Send + 'static,
    ) -> Result<(), StoreError> {
        let call = Call { actor: "tollgate".to_owned(), ..Call::of(method) };
        let command = Command { decide: Box::new(decide), answer: Box::new(|_, _, _| Vec::new()) };
        let submitted = self.submit(call, command).await;
        submitted.map(drop).map_err(|error| StoreError::Unavailable { what: failure, detail: error.to_string() })
    }
}
