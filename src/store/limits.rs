//! Budgets and rate limits in tables, for the resources that own them. Each row names its owner in one of the owner
//! columns.

use std::collections::HashMap;

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ColumnTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _, QueryTrait as _};

use super::cell::Reading;
use super::entity::{budget, rate_limit, virtual_key_provider_config};
use super::error::StoreError;
use super::persist::{Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{Budget, Id, LimitOwner, Limits, NanoUsd, RateDimension, RateLimit};

impl Row for budget::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Row for rate_limit::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

/// The owner columns of a row.
#[derive(Clone, Default)]
struct Owner {
    customer_id: Option<String>,
    team_id: Option<String>,
    virtual_key_id: Option<String>,
    provider_config_id: Option<i64>,
}

impl Owner {
    fn of(owner: &LimitOwner) -> Self {
        match owner {
            LimitOwner::Customer(id) => Self { customer_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::Team(id) => Self { team_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::VirtualKey(id) => Self { virtual_key_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::ProviderConfig(id) => Self { provider_config_id: Some(*id), ..Self::default() },
        }
    }
}

/// Lays out the limits of `owner`.
pub(super) fn lay(owner: &LimitOwner, limits: &Limits, rows: &mut Rows) {
    if limits.budgets.is_empty() && limits.rate_limit.is_none() {
        return;
    }
    let owner = Owner::of(owner);
    rows.budget.extend(limits.budgets.iter().zip(0..).map(|(budget, ord)| {
        let Owner { customer_id, team_id, virtual_key_id, provider_config_id } = owner.clone();
        let Budget { id, max_limit, reset_duration, anchor, created_at, updated_at } = budget;
        budget::Model {
            id: id.to_string(),
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            ord,
            max_limit_nano_usd: max_limit.nanos(),
            reset_duration: reset_duration.to_string(),
            anchor: anchor.as_micros(),
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
        }
    }));
    rows.rate_limit.extend(limits.rate_limit.iter().map(|rate_limit| {
        let Owner { customer_id, team_id, virtual_key_id, provider_config_id } = owner.clone();
        let RateLimit { id, token, request, created_at, updated_at } = rate_limit.as_ref();
        rate_limit::Model {
            id: id.to_string(),
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            token_max_limit: token.as_ref().map(|token| token.max_limit),
            token_reset_duration: token.as_ref().map(|token| token.reset_duration.to_string()),
            token_anchor: token.as_ref().map(|token| token.anchor.as_micros()),
            request_max_limit: request.as_ref().map(|request| request.max_limit),
            request_reset_duration: request.as_ref().map(|request| request.reset_duration.to_string()),
            request_anchor: request.as_ref().map(|request| request.anchor.as_micros()),
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
        }
    }));
}

/// Which kind of resource owns limits.
#[derive(Clone, Copy)]
pub(super) enum OwnerKind {
    /// Customers.
    Customer,
    /// Teams.
    Team,
    /// Virtual keys, and their provider configs.
    VirtualKey,
}

/// Limits that were read, by their owners, to be taken by these.
#[derive(Default)]
pub(super) struct Owned {
    of_resource: HashMap<String, Parts>,
    of_provider_config: HashMap<i64, Parts>,
}

#[derive(Default)]
struct Parts {
    budgets: Vec<(i32, Budget)>,
    rate_limit: Option<RateLimit>,
}

impl Parts {
    fn join(self) -> Limits {
        let Self { mut budgets, rate_limit } = self;
        budgets.sort_by_key(|(ord, _)| *ord);
        Limits {
            budgets: budgets.into_iter().map(|(_, budget)| budget).collect(),
            rate_limit: rate_limit.map(Box::new),
        }
    }
}

impl Owned {
    /// The limits of the resource.
    pub(super) fn of_resource(&mut self, id: &str) -> Limits {
        self.of_resource.remove(id).map(Parts::join).unwrap_or_default()
    }

    /// The limits of the provider config.
    pub(super) fn of_provider_config(&mut self, id: i64) -> Limits {
        self.of_provider_config.remove(&id).map(Parts::join).unwrap_or_default()
    }

    /// To be called when all owners have taken theirs: what is left belongs to nobody.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let configs = self.of_provider_config.into_iter().map(|(owner, parts)| (owner.to_string(), parts));
        match self.of_resource.into_iter().chain(configs).next() {
            None => Ok(()),
            Some((owner, Parts { budgets, rate_limit })) => {
                let why = format!("the owner {owner:?} does not exist");
                Err(match (budgets.first(), rate_limit) {
                    (Some((_, budget)), _) => StoreError::corrupt("budget", &budget.id, why),
                    (None, rate_limit) => {
                        StoreError::corrupt("rate_limit", rate_limit.map_or(String::new(), |it| it.id.to_string()), why)
                    }
                })
            }
        }
    }

    fn parts(&mut self, reading: Reading<'_>, kind: OwnerKind, owner: Owner) -> Result<&mut Parts, StoreError> {
        let Owner { customer_id, team_id, virtual_key_id, provider_config_id } = owner;
        let resource = match kind {
            OwnerKind::Customer => customer_id,
            OwnerKind::Team => team_id,
            OwnerKind::VirtualKey => virtual_key_id,
        };
        match (resource, provider_config_id) {
            (Some(id), _) => Ok(self.of_resource.entry(id).or_default()),
            (None, Some(id)) => Ok(self.of_provider_config.entry(id).or_default()),
            (None, None) => Err(reading.corrupt("it has no owner")),
        }
    }
}

/// Whether a limit belongs to one of the resources; the columns are those of its table.
fn owned<C: ColumnTrait>(
    kind: OwnerKind,
    which: Which<'_>,
    [customer_id, team_id, virtual_key_id, provider_config_id]: [C; 4],
) -> sea_orm::Condition {
    let owned = sea_orm::Condition::any();
    match kind {
        OwnerKind::Customer => owned.add(which.owned(customer_id)),
        OwnerKind::Team => owned.add(which.owned(team_id)),
        OwnerKind::VirtualKey => owned
            .add(which.owned(virtual_key_id))
            .add(which.owned_through(provider_config_id, provider_config_ids(which))),
    }
}

/// The ids of the provider configs of the virtual keys.
fn provider_config_ids(which: Which<'_>) -> SelectStatement {
    use virtual_key_provider_config::Column;
    which
        .select::<virtual_key_provider_config::Entity>(Column::VirtualKeyId)
        .select_only()
        .column(Column::Id)
        .into_query()
}

/// Reads the limits of resources of a kind.
pub(super) async fn fetch(tx: &ReadTx, kind: OwnerKind, which: Which<'_>) -> Result<Owned, StoreError> {
    let mut limits = Owned::default();
    {
        use budget::Column::{CustomerId, ProviderConfigId, TeamId, VirtualKeyId};
        let of = owned(kind, which, [CustomerId, TeamId, VirtualKeyId, ProviderConfigId]);
        for row in rows(tx, budget::Entity::find().filter(of)).await? {
            let reading = Reading { table: "budget", id: &row.id };
            let budget = Budget {
                id: Id::new(row.id.as_str()),
                max_limit: NanoUsd::from_nanos(reading.limit(row.max_limit_nano_usd)?),
                reset_duration: reading.duration(&row.reset_duration)?,
                anchor: reading.time(row.anchor)?,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
            };
            let owner = Owner {
                customer_id: row.customer_id,
                team_id: row.team_id,
                virtual_key_id: row.virtual_key_id,
                provider_config_id: row.provider_config_id,
            };
            limits.parts(reading, kind, owner)?.budgets.push((row.ord, budget));
        }
    }
    {
        use rate_limit::Column::{CustomerId, ProviderConfigId, TeamId, VirtualKeyId};
        let of = owned(kind, which, [CustomerId, TeamId, VirtualKeyId, ProviderConfigId]);
        for row in rows(tx, rate_limit::Entity::find().filter(of)).await? {
            let reading = Reading { table: "rate_limit", id: &row.id };
            let token = dimension(reading, row.token_max_limit, row.token_reset_duration, row.token_anchor)?;
            let request = dimension(reading, row.request_max_limit, row.request_reset_duration, row.request_anchor)?;
            if token.is_none() && request.is_none() {
                return Err(reading.corrupt("it limits nothing"));
            }
            let rate_limit = RateLimit {
                id: Id::new(row.id.as_str()),
                token,
                request,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
            };
            let owner = Owner {
                customer_id: row.customer_id,
                team_id: row.team_id,
                virtual_key_id: row.virtual_key_id,
                provider_config_id: row.provider_config_id,
            };
            let parts = limits.parts(reading, kind, owner)?;
            if parts.rate_limit.replace(rate_limit).is_some() {
                return Err(reading.corrupt("its owner has another one"));
            }
        }
    }
    Ok(limits)
}

fn dimension(
    reading: Reading<'_>,
    max_limit: Option<i64>,
    reset_duration: Option<String>,
    anchor: Option<i64>,
) -> Result<Option<RateDimension>, StoreError> {
    match (max_limit, reset_duration, anchor) {
        (None, None, None) => Ok(None),
        (Some(max_limit), Some(reset_duration), Some(anchor)) => Ok(Some(RateDimension {
            max_limit: reading.limit(max_limit)?,
            reset_duration: reading.duration(&reset_duration)?,
            anchor: reading.time(anchor)?,
        })),
        _ => Err(reading.corrupt("a dimension has some of its columns only")),
    }
}
