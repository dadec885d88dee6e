//! Usage and credit, from the queue to the tables: groups are counted, decided and written one after the other, and folded when
//! nothing waits.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Writer, publish_without_wake};
use crate::ledger::batch::Reported;
use crate::ledger::credit::CreditRequest;
use crate::ledger::usage::note;
use crate::state::{Moved, State};
use crate::store::StoreError;

impl Writer {
    /// Whether credit may change though nobody reports: wants wait, or limits changed of which nodes hold some.
    pub(super) fn credit_follows(&mut self) -> bool {
        let state = Arc::clone(&self.publish.borrow());
        self.health.is_writable() && (self.crediting.waits() || self.crediting.lags(&state))
    }

    /// When credit is to be looked at though nobody asks; `None` if there is none, or nothing can be written.
    pub(super) fn credit_at(&self) -> Option<Instant> {
        self.crediting.due(&self.publish.borrow()).filter(|_| self.health.is_writable())
    }

    /// When a part of what was counted is to be folded into the tables; `None` if nothing is, or nothing can be.
    pub(super) fn folds_at(&self) -> Option<Instant> {
        self.counting.folds_at().filter(|_| self.health.is_writable())
    }

    pub(super) fn folds_now(&self) -> bool {
        self.folds_at().is_some_and(|at| at <= Instant::now())
    }

    /// Folds a part of what was counted into the tables. Whether that went well.
    pub(super) async fn fold(&mut self) -> bool {
        match self.fold_part().await {
            Ok(()) => {
                self.health.reached();
                true
            }
            // It stays in the journal.
            Err(error) => {
                self.health.not_written(&error);
                false
            }
        }
    }

    async fn fold_part(&mut self) -> Result<(), StoreError> {
        if self.counting.folds_credit() {
            let tx = self.lock().await?;
            let state = Arc::clone(&self.publish.borrow());
            return self.counting.fold_credit(tx, &state).await;
        }
        let state = Arc::clone(&self.publish.borrow());
        self.counting.fold(&self.store, &state).await
    }

    pub(super) async fn count(&mut self, batches: Vec<Reported>, credit: Vec<CreditRequest>) {
        let tx = match self.lock().await {
            Ok(tx) => tx,
            Err(error) => {
                self.refuse(batches.into_iter().map(|reported| reported.reply), &error);
                self.health.refused(credit.len());
                credit.into_iter().for_each(|request| request.refuse(&error));
                return;
            }
        };
        let callers = batches.len() + credit.len();
        let state = State::clone(&self.publish.borrow());
        let (publish, moves) = (self.publish.clone(), self.moves.clone());
        let show = |state, moved: &Moved| {
            publish_without_wake(&publish, state);
            note(&moves, moved, true);
        };
        let Self { counting, crediting, .. } = self;
        let reports = (batches, credit);
        let counted = counting.count(tx, (state, self.clock.now()), reports, crediting, &self.metrics, show).await;
        match counted {
            Ok(announces) => {
                self.health.reached();
                if announces {
                    self.store.announce();
                }
            }
            Err(error) => {
                // What became of it, the journal tells those who follow it.
                let untold = matches!(error, StoreError::Unknown { .. }) && !self.store.is_shared();
                if untold || matches!(error, StoreError::Fenced | StoreError::Refused { .. }) {
                    self.health.must_reload();
                }
                self.health.not_written(&error);
                self.health.refused(callers);
            }
        }
    }
}
