//! Spend by the time of the machine, which on PostgreSQL is the only one: adding, joining, forgetting and summing up are the
//! database's work, and come to the same on both engines.

use std::collections::BTreeMap;

use tollgate::domain::Timestamp;
use tollgate::proto::v1::SpendGranularity;

use super::spend::{listed, timestamp};
use super::*;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

async fn days(api: &Api, from: i64, to: i64) -> BTreeMap<i64, i64> {
    let request = v1::ListSpendRequest {
        from: timestamp(from),
        to: timestamp(to),
        granularity: SpendGranularity::Day.into(),
        page_size: 2,
        ..Default::default()
    };
    let (rows, _) = listed(api, request).await.unwrap();
    let day = |row: &v1::SpendRow| row.start.unwrap().seconds * 1_000_000;
    rows.iter().map(|row| (day(row), row.amounts.unwrap().cost_nano_usd)).collect()
}

#[tokio::test]
async fn sums_stay_what_they_are_through_all_that_becomes_of_them() {
    let (mut rig, mut api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    let hour = Timestamp::now().as_micros().div_euclid(HOUR) * HOUR;
    let (today, mut expected) = (hour.div_euclid(DAY) * DAY, BTreeMap::new());
    let (from, to) = (today - 60 * DAY, today + 2 * DAY);
    // Of some days several hours, and of some hours several entries; the oldest are late for hours.
    for sequence in 1..=6 {
        let at = |place: i64| hour - place * place * 5 * HOUR - sequence;
        let entries =
            (0..16).map(|place| v1::UsageEntry { occurred_at: timestamp(at(place)), ..entry(&key.id, place + 1) });
        for place in 0..16 {
            *expected.entry(at(place).div_euclid(DAY) * DAY).or_insert(0) += place + 1;
        }
        let acks = report(&api, vec![batch(incarnation, sequence, entries.collect())]).await;
        assert_eq!((acks[0].status(), acks[0].rejected_entries.len()), (Applied, 0));
        assert_eq!(days(&api, from, to).await, expected);
    }
    let oldest = *expected.keys().next().unwrap();
    for step in ["added", "joined", "forgotten"] {
        drop(api);
        rig.stop().await;
        let store = rig.store().await;
        match step {
            "added" => while !store.fold_spend(i64::MAX).await.unwrap().is_through {},
            "joined" => while store.join_spend(Timestamp::from_micros(today)).await.unwrap() {},
            _ => {
                expected.remove(&oldest);
                while store.forget_spend(Timestamp::from_micros(oldest + 1)).await.unwrap() {}
            }
        }
        store.close().await;
        rig.start().await;
        api = rig.api().await;
        assert_eq!(days(&api, from, to).await, expected, "{step}");
    }
    let hours = v1::ListSpendRequest {
        from: timestamp(today - DAY),
        granularity: SpendGranularity::Hour.into(),
        ..Default::default()
    };
    assert_eq!(listed(&api, hours).await.unwrap_err().code(), Code::InvalidArgument);

    // Sums that do not fit: in one place they stay at the greatest number there is, of several there is none.
    let huge = |sequence, place: i64| {
        let occurred_at = timestamp(today - place * DAY);
        let entry = v1::UsageEntry { occurred_at, model: "huge".to_owned(), ..entry("", i64::MAX - 1) };
        batch(incarnation, sequence, vec![entry.clone(), entry])
    };
    report(&api, vec![huge(7, 0), huge(8, 1)]).await;
    drop(api);
    rig.stop().await;
    let store = rig.store().await;
    while !store.fold_spend(i64::MAX).await.unwrap().is_through {}
    store.close().await;
    rig.start().await;
    let api = rig.api().await;
    let all = |from, to| v1::ListSpendRequest {
        from: timestamp(from),
        to: timestamp(to),
        model: "huge".to_owned(),
        ..Default::default()
    };
    let (rows, _) = listed(&api, all(today, today + HOUR)).await.unwrap();
    assert_eq!(rows[0].amounts.unwrap().cost_nano_usd, i64::MAX);
    let status = listed(&api, all(today - DAY, today + HOUR)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    drop(api);
    rig.stop().await;
}
