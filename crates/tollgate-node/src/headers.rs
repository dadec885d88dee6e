//! The headers by which a caller hears of its limits.

use tollgate_core::decision::LimitCheck;
use tollgate_core::domain::{LimitKind, Timestamp};

use crate::decide::Estimate;

/// Headers that tell of the limit of each kind that has the smallest part left, the admission itself taken off, if there
/// is one.
pub(crate) fn rate_limit_headers(
    limits: &[LimitCheck],
    admitted: Option<Estimate>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    for (kind, [limit_name, remaining, reset]) in [
        (
            LimitKind::Requests,
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ),
        (LimitKind::Tokens, ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
    ] {
        let of_kind = limits.iter().filter(|limit| limit.kind == kind);
        let part = |limit: &LimitCheck| limit.remaining as f64 / limit.max.max(1) as f64;
        if let Some(limit) = of_kind.min_by(|one, other| part(one).total_cmp(&part(other))) {
            let left = limit.window.end.as_micros().saturating_sub(now.as_micros()).max(0);
            headers.push((limit_name, limit.max.to_string()));
            let of_requests = kind == LimitKind::Requests;
            let own = admitted.map_or(0, |estimate| if of_requests { 1 } else { estimate.tokens() });
            headers.push((remaining, limit.remaining.saturating_sub(own).max(0).to_string()));
            headers.push((reset, format!("{}ms", left / 1_000)));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use tollgate_core::domain::{Enforcement, Id, LimitOwner, Reserve, Window};

    use super::*;

    #[test]
    fn the_tightest_limit_of_a_kind_is_told_and_the_admission_is_taken_off() {
        let limit = |kind, max, remaining| LimitCheck {
            owner: LimitOwner::VirtualKey(Id::new("key")),
            limit_id: "limit".into(),
            kind,
            used: max - remaining,
            max,
            remaining,
            window: Window { start: Timestamp::from_micros(0), end: Timestamp::from_micros(60_000_000) },
            enforcement: Enforcement::Hard,
            reserve: Reserve::Observed,
            blocks: false,
            would_block: false,
        };
        let limits = [
            limit(LimitKind::Requests, 100, 90),
            limit(LimitKind::Requests, 10, 2),
            limit(LimitKind::Tokens, 1_000, 20),
            limit(LimitKind::Budget, 5, 1),
        ];
        let headers = rate_limit_headers(&limits, Some(Estimate::of(7, Some(20))), Timestamp::from_micros(1_500_000));
        let expected = [
            ("x-ratelimit-limit-requests", "10"),
            ("x-ratelimit-remaining-requests", "1"),
            ("x-ratelimit-reset-requests", "58500ms"),
            ("x-ratelimit-limit-tokens", "1000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "58500ms"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
        let refused = rate_limit_headers(&limits, None, Timestamp::from_micros(0));
        assert_eq!((refused[1].1.as_str(), refused[4].1.as_str()), ("2", "20"));
    }
}
