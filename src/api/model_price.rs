//! Prices of models.

use std::collections::BTreeMap;
use std::mem;

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond};
use super::page::{Scope, managed_facet};
use crate::domain::{Error, ModelPrice, Path, Violations, bare_model};
use crate::ledger::{Call, Command};
use crate::proto::v1;
use crate::proto::v1::model_price_service_server::ModelPriceService;
use crate::state::{self, Change, Facet, Query, Reset};
use crate::wire::Wire as _;

/// Prices of one batch, at most.
const MAX_BATCH: usize = 10_000;

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
        let v1::ListModelPricesRequest { page_size, page_token, from_memory, view, provider, model, managed_by } =
            request;
        let model = bare_model(&model, &provider);
        let mut facets = Vec::new();
        facets.extend((!model.is_empty()).then(|| Facet::Model(model.into())));
        facets.extend((!provider.is_empty()).then(|| Facet::Provider(provider.as_str().into())));
        facets.extend(managed_facet(managed_by));
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
        respond(
            self.delete::<ModelPrice, _>(call, Removal::new(&request.id, request.revision), answer).await,
            &statuses,
        )
    }

    async fn batch_upsert_model_prices(
        &self,
        request: Request<v1::BatchUpsertModelPricesRequest>,
    ) -> Result<Response<v1::BatchUpsertModelPricesResponse>, Status> {
        let method = "tollgate.v1.ModelPriceService/BatchUpsertModelPrices";
        let (call, statuses, request) =
            call::enter(request, method, |r| (mem::take(&mut r.request_id), r.validate_only))?;
        respond(self.upsert(call, request).await, &statuses)
    }

    async fn list_unpriced(
        &self,
        request: Request<v1::ListUnpricedRequest>,
    ) -> Result<Response<v1::ListUnpricedResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.unpriced(request.into_inner()).await, &statuses)
    }
}

impl Api {
    async fn upsert(
        &self,
        call: Call,
        request: v1::BatchUpsertModelPricesRequest,
    ) -> Result<v1::BatchUpsertModelPricesResponse, Error> {
        let v1::BatchUpsertModelPricesRequest { model_prices, prune_source, request_id: _, validate_only: _ } = request;
        let desired = parse_batch(model_prices)?;
        let count = desired.len();
        let command = Command {
            decide: Box::new(move |state, cx| {
                let pruned = (!prune_source.is_empty()).then_some(prune_source.as_str());
                state::upsert_prices(state, cx, &desired, pruned)
            }),
            answer: Box::new(move |state, decision, _| render_batch(state.revision(), &decision.changes, count)),
        };
        Ok(self.submit(call, command).await?.0)
    }
}

/// The prices of a batch: not none, not too many, and each once.
fn parse_batch(messages: Vec<v1::ModelPrice>) -> Result<Vec<ModelPrice>, Error> {
    let (list, mut violations) = (Path::root("model_prices"), Violations::new());
    if messages.is_empty() || messages.len() > MAX_BATCH {
        violations.add(list, format!("has {} items; must have 1 to {MAX_BATCH}", messages.len()));
        return Err(violations.into());
    }
    let (mut prices, mut places) = (Vec::with_capacity(messages.len()), BTreeMap::new());
    for (index, message) in messages.into_iter().enumerate() {
        let path = list.index(index);
        let Some(price) = ModelPrice::accept(message, &path, &mut violations) else { continue };
        if let Some(first) = places.insert(price.place(), index) {
            violations.add(
                path,
                format!("has the provider, model and valid_from of model_prices[{first}]; leave one of the two out"),
            );
        }
        prices.push(price);
    }
    Ok(violations.or(prices)?)
}

/// The answer to a batch of `count` prices.
fn render_batch(revision: i64, changes: &[Change], count: usize) -> Vec<u8> {
    let number = |it: usize| i32::try_from(it).unwrap_or(i32::MAX);
    let created = changes.iter().filter(|it| it.before.is_none()).count();
    let deleted = changes.iter().filter(|it| it.after.is_none()).count();
    let updated = changes.len() - created - deleted;
    let answer = v1::BatchUpsertModelPricesResponse {
        revision,
        created_count: number(created),
        updated_count: number(updated),
        unchanged_count: number(count - created - updated),
        deleted_count: number(deleted),
    };
    answer.encode_to_vec()
}
