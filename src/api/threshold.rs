//! The list of limits that reached a threshold.

use prost::Message as _;

use super::Api;
use super::limits::OwnerFilters;
use super::page::{self, Scope};
use crate::domain::Error;
use crate::proto::v1;
use crate::state::Crossing;
use crate::wire;

impl Api {
    pub(super) async fn threshold_events(
        &self,
        request: v1::ListThresholdEventsRequest,
    ) -> Result<v1::ListThresholdEventsResponse, Error> {
        let filters = v1::ListThresholdEventsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListThresholdEvents", &filters);
        let v1::ListThresholdEventsRequest {
            page_size,
            page_token,
            provider_config_id,
            virtual_key_id,
            team_id,
            customer_id,
            model_config_id,
            provider,
            provider_key_id,
        } = request;
        let limit = page::size(page_size)?;
        let after = match scope.read(&page_token)? {
            None => None,
            Some((version, percent)) => Some((version, percent.parse().map_err(|_| Error::PageToken)?)),
        };
        let state = self.state();
        let filters = OwnerFilters {
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            model_config_id,
            provider,
            provider_key_id,
        };
        let owners = filters.owners(&state)?;
        let (owner, others) = owners.split_first().map_or((None, &[][..]), |(owner, others)| (Some(owner), others));
        // A limit has one owner: two different ones match nothing.
        let mut found = match others.iter().all(|other| Some(other) == owner) {
            true => self.ledger.reader().list_crossings(owner, after, limit as u64 + 1).await,
            false => Ok(Vec::new()),
        }
        .map_err(|error| error.to_domain())?;
        let mut more = found.len() > limit;
        found.truncate(limit);
        let (mut events, mut bytes, mut last) = (Vec::with_capacity(found.len()), 0, None);
        for crossing in found {
            let place = (crossing.version, crossing.percent);
            let event = render(crossing);
            bytes += event.encoded_len();
            if bytes > page::MAX_BYTES && !events.is_empty() {
                more = true;
                break;
            }
            events.push(event);
            last = Some(place);
        }
        let next_page_token = match last {
            Some((version, percent)) if more => scope.token(version, &percent.to_string()),
            _ => String::new(),
        };
        Ok(v1::ListThresholdEventsResponse { events, next_page_token })
    }
}

fn render(crossing: Crossing) -> v1::ThresholdEvent {
    let Crossing { key, owner, percent, used, max, version: _, crossed_at } = crossing;
    v1::ThresholdEvent {
        limit_id: key.limit_id.to_string(),
        kind: wire::limit_kind(key.kind).into(),
        owner: Some((&owner).into()),
        percent,
        window_start: Some(wire::timestamp(key.window_start)),
        used,
        max,
        crossed_at: Some(wire::timestamp(crossed_at)),
    }
}
