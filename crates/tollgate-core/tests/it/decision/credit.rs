//! The credit that an allowed request needs, and what becomes of it without.

use tollgate_core::decision::Expected;
use tollgate_core::domain::LimitKind;

use super::*;

#[test]
fn a_request_needs_something_of_each_hard_limit_and_the_first_that_lacks_it_decides() {
    let mut world = World::new();
    let budget = |length: &str, enforcement: v1::Enforcement| v1::Budget {
        max_limit: 1.0,
        reset_duration: length.to_owned(),
        enforcement: enforcement.into(),
        ..Default::default()
    };
    let rate = v1::RateLimit {
        token_max_limit: Some(1_000),
        token_reset_duration: Some("1m".to_owned()),
        request_max_limit: Some(10),
        request_reset_duration: Some("1m".to_owned()),
        ..Default::default()
    };
    let key = world.add::<VirtualKey>(v1::VirtualKey {
        budgets: vec![
            budget("1h", v1::Enforcement::Soft),
            budget("1d", v1::Enforcement::Unspecified),
            budget("1w", v1::Enforcement::Shadow),
        ],
        rate_limits: vec![rate],
        ..key(vec![config("openai", Some(1.0))])
    });
    let explanation = world.explain(asked(&key, "openai", "gpt-4o"));
    let needs = |expected: Expected| -> Vec<_> {
        let demands = explanation.demands(&expected);
        demands.into_iter().map(|demand| (demand.key.kind, demand.amount, demand.guessed)).collect()
    };
    use LimitKind::{Budget, Requests, Tokens};
    let known = Expected { tokens: 30, cost: 500, ..Expected::default() };
    assert_eq!(needs(known), [(Tokens, 30, false), (Requests, 1, false), (Budget, 500, false)]);
    let guess = Expected { guesses_tokens: true, guesses_cost: true, ..known };
    assert_eq!(needs(guess), [(Tokens, 30, true), (Requests, 1, false), (Budget, 500, true)]);
    // A request that is expected to use nothing may use something.
    assert_eq!(needs(Expected::default()), [(Tokens, 1, false), (Requests, 1, false), (Budget, 1, false)]);
    assert_eq!(needs(Expected { is_free: true, ..known }), [(Tokens, 30, false), (Requests, 1, false)]);

    let keys: Vec<_> = explanation.demands(&known).into_iter().map(|demand| demand.key).collect();
    let window = explanation.limits[0].window;
    assert!(keys.iter().take(2).all(|key| key.window_start == window.start));
    let refused = explanation.clone().without_credit(&keys[1..]);
    assert_eq!((refused.verdict, refused.blocking), (Verdict::RequestLimited, Some(1)));
    assert!(refused.limits[1].blocks && refused.reason.contains("no credit"), "{}", refused.reason);
    assert_eq!(explanation.without_credit(&keys[2..]).verdict, Verdict::BudgetExceeded);
}
