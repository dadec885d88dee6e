//! Credit, limit by limit.

use std::collections::HashMap;

use prost::Message as _;

use crate::api::Api;
use crate::api::page::{self, Scope};
use crate::counters::CounterKey;
use crate::credit::Account;
use crate::domain::{Error, LimitKind, Timestamp};
use crate::proto::v1;
use crate::state::State;
use crate::wire::{self, timestamp};

impl Api {
    pub(super) async fn credit(&self, request: v1::ListCreditRequest) -> Result<v1::ListCreditResponse, Error> {
        let filters = v1::ListCreditRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListCredit", &filters);
        let v1::ListCreditRequest { page_size, page_token, limit_id, node_id } = request;
        let limit = page::size(page_size)?;
        let after = scope.read(&page_token)?.map(|(start, place)| read_place(start, &place)).transpose()?;
        self.ledger.catch_up().await?;
        let nodes = self.fleet(None).await?;
        let (state, now) = (self.state(), self.now());
        let names: HashMap<i64, String> =
            nodes.into_iter().map(|node| (node.incarnation, node.registration.node_id)).collect();
        let name = |incarnation: i64| names.get(&incarnation).cloned().unwrap_or_default();
        let (mut limits, mut bytes, mut next_page_token) = (Vec::new(), 0, String::new());
        let mut last = None;
        for (key, _) in state.credit().pools_after(after.as_ref()) {
            let is_wanted = limit_id.is_empty() || key.limit_id.to_string() == limit_id;
            let is_held =
                |(incarnation, account): (i64, Account)| account.outstanding() > 0 && name(incarnation) == node_id;
            let by_node = node_id.is_empty() || state.credit().accounts(key).any(is_held);
            if !is_wanted || !by_node {
                continue;
            }
            let Some(rendered) = render(&state, key, now, name) else { continue };
            bytes += rendered.encoded_len();
            if let Some(last) = last
                && (limits.len() == limit || bytes > page::MAX_BYTES)
            {
                let CounterKey { limit_id, kind, window_start }: &CounterKey = last;
                let place = format!("{} {limit_id}", i32::from(wire::limit_kind(*kind)));
                next_page_token = scope.token(window_start.as_micros(), &place);
                break;
            }
            limits.push(rendered);
            last = Some(key);
        }
        Ok(v1::ListCreditResponse { limits, next_page_token })
    }
}

/// The place of a limit in a window, from a page's token.
fn read_place(start: i64, place: &str) -> Result<CounterKey, Error> {
    let (kind, limit_id) = place.split_once(' ').ok_or(Error::PageToken)?;
    let kind: Option<LimitKind> = kind.parse().ok().and_then(wire::read_limit_kind);
    let kind = kind.ok_or(Error::PageToken)?;
    Ok(CounterKey { limit_id: limit_id.into(), kind, window_start: Timestamp::from_micros(start) })
}

fn render(state: &State, key: &CounterKey, now: Timestamp, name: impl Fn(i64) -> String) -> Option<v1::LimitCredit> {
    let book = state.credit();
    let row = book.pool(key)?;
    let (max, counted, outstanding) = (row.terms.max, state.usage().get(key).used, book.outstanding(key));
    let left = max.saturating_sub(counted.saturating_add(outstanding));
    let nodes = book.accounts(key).map(|(incarnation, Account { granted, used, returned })| v1::NodeCredit {
        node_id: name(incarnation),
        incarnation,
        granted,
        used,
        returned,
    });
    let owner = state.config().limit(&key.limit_id, key.kind).map(|limit| (&limit.owner).into());
    Some(v1::LimitCredit {
        key: Some(wire::render_credit_key(key)),
        window_end: (row.terms.ends < Timestamp::MAX).then(|| timestamp(row.terms.ends)),
        owner,
        max,
        counted,
        outstanding,
        left,
        worst_possible_overshoot: left.saturating_neg().max(0),
        overshoot: counted.saturating_sub(max).max(0),
        recovering: !row.awaited.is_empty() && now < row.awaited_until,
        epoch: row.epoch,
        nodes: nodes.collect(),
        uncovered: book.uncovered(key, counted),
        granted: book.accounts(key).fold(0, |sum, (_, account)| sum.saturating_add(account.granted)),
    })
}
