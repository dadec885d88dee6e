//! Making and revoking tokens, and keeping the registry true to the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::Registry;
use crate::domain::{Error, NewToken, Role, Sha256Hash, Timestamp, Token};
use crate::ledger::{Answer, Call, Clock, Failing, Turn};
use crate::store::{Remembered, Store, StoreError, TokenTable, TokenWrite};

/// How often the store is asked whether tokens changed. With what it takes to end streams, a revocation is felt at every
/// replica within a second.
const POLL: Duration = Duration::from_millis(250);
/// How often the store is told which tokens were used.
const TOUCH: Duration = Duration::from_secs(60);

const FIRST: &str = "the first token must be one";
const LAST: &str = "this token is the last one; make another before you revoke it";

/// Changes tokens. The registry knows of a change before it is answered.
pub struct Tokens {
    store: Arc<Store>,
    registry: Arc<Registry>,
    clock: Clock,
}

impl Tokens {
    /// Reads the tokens of the store into `registry`. What happens to them happens by `clock`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn open(store: Arc<Store>, registry: Arc<Registry>, clock: Clock) -> Result<Self, StoreError> {
        registry.replace(store.tokens().await?);
        Ok(Self { store, registry, clock })
    }

    /// Whether callers have to authenticate themselves.
    pub fn is_enforced(&self) -> bool {
        self.registry.is_enforced()
    }

    /// Makes the first token, with this value, if the store never had one: an administrator's that does not expire.
    /// Whether it did.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn bootstrap(&self, value: &str) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let new = NewToken { name: "bootstrap".into(), role: Role::Admin, node_id: None, expires_at: None };
        let token = make(new, Sha256Hash::of(value), "tollgate", now);
        let table = self.store.change_tokens(None, now, |table, _| {
            if table.version > 0 {
                return (TokenWrite::default(), None);
            }
            (TokenWrite { token: Some(token.clone()), remember: None }, Some(put(table, token)))
        });
        let table = table.await?;
        let made = table.is_some();
        if let Some(table) = table {
            self.registry.replace(table);
            tracing::info!("made the first token, from --bootstrap-token; authentication is on from here on");
        }
        Ok(made)
    }

    /// Makes a token. `answer` renders it, without its value; the value comes beside that, unless the answer is that of
    /// an earlier call, or the call only validates.
    ///
    /// # Errors
    /// `TokenNameTaken`, `NoLastingAdmin`, `RequestIdReused`, `Unavailable`.
    pub async fn create(
        &self,
        call: Call,
        new: NewToken,
        answer: impl FnOnce(&Token) -> Vec<u8> + Send,
    ) -> Result<(Answer, Option<String>), Error> {
        let now = self.clock.now();
        let value = Token::generate_value();
        let token = make(new, Sha256Hash::of(&value), &call.actor, now);
        let decide = |table: &TokenTable| {
            if let Some(holder) = table.tokens.iter().find(|other| other.name == token.name) {
                return Err(Error::TokenNameTaken { name: Arc::clone(&token.name), holder: Arc::clone(&holder.id) });
            }
            if !token.is_lasting_admin() && !table.tokens.iter().any(Token::is_lasting_admin) {
                return Err(Error::NoLastingAdmin(FIRST));
            }
            Ok((token.clone(), true))
        };
        let (given, token) = self.change(&call, now, decide, answer).await?;
        if let Some(Token { id, name, role, .. }) = token.as_ref().filter(|_| !call.validate_only) {
            tracing::info!(token.id = %id, token.name = %name, token.role = role.name(), actor = call.actor, peer.addr = call.peer, "made a token");
        }
        let made = token.is_some() && !call.validate_only;
        Ok((given, made.then_some(value)))
    }

    /// Revokes the token with this id. One that is revoked already stays as it is.
    ///
    /// # Errors
    /// `NoToken`, `NoLastingAdmin`, `RequestIdReused`, `Unavailable`.
    pub async fn revoke(
        &self,
        call: Call,
        id: &str,
        answer: impl FnOnce(&Token) -> Vec<u8> + Send,
    ) -> Result<Answer, Error> {
        let now = self.clock.now();
        let decide = |table: &TokenTable| {
            let found = table.tokens.iter().find(|token| token.id.as_ref() == id);
            let token = found.ok_or_else(|| Error::NoToken(id.into()))?;
            if token.revoked.is_some() {
                return Ok((token.clone(), false));
            }
            let mut others = table.tokens.iter().filter(|other| other.id != token.id);
            if token.is_lasting_admin() && !others.any(Token::is_lasting_admin) {
                return Err(Error::NoLastingAdmin(LAST));
            }
            Ok((Token { revoked: Some((now, call.actor.as_str().into())), ..token.clone() }, true))
        };
        let (given, token) = self.change(&call, now, decide, answer).await?;
        if let Some(Token { id, name, .. }) = token.filter(|_| !call.validate_only) {
            tracing::info!(token.id = %id, token.name = %name, actor = call.actor, peer.addr = call.peer, "revoked a token");
        }
        Ok(given)
    }

    /// All tokens as the store has them, with the uses that this replica knows of.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn list(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens = self.store.tokens().await?.tokens;
        for token in &mut tokens {
            token.last_used_at = token.last_used_at.max(self.registry.last_used(&token.id));
        }
        Ok(tokens)
    }

    /// How the token with this name appears in the audit trail, if there is or was one.
    ///
    /// # Errors
    /// If tokens cannot be read.
    pub async fn actor_named(&self, name: &str) -> Result<Option<String>, StoreError> {
        if name.is_empty() || name.contains('/') {
            return Ok(None);
        }
        let table = self.store.tokens().await?;
        Ok(table.tokens.iter().find(|token| token.name.as_ref() == name).map(Token::actor))
    }

    /// Brings the registry up to date with the store, if another replica has changed tokens.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if self.store.token_version().await? != self.registry.version() {
            self.registry.replace(self.store.tokens().await?);
        }
        Ok(())
    }

    /// Keeps the registry up to date, ends what has expired, and notes what was used, until `stop`.
    pub async fn keep(&self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(POLL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let [mut refreshing, mut touching] = [(); 2].map(|()| Failing::default());
        let mut touched = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = interval.tick() => {}
            }
            self.registry.expire(self.clock.now());
            match refreshing.note(self.refresh().await) {
                Some(Turn::Fails(error)) => {
                    tracing::warn!(error = %error.report(), "it is not known whether tokens were changed elsewhere; asking again");
                }
                Some(Turn::Recovers) => tracing::info!("it is known again whether tokens were changed elsewhere"),
                None => {}
            }
            if touched.elapsed() >= TOUCH {
                touched = Instant::now();
                self.touch(&mut touching).await;
            }
        }
        self.touch(&mut touching).await;
    }

    async fn touch(&self, touching: &mut Failing) {
        let used = self.registry.used();
        let rows: Vec<(&str, Timestamp)> = used.iter().map(|(id, at)| (id.as_ref(), *at)).collect();
        let touched = self.store.touch_tokens(&rows).await;
        match touching.note(touched.map(|()| self.registry.note(&used))) {
            Some(Turn::Fails(error)) => {
                tracing::warn!(error = %error.report(), "the last use of tokens is not noted; trying again each minute");
            }
            Some(Turn::Recovers) => tracing::info!("the last use of tokens is noted again"),
            None => {}
        }
    }

    /// Lets `decide` say which token there is to be and whether that is a change, writes it with the answer, and shows
    /// it to the registry. Returns no token if the answer is that of an earlier call.
    async fn change(
        &self,
        call: &Call,
        now: Timestamp,
        decide: impl FnOnce(&TokenTable) -> Result<(Token, bool), Error> + Send,
        answer: impl FnOnce(&Token) -> Vec<u8> + Send,
    ) -> Result<(Answer, Option<Token>), Error> {
        let key = (call.actor.as_str(), call.method, call.request_id.as_str());
        let request = Some(key).filter(|(_, _, id)| !id.is_empty());
        let decided = |table: TokenTable, earlier: Option<Remembered>| {
            let refused = |error| (TokenWrite::default(), Err(error));
            if let Some(earlier) = earlier {
                return match earlier.fingerprint == call.fingerprint {
                    true => {
                        let answer = Answer { response: earlier.response, replayed: true };
                        (TokenWrite::default(), Ok((answer, None, None)))
                    }
                    false => refused(Error::RequestIdReused),
                };
            }
            let (token, changed) = match decide(&table) {
                Ok(decided) => decided,
                Err(error) => return refused(error),
            };
            let given = Answer { response: answer(&token).into(), replayed: false };
            if call.validate_only {
                return (TokenWrite::default(), Ok((given, Some(token), None)));
            }
            let remember = request.map(|(caller, method, request_id)| Remembered {
                caller: caller.to_owned(),
                method: method.to_owned(),
                request_id: request_id.to_owned(),
                fingerprint: call.fingerprint,
                response: given.response.clone(),
                accepted_at: now,
            });
            let write = TokenWrite { token: changed.then(|| token.clone()), remember };
            let after = (write.token.is_some() || write.remember.is_some()).then(|| put(table, token.clone()));
            (write, Ok((given, Some(token), after)))
        };
        let done = self.store.change_tokens(request, now, decided).await;
        let (given, token, after) = done.map_err(|error| error.to_domain())??;
        if let Some(after) = after {
            self.registry.replace(after);
        }
        Ok((given, token))
    }
}

fn make(new: NewToken, sha256: Sha256Hash, by: &str, now: Timestamp) -> Token {
    let NewToken { name, role, node_id, expires_at } = new;
    Token {
        id: uuid::Uuid::now_v7().to_string().into(),
        name: name.into(),
        role,
        node_id: node_id.map(Into::into),
        sha256,
        created_at: now,
        created_by: by.into(),
        expires_at,
        revoked: None,
        last_used_at: None,
    }
}

/// The table after a change of `token`.
fn put(table: TokenTable, token: Token) -> TokenTable {
    let TokenTable { version, mut tokens } = table;
    tokens.retain(|other| other.id != token.id);
    tokens.push(token);
    TokenTable { version: version + 1, tokens }
}
