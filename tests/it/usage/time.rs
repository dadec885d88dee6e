//! Time: turns of days, weeks, months, quarters and years, leap days, usage that comes late or early, clocks that jump.
//! Whatever happens, an entry is counted in one window of each limit at most, and in the one that is documented.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tollgate::domain::Timestamp;
use tollgate::ledger::{Clock, Reading};

use super::*;
use crate::watch::rig::clock;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

fn instant(text: &str) -> i64 {
    let text = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    text.parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn told(at: i64) -> String {
    jiff::Timestamp::from_microsecond(at).unwrap().to_string()
}

fn timestamp(at: i64) -> Option<prost_types::Timestamp> {
    let nanos = i32::try_from(at.rem_euclid(SECOND) * 1_000).unwrap();
    Some(prost_types::Timestamp { seconds: at.div_euclid(SECOND), nanos })
}

/// A server by a clock that goes on when the test says so, and a key with one budget and a token limit of one length.
struct Bench {
    rig: Rig,
    api: Api,
    now: Arc<AtomicI64>,
    key: v1::VirtualKey,
    incarnation: i64,
    sequence: i64,
}

impl Bench {
    async fn new(now: i64, length: &str, calendar_aligned: bool) -> Self {
        let now = Arc::new(AtomicI64::new(now));
        let mut rig = Rig::new();
        rig.clock = clock(&now);
        Self::start(rig, now, length, calendar_aligned).await
    }

    async fn start(mut rig: Rig, now: Arc<AtomicI64>, length: &str, calendar_aligned: bool) -> Self {
        // So that nothing of what is looked at is forgotten.
        rig.settings.retention.audit_retention = Duration::from_secs(100 * 365 * 86_400);
        rig.start().await;
        let api = rig.api().await;
        // Whatever is counted in a window crosses all thresholds, and is told with the window by the first entry of it.
        let budget = v1::Budget { max_limit: 1e-9, ..budget(length) };
        let rate_limit = v1::RateLimit {
            token_max_limit: Some(1),
            token_reset_duration: Some(length.to_owned()),
            ..Default::default()
        };
        let key = v1::VirtualKey {
            name: "key".to_owned(),
            budgets: vec![budget],
            rate_limits: vec![rate_limit],
            calendar_aligned,
            ..Default::default()
        };
        let key = api.create_virtual_key(key).await.unwrap();
        let incarnation = register(&api).await;
        Self { rig, api, now, key, incarnation, sequence: 0 }
    }

    fn set(&self, now: i64) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Reports `cost` nano-dollars, and as many tokens, in a batch of its own. Whether it came late.
    async fn spend(&mut self, cost: i64, occurred_at: Option<i64>) -> bool {
        let occurred_at = occurred_at.and_then(timestamp);
        let entry = entry(&self.key.id, cost);
        let entry = v1::UsageEntry { input_tokens: cost, output_tokens: 0, occurred_at, ..entry };
        self.sequence += 1;
        let acks = report(&self.api, vec![batch(self.incarnation, self.sequence, vec![entry])]).await;
        assert_eq!((acks[0].status(), acks[0].rejected_entries.len()), (Applied, 0), "{acks:?}");
        acks[0].late_entries == 1
    }

    /// What the current windows have counted: nano-dollars and tokens; and the start and end of the budget's.
    async fn current(&self) -> (i64, i64, String, String) {
        let key = v1::GetVirtualKeyRequest { id: self.key.id.clone(), from_memory: true, ..Default::default() };
        let mut client = VirtualKeyServiceClient::new(self.api.0.clone());
        let key = client.get_virtual_key(key).await.unwrap().into_inner().virtual_key.unwrap();
        let budget = &key.budgets[0];
        let time = |at: Option<prost_types::Timestamp>| {
            let at = at.unwrap();
            told(at.seconds * SECOND + i64::from(at.nanos) / 1_000)
        };
        let tokens = key.rate_limits[0].token_current_usage;
        (budget.current_usage_nano_usd, tokens, time(budget.last_reset), time(budget.next_reset))
    }

    /// What each window of a kind had counted when it reached all of its limit, by the start of the window.
    async fn windows(&self, kind: v1::LimitKind) -> BTreeMap<String, i64> {
        let request = v1::ListThresholdEventsRequest { page_size: 1_000, ..Default::default() };
        let mut client = UsageServiceClient::new(self.api.0.clone());
        let events = client.list_threshold_events(request).await.unwrap().into_inner().events;
        let events = events.into_iter().filter(|event| event.kind() == kind && event.percent == 100);
        let start = |event: &v1::ThresholdEvent| {
            let at = event.window_start.unwrap();
            told(at.seconds * SECOND + i64::from(at.nanos) / 1_000)
        };
        events.map(|event| (start(&event), event.used)).collect()
    }

    async fn stop(self) {
        let Self { mut rig, api, .. } = self;
        drop(api);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_window_counts_from_its_first_instant_to_the_last_before_the_next() {
    for (length, turn, before, after) in [
        ("1d", "2026-11-24", "2026-11-23", "2026-11-25"),
        ("1d", "2028-02-29", "2028-02-28", "2028-03-01"),
        ("1d", "2028-03-01", "2028-02-29", "2028-03-02"),
        ("1d", "2100-03-01", "2100-02-28", "2100-03-02"),
        ("1w", "2026-11-30", "2026-11-23", "2026-12-07"),
        ("1w", "2027-01-04", "2026-12-28", "2027-01-11"),
        ("2w", "2026-11-30", "2026-11-16", "2026-12-14"),
        ("1M", "2028-03-01", "2028-02-01", "2028-04-01"),
        ("1M", "2027-03-01", "2027-02-01", "2027-04-01"),
        ("1M", "2027-01-01", "2026-12-01", "2027-02-01"),
        ("3M", "2027-01-01", "2026-10-01", "2027-04-01"),
        ("3M", "2028-04-01", "2028-01-01", "2028-07-01"),
        ("1Y", "2029-01-01", "2028-01-01", "2030-01-01"),
        ("2Y", "2028-01-01", "2026-01-01", "2030-01-01"),
    ] {
        let turn = instant(turn);
        let (before, after) = (told(instant(before)), told(instant(after)));
        let middle = told(turn);
        let mut bench = Bench::new(turn - HOUR, length, true).await;
        let what = format!("{length} at {middle}");
        // The last instant before the turn, and what is a little early counts in the next already.
        assert!(!bench.spend(1, None).await);
        bench.set(turn - 1);
        assert!(!bench.spend(2, None).await);
        assert!(!bench.spend(4, Some(turn)).await, "{what}");
        assert_eq!(bench.current().await, (3, 3, before.clone(), middle.clone()), "{what}");
        bench.set(turn);
        assert_eq!(bench.current().await, (4, 4, middle.clone(), after.clone()), "{what}");
        // What comes late counts where it was consumed, and not here; what is of now, here.
        assert!(!bench.spend(8, Some(turn - 1)).await, "{what}");
        assert!(!bench.spend(16, Some(instant(&before))).await, "{what}");
        assert!(!bench.spend(32, Some(turn)).await);
        assert!(!bench.spend(64, None).await);
        assert_eq!(bench.current().await, (100, 100, middle.clone(), after.clone()), "{what}");
        // What is older than the window before: money is never dropped, tokens are.
        assert!(bench.spend(128, Some(instant(&before) - 1)).await, "{what}");
        assert_eq!(bench.current().await, (228, 100, middle.clone(), after.clone()), "{what}");
        for kind in [v1::LimitKind::Budget, v1::LimitKind::Tokens] {
            let windows = bench.windows(kind).await;
            assert_eq!(windows, [(before.clone(), 1), (middle.clone(), 4)].into(), "{what}: in no other window");
        }
        // After a restart, and in the next window.
        bench.api = bench.rig.restart().await;
        assert_eq!(bench.current().await.0, 228, "{what}");
        bench.set(instant(&after));
        assert_eq!(bench.current().await, (0, 0, after.clone(), bench.current().await.3), "{what}");
        assert!(!bench.spend(256, Some(turn)).await, "{what}");
        assert!(bench.spend(512, Some(turn - 1)).await, "{what}");
        assert_eq!((bench.current().await.0, bench.current().await.1), (512, 0), "{what}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn what_moves_to_another_window_is_in_that_alone() {
    let made = instant("2026-11-23");
    let mut bench = Bench::new(made, "2d", false).await;
    let limits = |reset_duration: &str| v1::VirtualKey {
        id: bench.key.id.clone(),
        budgets: vec![v1::Budget { id: bench.key.budgets[0].id.clone(), max_limit: 6e-9, ..budget(reset_duration) }],
        ..Default::default()
    };
    let (longer, shorter) = (limits("2d"), limits("1d"));
    bench.api.update_virtual_key(longer, &["budgets"]).await.unwrap();
    // On the second day of two, five of six; then a window of one day takes them along.
    bench.set(made + 36 * HOUR);
    bench.spend(5, None).await;
    bench.api.update_virtual_key(shorter, &["budgets"]).await.unwrap();
    assert_eq!(bench.current().await.0, 5);
    // What comes late for the day before is alone there, and reaches nothing.
    assert!(!bench.spend(1, Some(made + 12 * HOUR)).await);
    assert_eq!(bench.current().await.0, 5);
    assert_eq!(bench.windows(v1::LimitKind::Budget).await, BTreeMap::new());
    assert!(!bench.spend(1, None).await);
    let second = told(made + 24 * HOUR + 1);
    assert_eq!(bench.windows(v1::LimitKind::Budget).await, [(second, 6)].into());
    bench.stop().await;
}

#[tokio::test]
async fn a_rolling_window_turns_where_its_limit_was_made() {
    for (length, made, turn) in [
        ("1d", "2028-02-28T17:30:00Z", "2028-02-29T17:30:00Z"),
        ("1M", "2028-02-28T17:30:00Z", "2028-03-29T17:30:00Z"),
        ("1Y", "2028-02-29T17:30:00Z", "2029-02-28T17:30:00Z"),
        ("90m", "2026-12-31T23:00:00Z", "2027-01-01T00:30:00Z"),
        ("45s", "2026-12-31T23:59:30Z", "2027-01-01T00:00:15Z"),
    ] {
        let mut bench = Bench::new(instant(made), length, false).await;
        // A write comes a microsecond after the time that the clock tells.
        let (made, turn) = (instant(made) + 1, instant(turn) + 1);
        bench.set(made);
        bench.spend(1, None).await;
        bench.set(turn - 1);
        bench.spend(2, None).await;
        assert_eq!(bench.current().await, (3, 3, told(made), told(turn)), "{length}");
        bench.set(turn);
        assert_eq!(bench.current().await, (0, 0, told(turn), told(turn + turn - made)), "{length}");
        assert!(!bench.spend(4, Some(turn - 1)).await);
        assert!(!bench.spend(8, None).await);
        assert_eq!((bench.current().await.0, bench.current().await.1), (8, 8), "{length}");
        assert_eq!(bench.windows(v1::LimitKind::Budget).await, [(told(made), 1), (told(turn), 8)].into(), "{length}");
        bench.stop().await;
    }
}

#[tokio::test]
async fn what_is_further_ahead_than_five_minutes_was_consumed_now() {
    let turn = instant("2027-01-01");
    for (ahead, early) in [(300 * SECOND, true), (300 * SECOND + 1, false), (24 * HOUR, false)] {
        let mut bench = Bench::new(turn - 60 * SECOND, "1d", true).await;
        assert!(!bench.spend(5, Some(turn - 60 * SECOND + ahead)).await);
        assert_eq!(bench.current().await.0, if early { 0 } else { 5 }, "{ahead}");
        bench.set(turn);
        assert_eq!(bench.current().await.0, if early { 5 } else { 0 }, "{ahead}");
        bench.stop().await;
    }
}

/// A server whose machine has the steady clock `now` and a wall clock that is `off` it.
async fn jumpy(start: i64, length: &str) -> (Bench, Arc<AtomicI64>) {
    let now = Arc::new(AtomicI64::new(start));
    let off = Arc::new(AtomicI64::new(0));
    let mut rig = Rig::new();
    let (steady, wall) = (Arc::clone(&now), Arc::clone(&off));
    rig.clock = Clock::new(move || {
        let now = steady.load(Ordering::SeqCst);
        Reading {
            wall: Timestamp::from_micros(now + wall.load(Ordering::SeqCst)),
            steady: Duration::from_micros(u64::try_from(now - start).unwrap()),
        }
    });
    (Bench::start(rig, now, length, false).await, off)
}

#[tokio::test]
async fn a_clock_that_jumps_for_a_moment_moves_no_usage() {
    let start = instant("2026-11-24T10:00:00Z");
    for jump in [HOUR, -HOUR] {
        let (mut bench, off) = jumpy(start, "1h").await;
        bench.set(start + 1_800 * SECOND);
        bench.spend(1, None).await;
        let window = bench.current().await;
        off.store(jump, Ordering::SeqCst);
        for second in 0..50 {
            bench.set(start + (1_800 + second) * SECOND);
            bench.spend(2, None).await;
        }
        assert_eq!(bench.current().await, (101, 101, window.2.clone(), window.3.clone()), "{jump}");
        off.store(0, Ordering::SeqCst);
        bench.set(start + 1_900 * SECOND);
        bench.spend(4, None).await;
        assert_eq!(bench.current().await, (105, 105, window.2.clone(), window.3), "{jump}");
        assert_eq!(bench.windows(v1::LimitKind::Budget).await, [(window.2, 1)].into(), "{jump}: in no other window");
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_clock_that_was_set_is_followed_and_usage_stays_where_it_was_counted() {
    let start = instant("2026-11-24T10:00:00Z");
    for jump in [HOUR, -HOUR] {
        let (mut bench, off) = jumpy(start, "1h").await;
        let mut now = start + 1_800 * SECOND;
        bench.set(now);
        bench.spend(1, None).await;
        let first = bench.current().await;
        // There: believed after a minute, during which time goes on as it did.
        off.store(jump, Ordering::SeqCst);
        for (spent, expected) in [(2, 3), (4, 7)] {
            now += 30 * SECOND;
            bench.set(now);
            bench.spend(spent, None).await;
            assert_eq!(bench.current().await.0, expected, "{jump}");
        }
        now += 61 * SECOND;
        bench.set(now);
        bench.spend(8, None).await;
        let second = bench.current().await;
        assert_eq!((second.0, second.1), (8, 8), "{jump}");
        assert_eq!(instant(&second.2) - instant(&first.2), jump, "the window an hour off");
        // Late and early entries of the other hour count there, if they may.
        bench.spend(16, Some(instant(&first.2))).await;
        let of_now = if jump > 0 { 8 } else { 24 };
        assert_eq!(bench.current().await.0, of_now, "{jump}");
        // And back: what was counted is where it was.
        off.store(0, Ordering::SeqCst);
        for _ in 0..3 {
            now += 40 * SECOND;
            bench.set(now);
            assert!(bench.current().await.0 > 0);
        }
        let third = bench.current().await;
        assert_eq!((third.2.clone(), third.3), (first.2.clone(), first.3), "{jump}");
        assert_eq!(third.0, if jump > 0 { 23 } else { 7 }, "{jump}");
        bench.spend(32, None).await;
        assert_eq!(bench.current().await.0, third.0 + 32, "{jump}");
        let windows = bench.windows(v1::LimitKind::Budget).await;
        assert_eq!(windows, [(first.2, 1), (second.2, 8)].into(), "{jump}: in no other window");
        bench.stop().await;
    }
}
