//! What one message alone may say: tables of laws, with the fields that a refusal names.

use super::*;

/// The fields that are refused; none if the message is valid.
fn refused<R: Wire>(message: R::Message) -> Vec<String> {
    let prefix = format!("{}.", R::KIND.name());
    let fields = |violations: Violations| {
        violations.iter().map(|it| it.field.strip_prefix(&prefix).unwrap_or(&it.field).to_owned()).collect()
    };
    parsed::<R>(message).map_or_else(fields, |_| Vec::new())
}

fn rule() -> v1::RoutingRule {
    let target = v1::RoutingTarget { weight: 1.0, ..Default::default() };
    v1::RoutingRule {
        name: "rule".to_owned(),
        targets: vec![target],
        scope: v1::RoutingScope::Global.into(),
        ..Default::default()
    }
}

fn key() -> v1::VirtualKey {
    v1::VirtualKey { name: "key".to_owned(), ..Default::default() }
}

fn team() -> v1::Team {
    v1::Team { name: "team".to_owned(), ..Default::default() }
}

fn config() -> v1::ModelConfig {
    v1::ModelConfig { model_name: "m".to_owned(), scope: v1::ModelConfigScope::Global.into(), ..Default::default() }
}

fn priced() -> v1::PricingOverride {
    v1::PricingOverride {
        name: "price".to_owned(),
        scope_kind: v1::PricingScopeKind::Global.into(),
        match_type: v1::PricingMatchType::Exact.into(),
        pattern: "m".to_owned(),
        request_types: vec![1],
        ..Default::default()
    }
}

fn budgets(lengths: &[&str]) -> Vec<v1::Budget> {
    let budget =
        |length: &&str| v1::Budget { max_limit: 1.0, reset_duration: (*length).to_owned(), ..Default::default() };
    lengths.iter().map(budget).collect()
}

#[test]
fn weights_of_a_rule_sum_to_1_within_a_thousandth() {
    let third = 1.0 / 3.0;
    for (weights, expected) in [
        (vec![1.0], vec![]),
        (vec![third, third, third], vec![]),
        (vec![0.1; 10], vec![]),
        (vec![0.001; 1_000], vec![]),
        (vec![1.001], vec![]),
        (vec![0.999], vec![]),
        (vec![0.5, 0.501], vec![]),
        (vec![0.6, 0.401], vec![]),
        (vec![0.3, 0.3, 0.401], vec![]),
        (vec![0.3, 0.699], vec![]),
        (vec![1.0011], vec!["targets"]),
        (vec![0.9989], vec!["targets"]),
        (vec![0.9], vec!["targets"]),
        (vec![0.5, 0.4], vec!["targets"]),
        (vec![60.0, 40.0], vec!["targets"]),
        (vec![0.0, 1.0], vec!["targets[0].weight"]),
        (vec![1.5, -0.5], vec!["targets[1].weight"]),
        (vec![f64::NAN], vec!["targets[0].weight"]),
        (vec![0.9, f64::INFINITY], vec!["targets[1].weight"]),
        (vec![f64::MAX, f64::MAX], vec!["targets"]),
        (vec![], vec!["targets"]),
    ] {
        let target = |(place, weight): (usize, &f64)| v1::RoutingTarget {
            model: Some(place.to_string()),
            weight: *weight,
            ..Default::default()
        };
        let targets = weights.iter().enumerate().map(target).collect();
        assert_eq!(refused::<RoutingRule>(v1::RoutingRule { targets, ..rule() }), expected, "{weights:?}");
    }
}

#[test]
fn a_blank_id_is_no_id_and_an_empty_one_is_refused_where_one_is_needed() {
    use v1::PricingScopeKind as Priced;
    for (blank, of_a_scope, optional) in
        [("", true, false), ("  ", true, true), ("\t", true, true), ("x", false, false)]
    {
        let id = || blank.to_owned();
        let fields = |refused: bool, field: &str| {
            // A tab is a control character besides.
            let times = usize::from(refused) + usize::from(blank == "\t");
            vec![field.to_owned(); times]
        };
        for scope in [v1::RoutingScope::Team, v1::RoutingScope::Customer, v1::RoutingScope::VirtualKey] {
            let scoped = v1::RoutingRule { scope: scope.into(), scope_id: id(), ..rule() };
            assert_eq!(refused::<RoutingRule>(scoped), fields(of_a_scope, "scope_id"), "{scope:?} {blank:?}");
        }
        for scope in [v1::ModelConfigScope::Team, v1::ModelConfigScope::Customer, v1::ModelConfigScope::VirtualKey] {
            let scoped = v1::ModelConfig { scope: scope.into(), scope_id: id(), ..config() };
            assert_eq!(refused::<ModelConfig>(scoped), fields(of_a_scope, "scope_id"), "{scope:?} {blank:?}");
        }
        let priced = |kind: Priced| v1::PricingOverride { scope_kind: kind.into(), ..priced() };
        let of_provider = v1::PricingOverride { provider_id: id(), ..priced(Priced::Provider) };
        assert_eq!(refused::<PricingOverride>(of_provider), fields(of_a_scope, "provider_id"), "{blank:?}");
        let of_provider_key = v1::PricingOverride { provider_key_id: id(), ..priced(Priced::ProviderKey) };
        assert_eq!(refused::<PricingOverride>(of_provider_key), fields(of_a_scope, "provider_key_id"), "{blank:?}");
        let of_key = v1::PricingOverride { virtual_key_id: id(), ..priced(Priced::VirtualKey) };
        assert_eq!(refused::<PricingOverride>(of_key), fields(of_a_scope, "virtual_key_id"), "{blank:?}");

        assert_eq!(refused::<VirtualKey>(v1::VirtualKey { team_id: id(), ..key() }), fields(optional, "team_id"));
        let of_customer = v1::VirtualKey { customer_id: id(), ..key() };
        assert_eq!(refused::<VirtualKey>(of_customer), fields(optional, "customer_id"));
        assert_eq!(refused::<Team>(v1::Team { customer_id: id(), ..team() }), fields(optional, "customer_id"));
        assert_eq!(
            refused::<ModelConfig>(v1::ModelConfig { provider: id(), ..config() }),
            fields(optional, "provider")
        );
    }
}

#[test]
fn a_global_scope_has_no_id_not_even_a_blank_one() {
    for id in ["  ", "x"] {
        let scope_id = id.to_owned();
        let scoped = v1::RoutingRule { scope_id: scope_id.clone(), ..rule() };
        assert_eq!(refused::<RoutingRule>(scoped), ["scope_id"], "{id:?}");
        assert_eq!(refused::<ModelConfig>(v1::ModelConfig { scope_id, ..config() }), ["scope_id"], "{id:?}");
        let ids = v1::PricingOverride {
            virtual_key_id: id.to_owned(),
            provider_id: id.to_owned(),
            provider_key_id: id.to_owned(),
            ..priced()
        };
        assert_eq!(refused::<PricingOverride>(ids), ["virtual_key_id", "provider_id", "provider_key_id"], "{id:?}");
    }
}

#[test]
fn a_key_has_one_owner() {
    let both = |team: &str, customer: &str| v1::VirtualKey {
        team_id: team.to_owned(),
        customer_id: customer.to_owned(),
        ..key()
    };
    assert_eq!(refused::<VirtualKey>(both("t", "c")), ["customer_id"]);
    assert_eq!(refused::<VirtualKey>(both("  ", "c")), ["customer_id"]);
    assert_eq!(refused::<VirtualKey>(both("t", "")), Vec::<String>::new());
    assert_eq!(refused::<VirtualKey>(both("", "c")), Vec::<String>::new());
}

#[test]
fn a_limit_needs_its_duration_and_a_duration_its_limit() {
    let limit = |token: (Option<i64>, Option<&str>), request: (Option<i64>, Option<&str>)| {
        let rate_limit = v1::RateLimit {
            token_max_limit: token.0,
            token_reset_duration: token.1.map(ToOwned::to_owned),
            request_max_limit: request.0,
            request_reset_duration: request.1.map(ToOwned::to_owned),
            ..Default::default()
        };
        refused::<Team>(v1::Team { rate_limits: vec![rate_limit], ..team() })
    };
    let (none, hour) = ((None, None), (Some(1), Some("1h")));
    for (token, request, expected) in [
        (none, none, vec!["rate_limits[0]"]),
        (hour, none, vec![]),
        (hour, hour, vec![]),
        ((Some(1), None), none, vec!["rate_limits[0].token_reset_duration"]),
        ((None, Some("1h")), hour, vec!["rate_limits[0].token_max_limit"]),
        (none, (Some(1), None), vec!["rate_limits[0].request_reset_duration"]),
        (
            (Some(1), None),
            (None, Some("1h")),
            vec!["rate_limits[0].token_reset_duration", "rate_limits[0].request_max_limit"],
        ),
        ((Some(0), Some("1h")), none, vec![]),
        ((Some(-1), Some("1h")), none, vec!["rate_limits[0].token_max_limit"]),
        ((Some(1), Some("")), none, vec!["rate_limits[0].token_reset_duration"]),
    ] {
        assert_eq!(limit(token, request), expected, "{token:?} {request:?}");
    }
    for (max_limit, length, expected) in [
        (-1.0, "1d", "budgets[0].max_limit"),
        // It would be a lock that nobody asked for.
        (1e-10, "1d", "budgets[0].max_limit"),
        (1.0, "", "budgets[0].reset_duration"),
    ] {
        let budget = v1::Budget { max_limit, reset_duration: length.to_owned(), ..Default::default() };
        assert_eq!(refused::<Team>(v1::Team { budgets: vec![budget], ..team() }), [expected]);
    }
}

#[test]
fn a_limit_that_cannot_follow_the_calendar_is_rolling_beside_those_that_do() {
    let rate_limit = v1::RateLimit {
        token_max_limit: Some(1),
        token_reset_duration: Some("1M".to_owned()),
        request_max_limit: Some(1),
        request_reset_duration: Some("1m".to_owned()),
        ..Default::default()
    };
    let lengths = ["1d", "23h", "1Q", "1500ms", "never"];
    for calendar_aligned in [false, true] {
        let team =
            v1::Team { calendar_aligned, budgets: budgets(&lengths), rate_limits: vec![rate_limit.clone()], ..team() };
        assert_eq!(refused::<Team>(team), Vec::<String>::new());
    }
}

#[test]
fn an_owner_has_one_limit_on_tokens_and_one_on_requests_of_each_length() {
    let limit = |token: Option<&str>, request: Option<&str>| v1::RateLimit {
        token_max_limit: token.map(|_| 1),
        token_reset_duration: token.map(ToOwned::to_owned),
        request_max_limit: request.map(|_| 1),
        request_reset_duration: request.map(ToOwned::to_owned),
        ..Default::default()
    };
    let tokens = |length| limit(Some(length), None);
    let requests = |length| limit(None, Some(length));
    for (rate_limits, aligned, expected) in [
        (vec![requests("1m"), requests("1d"), tokens("1m"), tokens("1d")], false, vec![]),
        (vec![requests("24h"), requests("1d")], false, vec!["rate_limits[1].request_reset_duration"]),
        (vec![requests("24h"), requests("1d")], true, vec![]),
        (vec![requests("1M"), requests("30d")], false, vec!["rate_limits[1].request_reset_duration"]),
        (vec![requests("1M"), requests("30d")], true, vec![]),
        (
            vec![limit(Some("1h"), Some("1m")), tokens("60m"), limit(Some("1d"), Some("60s"))],
            true,
            vec!["rate_limits[1].token_reset_duration", "rate_limits[2].request_reset_duration"],
        ),
    ] {
        let team = v1::Team { rate_limits, calendar_aligned: aligned, ..team() };
        assert_eq!(refused::<Team>(team.clone()), expected, "{team:?}");
    }
}

#[test]
fn an_enforcement_that_nobody_knows_is_refused() {
    for (enforcement, expected) in
        [(0, vec![]), (3, vec![]), (4, vec!["budgets[0].enforcement"]), (-1, vec!["budgets[0].enforcement"])]
    {
        let [budget] = &budgets(&["1d"])[..] else { panic!("one budget") };
        let team = v1::Team { budgets: vec![v1::Budget { enforcement, ..budget.clone() }], ..team() };
        assert_eq!(refused::<Team>(team), expected, "{enforcement}");
    }
}

#[test]
fn only_a_budget_may_never_be_reset() {
    let rate_limit = v1::RateLimit {
        token_max_limit: Some(1),
        token_reset_duration: Some("never".to_owned()),
        ..Default::default()
    };
    let budgets = budgets(&["never"]);
    let team = v1::Team { budgets, rate_limits: vec![rate_limit], ..team() };
    assert_eq!(refused::<Team>(team), ["rate_limits[0].token_reset_duration"]);
}

#[test]
fn two_budgets_are_of_two_lengths_and_of_two_units_where_they_follow_the_calendar() {
    for (lengths, rolling, aligned) in [
        (["1d", "1d"], false, false),
        (["1d", "01d"], false, false),
        (["7d", "1w"], false, true),
        (["30d", "1M"], false, true),
        (["365d", "1Y"], false, true),
        (["12M", "1Y"], true, true),
        (["2w", "1w"], true, true),
        (["24h", "1d"], false, true),
        (["1Q", "3M"], false, false),
        (["90d", "1Q"], false, true),
        (["never", "never"], false, false),
        (["never", "10Y"], true, true),
        (["60m", "1h"], false, false),
        (["90s", "1m30s"], false, false),
        (["23h", "1d"], true, true),
    ] {
        let valid = |calendar_aligned| {
            refused::<Team>(v1::Team { calendar_aligned, budgets: budgets(&lengths), ..team() }).is_empty()
        };
        assert_eq!((valid(false), valid(true)), (rolling, aligned), "{lengths:?}");
    }
}

#[test]
fn free_data_that_is_accepted_can_be_sent_back() {
    let of_no_kind = |count: usize| {
        let fields = (0..count).map(|place| (format!("{place:05}"), prost_types::Value { kind: None })).collect();
        v1::Team { profile: Some(prost_types::Struct { fields }), ..team() }
    };
    // 9 bytes each as they come, 13 as the nulls that are kept; 32 KiB are allowed.
    assert_eq!(refused::<Team>(of_no_kind(2_520)), Vec::<String>::new());
    for count in [2_521, 3_600, 3_700] {
        assert_eq!(refused::<Team>(of_no_kind(count)), ["profile"], "{count}");
    }
    let message = of_no_kind(2_520);
    comes_back(&message, &parsed::<Team>(message.clone()).unwrap()).unwrap();
}
