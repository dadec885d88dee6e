//! Routing rules.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Reading, Removal, respond, unknown};
use super::page::{self, Scope};
use crate::config::RuleOrder;
use crate::domain::{Error, Id, RoutingRule, Stored, Timestamp};
use crate::proto::v1;
use crate::proto::v1::routing_rule_service_server::RoutingRuleService;
use crate::state::{self, Reset, RuleFilter};
use crate::wire::parse_routing_scope;

#[tonic::async_trait]
impl RoutingRuleService for Api {
    async fn list_routing_rules(
        &self,
        request: Request<v1::ListRoutingRulesRequest>,
    ) -> Result<Response<v1::ListRoutingRulesResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListRoutingRulesRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let token_scope = Scope::new("ListRoutingRules", &filters);
        let v1::ListRoutingRulesRequest {
            page_size,
            page_token,
            from_memory,
            view,
            scope,
            scope_id,
            enabled,
            managed_by,
        } = request;
        let listed = async {
            let scope = match scope {
                0 => None,
                known => Some(parse_routing_scope(known).ok_or_else(|| unknown("scope", known, "RoutingScope"))?),
            };
            let after = read_token(token_scope, &page_token)?;
            let (state, limit) = (self.state(), page::size(page_size)?);
            let scope_id = state::meant_in_scope(&state, &scope_id, "scope_id")?;
            let filter = RuleFilter { scope, scope_id: &scope_id, enabled, managed_by: &managed_by };
            let found = state.list_rules(&filter, after, limit);
            let token = |stored: &Stored<RoutingRule>| write_token(token_scope, stored);
            self.page::<RoutingRule>(&state, found, Reading { from_memory, view }, token).await
        };
        let listed = listed.await;
        let listed = listed.map(|listed| v1::ListRoutingRulesResponse {
            routing_rules: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_routing_rule(
        &self,
        request: Request<v1::CreateRoutingRuleRequest>,
    ) -> Result<Response<v1::CreateRoutingRuleResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.RoutingRuleService/CreateRoutingRule", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |routing_rule| v1::CreateRoutingRuleResponse { routing_rule: Some(routing_rule) };
        let created = self.create::<RoutingRule, _>(call, request.routing_rule, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_routing_rule(
        &self,
        request: Request<v1::GetRoutingRuleRequest>,
    ) -> Result<Response<v1::GetRoutingRuleResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetRoutingRuleRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<RoutingRule>(&id, Reading { from_memory, view }).await;
        respond(found.map(|routing_rule| v1::GetRoutingRuleResponse { routing_rule: Some(routing_rule) }), &statuses)
    }

    async fn update_routing_rule(
        &self,
        request: Request<v1::UpdateRoutingRuleRequest>,
    ) -> Result<Response<v1::UpdateRoutingRuleResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.RoutingRuleService/UpdateRoutingRule", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |routing_rule, also_changed| v1::UpdateRoutingRuleResponse {
            routing_rule: Some(routing_rule),
            also_changed,
        };
        respond(
            self.update::<RoutingRule, _>(
                call,
                Edit { message: request.routing_rule, mask: request.update_mask, reset: Reset::default() },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_routing_rule(
        &self,
        request: Request<v1::DeleteRoutingRuleRequest>,
    ) -> Result<Response<v1::DeleteRoutingRuleResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.RoutingRuleService/DeleteRoutingRule", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteRoutingRuleResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(
            self.delete::<RoutingRule, _>(call, Removal::new(&request.id, request.revision), answer).await,
            &statuses,
        )
    }
}

/// The token of a page that ended with this rule: its priority, creation and id.
fn write_token(scope: Scope, stored: &Stored<RoutingRule>) -> String {
    let rest = format!("{}/{}", stored.created_at.as_micros(), stored.id);
    scope.token(i64::from(stored.resource.priority), &rest)
}

fn read_token(scope: Scope, token: &str) -> Result<Option<RuleOrder>, Error> {
    let Some((priority, rest)) = scope.read(token)? else { return Ok(None) };
    let parse = || {
        let (created_at, id) = rest.split_once('/')?;
        Some((i32::try_from(priority).ok()?, Timestamp::from_micros(created_at.parse().ok()?), Id::new(id)))
    };
    parse().map(Some).ok_or(Error::PageToken)
}
