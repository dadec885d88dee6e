//! Decisions from the copy.

use std::collections::BTreeMap;

use tollgate_core::config::Config;
use tollgate_core::decision::{self, Explanation, KeyGiven, Usage};
use tollgate_core::domain::{Fallback, Sha256Hash, SpendDimensions, Timestamp, VirtualKey};

/// By what a request says whose it is.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Credential<'a> {
    /// By nothing.
    #[default]
    None,
    /// By the value of a virtual key.
    Value(&'a str),
    /// By the SHA-256 of the value of a virtual key.
    Sha256([u8; 32]),
    /// By the id of a virtual key: for callers that know whose it is.
    VirtualKeyId(&'a str),
}

/// A request, as a gateway meets it. What is left empty is not known.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Whose it is.
    pub credential: Credential<'a>,
    /// The provider asked for.
    pub provider: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// The id of the provider key asked for.
    pub provider_key_id: &'a str,
    /// The kind of request, as `chat_completion`, without `_stream`.
    pub request_type: &'a str,
    /// Headers, their names in lower case.
    pub headers: &'a BTreeMap<String, String>,
    /// Query parameters, their names in lower case.
    pub params: &'a BTreeMap<String, String>,
    /// Where the caller would turn if the request fails.
    pub fallbacks: &'a [Fallback],
    /// Whether a streamed answer is asked for, as conditions see it.
    pub stream: bool,
    /// The usage that is expected. Conditions see its input tokens as `context_length`.
    pub estimate: Estimate,
    /// Whom and what it is for. They decide nothing, and are reported with what it uses.
    pub dimensions: &'a SpendDimensions,
    /// Decides the weighted draws; `None` draws at random.
    pub seed: Option<u64>,
}

static NONE: BTreeMap<String, String> = BTreeMap::new();
static NO_DIMENSIONS: SpendDimensions = SpendDimensions::NONE;

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            credential: Credential::None,
            provider: "",
            model: "",
            provider_key_id: "",
            request_type: "chat_completion",
            headers: &NONE,
            params: &NONE,
            fallbacks: &[],
            stream: false,
            estimate: Estimate::default(),
            dimensions: &NO_DIMENSIONS,
            seed: None,
        }
    }
}

/// The expected usage of a request. `None` is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Estimate {
    /// LLM tokens of the prompt. Who has no count of them may take the bytes of the prompt, divided by 4.
    pub input_tokens: Option<i64>,
    /// LLM tokens of the answer: the caller's `max_tokens`, say.
    pub output_tokens: Option<i64>,
    /// Nano-dollars (1 USD = 1,000,000,000).
    pub cost_nano_usd: Option<i64>,
}

/// Bytes of an LLM token of a text, where nobody counts them.
#[cfg(feature = "serve")]
const BYTES_PER_TOKEN: i64 = 4;

/// The LLM tokens that a text of so many bytes is expected to have.
#[cfg(feature = "serve")]
pub(crate) const fn tokens_of_bytes(bytes: i64) -> i64 {
    bytes / BYTES_PER_TOKEN + (bytes % BYTES_PER_TOKEN > 0) as i64
}

impl Estimate {
    /// So many LLM tokens in, and at most so many out if that is known.
    pub const fn of(input_tokens: i64, output_tokens: Option<i64>) -> Self {
        Self { input_tokens: Some(input_tokens), output_tokens, cost_nano_usd: None }
    }

    /// All LLM tokens that are known of.
    pub(crate) fn tokens(self) -> i64 {
        self.input_tokens.unwrap_or_default().saturating_add(self.output_tokens.unwrap_or_default())
    }
}

/// Whose request it is.
pub(crate) fn key_of<'a>(config: &'a Config, credential: Credential<'_>, at: Timestamp) -> KeyGiven<'a> {
    let found = match credential {
        Credential::None => None,
        Credential::Value(value) => Some(config.key_by_secret(&Sha256Hash::of(value), at).map(|(key, _)| key)),
        Credential::Sha256(hash) => Some(config.key_by_secret(&Sha256Hash(hash), at).map(|(key, _)| key)),
        Credential::VirtualKeyId(id) => Some(config.get::<VirtualKey>(id)),
    };
    match found {
        None => KeyGiven::None,
        Some(None) => KeyGiven::Unknown,
        Some(Some(key)) => KeyGiven::Key(key),
    }
}

/// How it is decided: [`decision::explain`], or [`decision::judge`] where the target is chosen already.
pub(crate) type Decide = fn(&Config, &dyn Usage, &decision::Request<'_>) -> Explanation;

/// What becomes of a request at the time `at`.
pub(crate) fn decide(
    decide: Decide,
    config: &Config,
    used: &dyn Usage,
    key: KeyGiven<'_>,
    request: &Request<'_>,
    at: Timestamp,
) -> Explanation {
    let request = decision::Request {
        key,
        provider: request.provider,
        model: request.model,
        provider_key_id: request.provider_key_id,
        request_type: request.request_type,
        headers: request.headers,
        params: request.params,
        fallbacks: request.fallbacks,
        context_length: request.estimate.input_tokens.unwrap_or_default(),
        stream: request.stream,
        estimated_tokens: request.estimate.tokens(),
        estimated_cost: request.estimate.cost_nano_usd.unwrap_or_default(),
        at,
        seed: request.seed.unwrap_or_else(rand::random),
    };
    decide(config, used, &request)
}
