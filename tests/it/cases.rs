//! Laws of `docs/design/semantics.md` that take a server to break: what is stored meets what is sent.

use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::watch::api::Written;
use crate::watch::rig::Rig;

/// The fields that an INVALID_ARGUMENT names.
pub(crate) fn refused<T>(result: Result<T, Status>) -> Vec<String> {
    let status = result.err().expect("it is refused");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations.iter().map(|it| it.field.clone()).collect()
}

fn team(written: Written) -> v1::Team {
    match written.resource {
        Some(Resource::Team(team)) => team,
        other => panic!("not a team: {other:?}"),
    }
}

fn owners(written: Written) -> [String; 2] {
    match written.resource {
        Some(Resource::VirtualKey(key)) => [key.team_id, key.customer_id],
        other => panic!("not a key: {other:?}"),
    }
}

fn budgets(lengths: &[&str]) -> Vec<v1::Budget> {
    let budget =
        |length: &&str| v1::Budget { max_limit: 1.0, reset_duration: (*length).to_owned(), ..Default::default() };
    lengths.iter().map(budget).collect()
}

fn lengths(budgets: &[v1::Budget]) -> Vec<&str> {
    budgets.iter().map(|budget| budget.reset_duration.as_str()).collect()
}

fn rule(weights: &[f64]) -> v1::RoutingRule {
    let target = |(place, weight): (usize, &f64)| v1::RoutingTarget {
        model: Some(format!("model {place}")),
        weight: *weight,
        ..Default::default()
    };
    v1::RoutingRule {
        name: "rule".to_owned(),
        targets: weights.iter().enumerate().map(target).collect(),
        scope: v1::RoutingScope::Global.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn weights_that_sum_to_1_within_a_thousandth_are_taken_and_others_change_nothing() {
    let (mut rig, api) = Rig::started().await;
    let made = api.create_routing_rule(rule(&[0.6, 0.399])).await.unwrap();
    for weights in [&[0.9][..], &[1.0011], &[0.0, 1.0], &[f64::NAN, 1.0]] {
        let desired = v1::RoutingRule { id: made.id.clone(), ..rule(weights) };
        let field = if weights.len() == 1 { "routing_rule.targets" } else { "routing_rule.targets[0].weight" };
        assert_eq!(refused(api.update_routing_rule(desired, &["targets"]).await), [field], "{weights:?}");
    }
    let desired = v1::RoutingRule { id: made.id.clone(), ..rule(&[1.001]) };
    let updated = api.update_routing_rule(desired, &["targets"]).await.unwrap();
    assert_eq!(updated.revision, made.revision + 1, "what was refused took no revision");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_missing_header_is_no_match_and_the_explanation_says_so() {
    let (mut rig, api) = Rig::started().await;
    let expression = "headers[\"X-Tier\"] != 'free'".to_owned();
    api.create_routing_rule(v1::RoutingRule { cel_expression: expression, ..rule(&[1.0]) }).await.unwrap();
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    let request = v1::ExplainRequest { provider: "openai".to_owned(), model: "m".to_owned(), ..Default::default() };
    let answer = decisions.explain(request.clone()).await.unwrap().into_inner();
    assert!(!answer.rules[0].matched && answer.rules[0].error.contains("X-Tier"), "{:?}", answer.rules);
    assert_eq!((answer.decision(), answer.routing.unwrap().model.as_str()), (v1::Decision::Allow, "m"));

    // Whatever the case of the name.
    let headers = [("X-TIER".to_owned(), "gold".to_owned())].into();
    let answer = decisions.explain(v1::ExplainRequest { headers, ..request }).await.unwrap().into_inner();
    assert!(answer.rules[0].matched && answer.rules[0].error.is_empty(), "{:?}", answer.rules);
    assert_eq!(answer.routing.unwrap().model, "model 0");
    drop((api, decisions));
    rig.stop().await;
}

#[tokio::test]
async fn a_key_changes_its_owner_but_never_has_two() {
    let (mut rig, api) = Rig::started().await;
    let team = api.team("team").await.id;
    let customer = v1::Customer { name: "customer".to_owned(), ..Default::default() };
    let customer = api.create_customer(customer).await.unwrap().id;
    let both = v1::VirtualKey {
        name: "key".to_owned(),
        team_id: team.clone(),
        customer_id: customer.clone(),
        ..Default::default()
    };
    assert_eq!(refused(api.create_virtual_key(both.clone()).await), ["virtual_key.customer_id"]);
    let key = api.create_virtual_key(v1::VirtualKey { customer_id: String::new(), ..both.clone() }).await.unwrap();
    let both = v1::VirtualKey { id: key.id.clone(), ..both };
    let blank = v1::VirtualKey { team_id: "  ".to_owned(), ..both.clone() };
    let none = v1::VirtualKey { id: key.id, ..Default::default() };

    let update = async |key: &v1::VirtualKey, mask: &[&str]| api.update_virtual_key(key.clone(), mask).await;
    assert_eq!(owners(update(&both, &["customer_id"]).await.unwrap()), ["", customer.as_str()]);
    assert_eq!(refused(update(&both, &["team_id", "customer_id"]).await), ["virtual_key.customer_id"]);
    assert_eq!(refused(update(&both, &[]).await), ["virtual_key.customer_id"]);
    assert_eq!(refused(update(&blank, &["team_id"]).await), ["virtual_key.team_id"]);
    assert_eq!(owners(update(&both, &["team_id"]).await.unwrap()), [team.as_str(), ""]);
    assert_eq!(owners(update(&none, &["customer_id"]).await.unwrap()), [team.as_str(), ""], "it had none");
    assert_eq!(owners(update(&none, &["team_id"]).await.unwrap()), ["", ""]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn alignment_is_switched_unless_it_makes_two_lengths_the_same() {
    let (mut rig, api) = Rig::started().await;
    let switch = async |team: &v1::Team, calendar_aligned| {
        let desired = v1::Team { id: team.id.clone(), calendar_aligned, ..Default::default() };
        api.update_team(desired, &["calendar_aligned"]).await
    };
    let made = |name: &str, calendar_aligned, lengths: &[&str]| {
        let name = name.to_owned();
        api.create_team(v1::Team { name, calendar_aligned, budgets: budgets(lengths), ..Default::default() })
    };
    let rolling = made("rolling", false, &["1d", "12h", "1M", "never"]).await.unwrap();
    let after = team(switch(&rolling, true).await.unwrap());
    let aligned: Vec<bool> = after.budgets.iter().map(|budget| budget.calendar_aligned).collect();
    assert_eq!(aligned, [true, false, true, false]);
    let [half_day, never] = [1, 3].map(|place| (&after.budgets[place], &rolling.budgets[place]));
    assert_eq!((half_day.0.last_reset, half_day.0.next_reset), (half_day.1.last_reset, half_day.1.next_reset));
    assert_eq!((never.0.last_reset, never.0.next_reset), (never.1.created_at, None));
    let aligned = made("aligned", true, &["7d", "1M", "1w", "30d"]).await.unwrap();
    let alike = ["team.budgets[2].reset_duration", "team.budgets[3].reset_duration"];
    assert_eq!(refused(switch(&aligned, false).await), alike);

    let months = made("months", false, &["3M", "1Y"]).await.unwrap();
    let after = team(switch(&months, true).await.unwrap());
    let ids = |team: &v1::Team| team.budgets.iter().map(|budget| budget.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&after), lengths(&after.budgets)), (ids(&months), vec!["3M", "1Y"]));
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_budget_without_id_takes_the_place_of_the_one_of_its_length() {
    let (mut rig, api) = Rig::started().await;
    for (calendar_aligned, stored, sent, same) in [
        (false, "1d", "24h", true),
        (false, "7d", "1w", true),
        (false, "30d", "1M", true),
        (false, "1d", "25h", false),
        (true, "7d", "1w", false),
        (true, "24h", "1d", false),
        (true, "1Q", "3M", true),
        (false, "never", "never", true),
        (true, "1d", "01d", true),
    ] {
        let name = format!("{stored} {sent} {calendar_aligned}");
        let made = v1::Team { name, calendar_aligned, budgets: budgets(&[stored]), ..Default::default() };
        let made = api.create_team(made).await.unwrap();
        let two = v1::Team { id: made.id.clone(), budgets: budgets(&[stored, sent]), ..Default::default() };
        let desired = v1::Team { budgets: budgets(&[sent]), ..two.clone() };
        let after = team(api.update_team(desired, &["budgets"]).await.unwrap());
        assert_eq!(lengths(&after.budgets), [sent], "the spelling is that of the client");
        assert_eq!(after.budgets[0].id == made.budgets[0].id, same, "{stored} {sent} {calendar_aligned}");
        let both = api.update_team(two, &["budgets"]).await;
        if same {
            assert_eq!(refused(both), ["team.budgets[1].reset_duration"], "{stored} {sent}");
        } else {
            assert_eq!(lengths(&team(both.unwrap()).budgets), [stored, sent]);
        }
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn windows_start_with_the_calendar_where_the_owner_says_so_and_with_the_budget_where_not() {
    let (mut rig, api) = Rig::started().await;
    let civil = |time: Option<prost_types::Timestamp>| {
        let time = time.unwrap();
        let time = jiff::Timestamp::new(time.seconds, time.nanos).unwrap();
        time.to_zoned(jiff::tz::TimeZone::UTC).datetime()
    };
    let budgets = budgets(&["1w", "3M", "1Y"]);
    let aligned =
        v1::Team { name: "aligned".to_owned(), calendar_aligned: true, budgets: budgets.clone(), ..Default::default() };
    let aligned = api.create_team(aligned).await.unwrap();
    for (budget, span) in aligned.budgets.iter().zip(["1w", "3mo", "1y"]) {
        let (start, end) = (civil(budget.last_reset), civil(budget.next_reset));
        assert_eq!(start.checked_add(span.parse::<jiff::Span>().unwrap()).unwrap(), end, "{span}");
        assert_eq!(start.time(), jiff::civil::Time::midnight());
        match span {
            "1w" => assert_eq!(start.weekday(), jiff::civil::Weekday::Monday),
            "3mo" => assert_eq!((start.month() % 3, start.day()), (1, 1), "{start}"),
            _ => assert_eq!((start.month(), start.day()), (1, 1), "{start}"),
        }
    }
    let rolling = v1::Team { name: "rolling".to_owned(), budgets, ..Default::default() };
    let rolling = api.create_team(rolling).await.unwrap();
    for (budget, days) in rolling.budgets.iter().zip([7, 90, 365]) {
        assert_eq!(budget.last_reset, budget.created_at);
        let span = budget.next_reset.unwrap().seconds - budget.last_reset.unwrap().seconds;
        assert_eq!(span, days * 86_400);
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn one_override_wins_with_its_zeros_and_nothing_is_merged_from_broader_scopes() {
    let (mut rig, api) = Rig::started().await;
    let priced = |scope: v1::PricingScopeKind, pattern: &str, patch| v1::PricingOverride {
        name: pattern.to_owned(),
        scope_kind: scope.into(),
        provider_id: if scope == v1::PricingScopeKind::Global { String::new() } else { "openai".to_owned() },
        match_type: if pattern.ends_with('*') { 2 } else { 1 },
        pattern: pattern.to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch: Some(patch),
        ..Default::default()
    };
    let rates = |input, output, image| v1::PricingPatch {
        input_cost_per_token: input,
        output_cost_per_token: output,
        input_cost_per_image: image,
        ..Default::default()
    };
    let broad = priced(v1::PricingScopeKind::Global, "gpt-4o", rates(Some(5.0), Some(5.0), Some(5.0)));
    let broad = api.create_pricing_override(broad).await.unwrap();
    let narrow = priced(v1::PricingScopeKind::Provider, "*", rates(Some(0.0), None, None));
    let narrow = api.create_pricing_override(narrow).await.unwrap();
    let mut decisions = DecisionServiceClient::new(api.0.clone());
    for (provider, winner, expected) in [
        ("openai", &narrow, rates(Some(0.0), Some(2.0), None)),
        ("groq", &broad, rates(Some(5.0), Some(5.0), Some(5.0))),
    ] {
        let request = v1::ResolvePriceRequest {
            provider: provider.to_owned(),
            model: "gpt-4o".to_owned(),
            request_type: "chat_completion".to_owned(),
            base: Some(rates(Some(1.0), Some(2.0), None)),
            ..Default::default()
        };
        let answer = decisions.resolve_price(request).await.unwrap().into_inner();
        assert_eq!((answer.winner.as_ref(), answer.rates), (Some(winner), Some(expected)), "{provider}");
    }
    drop((api, decisions));
    rig.stop().await;
}
