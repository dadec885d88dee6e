//! Pricing overrides.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond, unknown};
use super::page::{Scope, managed_facet};
use crate::domain::{PricingOverride, VirtualKey};
use crate::proto::v1;
use crate::proto::v1::pricing_override_service_server::PricingOverrideService;
use crate::state::{self, Facet, Query, Reset};
use crate::wire::parse_pricing_scope_kind;

#[tonic::async_trait]
impl PricingOverrideService for Api {
    async fn list_pricing_overrides(
        &self,
        request: Request<v1::ListPricingOverridesRequest>,
    ) -> Result<Response<v1::ListPricingOverridesResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListPricingOverridesRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListPricingOverrides", &filters);
        let v1::ListPricingOverridesRequest {
            page_size,
            page_token,
            from_memory,
            view,
            scope_kind,
            virtual_key_id,
            provider_id,
            provider_key_id,
            managed_by,
        } = request;
        let mut facets = Vec::new();
        match scope_kind {
            0 => {}
            known => match parse_pricing_scope_kind(known) {
                Some(kind) => facets.push(Facet::PricingScopeKind(kind)),
                None => return respond(Err(unknown("scope_kind", known, "PricingScopeKind")), &statuses),
            },
        }
        if !virtual_key_id.is_empty() {
            match state::meant::<VirtualKey>(&self.state(), &virtual_key_id, "virtual_key_id") {
                Ok(id) => facets.push(Facet::VirtualKey(id)),
                Err(error) => return respond(Err(error), &statuses),
            }
        }
        facets.extend((!provider_id.is_empty()).then(|| Facet::Provider(provider_id.into())));
        facets.extend((!provider_key_id.is_empty()).then(|| Facet::ProviderKey(provider_key_id.into())));
        facets.extend(managed_facet(managed_by));
        let query = Query { facets, ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<PricingOverride>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListPricingOverridesResponse {
            pricing_overrides: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_pricing_override(
        &self,
        request: Request<v1::CreatePricingOverrideRequest>,
    ) -> Result<Response<v1::CreatePricingOverrideResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.PricingOverrideService/CreatePricingOverride", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |pricing_override| v1::CreatePricingOverrideResponse { pricing_override: Some(pricing_override) };
        let created = self.create::<PricingOverride, _>(call, request.pricing_override, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_pricing_override(
        &self,
        request: Request<v1::GetPricingOverrideRequest>,
    ) -> Result<Response<v1::GetPricingOverrideResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetPricingOverrideRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<PricingOverride>(&id, Reading { from_memory, view }).await;
        respond(
            found.map(|pricing_override| v1::GetPricingOverrideResponse { pricing_override: Some(pricing_override) }),
            &statuses,
        )
    }

    async fn update_pricing_override(
        &self,
        request: Request<v1::UpdatePricingOverrideRequest>,
    ) -> Result<Response<v1::UpdatePricingOverrideResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.PricingOverrideService/UpdatePricingOverride", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |pricing_override, also_changed| v1::UpdatePricingOverrideResponse {
            pricing_override: Some(pricing_override),
            also_changed,
        };
        respond(
            self.update::<PricingOverride, _>(
                call,
                Edit { message: request.pricing_override, mask: request.update_mask, reset: Reset::default() },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_pricing_override(
        &self,
        request: Request<v1::DeletePricingOverrideRequest>,
    ) -> Result<Response<v1::DeletePricingOverrideResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.PricingOverrideService/DeletePricingOverride", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeletePricingOverrideResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(
            self.delete::<PricingOverride, _>(call, Removal::new(&request.id, request.revision), answer).await,
            &statuses,
        )
    }
}
