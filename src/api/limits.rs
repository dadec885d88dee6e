//! Budgets and rate limits, as lists over all owners.

use std::collections::HashMap;
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
    AnyResource, Budget, Calendar, Customer, Error, Id, LimitId, LimitOwner, Limits, ModelConfig, ProviderGovernance,
    RateLimit, Resource, Team, Timestamp, VirtualKey,
};
use crate::proto::v1;
use crate::proto::v1::budget_service_server::BudgetService;
use crate::proto::v1::rate_limit_service_server::RateLimitService;
use crate::state::{self, Page, Query, State};
use crate::wire::{Form, render_budget, render_rate_limit};

/// The owners that a list names: its filters on whose the limits are. What is empty does not filter.
pub(super) struct OwnerFilters {
    pub(super) customer_id: String,
    pub(super) team_id: String,
    pub(super) virtual_key_id: String,
    pub(super) provider_config_id: i64,
    pub(super) model_config_id: String,
    pub(super) provider: String,
}

impl OwnerFilters {
    /// All that are named.
    pub(super) fn owners(self, state: &State) -> Result<Vec<LimitOwner>, Error> {
        let Self { customer_id, team_id, virtual_key_id, provider_config_id, model_config_id, provider } = self;
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
        let (mut customers, mut teams, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let (mut configs, mut governed) = (Vec::new(), Vec::new());
        for (place, _, _) in &items {
            match place {
                LimitPlace::Customer(id) => customers.push(id.clone()),
                LimitPlace::Team(id) => teams.push(id.clone()),
                LimitPlace::VirtualKey(id) | LimitPlace::ProviderConfig(id, _) => keys.push(id.clone()),
                LimitPlace::ModelConfig(id) => configs.push(id.clone()),
                LimitPlace::ProviderGovernance(id) => governed.push(id.clone()),
            }
        }
        customers.dedup();
        teams.dedup();
        configs.dedup();
        governed.dedup();
        keys.sort();
        keys.dedup();
        let (store, state) = (self.ledger.reader(), self.state());
        let mut read: HashMap<Arc<str>, AnyResource> = HashMap::new();
        let failed = |error: crate::store::StoreError| error.to_domain();
        for stored in store.read::<Customer>(&customers).await.map_err(failed)?.1 {
            read.insert(stored.id.shared(), Customer::wrap(Arc::new(stored)));
        }
        for stored in store.read::<Team>(&teams).await.map_err(failed)?.1 {
            read.insert(stored.id.shared(), Team::wrap(Arc::new(stored)));
        }
        for stored in store.read::<VirtualKey>(&keys).await.map_err(failed)?.1 {
            read.insert(stored.id.shared(), VirtualKey::wrap(Arc::new(stored)));
        }
        for stored in store.read::<ModelConfig>(&configs).await.map_err(failed)?.1 {
            read.insert(stored.id.shared(), ModelConfig::wrap(Arc::new(stored)));
        }
        for stored in store.read::<ProviderGovernance>(&governed).await.map_err(failed)?.1 {
            read.insert(stored.id.shared(), ProviderGovernance::wrap(Arc::new(stored)));
        }
        let items = items
            .into_iter()
            .filter_map(|(place, _, limit)| {
                let any = read.get(place.resource_id())?;
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
        } = request;
        let query =
            Query { after: scope.read_created(&page_token)?, limit: page::size(page_size)?, ..Query::default() };
        let state = self.state();
        let filters =
            OwnerFilters { customer_id, team_id, virtual_key_id, provider_config_id, model_config_id, provider };
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
        } = request;
        let query =
            Query { after: scope.read_created(&page_token)?, limit: page::size(page_size)?, ..Query::default() };
        let state = self.state();
        let filters =
            OwnerFilters { customer_id, team_id, virtual_key_id, provider_config_id, model_config_id, provider };
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
