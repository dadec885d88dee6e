//! Spend over time: what was counted is listed by whom it was counted for, when, and on what.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollgate::proto::v1::model_price_service_client::ModelPriceServiceClient;
use tollgate::proto::v1::{SpendAmounts, SpendGranularity};
use tonic::Status;

use super::*;
use crate::watch::rig::clock;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

pub(crate) fn instant(text: &str) -> i64 {
    let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

pub(crate) fn timestamp(at: i64) -> Option<prost_types::Timestamp> {
    let nanos = i32::try_from(at.rem_euclid(1_000_000) * 1_000).unwrap();
    Some(prost_types::Timestamp { seconds: at.div_euclid(1_000_000), nanos })
}

fn told(at: Option<prost_types::Timestamp>) -> String {
    at.unwrap().to_string()
}

/// All pages of a list, small ones, and the total of the first.
pub(crate) async fn listed(
    api: &Api,
    request: v1::ListSpendRequest,
) -> Result<(Vec<v1::SpendRow>, SpendAmounts), Status> {
    let mut client = UsageServiceClient::new(api.0.clone());
    let (mut rows, mut total, mut page_token) = (Vec::new(), None, request.page_token.clone());
    loop {
        let request = v1::ListSpendRequest { page_token, ..request.clone() };
        let page = client.list_spend(request).await?.into_inner();
        assert_eq!(page.total.is_some(), total.is_none(), "the first page has the total, and no other");
        total = total.or(page.total);
        rows.extend(page.rows);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            let total = total.unwrap();
            assert_eq!(rows.iter().map(cost).sum::<i64>(), total.cost_nano_usd);
            return Ok((rows, total));
        }
    }
}

fn cost(row: &v1::SpendRow) -> i64 {
    row.amounts.as_ref().unwrap().cost_nano_usd
}

fn request(from: i64, to: i64, granularity: SpendGranularity, group_by: &[&str]) -> v1::ListSpendRequest {
    v1::ListSpendRequest {
        from: timestamp(from),
        to: timestamp(to),
        granularity: granularity.into(),
        group_by: group_by.iter().map(|&it| it.to_owned()).collect(),
        page_size: 2,
        ..Default::default()
    }
}

/// A server by a clock that goes on when the test says so.
struct Bench {
    rig: Rig,
    api: Api,
    now: Arc<AtomicI64>,
    incarnation: i64,
    sequence: i64,
}

impl Bench {
    async fn at(now: &str, time_zone: Option<&str>) -> Self {
        let now = Arc::new(AtomicI64::new(instant(now)));
        let mut rig = Rig::new();
        rig.clock = clock(&now);
        rig.settings.spend.time_zone = time_zone.map(ToOwned::to_owned);
        rig.start().await;
        let api = rig.api().await;
        let incarnation = register(&api).await;
        Self { rig, api, now, incarnation, sequence: 0 }
    }

    async fn report(&mut self, entries: Vec<v1::UsageEntry>) -> v1::ReportUsageResponse {
        self.sequence += 1;
        let mut acks = report(&self.api, vec![batch(self.incarnation, self.sequence, entries)]).await;
        acks.swap_remove(0)
    }

    async fn restart_at(&mut self, now: &str) {
        self.now.store(instant(now), Ordering::SeqCst);
        self.api = self.rig.restart().await;
    }

    /// What the journal has is in the tables.
    async fn added(&mut self) {
        self.rig.stop().await;
        let store = self.rig.store().await;
        while !store.fold_spend(i64::MAX).await.unwrap().is_through {}
        store.close().await;
        self.rig.start().await;
        self.api = self.rig.api().await;
    }

    /// What is old is joined and forgotten, as the server does it in the background.
    async fn joined(&mut self) {
        self.added().await;
        self.rig.stop().await;
        let store = self.rig.store().await;
        let ago = |days| tollgate::domain::Timestamp::from_micros(self.now.load(Ordering::SeqCst) - days * DAY);
        while store.join_spend(ago(35)).await.unwrap() {}
        while store.forget_spend(ago(800)).await.unwrap() {}
        store.close().await;
        self.rig.start().await;
        self.api = self.rig.api().await;
    }

    async fn costs(&self, request: v1::ListSpendRequest) -> Vec<(String, i64)> {
        let (rows, _) = listed(&self.api, request).await.unwrap();
        rows.iter().map(|row| (told(row.start), cost(row))).collect()
    }

    async fn refused(&self, request: v1::ListSpendRequest, says: &str) {
        let status = listed(&self.api, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(says), "{says}: {}", status.message());
    }

    async fn stop(self) {
        let Self { mut rig, api, .. } = self;
        drop(api);
        rig.stop().await;
    }
}

fn spent(key: &str, occurred_at: &str, cost: i64) -> v1::UsageEntry {
    v1::UsageEntry { occurred_at: timestamp(instant(occurred_at)), ..entry(key, cost) }
}

fn pairs(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(start, cost)| ((*start).to_owned(), *cost)).collect()
}

#[tokio::test]
async fn spend_is_listed_by_owner_and_period_in_pages() {
    let mut bench = Bench::at("2026-11-29T10:20:00Z", None).await;
    let (team, key) = hierarchy(&bench.api).await;
    let labels = BTreeMap::from([("cost-center".to_owned(), "42".to_owned())]);
    bench.api.update_team(v1::Team { labels, revision: 0, ..team.clone() }, &["labels"]).await.unwrap();
    let details = v1::UsageEntry {
        cached_input_tokens: 20,
        cache_write_tokens: 5,
        reasoning_tokens: 9,
        audio_tokens: 3,
        unpriced_requests: 1,
        ..spent(&key.id, "2026-11-29T10:05:00Z", 1)
    };
    let entries = vec![
        details,
        v1::UsageEntry { model: "o3".to_owned(), ..spent(&key.id, "2026-11-29T09:59:59Z", 20) },
        spent(&key.id, "2026-11-28T23:30:00Z", 300),
        // Late for every window, and in the hour in which it was.
        spent(&key.id, "2026-11-01T00:00:00Z", 4_000),
        v1::UsageEntry { occurred_at: None, ..entry("", 50_000) },
        entry(&key.id, -1),
        v1::UsageEntry { unpriced_requests: -1, ..entry(&key.id, 1) },
        v1::UsageEntry { model: "a\u{0}b".to_owned(), ..entry(&key.id, 1) },
        v1::UsageEntry { provider: "p".repeat(1_025), ..entry(&key.id, 1) },
    ];
    let ack = bench.report(entries).await;
    let rejected: Vec<_> = ack.rejected_entries.iter().map(|entry| entry.index).collect();
    assert_eq!((ack.status(), rejected), (Applied, vec![5, 6, 7, 8]), "{ack:?}");

    for round in ["in the journal", "in the tables"] {
        // By default the present month, as one period.
        let month = v1::ListSpendRequest { page_size: 1, ..Default::default() };
        let (rows, total) = listed(&bench.api, month).await.unwrap();
        assert_eq!((rows.len(), told(rows[0].start)), (1, "2026-11-01T00:00:00Z".to_owned()), "{round}");
        let expected = SpendAmounts {
            requests: 5,
            unpriced_requests: 1,
            input_tokens: 5 * 70,
            cached_input_tokens: 20,
            cache_write_tokens: 5,
            output_tokens: 5 * 30,
            reasoning_tokens: 9,
            audio_tokens: 3,
            cost_nano_usd: 54_321,
        };
        assert_eq!((rows[0].amounts, total), (Some(expected), expected), "{round}");

        let (from, to) = (instant("2026-11-28"), instant("2026-11-30"));
        let hours = request(from, to, SpendGranularity::Hour, &[]);
        let expected = [("2026-11-28T23:00:00Z", 300), ("2026-11-29T09:00:00Z", 20), ("2026-11-29T10:00:00Z", 50_001)];
        assert_eq!(bench.costs(hours).await, pairs(&expected), "{round}");
        let days = v1::ListSpendRequest {
            time_zone: "europe/berlin".to_owned(),
            ..request(from - HOUR, to, SpendGranularity::Day, &[])
        };
        let expected = [("2026-11-28T23:00:00Z", 50_321)];
        assert_eq!(bench.costs(days).await, pairs(&expected), "{round}");

        let all = ["customer", "team", "virtual_key", "provider", "model", "label:cost-center"];
        let (rows, _) = listed(&bench.api, request(from, to, SpendGranularity::Unspecified, &all)).await.unwrap();
        let costs: Vec<_> =
            rows.iter().map(|row| (row.model.as_str(), row.virtual_key_name.as_str(), cost(row))).collect();
        assert_eq!(costs, [("gpt-4o", "", 50_000), ("gpt-4o", "key", 301), ("o3", "key", 20)], "{round}");
        let row = &rows[2];
        assert_eq!((row.customer_name.as_str(), &row.team_id, row.team_name.as_str()), ("customer", &team.id, "team"));
        assert_eq!((row.provider.as_str(), &row.labels["cost-center"]), ("openai", &"42".to_owned()));
        assert!(rows[0].labels.is_empty());
        for filtered in [
            v1::ListSpendRequest { model: "o3".to_owned(), ..request(from, to, SpendGranularity::Unspecified, &[]) },
            v1::ListSpendRequest {
                team_id: team.id.clone(),
                ..request(from, to, SpendGranularity::Unspecified, &["model"])
            },
        ] {
            let (rows, _) = listed(&bench.api, filtered).await.unwrap();
            assert_eq!(cost(rows.last().unwrap()), 20, "{round}");
        }
        let nothing =
            v1::ListSpendRequest { provider: "\u{0}".to_owned(), ..request(from, to, SpendGranularity::Day, &[]) };
        assert_eq!(listed(&bench.api, nothing).await.unwrap().0, []);
        bench.added().await;
    }
    bench.stop().await;
}

#[tokio::test]
async fn hours_are_joined_to_days_of_the_zone_and_nothing_is_lost() {
    let zone = "America/New_York";
    let mut bench = Bench::at("2026-10-30T12:00:00Z", Some(zone)).await;
    let (_, key) = hierarchy(&bench.api).await;
    // The clocks go back on 1 November: that day begins at 4 and ends at 5 UTC.
    let entries = vec![
        spent(&key.id, "2026-10-30T03:59:59Z", 1),
        spent(&key.id, "2026-10-30T04:00:00Z", 20),
        spent(&key.id, "2026-10-30T11:00:00Z", 300),
    ];
    bench.report(entries).await;
    bench.restart_at("2026-11-02T12:00:00Z").await;
    bench
        .report(vec![spent(&key.id, "2026-11-01T04:00:00Z", 4_000), spent(&key.id, "2026-11-02T04:59:59Z", 50_000)])
        .await;
    let all = |granularity| request(instant("2026-10-29T04:00:00Z"), instant("2027-01-01T05:00:00Z"), granularity, &[]);
    let days = pairs(&[("2026-10-29T04:00:00Z", 1), ("2026-10-30T04:00:00Z", 320), ("2026-11-01T04:00:00Z", 54_000)]);
    assert_eq!(bench.costs(all(SpendGranularity::Day)).await, days);
    assert_eq!(bench.costs(all(SpendGranularity::Hour)).await.len(), 5);

    // 35 days after the end of 30 October; the 31st is young enough.
    bench.restart_at("2026-12-05T04:30:00Z").await;
    bench.joined().await;
    assert_eq!(bench.costs(all(SpendGranularity::Day)).await, days);
    let [october, november] = [("2026-10-29T04:00:00Z", 321), ("2026-11-01T04:00:00Z", 54_000)];
    assert_eq!(bench.costs(all(SpendGranularity::Month)).await, pairs(&[october, november]));
    let hours = |from: &str| request(instant(from), instant("2026-11-03"), SpendGranularity::Hour, &[]);
    assert_eq!(bench.costs(hours("2026-10-31T04:00:00Z")).await.len(), 2);
    bench.refused(hours("2026-10-31T03:00:00Z"), "from: is 2026-10-31T03:00:00Z; before 2026-10-31T04:00:00Z").await;
    bench.refused(hours("2026-10-30T04:00:00Z"), "granularity").await;
    let utc = v1::ListSpendRequest { time_zone: "UTC".to_owned(), ..all(SpendGranularity::Day) };
    bench.refused(utc, "time_zone: makes periods that begin at").await;

    // Late for hours: it goes to its day.
    bench.report(vec![spent(&key.id, "2026-10-30T05:00:00Z", 600_000)]).await;
    for round in 0..2 {
        let told = bench.costs(all(SpendGranularity::Day)).await;
        assert_eq!(told[1], ("2026-10-30T04:00:00Z".to_owned(), 600_320), "{round}");
        bench.restart_at("2026-12-05T04:40:00Z").await;
    }

    // After 800 days the days are gone.
    bench.restart_at("2029-01-08T12:00:00Z").await;
    bench.joined().await;
    let left = pairs(&[("2026-11-01T04:00:00Z", 54_000)]);
    assert_eq!(bench.costs(all(SpendGranularity::Day)).await, left);
    bench.stop().await;
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_with_all_that_is_wrong() {
    let bench = Bench::at("2026-11-29T10:20:00Z", None).await;
    let now = instant("2026-11-29T10:00:00Z");
    let day = |from, to| request(from, to, SpendGranularity::Day, &[]);
    bench.refused(day(now + 1, now + HOUR), "from: is 2026-11-29T10:00:00.000001Z; must be on a whole hour").await;
    bench.refused(day(now, now), "to: is 2026-11-29T10:00:00Z; must be later than from").await;
    bench.refused(day(instant("1800-01-01"), now), "makes more than 25000 periods").await;
    let zone = |name: &str| v1::ListSpendRequest { time_zone: name.to_owned(), ..day(now - DAY, now) };
    bench.refused(zone("Europe/Nowhere"), "time_zone: is no time zone").await;
    bench.refused(zone("Asia/Kolkata"), "time_zone: has days that do not begin on a whole hour").await;
    let group = |group_by: &[&str]| request(now - DAY, now, SpendGranularity::Day, group_by);
    bench.refused(group(&["teams"]), "group_by[0]: is no property").await;
    bench.refused(group(&["label:"]), "group_by[0]: is no property").await;
    bench.refused(group(&["team", "team"]), "group_by[1]: is a duplicate").await;
    bench.refused(group(&["label:a", "label:b", "label:c", "label:d"]), "at most 3").await;
    let granularity = v1::ListSpendRequest { granularity: 9, ..day(now - DAY, now) };
    bench.refused(granularity, "granularity: is unknown").await;
    let other = v1::ListSpendRequest { page_token: "AAAA".to_owned(), ..day(now - DAY, now) };
    bench.refused(other, "page token").await;
    bench.stop().await;
}

#[tokio::test]
async fn sums_that_do_not_fit_are_an_error_and_no_wrong_number() {
    let mut bench = Bench::at("2026-11-29T10:20:00Z", None).await;
    let key =
        bench.api.create_virtual_key(v1::VirtualKey { name: "key".to_owned(), ..Default::default() }).await.unwrap();
    for _ in 0..2 {
        bench.report(vec![entry(&key.id, i64::MAX), entry("", i64::MAX - 5)]).await;
        bench.added().await;
    }
    // In one place they stay at the greatest number there is; several have no sum.
    let now = instant("2026-11-29T10:00:00Z");
    let all = |key: &str| v1::ListSpendRequest {
        virtual_key_id: key.to_owned(),
        ..request(now, now + HOUR, SpendGranularity::Day, &[])
    };
    assert_eq!(bench.costs(all(&key.id)).await, pairs(&[("2026-11-29T10:00:00Z", i64::MAX)]));
    bench.report(vec![spent(&key.id, "2026-11-29T09:00:00Z", 1)]).await;
    bench.added().await;
    let more = v1::ListSpendRequest { from: timestamp(now - HOUR), ..all(&key.id) };
    bench.refused(more, "to: makes a range whose sums do not fit into 64 bits").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_store_keeps_the_time_zone_of_its_first_start() {
    let mut bench = Bench::at("2026-11-29T10:20:00Z", Some("Europe/Berlin")).await;
    bench.rig.settings.spend.time_zone = None;
    bench.restart_at("2026-11-29T10:21:00Z").await;
    let month = UsageServiceClient::new(bench.api.0.clone()).list_spend(v1::ListSpendRequest::default()).await;
    let month = month.unwrap().into_inner();
    assert_eq!((month.time_zone.as_str(), told(month.from)), ("Europe/Berlin", "2026-10-31T23:00:00Z".to_owned()));
    assert_eq!(told(month.to), "2026-11-29T11:00:00Z");
    for (name, says) in [
        ("UTC", "--spend-time-zone UTC: this store keeps spend by days of Europe/Berlin"),
        ("Asia/Kolkata", "--spend-time-zone Asia/Kolkata: its offset from UTC is not a whole number"),
        ("Mars", "--spend-time-zone \"Mars\": there is no such time zone"),
    ] {
        bench.rig.stop().await;
        bench.rig.settings.spend.time_zone = Some(name.to_owned());
        bench.rig.start().await;
        let error = bench.rig.ask_to_stop().await.unwrap().unwrap_err();
        assert!(error.to_string().contains(says) && error.is_setting(), "{error}");
        bench.rig.settings.spend.time_zone = None;
        bench.rig.start().await;
    }
    bench.stop().await;
}

#[tokio::test]
async fn models_that_were_used_without_a_price_are_listed() {
    let mut bench = Bench::at("2026-11-29T10:20:00Z", None).await;
    let unpriced = |model: &str, requests, unpriced_requests| v1::UsageEntry {
        model: model.to_owned(),
        requests,
        unpriced_requests,
        ..entry("", 0)
    };
    bench.report(vec![unpriced("b", 5, 3), unpriced("a", 1, 1), unpriced("priced", 9, 0)]).await;
    bench.report(vec![unpriced("b", 2, 2), unpriced("c", 1, 1)]).await;
    let price = v1::ModelPrice {
        provider: "openai".to_owned(),
        model: "c".to_owned(),
        rates: Some(v1::PricingPatch { input_cost_per_token: Some(0.1), ..Default::default() }),
        ..Default::default()
    };
    let mut prices = ModelPriceServiceClient::new(bench.api.0.clone());
    let request = v1::CreateModelPriceRequest { model_price: Some(price), ..Default::default() };
    prices.create_model_price(request).await.unwrap();
    let mut found = Vec::new();
    let mut request = v1::ListUnpricedRequest { page_size: 2, ..Default::default() };
    loop {
        let page = prices.list_unpriced(request.clone()).await.unwrap().into_inner();
        assert!(page.models.len() <= 2);
        let models = page.models.into_iter();
        found.extend(models.map(|it| (it.provider, it.model, it.unpriced_requests, it.requests, it.has_price)));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let expected = [("a", 1, 1, false), ("b", 5, 7, false), ("c", 1, 1, true)];
    let expected =
        expected.map(|(model, unpriced, all, has)| ("openai".to_owned(), model.to_owned(), unpriced, all, has));
    assert_eq!(found, expected);
    let early = v1::ListUnpricedRequest { to: timestamp(instant("2026-11-29")), ..Default::default() };
    assert_eq!(prices.list_unpriced(early).await.unwrap().into_inner().models, []);
    let wrong = v1::ListUnpricedRequest { to: timestamp(1), ..Default::default() };
    assert_eq!(prices.list_unpriced(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    drop(prices);
    bench.stop().await;
}
