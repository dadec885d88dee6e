//! Spend over time, and what was used without a price.

mod adjustments;
mod grouping;
mod range;

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;

use self::grouping::Grouping;
use self::range::Range;
use super::Api;
use super::page::{self, Scope};
use crate::domain::{Customer, Error, Path, Team, Timestamp, Violations, VirtualKey};
use crate::proto::v1;
use crate::state::meant;
use crate::store::{SpendFilter, SpendSnapshot};
use crate::usage::{SpendAmounts, SpendZone};
use crate::wire::timestamp;

impl Api {
    pub(super) async fn spend(&self, request: v1::ListSpendRequest) -> Result<v1::ListSpendResponse, Error> {
        let filters = v1::ListSpendRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListSpend", &filters);
        let limit = page::size(request.page_size)?;
        let after = scope.read_created(&request.page_token)?;
        let mut spend = self.spend_now().await?;
        let mut violations = Violations::new();
        let grouping = Grouping::parse(&request.group_by, &mut violations);
        let zone = parse_zone(&request.time_zone, spend.calendar().zone.clone(), &mut violations);
        if v1::SpendGranularity::try_from(request.granularity).is_err() {
            violations.add("granularity", "is unknown; must be a value of SpendGranularity");
        }
        let range = Range::new(spend.calendar().clone(), zone, request.granularity());
        let range = range.between(request.from.as_ref(), request.to.as_ref(), self.now(), &mut violations);
        let range = violations.or(range)?;
        let given = |text: String| (!text.is_empty()).then_some(text);
        let state = self.state();
        let named = |id: Arc<str>| given(id.to_string());
        let filter = SpendFilter {
            customer_id: named(meant::<Customer>(&state, &request.customer_id, "customer_id")?),
            team_id: named(meant::<Team>(&state, &request.team_id, "team_id")?),
            virtual_key_id: named(meant::<VirtualKey>(&state, &request.virtual_key_id, "virtual_key_id")?),
            provider: given(request.provider),
            model: given(request.model),
        };
        let mut answer = v1::ListSpendResponse {
            from: Some(timestamp(range.from)),
            to: Some(timestamp(range.to)),
            time_zone: range.zone.name().to_owned(),
            ..v1::ListSpendResponse::default()
        };
        if after.is_none() {
            answer.total = Some(self.total(&mut spend, &range, &filter).await?.into());
            self.add_adjustments(&mut answer, &spend, &range, &filter).await?;
        }
        let (mut bytes, mut last): (usize, Option<(Timestamp, String)>) = (0, None);
        let mut cursor = after.as_ref().map_or(range.from, |(start, _)| *start);
        while let Some(first) = spend.first(cursor, range.to).await.map_err(|error| error.to_domain())? {
            let (start, end) = range.period(first);
            let state = self.state();
            let mut groups: BTreeMap<String, (v1::SpendRow, SpendAmounts)> = BTreeMap::new();
            let sums = spend.sums(start, end, &filter).await.map_err(|error| error.to_domain())?;
            for (series, amounts) in sums {
                let (key, row) = grouping.of(&series, state.config());
                let (_, sum) = groups.entry(key).or_insert((row, SpendAmounts::default()));
                *sum = sum.plus(amounts);
            }
            let is_before = |key: &String| after.as_ref().is_some_and(|(at, last)| start == *at && **key <= **last);
            for (key, (row, sum)) in groups.into_iter().filter(|(key, (_, sum))| !is_before(key) && !sum.is_zero()) {
                let row = v1::SpendRow { start: Some(timestamp(start)), amounts: Some(sum.into()), ..row };
                bytes += row.encoded_len();
                let is_full = answer.rows.len() == limit || (bytes > page::MAX_BYTES && !answer.rows.is_empty());
                if let Some((start, key)) = last.take_if(|_| is_full) {
                    answer.next_page_token = scope.token(start.as_micros(), &key);
                    return Ok(answer);
                }
                answer.rows.push(row);
                last = Some((start, key));
            }
            cursor = end;
        }
        Ok(answer)
    }

    async fn total(
        &self,
        spend: &mut SpendSnapshot,
        range: &Range,
        filter: &SpendFilter,
    ) -> Result<SpendAmounts, Error> {
        let sums = spend.sums(range.from, range.to, filter).await.map_err(|error| error.to_domain())?;
        Ok(sums.into_iter().fold(SpendAmounts::default(), |sum, (_, amounts)| sum.plus(amounts)))
    }

    async fn spend_now(&self) -> Result<SpendSnapshot, Error> {
        self.ledger.reader().spend().await.map_err(|error| error.to_domain())
    }

    pub(super) async fn unpriced(&self, request: v1::ListUnpricedRequest) -> Result<v1::ListUnpricedResponse, Error> {
        let filters = v1::ListUnpricedRequest { page_size: 0, page_token: String::new(), ..request };
        let v1::ListUnpricedRequest { from, to, page_size, page_token } = request;
        let scope = Scope::new("ListUnpriced", &filters);
        let limit = page::size(page_size)?;
        let after = scope.read(&page_token)?.map(|(_, key)| key);
        let mut spend = self.spend_now().await?;
        let mut violations = Violations::new();
        let calendar = spend.calendar().clone();
        let zone = calendar.zone.clone();
        let range = Range::new(calendar, zone, v1::SpendGranularity::Unspecified);
        let range = range.between(from.as_ref(), to.as_ref(), self.now(), &mut violations);
        let range = violations.or(range)?;
        let sums =
            spend.sums(range.from, range.to, &SpendFilter::default()).await.map_err(|error| error.to_domain())?;
        let mut models: BTreeMap<String, v1::UnpricedModel> = BTreeMap::new();
        let (state, now) = (self.state(), self.now());
        for (series, amounts) in sums {
            let model = models.entry(format!("{}\u{1}{}", series.provider, series.model));
            let model = model.or_insert_with(|| v1::UnpricedModel {
                provider: series.provider.to_string(),
                model: series.model.to_string(),
                has_price: state.config().model_price(&series.provider, &series.model, now).is_some(),
                ..v1::UnpricedModel::default()
            });
            model.requests = model.requests.saturating_add(amounts.requests);
            model.unpriced_requests = model.unpriced_requests.saturating_add(amounts.unpriced_requests);
        }
        let is_next = |key: &String| after.as_ref().is_none_or(|after| **key > **after);
        let unpriced = models.into_iter().filter(|(key, model)| is_next(key) && model.unpriced_requests > 0);
        let mut found: Vec<_> = unpriced.take(limit + 1).collect();
        let is_last = found.len() <= limit;
        found.truncate(limit);
        let next_page_token = match found.last() {
            Some((key, _)) if !is_last => scope.token(0, key),
            _ => String::new(),
        };
        Ok(v1::ListUnpricedResponse { models: found.into_iter().map(|(_, model)| model).collect(), next_page_token })
    }
}

fn parse_zone(name: &str, default: SpendZone, violations: &mut Violations) -> SpendZone {
    if name.is_empty() {
        return default;
    }
    SpendZone::named(name).unwrap_or_else(|| {
        let text = "is no time zone that the server knows; must be an IANA name, as Europe/Berlin";
        violations.add(Path::root("time_zone"), text);
        default
    })
}
