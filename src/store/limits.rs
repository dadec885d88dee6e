//! Budgets and rate limits in tables, for the resources that own them. Each row names its owner in one of the owner
//! columns.

mod rows;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, QuerySelect as _, QueryTrait as _, TryGetable};

use super::cell::{self, Reading};
use super::entity::{budget, provider_key, rate_limit, virtual_key_provider_config};
use super::error::StoreError;
use super::persist::{Row, Rows, Which, each};
use super::tx::ReadTx;
use crate::domain::{Budget, LimitOwner, Limits, NanoUsd, RateDimension, RateLimit, TemporaryIncrease};
use rows::{BudgetRow, OWNER, OwnedRow, RateLimitRow};

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
    model_config_id: Option<String>,
    provider: Option<String>,
    provider_key_id: Option<String>,
}

impl Owner {
    fn of(owner: &LimitOwner) -> Self {
        match owner {
            LimitOwner::Customer(id) => Self { customer_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::Team(id) => Self { team_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::VirtualKey(id) => Self { virtual_key_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::ProviderConfig(id) => Self { provider_config_id: Some(*id), ..Self::default() },
            LimitOwner::ModelConfig(id) => Self { model_config_id: Some(id.to_string()), ..Self::default() },
            LimitOwner::Provider(id) => Self { provider: Some(id.to_string()), ..Self::default() },
            LimitOwner::ProviderKey(id) => Self { provider_key_id: Some(id.to_string()), ..Self::default() },
        }
    }
}

/// Lays out the limits of `owner`, unless they are those of `other`.
pub(super) fn lay(owner: &LimitOwner, limits: &Limits, other: Option<&Limits>, rows: &mut Rows) {
    if limits.is_empty() || other == Some(limits) {
        return;
    }
    let owner = Owner::of(owner);
    rows.budget.extend(limits.budgets.iter().zip(0..).map(|(budget, ord)| {
        let Owner {
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            model_config_id,
            provider,
            provider_key_id,
        } = owner.clone();
        let Budget {
            id,
            max_limit,
            temporary_increase,
            reset_duration,
            enforcement,
            reserve,
            alert_percents,
            usage_reset_at,
            anchor,
            created_at,
            updated_at,
        } = budget;
        let increase = temporary_increase.as_deref();
        budget::Model {
            id: id.to_string(),
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            model_config_id,
            provider,
            provider_key_id,
            ord,
            max_limit_nano_usd: max_limit.nanos(),
            temporary_increase_nano_usd: increase.map(|increase| increase.amount.nanos()),
            temporary_increase_until: increase.map(|increase| increase.until.as_micros()),
            reset_duration: reset_duration.to_string(),
            alert_percents: cell::alert_percents(alert_percents),
            anchor: anchor.as_micros(),
            enforcement: enforcement.name().to_owned(),
            reserve: reserve.name().to_owned(),
            usage_reset_at: usage_reset_at.as_deref().map(|at| at.as_micros()),
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
        }
    }));
    rows.rate_limit.extend(limits.rate_limits.iter().zip(0..).map(|(rate, ord)| {
        let Owner {
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            model_config_id,
            provider,
            provider_key_id,
        } = owner.clone();
        let RateLimit { id, token, request, concurrent, enforcement, reserve, .. } = rate;
        let RateLimit { alert_percents, usage_reset_at, created_at, updated_at, .. } = rate;
        rate_limit::Model {
            id: id.to_string(),
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            model_config_id,
            provider,
            provider_key_id,
            ord,
            token_max_limit: token.as_ref().map(|token| token.max_limit),
            token_reset_duration: token.as_ref().map(|token| token.reset_duration.to_string()),
            token_anchor: token.as_ref().map(|token| token.anchor.as_micros()),
            request_max_limit: request.as_ref().map(|request| request.max_limit),
            request_reset_duration: request.as_ref().map(|request| request.reset_duration.to_string()),
            request_anchor: request.as_ref().map(|request| request.anchor.as_micros()),
            concurrent_request_max_limit: *concurrent,
            enforcement: enforcement.name().to_owned(),
            reserve: reserve.name().to_owned(),
            usage_reset_at: usage_reset_at.as_deref().map(|at| at.as_micros()),
            alert_percents: cell::alert_percents(alert_percents),
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
        }
    }));
}

/// Limits that were read, by their owners, to be taken by these.
pub(super) struct Owned<K>(HashMap<K, Parts>);

#[derive(Default)]
struct Parts {
    budgets: Vec<(i32, Budget)>,
    rate_limits: Vec<(i32, RateLimit)>,
}

impl<K: Eq + Hash + fmt::Debug> Owned<K> {
    /// The limits of `owner`, whose row is being read.
    pub(super) fn of<Q: Eq + Hash + ?Sized>(&mut self, reading: Reading<'_>, owner: &Q) -> Result<Limits, StoreError>
    where
        K: Borrow<Q>,
    {
        let Parts { budgets, rate_limits } = self.0.remove(owner).unwrap_or_default();
        let budgets = reading.in_order(budgets)?.collect();
        Ok(Limits { budgets, rate_limits: reading.in_order(rate_limits)?.collect() })
    }

    /// To be called when all owners have taken theirs: what is left belongs to nobody.
    pub(super) fn finish(self) -> Result<(), StoreError> {
        let Some((owner, Parts { budgets, rate_limits })) = self.0.into_iter().next() else { return Ok(()) };
        let why = format!("the owner {owner:?} does not exist");
        Err(match (budgets.first(), rate_limits.first()) {
            (Some((_, budget)), _) => StoreError::corrupt("budget", &budget.id, why),
            (None, Some((_, rate_limit))) => StoreError::corrupt("rate_limit", &rate_limit.id, why),
            (None, None) => StoreError::corrupt("budget", "", why),
        })
    }
}

/// Which limits to read: the column of the owner in both tables, and what it must be.
pub(super) struct Of {
    budget: budget::Column,
    rate_limit: rate_limit::Column,
    owned: fn(&Of, Which<'_>) -> [Expr; 2],
}

impl Of {
    /// Those of customers.
    pub(super) const CUSTOMERS: Self =
        Self { budget: budget::Column::CustomerId, rate_limit: rate_limit::Column::CustomerId, owned: Self::directly };
    /// Those of teams.
    pub(super) const TEAMS: Self =
        Self { budget: budget::Column::TeamId, rate_limit: rate_limit::Column::TeamId, owned: Self::directly };
    /// Those of virtual keys themselves.
    pub(super) const VIRTUAL_KEYS: Self = Self {
        budget: budget::Column::VirtualKeyId,
        rate_limit: rate_limit::Column::VirtualKeyId,
        owned: Self::directly,
    };
    /// Those of the provider configs of virtual keys.
    pub(super) const PROVIDER_CONFIGS: Self = Self {
        budget: budget::Column::ProviderConfigId,
        rate_limit: rate_limit::Column::ProviderConfigId,
        owned: Self::through_virtual_keys,
    };
    /// Those of model configs.
    pub(super) const MODEL_CONFIGS: Self = Self {
        budget: budget::Column::ModelConfigId,
        rate_limit: rate_limit::Column::ModelConfigId,
        owned: Self::directly,
    };
    /// Those of providers.
    pub(super) const PROVIDERS: Self =
        Self { budget: budget::Column::Provider, rate_limit: rate_limit::Column::Provider, owned: Self::directly };
    /// Those of the keys of providers.
    pub(super) const PROVIDER_KEYS: Self = Self {
        budget: budget::Column::ProviderKeyId,
        rate_limit: rate_limit::Column::ProviderKeyId,
        owned: Self::through_providers,
    };

    fn directly(&self, which: Which<'_>) -> [Expr; 2] {
        [which.owned(self.budget), which.owned(self.rate_limit)]
    }

    fn through_virtual_keys(&self, which: Which<'_>) -> [Expr; 2] {
        use virtual_key_provider_config::{Column, Entity};
        self.through::<Entity>(which, Column::VirtualKeyId, Column::Id)
    }

    fn through_providers(&self, which: Which<'_>) -> [Expr; 2] {
        use provider_key::{Column, Entity};
        self.through::<Entity>(which, Column::Provider, Column::Id)
    }

    /// Those of the parts with an `id` that belong to the resources.
    fn through<E: EntityTrait>(&self, which: Which<'_>, belongs_to: E::Column, id: E::Column) -> [Expr; 2] {
        match which {
            Which::All => self.directly(which),
            Which::These(_) | Which::Range(_) => {
                let ids = which.select::<E>(belongs_to).select_only().column(id).into_query();
                [self.budget.in_subquery(ids.clone()), self.rate_limit.in_subquery(ids)]
            }
        }
    }
}

/// Reads limits, by the values of their owner column.
pub(super) async fn fetch<K>(tx: &ReadTx, of: Of, which: Which<'_>) -> Result<Owned<K>, StoreError>
where
    K: TryGetable + Eq + Hash + Send,
{
    let mut limits: HashMap<K, Parts> = HashMap::new();
    let [budgets, rate_limits] = (of.owned)(&of, which);
    let select = budget::Entity::find()
        .select_only()
        .columns(BudgetRow::COLUMNS)
        .column_as(of.budget, OWNER)
        .filter(budgets)
        .into_model::<OwnedRow<K, BudgetRow>>();
    each(tx, "budget", select, |OwnedRow { owner, row }| {
        let reading = Reading { table: "budget", id: &row.id };
        let budget = Budget {
            id: row.id.as_str().into(),
            max_limit: NanoUsd::from_nanos(reading.limit(row.max_limit_nano_usd)?),
            temporary_increase: temporary_increase(
                reading,
                row.temporary_increase_nano_usd,
                row.temporary_increase_until,
            )?,
            reset_duration: reading.duration(&row.reset_duration)?,
            enforcement: reading.enforcement(&row.enforcement)?,
            reserve: reading.reserve(&row.reserve)?,
            alert_percents: reading.alert_percents(row.alert_percents.as_deref())?,
            usage_reset_at: row.usage_reset_at.map(|at| reading.time(at)).transpose()?.map(Box::new),
            anchor: reading.time(row.anchor)?,
            created_at: reading.time(row.created_at)?,
            updated_at: reading.time(row.updated_at)?,
        };
        limits.entry(owner).or_default().budgets.push((row.ord, budget));
        Ok(())
    })
    .await?;
    let select = rate_limit::Entity::find()
        .select_only()
        .columns(RateLimitRow::COLUMNS)
        .column_as(of.rate_limit, OWNER)
        .filter(rate_limits)
        .into_model::<OwnedRow<K, RateLimitRow>>();
    each(tx, "rate_limit", select, |OwnedRow { owner, row }| {
        let reading = Reading { table: "rate_limit", id: &row.id };
        let token = dimension(reading, row.token_max_limit, row.token_reset_duration, row.token_anchor)?;
        let request = dimension(reading, row.request_max_limit, row.request_reset_duration, row.request_anchor)?;
        let concurrent = row.concurrent_request_max_limit.map(|max| reading.limit(max)).transpose()?;
        if token.is_none() && request.is_none() && concurrent.is_none() {
            return Err(reading.corrupt("it limits nothing"));
        }
        let rate_limit = RateLimit {
            id: row.id.as_str().into(),
            token,
            request,
            concurrent,
            enforcement: reading.enforcement(&row.enforcement)?,
            reserve: reading.reserve(&row.reserve)?,
            alert_percents: reading.alert_percents(row.alert_percents.as_deref())?,
            usage_reset_at: row.usage_reset_at.map(|at| reading.time(at)).transpose()?.map(Box::new),
            created_at: reading.time(row.created_at)?,
            updated_at: reading.time(row.updated_at)?,
        };
        limits.entry(owner).or_default().rate_limits.push((row.ord, rate_limit));
        Ok(())
    })
    .await?;
    Ok(Owned(limits))
}

/// Whether a limit belongs to a provider config or a provider key that does not exist: who reads those by their keys does
/// not meet such.
pub(super) async fn find_stray(tx: &ReadTx) -> Result<(), StoreError> {
    use virtual_key_provider_config::Column as ConfigColumn;
    stray::<virtual_key_provider_config::Entity, i64>(tx, &Of::PROVIDER_CONFIGS, ConfigColumn::Id).await?;
    stray::<provider_key::Entity, String>(tx, &Of::PROVIDER_KEYS, provider_key::Column::Id).await
}

/// Whether a limit belongs to a part that does not exist, which has the `id` that the limit names.
async fn stray<E: EntityTrait, K: TryGetable + fmt::Debug + Send>(
    tx: &ReadTx,
    of: &Of,
    id: E::Column,
) -> Result<(), StoreError> {
    let without = |owner: Expr| {
        let part = E::find().filter(Expr::col((E::default(), id)).eq(owner.clone())).into_query();
        owner.is_not_null().and(Expr::exists(part).not())
    };
    let found = |table: &'static str, id: String, owner: K| {
        Err(StoreError::corrupt(table, id, format!("the owner {owner:?} does not exist")))
    };
    let select = budget::Entity::find()
        .select_only()
        .columns(BudgetRow::COLUMNS)
        .column_as(of.budget, OWNER)
        .filter(without(Expr::col((budget::Entity, of.budget))))
        .limit(1)
        .into_model::<OwnedRow<K, BudgetRow>>();
    each(tx, "budget", select, |OwnedRow { owner, row }| found("budget", row.id, owner)).await?;
    let select = rate_limit::Entity::find()
        .select_only()
        .columns(RateLimitRow::COLUMNS)
        .column_as(of.rate_limit, OWNER)
        .filter(without(Expr::col((rate_limit::Entity, of.rate_limit))))
        .limit(1)
        .into_model::<OwnedRow<K, RateLimitRow>>();
    each(tx, "rate_limit", select, |OwnedRow { owner, row }| found("rate_limit", row.id, owner)).await
}

fn temporary_increase(
    reading: Reading<'_>,
    amount: Option<i64>,
    until: Option<i64>,
) -> Result<Option<Box<TemporaryIncrease>>, StoreError> {
    match (amount, until) {
        (None, None) => Ok(None),
        (Some(amount), Some(until)) => {
            let (amount, until) = (NanoUsd::from_nanos(reading.limit(amount)?), reading.time(until)?);
            Ok(Some(Box::new(TemporaryIncrease { amount, until })))
        }
        _ => Err(reading.corrupt("an increase has no amount or no end")),
    }
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
            reset_duration: match reading.duration(&reset_duration)? {
                never if never.is_never() => return Err(reading.corrupt("a window of a rate limit never ends")),
                duration => duration,
            },
            anchor: reading.time(anchor)?,
        })),
        _ => Err(reading.corrupt("a dimension has some of its columns only")),
    }
}
