//! Budgets and rate limits, as lists over all owners.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::Statuses;
use super::crud::respond;
use super::page::{self, Scope};
use super::view::measure;
use crate::config::LimitPlace;
use crate::counters::owned_limits;
use crate::domain::{
    AnyResource, Budget, Calendar, Customer, Error, Id, LimitId, LimitOwner, Limits, ModelConfig, Provider,
    ProviderGovernance, RateLimit, ResourceKey, Team, Timestamp, VirtualKey,
};
use crate::proto::v1;
use crate::proto::v1::budget_service_server::BudgetService;
use crate::proto::v1::rate_limit_service_server::RateLimitService;
use crate::state::{self, Page, Query, State};
use crate::store::Persist;
use crate::wire::{Form, render_budget, render_rate_limit};

/// The owners that a list names: its filters on whose the limits are. What is empty does not filter.
pub(super) struct OwnerFilters {
    pub(super) customer_id: String,
    pub(super) team_id: String,
    pub(super) virtual_key_id: String,
    pub(super) provider_config_id: i64,
    pub(super) model_config_id: String,
    pub(super) provider: String,
    pub(super) provider_key_id: String,
}

impl OwnerFilters {
    /// All that are named.
    pub(super) fn owners(self, state: &State) -> Result<Vec<LimitOwner>, Error> {
        let Self {
            customer_id,
            team_id,
            virtual_key_id,
            provider_config_id,
            model_config_id,
            provider,
            provider_key_id,
        } = self;
        let mut owners = Vec::new();
        if provider_config_id != 0 {
            owners.push(LimitOwner::ProviderConfig(provider_config_id));
        }
        if !virtual_key_id.is_empty() {
            let id = state::meant::<VirtualKey>(state, &virtual_key_id, "virtual_key_id")?;
            owners.push(LimitOwner::VirtualKey(Id::new(id)));
        }
        if !team_id.is_empty() {
            owners.push(LimitOwner::Team(Id::new(state::meant::<Team>(state, &team_id, "team_id")?)));
        }
        if !customer_id.is_empty() {
            owners.push(LimitOwner::Customer(Id::new(state::meant::<Customer>(state, &customer_id, "customer_id")?)));
        }
        if !model_config_id.is_empty() {
            owners.push(LimitOwner::ModelConfig(Id::new(model_config_id)));
        }
        if !provider.is_empty() {
            owners.push(LimitOwner::Provider(Id::new(provider)));
        }
        if !provider_key_id.is_empty() {
            owners.push(LimitOwner::ProviderKey(provider_key_id.into()));
        }
        Ok(owners)
    }
}

impl Api {
    /// The limits of `page` as the tables have them.
    async fn reread<L>(
        &self,
        page: Page<(LimitPlace, Option<Calendar>, L)>,
        find: impl Fn(&Limits, &L) -> Option<L>,
    ) -> Result<Page<(LimitPlace, Option<Calendar>, L)>, Error> {
        let Page { items, more, total } = page;
        let wanted: BTreeSet<ResourceKey> = items.iter().map(|(place, ..)| place.resource()).collect();
        let mut read: HashMap<ResourceKey, AnyResource> = HashMap::new();
        self.read_all::<Customer>(&wanted, &mut read).await?;
        self.read_all::<Team>(&wanted, &mut read).await?;
        self.read_all::<VirtualKey>(&wanted, &mut read).await?;
        self.read_all::<ModelConfig>(&wanted, &mut read).await?;
        self.read_all::<ProviderGovernance>(&wanted, &mut read).await?;
        self.read_all::<Provider>(&wanted, &mut read).await?;
        let state = self.state();
        let items = items
            .into_iter()
            .filter_map(|(place, _, limit)| {
                let any = read.get(&place.resource())?;
                let mut owned = owned_limits(any).into_iter();
                let (_, limits) = owned.find(|(owner, _)| *owner == place.owner())?;
                // Whom the owner belongs to is as memory has it.
                let calendar = state.config().calendar(any).cloned();
                let limit = find(limits, &limit)?;
                Some((place, calendar, limit))
            })
            .collect();
        Ok(Page { items, more, total })
    }

    /// Reads those of the `wanted` resources that are of kind `R`.
    async fn read_all<R: Persist>(
        &self,
        wanted: &BTreeSet<ResourceKey>,
        read: &mut HashMap<ResourceKey, AnyResource>,
    ) -> Result<(), Error> {
        let ids: Vec<Id<R>> =
            wanted.iter().filter(|key| key.kind == R::KIND).map(|key| Id::new(Arc::clone(&key.id))).collect();
        let (_, found) = self.ledger.reader().read::<R>(&ids).await.map_err(|error| error.to_domain())?;
        read.extend(found.into_iter().map(|stored| (ResourceKey::of(&stored.id), R::wrap(Arc::new(stored)))));
        Ok(())
    }
}

/// A page of messages, cut at the size of a page.
fn cut<L, M: Message>(
    page: Page<(LimitPlace, Option<Calendar>, L)>,
    scope: Scope,
    key: impl Fn(&L) -> (Timestamp, LimitId),
    render: impl Fn(&L, &LimitOwner, Option<&Calendar>) -> M,
) -> (Vec<M>, String, i32) {
    let (mut messages, mut bytes, mut more, mut last) = (Vec::with_capacity(page.items.len()), 0, page.more, None);
    for (place, calendar, limit) in &page.items {
        let message = render(limit, &place.owner(), calendar.as_ref());
        bytes += message.encoded_len();
        if bytes > page::MAX_BYTES && !messages.is_empty() {
            more = true;
            break;
        }
        messages.push(message);
        last = Some(key(limit));
    }
    let token = match last {
        Some((created_at, id)) if more => scope.token(created_at.as_micros(), &id.to_string()),
        _ => String::new(),
    };
    (messages, token, i32::try_from(page.total).unwrap_or(i32::MAX))
}

impl Api {
    async fn budgets(&self, request: v1::ListBudgetsRequest) -> Result<v1::ListBudgetsResponse, Error> {
        let filters = v1::ListBudgetsRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListBudgets", &filters);
        let v1::ListBudgetsRequest {
            page_size,
            page_token,
            from_memory,
            view: _,
            provider_config_id,
            virtual_key_id,
            team_id,
            customer_id,
            model_config_id,
            provider,
            provider_key_id,
        } = request;
        let query =
            Query { after: scope.read_created(&page_token)?, limit: page::size(page_size)?, ..Query::default() };
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
        let mut page = state.list_budgets(&owners, &query);
        if !from_memory {
            let find = |limits: &Limits, wanted: &Budget| limits.budgets.iter().find(|b| b.id == wanted.id).cloned();
            page = self.reread(page, find).await?;
        }
        let form = Form::Answer(self.now());
        let (budgets, next_page_token, total_size) = cut(
            page,
            scope,
            |budget| (budget.created_at, budget.id.clone()),
            |budget, owner, calendar| {
                let mut message = render_budget(budget, owner, calendar, form);
                measure(&state, std::slice::from_mut(&mut message), &mut []);
                message
            },
        );
        Ok(v1::ListBudgetsResponse { budgets, next_page_token, total_size })
    }

    async fn rate_limits(&self, request: v1::ListRateLimitsRequest) -> Result<v1::ListRateLimitsResponse, Error> {
        let filters = v1::ListRateLimitsRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListRateLimits", &filters);
        let v1::ListRateLimitsRequest {
            page_size,
            page_token,
            from_memory,
            view: _,
            provider_config_id,
            virtual_key_id,
            team_id,
            customer_id,
            model_config_id,
            provider,
            provider_key_id,
        } = request;
        let query =
            Query { after: scope.read_created(&page_token)?, limit: page::size(page_size)?, ..Query::default() };
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
        let mut page = state.list_rate_limits(&owners, &query);
        if !from_memory {
            let find =
                |limits: &Limits, wanted: &RateLimit| limits.rate_limits.iter().find(|it| it.id == wanted.id).cloned();
            page = self.reread(page, find).await?;
        }
        let form = Form::Answer(self.now());
        let (rate_limits, next_page_token, total_size) = cut(
            page,
            scope,
            |limit| (limit.created_at, limit.id.clone()),
            |limit, owner, calendar| {
                let mut message = render_rate_limit(limit, owner, calendar, form);
                measure(&state, &mut [], std::slice::from_mut(&mut message));
                message
            },
        );
        Ok(v1::ListRateLimitsResponse { rate_limits, next_page_token, total_size })
    }
}

#[tonic::async_trait]
impl BudgetService for Api {
    async fn list_budgets(
        &self,
        request: Request<v1::ListBudgetsRequest>,
    ) -> Result<Response<v1::ListBudgetsResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.budgets(request.into_inner()).await, &statuses)
    }
}

#[tonic::async_trait]
impl RateLimitService for Api {
    async fn list_rate_limits(
        &self,
        request: Request<v1::ListRateLimitsRequest>,
    ) -> Result<Response<v1::ListRateLimitsResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.rate_limits(request.into_inner()).await, &statuses)
    }
}
