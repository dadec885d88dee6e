//! Answers to requests that may not go on, in the form that clients of each API read.

use serde_json::json;
use tollgate_core::domain::Timestamp;

use super::kind::Dialect;
use crate::headers::rate_limit_headers;
use crate::refused::Refused;
use crate::serve::decision;

/// A request that may not go on.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) status: u16,
    /// The reason, for programs.
    pub(super) code: String,
    /// The reason, for people.
    message: String,
    headers: Vec<(&'static str, String)>,
}

impl Denial {
    fn new(status: u16, code: &str, message: String) -> Self {
        Self { status, code: code.to_owned(), message, headers: Vec::new() }
    }

    /// The answer to a request that the node refused.
    pub(super) fn of(refused: &Refused, at: Timestamp) -> Self {
        let code = decision(refused.refusal).as_str_name().trim_start_matches("DECISION_").to_lowercase();
        let limits = refused.explanation.as_ref().map_or(&[][..], |explanation| &explanation.limits);
        // Nobody gains by coming back too early.
        let wait = refused.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let mut headers = rate_limit_headers(limits, None, at);
        headers.extend(wait.map(|seconds| ("retry-after", seconds.max(1).to_string())));
        Self { headers, ..Self::new(refused.http_status(), &code, refused.reason.clone()) }
    }

    /// The answer to a request that cannot be read.
    pub(super) fn invalid(message: String) -> Self {
        Self::new(400, "invalid_request", message)
    }

    /// The answer to a request without a virtual key.
    pub(super) fn without_key() -> Self {
        let message =
            "the request has no virtual key; send it as `authorization: Bearer sk-…` or as `x-api-key`".to_owned();
        Self::new(401, "no_virtual_key", message)
    }

    /// The answer to a request that this gateway does not govern.
    pub(super) fn unknown(method: &str, path: &str) -> Self {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        Self::new(
            404,
            "unknown_request",
            format!(
                "this gateway does not know {method} {path}; it knows POST /v1/chat/completions, \
                 /v1/completions, /v1/responses, /v1/embeddings and /v1/messages"
            ),
        )
    }

    /// The answer to a request whose body would have to be changed where that cannot be done.
    pub(super) fn unchangeable(model: &str) -> Self {
        let message = format!(
            "the request is to go to the model {model}, and external authorization cannot change bodies; ask for that model, or govern by external processing"
        );
        Self::new(403, "model_not_changeable", message)
    }

    /// The body of the answer.
    pub(super) fn body(&self, dialect: Dialect) -> String {
        let Self { status, code, message, .. } = self;
        let body = match dialect {
            Dialect::OpenAi => {
                let kind = match status {
                    401 => "authentication_error",
                    402 => "insufficient_quota",
                    403 => "permission_error",
                    429 => "rate_limit_error",
                    500.. => "server_error",
                    _ => "invalid_request_error",
                };
                json!({ "error": { "message": message, "type": kind, "param": null, "code": code } })
            }
            Dialect::Anthropic => {
                let kind = match status {
                    401 => "authentication_error",
                    402 => "billing_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    429 => "rate_limit_error",
                    500.. => "api_error",
                    _ => "invalid_request_error",
                };
                json!({ "type": "error", "error": { "type": kind, "message": message, "code": code } })
            }
        };
        format!("{body}\n")
    }

    /// The headers of the answer.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let own = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        std::iter::once(("content-type", "application/json")).chain(own)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::refused::Refusal;

    #[test]
    fn each_api_gets_its_own_form() {
        let refused = Refused {
            refusal: Refusal::Decided(tollgate_core::decision::Verdict::RequestLimited),
            reason: "30 of 30 \"requests\"".to_owned(),
            retry_after: Some(Duration::from_millis(1_001)),
            for_credit: false,
            explanation: None,
        };
        let denial = Denial::of(&refused, Timestamp::from_micros(0));
        assert_eq!((denial.status, denial.code.as_str()), (429, "request_limited"));
        let headers: Vec<_> = denial.headers().collect();
        assert_eq!(headers, [("content-type", "application/json"), ("retry-after", "2")]);
        let body = |dialect| serde_json::from_str::<Value>(&denial.body(dialect)).unwrap();
        let message = "30 of 30 \"requests\"";
        let expected = json!({"error": {"message": message, "type": "rate_limit_error", "param": null, "code": "request_limited"}});
        assert_eq!(body(Dialect::OpenAi), expected);
        let error = json!({"type": "rate_limit_error", "message": message, "code": "request_limited"});
        assert_eq!(body(Dialect::Anthropic), json!({"type": "error", "error": error}));
    }
}
