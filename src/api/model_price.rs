//! Prices of models.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, respond};
use super::page::Scope;
use crate::domain::{ModelPrice, bare_model};
use crate::proto::v1;
use crate::proto::v1::model_price_service_server::ModelPriceService;
use crate::state::{Facet, Query, Reset};

#[tonic::async_trait]
impl ModelPriceService for Api {
    async fn list_model_prices(
        &self,
        request: Request<v1::ListModelPricesRequest>,
    ) -> Result<Response<v1::ListModelPricesResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListModelPricesRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListModelPrices", &filters);
        let v1::ListModelPricesRequest { page_size, page_token, from_memory, view, provider, model } = request;
        let model = bare_model(&model, &provider);
        let mut facets = Vec::new();
        facets.extend((!model.is_empty()).then(|| Facet::Model(model.into())));
        facets.extend((!provider.is_empty()).then(|| Facet::Provider(provider.as_str().into())));
        let query = Query { facets, ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<ModelPrice>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListModelPricesResponse {
            model_prices: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_model_price(
        &self,
        request: Request<v1::CreateModelPriceRequest>,
    ) -> Result<Response<v1::CreateModelPriceResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.ModelPriceService/CreateModelPrice", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |model_price| v1::CreateModelPriceResponse { model_price: Some(model_price) };
        let created = self.create::<ModelPrice, _>(call, request.model_price, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_model_price(
        &self,
        request: Request<v1::GetModelPriceRequest>,
    ) -> Result<Response<v1::GetModelPriceResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetModelPriceRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<ModelPrice>(&id, Reading { from_memory, view }).await;
        respond(found.map(|model_price| v1::GetModelPriceResponse { model_price: Some(model_price) }), &statuses)
    }

    async fn update_model_price(
        &self,
        request: Request<v1::UpdateModelPriceRequest>,
    ) -> Result<Response<v1::UpdateModelPriceResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.ModelPriceService/UpdateModelPrice", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer =
            |model_price, also_changed| v1::UpdateModelPriceResponse { model_price: Some(model_price), also_changed };
        respond(
            self.update::<ModelPrice, _>(
                call,
                Edit { message: request.model_price, mask: request.update_mask, reset: Reset::default() },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_model_price(
        &self,
        request: Request<v1::DeleteModelPriceRequest>,
    ) -> Result<Response<v1::DeleteModelPriceResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.ModelPriceService/DeleteModelPrice", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteModelPriceResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(self.delete::<ModelPrice, _>(call, &request.id, request.revision, answer).await, &statuses)
    }
}
