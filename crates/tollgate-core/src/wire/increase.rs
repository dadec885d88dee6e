//! Increases of budgets for a while.

use super::parse_timestamp;
use crate::domain::{NanoUsd, Path, TemporaryIncrease, Violations};

/// The increase of a budget for a while, if it has one.
pub(super) fn parse(
    usd: f64,
    until: Option<prost_types::Timestamp>,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<TemporaryIncrease> {
    let (amount_path, until_path) = (path.field("temporary_increase"), path.field("temporary_increase_until"));
    let amount = NanoUsd::limit_from_usd(usd);
    if amount.is_none() {
        let max = NanoUsd::MAX_USD;
        let text = format!(
            "is {usd}; must be 0 for none, or a number of US dollars of at least a nano-dollar (1e-9) and at most {max:e}"
        );
        violations.add(amount_path, text);
    }
    match (usd == 0.0, until) {
        (true, None) => None,
        (true, Some(_)) => {
            let text = "is 0, but temporary_increase_until is set; say by how much max_limit is raised until then";
            violations.add(amount_path, text);
            None
        }
        (false, None) => {
            violations.add(until_path, "is absent, but temporary_increase is set; say when the increase ends");
            None
        }
        (false, Some(until)) => {
            let until = parse_timestamp(&until, &until_path, violations)?;
            Some(TemporaryIncrease { amount: amount?, until })
        }
    }
}
