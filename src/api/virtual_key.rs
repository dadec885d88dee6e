//! Virtual keys.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond};
use super::page::{Scope, managed_facet};
use super::quota::facets;
use crate::domain::{Customer, Team, VirtualKey};
use crate::proto::v1;
use crate::proto::v1::virtual_key_service_server::VirtualKeyService;
use crate::state::{self, Query, Reset};

#[tonic::async_trait]
impl VirtualKeyService for Api {
    async fn list_virtual_keys(
        &self,
        request: Request<v1::ListVirtualKeysRequest>,
    ) -> Result<Response<v1::ListVirtualKeysResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListVirtualKeysRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListVirtualKeys", &filters);
        let v1::ListVirtualKeysRequest {
            page_size,
            page_token,
            from_memory,
            view,
            team_id,
            customer_id,
            search,
            is_active,
            labels,
            managed_by,
        } = request;
        let state = self.state();
        let owners = state::meant::<Team>(&state, &team_id, "team_id")
            .and_then(|team| Ok((team, state::meant::<Customer>(&state, &customer_id, "customer_id")?)));
        let (team_id, customer_id) = match owners {
            Ok(owners) => owners,
            Err(error) => return respond(Err(error), &statuses),
        };
        let mut facets = facets(&team_id, &customer_id, is_active, labels);
        facets.extend(managed_facet(managed_by));
        let query = Query { facets, search: Some(search), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<VirtualKey>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListVirtualKeysResponse {
            virtual_keys: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_virtual_key(
        &self,
        request: Request<v1::CreateVirtualKeyRequest>,
    ) -> Result<Response<v1::CreateVirtualKeyResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.VirtualKeyService/CreateVirtualKey", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.create_virtual_key(call, request.virtual_key).await, &statuses)
    }

    async fn get_virtual_key(
        &self,
        request: Request<v1::GetVirtualKeyRequest>,
    ) -> Result<Response<v1::GetVirtualKeyResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetVirtualKeyRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<VirtualKey>(&id, Reading { from_memory, view }).await;
        respond(found.map(|virtual_key| v1::GetVirtualKeyResponse { virtual_key: Some(virtual_key) }), &statuses)
    }

    async fn update_virtual_key(
        &self,
        request: Request<v1::UpdateVirtualKeyRequest>,
    ) -> Result<Response<v1::UpdateVirtualKeyResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.VirtualKeyService/UpdateVirtualKey", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer =
            |virtual_key, also_changed| v1::UpdateVirtualKeyResponse { virtual_key: Some(virtual_key), also_changed };
        respond(
            self.update::<VirtualKey, _>(
                call,
                Edit {
                    message: request.virtual_key,
                    mask: request.update_mask,
                    reset: Reset { budgets: request.reset_budget_usage, rate_limits: request.reset_rate_limit_usage },
                },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_virtual_key(
        &self,
        request: Request<v1::DeleteVirtualKeyRequest>,
    ) -> Result<Response<v1::DeleteVirtualKeyResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.VirtualKeyService/DeleteVirtualKey", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteVirtualKeyResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(
            self.delete::<VirtualKey, _>(call, Removal::new(&request.id, request.revision), answer).await,
            &statuses,
        )
    }

    async fn rotate_virtual_key(
        &self,
        request: Request<v1::RotateVirtualKeyRequest>,
    ) -> Result<Response<v1::RotateVirtualKeyResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.VirtualKeyService/RotateVirtualKey", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.rotate(call, request).await, &statuses)
    }

    async fn lookup_virtual_key(
        &self,
        request: Request<v1::LookupVirtualKeyRequest>,
    ) -> Result<Response<v1::LookupVirtualKeyResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.lookup(request.into_inner()), &statuses)
    }

    async fn get_virtual_key_quota(
        &self,
        request: Request<v1::GetVirtualKeyQuotaRequest>,
    ) -> Result<Response<v1::GetVirtualKeyQuotaResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.quota(request.metadata()), &statuses)
    }
}
