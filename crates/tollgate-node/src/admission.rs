//! The outcome of a request: admitted, until it is said what it used; or refused.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use tollgate_core::decision::Explanation;
use tollgate_core::domain::{Fallback, SpendDimensions};
use tollgate_core::price;
use tollgate_core::proto::v1::UsageEntry;

use crate::decide::Estimate;
use crate::engine::Engine;
use crate::headers::rate_limit_headers;
use crate::outbox::{Durable, OutboxError};
use crate::refused::Refused;

/// The id of an admission: 32 hexadecimal digits that cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdmissionId(pub(crate) [u8; 16]);

impl fmt::Display for AdmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for AdmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no id of an admission.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is no id of an admission, which has 32 hexadecimal digits")]
pub struct NoAdmissionId;

impl FromStr for AdmissionId {
    type Err = NoAdmissionId;

    fn from_str(text: &str) -> Result<Self, NoAdmissionId> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(|number| Self(number.to_be_bytes())).ok_or(NoAdmissionId)
    }
}

/// The usage of a request, as its gateway tells it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Used {
    /// The provider that answered; empty for the one that was admitted.
    pub provider: String,
    /// The model that answered; empty for the one that was admitted.
    pub model: String,
    /// The provider key that was used; empty for the one that was admitted, if the provider is that too.
    pub provider_key_id: String,
    /// LLM tokens of the prompt: all of them, those of the provider's cache included.
    pub input_tokens: i64,
    /// Of them, those that were read from the provider's cache.
    pub cache_read_tokens: i64,
    /// Of them, those that were written to the provider's cache.
    pub cache_creation_tokens: i64,
    /// LLM tokens of the answer.
    pub output_tokens: i64,
    /// Nano-dollars (1 USD = 1,000,000,000); `None` if the node is to compute it by the price of the model.
    pub cost_nano_usd: Option<i64>,
    /// Whom and what it was for; each that is empty is as it was admitted.
    pub dimensions: SpendDimensions,
}

/// The longest name of a provider or a model, or id of a provider key, that is recorded, in bytes: a batch of them all must fit
/// into a message.
const LONGEST_NAME: usize = 256;

/// The largest figure of one request: the largest number that is exact in every JSON. Nothing real comes near it, and a thousand of
/// them can be added up.
pub(crate) const LARGEST: i64 = (1 << 53) - 1;

/// Why a figure cannot be counted, if it cannot.
pub(crate) fn uncountable(figure: i64) -> Option<String> {
    match figure {
        ..0 => Some(format!("is {figure}; must be at least 0")),
        0..=LARGEST => None,
        _ => Some(format!("is {figure}; must be at most {LARGEST}: give LLM tokens, and cost in nano-dollars")),
    }
}

/// The field that is not recorded, if one is too long or has control characters, and why.
pub(crate) fn unrecordable(provider: &str, model: &str, provider_key_id: &str) -> Option<(&'static str, String)> {
    let names = [
        ("provider", "name of the provider", provider),
        ("model", "name of the model", model),
        ("provider_key_id", "id of the provider key", provider_key_id),
    ];
    names.into_iter().find_map(|(field, what, name)| {
        let length = name.len();
        if length > LONGEST_NAME {
            return Some((field, format!("the {what} has {length} bytes; at most {LONGEST_NAME} are recorded")));
        }
        name.contains(char::is_control)
            .then(|| (field, format!("the {what} has control characters; give it without them")))
    })
}

impl Used {
    pub(crate) fn check(&self) -> Result<(), SettleError> {
        let figures = [
            ("input_tokens", self.input_tokens),
            ("cache_read_tokens", self.cache_read_tokens),
            ("cache_creation_tokens", self.cache_creation_tokens),
            ("output_tokens", self.output_tokens),
            ("cost_nano_usd", self.cost_nano_usd.unwrap_or_default()),
        ];
        for (field, value) in figures {
            if let Some(why) = uncountable(value) {
                return Err(SettleError::Invalid { field, why });
            }
        }
        let names = [&self.provider, &self.model, &self.provider_key_id].map(|name| name.trim());
        if let Some((field, why)) = unrecordable(names[0], names[1], names[2]) {
            return Err(SettleError::Invalid { field, why: format!("is not recorded: {why}") });
        }
        Ok(())
    }

    /// The amounts that a price is to be multiplied with.
    pub(crate) fn amounts(&self) -> price::Usage {
        let count = |number: i64| u64::try_from(number).unwrap_or_default();
        price::Usage {
            input_tokens: count(self.input_tokens),
            cache_read_tokens: count(self.cache_read_tokens),
            cache_creation_tokens: count(self.cache_creation_tokens),
            output_tokens: count(self.output_tokens),
            ..price::Usage::default()
        }
    }

    /// The usage entry of an admission, at the instant of that. Its cost is 0 if nobody knows it.
    pub(crate) fn entry(&self, admitted: &UsageEntry) -> UsageEntry {
        let or = |given: &str, other: &str| match given.trim() {
            "" => other.to_owned(),
            name => name.to_owned(),
        };
        let provider = or(&self.provider, &admitted.provider);
        // A provider key is of one provider.
        let admitted_key = if provider == admitted.provider { admitted.provider_key_id.clone() } else { String::new() };
        let tags = self.dimensions.tags();
        UsageEntry {
            virtual_key_id: admitted.virtual_key_id.clone(),
            end_user: or(self.dimensions.end_user(), &admitted.end_user),
            session: or(self.dimensions.session(), &admitted.session),
            tool: or(self.dimensions.tool(), &admitted.tool),
            tags: if tags.is_empty() { admitted.tags.clone() } else { tags.to_vec() },
            provider,
            model: or(&self.model, &admitted.model),
            provider_key_id: or(&self.provider_key_id, &admitted_key),
            requests: 1,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost_nano_usd: self.cost_nano_usd.unwrap_or_default(),
            cached_input_tokens: self.cache_read_tokens,
            cache_write_tokens: self.cache_creation_tokens,
            occurred_at: admitted.occurred_at,
            ..UsageEntry::default()
        }
    }

    /// The part of `entry` above an earlier charge; `None` if there is none. What is below it is not given back.
    pub(crate) fn above(entry: UsageEntry, charged: &UsageEntry) -> Option<UsageEntry> {
        let above = |used: i64, charged: i64| used.saturating_sub(charged).max(0);
        let more = UsageEntry {
            requests: above(1, charged.requests),
            input_tokens: above(entry.input_tokens, charged.input_tokens),
            output_tokens: above(entry.output_tokens, charged.output_tokens),
            cost_nano_usd: above(entry.cost_nano_usd, charged.cost_nano_usd),
            cached_input_tokens: above(entry.cached_input_tokens, charged.cached_input_tokens),
            cache_write_tokens: above(entry.cache_write_tokens, charged.cache_write_tokens),
            unpriced_requests: above(entry.unpriced_requests, charged.unpriced_requests),
            ..entry
        };
        let amounts = [more.requests, more.input_tokens, more.output_tokens, more.cost_nano_usd];
        amounts.iter().any(|amount| *amount > 0).then_some(more)
    }
}

/// The outcome of a settlement: the whole charge for the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    /// LLM tokens of the prompt.
    pub input_tokens: i64,
    /// LLM tokens of the answer.
    pub output_tokens: i64,
    /// Nano-dollars.
    pub cost_nano_usd: i64,
}

impl Settled {
    pub(crate) fn of(charged: Option<&UsageEntry>) -> Self {
        charged.map_or_else(Self::default, |entry| Self {
            input_tokens: entry.input_tokens,
            output_tokens: entry.output_tokens,
            cost_nano_usd: entry.cost_nano_usd,
        })
    }
}

/// Why a settlement was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SettleError {
    /// There is no such admission, or it ended long ago.
    #[error("no admission has this id: it was never given, or it ended too long ago; what was used is not counted")]
    Unknown,
    /// The admission was given up.
    #[error("the admission was given up; what was used after that is not counted")]
    Abandoned,
    /// A figure cannot be.
    #[error("{field} {why}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The fault, for people.
        why: String,
    },
    /// It is not recorded, or may not be: settle again.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

/// A request that was admitted. It ends with [`settle`](Self::settle); dropped, it is given up and charges nothing.
pub struct Granted {
    engine: Arc<Engine>,
    id: AdmissionId,
    explanation: Explanation,
    estimate: Estimate,
    is_open: bool,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("id", &self.id).field("explanation", &self.explanation).finish_non_exhaustive()
    }
}

impl Granted {
    pub(crate) fn new(engine: Arc<Engine>, id: AdmissionId, explanation: Explanation, estimate: Estimate) -> Self {
        Self { engine, id, explanation, estimate, is_open: true }
    }

    /// Its id.
    pub fn id(&self) -> AdmissionId {
        self.id
    }

    /// The provider that it goes to; empty if the gateway is to choose.
    pub fn provider(&self) -> &str {
        &self.explanation.provider
    }

    /// The model that it goes to.
    pub fn model(&self) -> &str {
        &self.explanation.model
    }

    /// The provider key to use, if the request or a rule names one, or if the request may use only one.
    pub fn provider_key_id(&self) -> Option<&str> {
        self.explanation.key_id.as_deref()
    }

    /// Where to turn next: fallbacks that may be used, each with its model.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.explanation.fallbacks
    }

    /// The estimate that is reserved for it.
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// Why it is admitted, and the limits that apply.
    pub fn explanation(&self) -> &Explanation {
        &self.explanation
    }

    /// Headers that tell the caller of its tightest limits: names and values.
    pub fn rate_limit_headers(&self) -> Vec<(&'static str, String)> {
        rate_limit_headers(&self.explanation.limits, Some(self.estimate), self.engine.now())
    }

    /// Ends it with what it used. When this returns, that is on the disk, and will be counted once.
    ///
    /// # Errors
    ///
    /// [`SettleError`]. The admission is still open after [`SettleError::Invalid`] and, if it could not be written,
    /// [`SettleError::Outbox`]: use [`Node::settle`](crate::Node::settle) with its id.
    pub async fn settle(mut self, used: Used) -> Result<Settled, SettleError> {
        self.is_open = false;
        let (settled, durable) = self.engine.settle(self.id, &used)?;
        durable.reached().await?;
        Ok(settled)
    }

    /// Gives it up: nothing is charged.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: it stays, and is charged at its estimate when its time is up.
    pub fn abandon(mut self) -> Result<(), OutboxError> {
        self.is_open = false;
        self.engine.abandon(self.id).map(drop)
    }

    /// Moves it to another target, before the gateway tries that: what is held there is held no more, and the limits of the new
    /// target are asked. It has its whole time again then. Its fallbacks stay. Where it lacks credit, it waits as
    /// [`Node::admit`](crate::Node::admit) does.
    ///
    /// # Errors
    ///
    /// [`RetargetError`]: it stays what it was.
    pub async fn retarget(&mut self, target: &Target<'_>) -> Result<(), RetargetError> {
        let (explanation, estimate) = self.engine.retarget(self.id, target).await?;
        let fallbacks = std::mem::take(&mut self.explanation.fallbacks);
        self.explanation = Explanation { fallbacks, ..explanation };
        self.estimate = estimate;
        Ok(())
    }

    /// Gives it its whole time again, for answers that take long. Whether it was still open.
    pub fn touch(&self) -> bool {
        self.engine.touch(self.id)
    }

    /// Leaves it open, to be ended by its id.
    pub fn detach(mut self) -> AdmissionId {
        self.is_open = false;
        self.id
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        if self.is_open {
            // Where it cannot be written it expires.
            let _ = self.engine.abandon(self.id);
        }
    }
}

/// Settles by id.
pub(crate) async fn settle(engine: &Engine, id: AdmissionId, used: &Used) -> Result<Settled, SettleError> {
    let (settled, durable): (Settled, Durable) = engine.settle(id, used)?;
    durable.reached().await?;
    Ok(settled)
}

/// Another target of an admission: what a gateway is about to try next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Target<'a> {
    /// The provider; empty for the present one.
    pub provider: &'a str,
    /// The model; empty for the present one.
    pub model: &'a str,
    /// The provider key; empty for any.
    pub provider_key_id: &'a str,
    /// The usage that is expected there. What is `None` is as it was, but for the cost, which is by the price of the new
    /// model if that is known.
    pub estimate: Estimate,
}

/// Why an admission was not moved to another target.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum RetargetError {
    /// It is not open.
    #[error("no open admission has this id: it ended, its time was up, or it was never given")]
    Ended,
    /// The target may not be used.
    #[error("{}", .0.reason)]
    Refused(Box<Refused>),
}
