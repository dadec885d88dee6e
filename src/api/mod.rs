//! The services: messages in, messages out. A handler names its call, parses through `wire`, decides through `ledger`
//! or reads from memory or the tables, and renders. What all kinds have in common is in `crud`, once.

mod adjust;
mod apply;
mod auth;
mod body;
mod call;
mod caller;
mod certificate;
mod config;
mod crud;
mod customer;
mod decision;
mod info;
mod limits;
mod mask;
mod mcp_client;
mod model_config;
mod model_price;
mod node;
mod notes;
mod page;
mod permissions;
mod pricing_override;
mod provider;
mod provider_governance;
mod quota;
mod routing_rule;
mod serve;
mod spend;
mod status;
mod team;
mod threshold;
mod token;
mod usage;
mod view;
mod virtual_key;
mod webhook;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use auth::Auth;
pub(crate) use auth::Caller;
pub use caller::{CallId, Peer};
pub use certificate::{CertificateRole, ClientCertificate, Holder};
pub use notes::CallNotes;
pub use serve::add_services;
pub(crate) use status::of as status;

use tokio::sync::Semaphore;

use crate::access::Tokens;
use crate::domain::Timestamp;
use crate::ledger::Ledger;
use crate::state::State;
use crate::watch::Watch;
use crate::webhooks::Webhooks;

/// What the services share. Cloning is cheap.
#[derive(Clone)]
pub struct Api {
    ledger: Ledger,
    watch: Watch,
    tokens: Arc<Tokens>,
    webhooks: Webhooks,
    /// Places for calls that hold many changes in memory.
    applying: Arc<Semaphore>,
    applying_large: Arc<Semaphore>,
}

impl Api {
    /// Services that decide through `ledger`, stream from `watch`, change `tokens` and test `webhooks`.
    pub fn new(ledger: Ledger, watch: Watch, tokens: Arc<Tokens>, webhooks: Webhooks) -> Self {
        let [applying, applying_large] =
            [apply::AT_ONCE, apply::LARGE_AT_ONCE].map(|places| Arc::new(Semaphore::new(places)));
        Self { ledger, watch, tokens, webhooks, applying, applying_large }
    }

    fn state(&self) -> Arc<State> {
        self.ledger.state()
    }

    fn now(&self) -> Timestamp {
        self.ledger.now()
    }
}
