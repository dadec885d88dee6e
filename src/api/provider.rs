//! Providers.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond};
use super::page::{Scope, managed_facet};
use crate::domain::Provider;
use crate::proto::v1;
use crate::proto::v1::provider_service_server::ProviderService;
use crate::state::{Query, Reset};

#[tonic::async_trait]
impl ProviderService for Api {
    async fn list_providers(
        &self,
        request: Request<v1::ListProvidersRequest>,
    ) -> Result<Response<v1::ListProvidersResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListProvidersRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListProviders", &filters);
        let v1::ListProvidersRequest { page_size, page_token, from_memory, view, managed_by } = request;
        let query = Query { facets: managed_facet(managed_by).into_iter().collect(), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<Provider>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListProvidersResponse {
            providers: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_provider(
        &self,
        request: Request<v1::CreateProviderRequest>,
    ) -> Result<Response<v1::CreateProviderResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.ProviderService/CreateProvider", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |provider| v1::CreateProviderResponse { provider: Some(provider) };
        let created = self.create::<Provider, _>(call, request.provider, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_provider(
        &self,
        request: Request<v1::GetProviderRequest>,
    ) -> Result<Response<v1::GetProviderResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetProviderRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<Provider>(&id, Reading { from_memory, view }).await;
        respond(found.map(|provider| v1::GetProviderResponse { provider: Some(provider) }), &statuses)
    }

    async fn update_provider(
        &self,
        request: Request<v1::UpdateProviderRequest>,
    ) -> Result<Response<v1::UpdateProviderResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.ProviderService/UpdateProvider", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |provider, also_changed| v1::UpdateProviderResponse { provider: Some(provider), also_changed };
        respond(
            self.update::<Provider, _>(
                call,
                Edit {
                    message: request.provider,
                    mask: request.update_mask,
                    reset: Reset { budgets: request.reset_budget_usage, rate_limits: request.reset_rate_limit_usage },
                },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_provider(
        &self,
        request: Request<v1::DeleteProviderRequest>,
    ) -> Result<Response<v1::DeleteProviderResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.ProviderService/DeleteProvider", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteProviderResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(self.delete::<Provider, _>(call, Removal::new(&request.id, request.revision), answer).await, &statuses)
    }
}
