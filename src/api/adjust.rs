//! Corrections of what limits have counted.

use prost::Message as _;

use super::Api;
use crate::domain::{Error, LimitId, Path, Violations};
use crate::ledger::{Call, Command};
use crate::proto::v1;
use crate::{state, wire};

/// The longest reason, in characters.
const MAX_REASON: usize = 1_024;

impl Api {
    pub(super) async fn adjust(
        &self,
        call: Call,
        request: v1::AdjustUsageRequest,
    ) -> Result<v1::AdjustUsageResponse, Error> {
        let v1::AdjustUsageRequest { limit_id, kind, delta, reason, request_id: _, validate_only: _ } = request;
        let mut violations = Violations::new();
        if limit_id.is_empty() {
            violations.add(Path::root("limit_id"), "is empty; must be the id of a budget or rate limit");
        }
        let kind = wire::read_limit_kind(kind);
        if kind.is_none() {
            let text = "is missing or unknown; must be LIMIT_KIND_TOKENS, LIMIT_KIND_REQUESTS or LIMIT_KIND_BUDGET";
            violations.add(Path::root("kind"), text);
        }
        if delta == 0 {
            violations.add(Path::root("delta"), "is 0; must be what to add, or negative to take away");
        }
        let reason = reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > MAX_REASON || reason.contains(char::is_control) {
            let text = format!(
                "must say why, for the audit trail, in at most {MAX_REASON} characters without control characters"
            );
            violations.add(Path::root("reason"), text);
        }
        let Some(kind) = violations.or(kind)? else {
            return Err(Error::Internal("a missing kind is no violation".to_owned()));
        };
        let limit_id = LimitId::from(limit_id.as_str());
        let command = Command {
            decide: Box::new(move |state, cx| state::adjust(state, cx, &limit_id, kind, delta, &reason)),
            answer: Box::new(|state, decision, _| {
                let adjustment = decision.adjustment.as_ref().map(wire::render_adjustment);
                v1::AdjustUsageResponse { adjustment, revision: state.revision() }.encode_to_vec()
            }),
        };
        Ok(self.submit(call, command).await?.0)
    }
}
