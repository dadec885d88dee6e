//! Model configs.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond, unknown};
use super::page::{Scope, managed_facet};
use crate::domain::ModelConfig;
use crate::proto::v1;
use crate::proto::v1::model_config_service_server::ModelConfigService;
use crate::state::{self, Facet, Query, Reset};
use crate::wire::parse_model_config_scope;

#[tonic::async_trait]
impl ModelConfigService for Api {
    async fn list_model_configs(
        &self,
        request: Request<v1::ListModelConfigsRequest>,
    ) -> Result<Response<v1::ListModelConfigsResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListModelConfigsRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let token_scope = Scope::new("ListModelConfigs", &filters);
        let v1::ListModelConfigsRequest {
            page_size,
            page_token,
            from_memory,
            view,
            scope,
            scope_id,
            provider,
            search,
            managed_by,
        } = request;
        let mut facets = Vec::new();
        match scope {
            0 => {}
            known => match parse_model_config_scope(known) {
                Some(kind) => facets.push(Facet::ScopeKind(kind)),
                None => return respond(Err(unknown("scope", known, "ModelConfigScope")), &statuses),
            },
        }
        if !scope_id.is_empty() {
            match state::meant_in_scope(&self.state(), &scope_id, "scope_id") {
                Ok(id) => facets.push(Facet::ScopeId(id)),
                Err(error) => return respond(Err(error), &statuses),
            }
        }
        facets.extend((!provider.is_empty()).then(|| Facet::Provider(provider.into())));
        facets.extend(managed_facet(managed_by));
        let query = Query { facets, search: Some(search), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed =
            self.list::<ModelConfig>(Listing { page_size, page_token, reading, scope: token_scope, query }).await;
        let listed = listed.map(|listed| v1::ListModelConfigsResponse {
            model_configs: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_model_config(
        &self,
        request: Request<v1::CreateModelConfigRequest>,
    ) -> Result<Response<v1::CreateModelConfigResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.ModelConfigService/CreateModelConfig", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |model_config| v1::CreateModelConfigResponse { model_config: Some(model_config) };
        let created = self.create::<ModelConfig, _>(call, request.model_config, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_model_config(
        &self,
        request: Request<v1::GetModelConfigRequest>,
    ) -> Result<Response<v1::GetModelConfigResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetModelConfigRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<ModelConfig>(&id, Reading { from_memory, view }).await;
        respond(found.map(|model_config| v1::GetModelConfigResponse { model_config: Some(model_config) }), &statuses)
    }

    async fn update_model_config(
        &self,
        request: Request<v1::UpdateModelConfigRequest>,
    ) -> Result<Response<v1::UpdateModelConfigResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.ModelConfigService/UpdateModelConfig", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |model_config, also_changed| v1::UpdateModelConfigResponse {
            model_config: Some(model_config),
            also_changed,
        };
        respond(
            self.update::<ModelConfig, _>(
                call,
                Edit {
                    message: request.model_config,
                    mask: request.update_mask,
                    reset: Reset { budgets: request.reset_budget_usage, rate_limits: request.reset_rate_limit_usage },
                },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_model_config(
        &self,
        request: Request<v1::DeleteModelConfigRequest>,
    ) -> Result<Response<v1::DeleteModelConfigResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.ModelConfigService/DeleteModelConfig", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteModelConfigResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(
            self.delete::<ModelConfig, _>(call, Removal::new(&request.id, request.revision), answer).await,
            &statuses,
        )
    }
}
