//! Decisions from the copy.

use std::collections::BTreeMap;

use tollgate_core::config::Config;
use tollgate_core::counters::ToldUsage;
use tollgate_core::decision::{self, Explanation, KeyGiven};
use tollgate_core::domain::{Fallback, Sha256Hash, Timestamp, VirtualKey};

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
    /// LLM tokens that are expected; 0 for unknown.
    pub estimated_tokens: i64,
    /// Nano-dollars that are expected; 0 for unknown.
    pub estimated_cost: i64,
    /// Decides the weighted draws; `None` draws at random.
    pub seed: Option<u64>,
}

static NONE: BTreeMap<String, String> = BTreeMap::new();

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
            estimated_tokens: 0,
            estimated_cost: 0,
            seed: None,
        }
    }
}

/// What becomes of a request at the time `at`.
pub(crate) fn decide(config: &Config, used: &ToldUsage, request: &Request<'_>, at: Timestamp) -> Explanation {
    let found = match request.credential {
        Credential::None => None,
        Credential::Value(value) => Some(config.key_by_secret(&Sha256Hash::of(value), at).map(|(key, _)| key)),
        Credential::Sha256(hash) => Some(config.key_by_secret(&Sha256Hash(hash), at).map(|(key, _)| key)),
        Credential::VirtualKeyId(id) => Some(config.get::<VirtualKey>(id)),
    };
    let key = match found {
        None => KeyGiven::None,
        Some(None) => KeyGiven::Unknown,
        Some(Some(key)) => KeyGiven::Key(key),
    };
    let request = decision::Request {
        key,
        provider: request.provider,
        model: request.model,
        provider_key_id: request.provider_key_id,
        request_type: request.request_type,
        headers: request.headers,
        params: request.params,
        fallbacks: request.fallbacks,
        estimated_tokens: request.estimated_tokens,
        estimated_cost: request.estimated_cost,
        at,
        seed: request.seed.unwrap_or_else(rand::random),
    };
    decision::explain(config, used, &request)
}
