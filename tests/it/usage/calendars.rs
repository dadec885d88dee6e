//! Windows that follow the calendar of their owner, or of whom it belongs to, by a clock that the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tollgate::proto::v1::explain_request::Key;

use super::stream::follow;
use super::*;
use crate::process::verify;
use crate::watch::rig::{Node, clock};

fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn told(time: Option<prost_types::Timestamp>) -> String {
    time.unwrap().to_string()
}

fn calendar(time_zone: &str, first_day: v1::DayOfWeek, first_month_of_year: i32) -> Option<v1::Calendar> {
    Some(v1::Calendar { time_zone: time_zone.to_owned(), first_day_of_week: first_day.into(), first_month_of_year })
}

async fn at(now: &str) -> (Rig, Api, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(micros(now)));
    let mut rig = Rig::new();
    rig.clock = clock(&now);
    rig.start().await;
    let api = rig.api().await;
    (rig, api, now)
}

async fn key(api: &Api, key: &v1::VirtualKey) -> v1::VirtualKey {
    let request = v1::GetVirtualKeyRequest { id: key.id.clone(), ..Default::default() };
    VirtualKeyServiceClient::new(api.0.clone())
        .get_virtual_key(request)
        .await
        .unwrap()
        .into_inner()
        .virtual_key
        .unwrap()
}

/// Start, end and usage of the key's budget, which the key, the list of budgets, memory and tables, and an explanation tell
/// alike.
async fn window(api: &Api, of: &v1::VirtualKey) -> (String, String, i64) {
    let found = key(api, of).await;
    let budget = &found.budgets[0];
    let window = (told(budget.last_reset), told(budget.next_reset), budget.current_usage_nano_usd);
    for from_memory in [false, true] {
        let request = v1::ListBudgetsRequest { virtual_key_id: of.id.clone(), from_memory, ..Default::default() };
        let listed = BudgetServiceClient::new(api.0.clone()).list_budgets(request).await.unwrap().into_inner().budgets;
        let listed = &listed[0];
        assert!(listed.calendar_aligned);
        assert_eq!((told(listed.last_reset), told(listed.next_reset), listed.current_usage_nano_usd), window);
    }
    let request = v1::ExplainRequest {
        key: Some(Key::VirtualKeyId(of.id.clone())),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        ..Default::default()
    };
    let explained = DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner();
    let explained = explained.limits.iter().find(|limit| limit.id == budget.id).unwrap();
    assert_eq!((told(explained.next_reset), explained.used), (window.1.clone(), window.2));
    window
}

fn configs() -> Vec<v1::VirtualKeyProviderConfig> {
    vec![v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        allowed_models: vec!["*".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }]
}

#[tokio::test]
async fn a_key_follows_its_own_calendar_or_its_teams_or_its_customers_and_takes_usage_along() {
    let (mut rig, api, now) = at("2026-03-31T23:30:00Z").await;
    let customer = v1::Customer { name: "customer".to_owned(), ..Default::default() };
    let customer = api.create_customer(customer).await.unwrap();
    let team = v1::Team { name: "team".to_owned(), customer_id: customer.id.clone(), ..Default::default() };
    let team = api.create_team(team).await.unwrap();
    let made = v1::VirtualKey {
        name: "key".to_owned(),
        team_id: team.id.clone(),
        provider_configs: configs(),
        budgets: vec![budget("1M")],
        calendar_aligned: true,
        ..Default::default()
    };
    let made = api.create_virtual_key(made).await.unwrap();
    let mut node = Node::new(&[]);
    follow(&api, &mut node).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&made.id, 7)])]).await;
    let bounds = |start: &str, end: &str, used| (start.to_owned(), end.to_owned(), used);
    assert_eq!(window(&api, &made).await, bounds("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", 7));

    // It is April in Berlin already; the customer's calendar is that of the key, which is not changed itself.
    let berlin = v1::Customer {
        id: customer.id.clone(),
        calendar: calendar("Europe/Berlin", v1::DayOfWeek::Unspecified, 0),
        ..Default::default()
    };
    let update = v1::UpdateCustomerRequest { customer: Some(berlin), ..Default::default() };
    let answer = CustomerServiceClient::new(api.0.clone()).update_customer(update).await.unwrap().into_inner();
    assert_eq!(answer.customer.unwrap().calendar, calendar("Europe/Berlin", v1::DayOfWeek::Monday, 1));
    let april = bounds("2026-03-31T22:00:00Z", "2026-04-30T22:00:00Z", 7);
    assert_eq!(window(&api, &made).await, april);
    let told_start = |node: &Node| {
        let usage = node.reducer.usage().values().find(|usage| usage.limit_id == made.budgets[0].id);
        usage.map(|usage| (told(usage.window_start), told(usage.window_end), usage.used))
    };
    while told_start(&node) != Some(april.clone()) {
        node.expect().await;
    }

    // The team's goes before the customer's, and the key's own before both.
    let york = v1::Team {
        id: team.id.clone(),
        calendar: calendar("America/New_York", v1::DayOfWeek::Sunday, 10),
        ..Default::default()
    };
    api.update_team(york, &["calendar"]).await.unwrap();
    let march = bounds("2026-03-01T05:00:00Z", "2026-04-01T04:00:00Z", 7);
    assert_eq!(window(&api, &made).await, march);
    let kolkata = v1::VirtualKey {
        id: made.id.clone(),
        calendar: calendar("Asia/Kolkata", v1::DayOfWeek::Unspecified, 4),
        ..Default::default()
    };
    api.update_virtual_key(kolkata, &["calendar"]).await.unwrap();
    assert_eq!(window(&api, &made).await, bounds("2026-03-31T18:30:00Z", "2026-04-30T18:30:00Z", 7));
    api.update_virtual_key(v1::VirtualKey { id: made.id.clone(), ..Default::default() }, &["calendar"]).await.unwrap();
    assert_eq!(window(&api, &made).await, march);

    // What is deleted gives no calendar any more. Nothing is lost on the way, nor by a restart.
    api.delete_team_and(&team.id, v1::Children::Detach).await.unwrap();
    assert_eq!(window(&api, &made).await, bounds("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", 7));
    let api = rig.restart().await;
    assert_eq!(window(&api, &made).await, bounds("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", 7));
    now.store(micros("2026-04-01T00:00:00Z"), Ordering::SeqCst);
    assert_eq!(window(&api, &made).await, bounds("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z", 0));
    drop((node, api));
    rig.stop().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}

#[tokio::test]
async fn a_day_has_as_many_hours_as_the_clocks_there_say() {
    let (mut rig, api, now) = at("2026-10-24T22:00:00Z").await;
    let made = v1::VirtualKey {
        name: "key".to_owned(),
        provider_configs: configs(),
        budgets: vec![budget("1d")],
        calendar_aligned: true,
        calendar: calendar("Europe/Berlin", v1::DayOfWeek::Unspecified, 0),
        ..Default::default()
    };
    let made = api.create_virtual_key(made).await.unwrap();
    let incarnation = register(&api).await;
    // 25 hours: an entry of each is counted in one window.
    for hour in 0..25 {
        now.store(micros("2026-10-24T22:30:00Z") + hour * 3_600_000_000, Ordering::SeqCst);
        report(&api, vec![batch(incarnation, hour + 1, vec![entry(&made.id, 1)])]).await;
    }
    let day = ("2026-10-24T22:00:00Z".to_owned(), "2026-10-25T23:00:00Z".to_owned(), 25);
    assert_eq!(window(&api, &made).await, day);
    now.store(micros("2026-10-25T23:00:00Z"), Ordering::SeqCst);
    assert_eq!(window(&api, &made).await.2, 0);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_calendar_of_no_zone_or_month_is_refused() {
    let (mut rig, api) = Rig::started().await;
    let wrong =
        v1::Calendar { time_zone: "Europe/Bielefeld".to_owned(), first_day_of_week: 8, first_month_of_year: 13 };
    let team = v1::Team { name: "team".to_owned(), calendar: Some(wrong), ..Default::default() };
    let status = api.create_team(team).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = tonic_types::StatusExt::get_error_details(&status);
    let wrong: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|it| it.field.clone()).collect();
    let fields = ["time_zone", "first_day_of_week", "first_month_of_year"].map(|name| format!("team.calendar.{name}"));
    assert_eq!(wrong, fields);
    drop(api);
    rig.stop().await;
}
