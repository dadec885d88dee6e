//! Corrections of what limits counted, beside spend.

use prost::Message as _;

use super::Range;
use crate::api::{Api, page};
use crate::config::Config;
use crate::domain::{Error, Team};
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;
use crate::store::{LoggedChange, SpendFilter, SpendSnapshot};
use crate::wire;

/// The most that are listed.
const MOST: usize = 500;
/// The most bytes of them, beside which a page of spend still fits into a message.
const MOST_BYTES: usize = page::MAX_BYTES / 2;

impl Api {
    /// Adds to `answer` what was corrected in its range.
    pub(super) async fn add_adjustments(
        &self,
        answer: &mut v1::ListSpendResponse,
        spend: &SpendSnapshot,
        range: &Range,
        filter: &SpendFilter,
    ) -> Result<(), Error> {
        let state = self.state();
        let (mut bytes, mut before) = (0, None);
        loop {
            let found =
                spend.adjustments(range.from, range.to, before, MOST).await.map_err(|error| error.to_domain())?;
            let is_last = found.len() < MOST;
            before = found.last().map(|logged| logged.txn.revision);
            for logged in found {
                let Some(listed) = listed(logged, state.config(), filter)? else { continue };
                bytes += listed.encoded_len();
                if answer.adjustments.len() == MOST || bytes > MOST_BYTES {
                    answer.more_adjustments = true;
                    return Ok(());
                }
                answer.adjustments.push(listed);
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// A correction as it is listed; `None` if it is not asked for.
fn listed(logged: LoggedChange, config: &Config, filter: &SpendFilter) -> Result<Option<v1::SpendAdjustment>, Error> {
    let LoggedChange { txn, ord: _, row } = logged;
    let unreadable =
        |error| Error::Internal(format!("the correction of revision {} cannot be read: {error}", txn.revision));
    if *filter != SpendFilter::default() {
        let owner = row.after.map(|body| v1::ConfigResource::decode(body.bytes())).transpose().map_err(unreadable)?;
        if !owner.and_then(|it| it.resource).is_some_and(|owner| matches(&owner, config, filter)) {
            return Ok(None);
        }
    }
    let adjustment = txn.adjustment.clone().map(v1::UsageAdjustment::decode).transpose().map_err(unreadable)?;
    Ok(Some(v1::SpendAdjustment {
        commit_time: Some(wire::timestamp(txn.committed_at)),
        revision: txn.revision,
        actor: txn.actor,
        owner: Some(v1::ResourceKey { kind: wire::kind(row.kind).into(), id: row.id.to_string() }),
        adjustment,
    }))
}

/// Whether all that is asked for is said of the owner of a limit.
fn matches(owner: &Resource, config: &Config, filter: &SpendFilter) -> bool {
    let is_of_team = |id: &str| Some(id) == filter.team_id.as_deref();
    let is_of_customer = |id: &str| Some(id) == filter.customer_id.as_deref();
    let team_of_customer = |id: &str| {
        let team = config.get::<Team>(id).and_then(|team| team.resource.customer_id.as_ref());
        team.is_some_and(|customer| is_of_customer(customer.as_str()))
    };
    // Customer, team, virtual key, provider, model.
    let said = match owner {
        Resource::Customer(it) => [is_of_customer(&it.id), false, false, false, false],
        Resource::Team(it) => [is_of_customer(&it.customer_id), is_of_team(&it.id), false, false, false],
        Resource::VirtualKey(it) => [
            is_of_customer(&it.customer_id) || team_of_customer(&it.team_id),
            is_of_team(&it.team_id),
            Some(&it.id) == filter.virtual_key_id.as_ref(),
            false,
            false,
        ],
        Resource::ProviderGovernance(it) => {
            [false, false, false, Some(&it.provider) == filter.provider.as_ref(), false]
        }
        Resource::Provider(it) => [false, false, false, Some(&it.name) == filter.provider.as_ref(), false],
        Resource::ModelConfig(it) => {
            let of_provider = Some(&it.provider) == filter.provider.as_ref();
            [false, false, false, of_provider, Some(&it.model_name) == filter.model.as_ref()]
        }
        Resource::RoutingRule(_)
        | Resource::PricingOverride(_)
        | Resource::McpClient(_)
        | Resource::ModelPrice(_)
        | Resource::Webhook(_)
        | Resource::Token(_) => [false; 5],
    };
    let SpendFilter { customer_id, team_id, virtual_key_id, provider, model } = filter;
    let asked = [customer_id, team_id, virtual_key_id, provider, model];
    asked.into_iter().zip(said).all(|(asked, said)| asked.is_none() || said)
}
