//! What is listed of spend, beside what the model has: by hours as long as they are kept, by days and months for all time.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rand::Rng as _;
use rand::rngs::StdRng;
use tollgate::proto::v1;
use tollgate::proto::v1::SpendGranularity;

use super::History;
use super::calls::micros;
use crate::usage::model::spend::{Amounts, Series, amounts};
use crate::usage::model::window::Micros;
use crate::usage::spend::{listed, timestamp};

const HOUR: Micros = 3_600_000_000;
const DAY: Micros = 24 * HOUR;
/// Longer than any entry is late.
const LONG_AGO: Micros = 1_000 * DAY;

/// A time zone for the days of a store.
pub(super) fn zone(rng: &mut StdRng) -> &'static str {
    ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland"][rng.random_range(0..4)]
}

/// The start of the day or the month.
fn start(zone: &TimeZone, granularity: SpendGranularity, at: Micros) -> Micros {
    let local = jiff::Timestamp::from_microsecond(at).unwrap().to_zoned(zone.clone());
    let date = match granularity {
        SpendGranularity::Month => local.date().first_of_month(),
        _ => local.date(),
    };
    date.to_zoned(zone.clone()).unwrap().timestamp().as_microsecond()
}

impl History {
    /// What is listed of spend is what the model has, to the nano-dollar.
    pub(super) async fn compare_spend(&mut self) -> Result<(), String> {
        if self.huge {
            // Sums may not fit, and then there is none.
            return Ok(());
        }
        let zone = TimeZone::get(self.zone).unwrap();
        let now = self.model.now;
        let granularity =
            [SpendGranularity::Hour, SpendGranularity::Day, SpendGranularity::Month][self.rng.random_range(0..3)];
        // Hours are kept for 35 days.
        let first = if granularity == SpendGranularity::Hour { now - 34 * DAY } else { self.began - LONG_AGO };
        let first = start(&zone, granularity, first);
        let after = now.div_euclid(HOUR) * HOUR + 2 * HOUR;
        let properties = ["customer", "team", "virtual_key", "provider", "model"];
        let grouped = properties.map(|_| self.rng.random_bool(0.7));
        let group_by = properties.into_iter().zip(grouped).filter(|(_, is_grouped)| *is_grouped);
        let request = v1::ListSpendRequest {
            from: timestamp(first),
            to: timestamp(after),
            granularity: granularity.into(),
            group_by: group_by.map(|(property, _)| property.to_owned()).collect(),
            page_size: self.rng.random_range(20..300),
            ..Default::default()
        };
        let (rows, total) = listed(&self.api, request).await.unwrap();

        let (mut expected, mut sum) = (BTreeMap::<(Micros, Series), Amounts>::new(), Amounts::default());
        for ((hour, series), amounts) in self.model.spend.0.iter().filter(|((hour, _), _)| *hour >= first) {
            let period = match granularity {
                SpendGranularity::Hour => *hour,
                _ => start(&zone, granularity, *hour),
            };
            let mut series = series.clone();
            series.iter_mut().zip(grouped).filter(|(_, is_grouped)| !is_grouped).for_each(|(it, _)| it.clear());
            let group = expected.entry((period, series)).or_default();
            for (place, amount) in amounts.iter().enumerate() {
                group[place] += amount;
                sum[place] += amount;
            }
        }
        expected.retain(|_, amounts| *amounts != Amounts::default());
        let mut told = BTreeMap::new();
        for row in rows {
            let v1::SpendRow { customer_id, team_id, virtual_key_id, provider, model, .. } = row.clone();
            let key = (row.start.map_or(0, micros), [customer_id, team_id, virtual_key_id, provider, model]);
            if told.insert(key, amounts(row.amounts.as_ref().unwrap())).is_some() {
                return Err(format!("spend is listed twice: {row:?}"));
            }
        }
        if let Some(difference) = super::difference(&expected, &told) {
            return Err(format!("of spend by {granularity:?} in {}, {difference}", self.zone));
        }
        if amounts(&total) != sum {
            return Err(format!("the total of spend is {total:?} instead of {sum:?}"));
        }
        Ok(())
    }
}
