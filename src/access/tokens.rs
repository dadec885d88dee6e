//! Making and revoking access tokens, and keeping the registry true to what the ledger has.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::domain::{Error, Role, Sha256Hash, Stored, Timestamp, Token};
use crate::ledger::{Answer, Call, Clock, Command, Failing, Ledger, Turn, submit_offline};
use crate::state::{Decision, State, make_first_token, make_token, revoke_token};
use crate::store::{Store, StoreError};

/// How often streams of expired tokens are looked for, and whether the ledger is late.
const LOOK: Duration = Duration::from_millis(250);
/// How old the ledger's contact with the database may be before revocations are read past it. While its task waits for the
/// lock that all writers share, it follows nothing; with what it takes to end streams, a revocation is to be felt at every
/// replica within a second all the same.
const LATE: Duration = Duration::from_millis(500);
/// How often the store is told which tokens were used.
const TOUCH: Duration = Duration::from_secs(60);

/// Renders the answer to a change of an access token, without its value.
pub type RenderToken = fn(&Stored<Token>) -> Vec<u8>;

/// Changes access tokens through the ledger. The registry knows of a change before it is answered.
pub struct Tokens {
    ledger: Ledger,
    /// For noting uses, which are no changes.
    store: Arc<Store>,
    registry: Arc<Registry>,
}

impl Tokens {
    /// Shows the tokens of `ledger`, which is on `store`, to `registry`.
    pub fn new(ledger: Ledger, store: Arc<Store>, registry: Arc<Registry>) -> Self {
        registry.follow(|| ledger.state());
        Self { ledger, store, registry }
    }

    /// Whether callers have to authenticate themselves.
    pub fn is_enforced(&self) -> bool {
        self.registry.is_enforced()
    }

    /// Makes the first token, with this value, if the store never had one: an administrator's that does not expire.
    /// Whether it did.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn bootstrap(&self, value: &str) -> Result<bool, Error> {
        if self.ledger.state().config().count::<Token>() > 0 {
            return Ok(false);
        }
        let by = "tollgate";
        let token = Token {
            name: "bootstrap".into(),
            role: Role::Admin,
            node_id: None,
            sha256: Sha256Hash::of(value),
            created_by: by.into(),
            expires_at: None,
            revoked: None,
        };
        let command = Command {
            // Another server that starts may have been first.
            decide: Box::new(move |state, cx| make_first_token(state, cx, &token)),
            answer: Box::new(|_, decision, _| vec![u8::from(!decision.changes.is_empty())]),
        };
        let call = Call { actor: by.to_owned(), ..Call::of("bootstrap") };
        let made = self.submit(call, command).await?.response.first() == Some(&1);
        if made {
            tracing::info!("made the first token, from --bootstrap-token; authentication is on from here on");
        }
        Ok(made)
    }

    /// Makes `token`, with a new value. That comes beside the answer, unless this is the answer of an earlier call, or the call
    /// only validates.
    ///
    /// # Errors
    /// `AlreadyExists`, `NoLastingAdmin`, `RequestIdReused`, `Overloaded`, `Unavailable`.
    pub async fn create(
        &self,
        call: Call,
        token: Token,
        render: RenderToken,
    ) -> Result<(Answer, Option<String>), Error> {
        let (command, value) = creation(token, &call, render);
        let validates = call.validate_only;
        let answer = self.submit(call, command).await?;
        let value = Some(value).filter(|_| !answer.replayed && !validates);
        Ok((answer, value))
    }

    /// Makes `token` in a store that no server of this process has; its value.
    ///
    /// # Errors
    /// As [`Tokens::create`].
    pub async fn create_offline(
        store: &Store,
        clock: &Clock,
        call: &Call,
        token: Token,
        render: RenderToken,
    ) -> Result<(Answer, String), Error> {
        let (command, value) = creation(token, call, render);
        Ok((submit_offline(store, clock, call, &command).await?, value))
    }

    /// Revokes the token with this id, which is to have the revision `expected` unless that is 0. One that is revoked already
    /// stays as it is.
    ///
    /// # Errors
    /// `NotFound`, `RevisionMismatch`, `NoLastingAdmin`, `RequestIdReused`, `Overloaded`, `Unavailable`.
    pub async fn revoke(&self, call: Call, id: &str, expected: i64, render: RenderToken) -> Result<Answer, Error> {
        let (id, by) = (id.to_owned(), call.actor.clone());
        let command = Command {
            decide: Box::new(move |state, cx| revoke_token(state, cx, &id, expected, &by)),
            answer: Box::new(move |state, decision, _| answer(state, decision, render)),
        };
        self.submit(call, command).await
    }

    async fn submit(&self, call: Call, command: Command) -> Result<Answer, Error> {
        let answer = self.ledger.submit(call, command).await?;
        self.registry.follow(|| self.ledger.state());
        Ok(answer)
    }

    /// When each token was last used, by id: as the store has it, or later as this replica knows.
    ///
    /// # Errors
    /// If that cannot be read.
    pub async fn uses(&self) -> Result<impl Fn(&str) -> Option<Timestamp> + use<'_>, StoreError> {
        let noted = self.store.token_uses().await?;
        Ok(move |id: &str| noted.get(id).copied().max(self.registry.last_used(id)))
    }

    /// Keeps the registry up to date, ends what has expired, and notes what was used, until `stop`.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut states = self.ledger.states();
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let contact = self.ledger.contact();
        let [mut reading, mut touching] = [(); 2].map(|()| Failing::default());
        let mut touched = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = changed(&mut states) => {
                    self.registry.follow(|| self.ledger.state());
                    continue;
                }
                _ = interval.tick() => {}
            }
            self.registry.expire(self.ledger.now());
            if contact.age() > LATE {
                self.read_revoked(&mut reading).await;
            }
            if touched.elapsed() >= TOUCH {
                touched = Instant::now();
                self.touch(&mut touching).await;
            }
        }
        self.touch(&mut touching).await;
    }

    /// Refuses what another replica has revoked, as the table says.
    async fn read_revoked(&self, reading: &mut Failing) {
        let revoked = self.store.revoked_tokens().await;
        match reading.note(revoked.map(|ids| self.registry.refuse(ids))) {
            Some(Turn::Fails(error)) => {
                tracing::warn!(error = %error.report(), "it is not known whether access tokens were revoked elsewhere; asking again");
            }
            Some(Turn::Recovers) => tracing::info!("it is known again whether access tokens were revoked elsewhere"),
            None => {}
        }
    }

    async fn touch(&self, touching: &mut Failing) {
        let used = self.registry.used();
        let touched = self.store.note_token_uses(&used).await;
        match touching.note(touched.map(|()| self.registry.note(&used))) {
            Some(Turn::Fails(error)) => {
                tracing::warn!(error = %error.report(), "the last use of tokens is not noted; trying again each minute");
            }
            Some(Turn::Recovers) => tracing::info!("the last use of tokens is noted again"),
            None => {}
        }
    }
}

/// The command that makes `token` for the caller, and the value that it gets.
fn creation(token: Token, call: &Call, render: RenderToken) -> (Command, String) {
    let value = Token::generate_value();
    let token = Token { sha256: Sha256Hash::of(&value), created_by: call.actor.as_str().into(), ..token };
    let command = Command {
        decide: Box::new(move |state, cx| make_token(state, cx, &token)),
        answer: Box::new(move |state, decision, _| answer(state, decision, render)),
    };
    (command, value)
}

fn answer(state: &State, decision: &Decision, render: RenderToken) -> Vec<u8> {
    state.config().get::<Token>(&decision.subject.id).map(|token| render(token)).unwrap_or_default()
}

/// Resolves when there is a later state; never once the ledger has ended.
async fn changed(states: &mut watch::Receiver<Arc<State>>) {
    if states.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
