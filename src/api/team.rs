//! Teams.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond};
use super::page::{Scope, label_facets, managed_facet};
use crate::domain::{Customer, Team};
use crate::proto::v1;
use crate::proto::v1::team_service_server::TeamService;
use crate::state::{self, Facet, Query, Reset};

#[tonic::async_trait]
impl TeamService for Api {
    async fn list_teams(
        &self,
        request: Request<v1::ListTeamsRequest>,
    ) -> Result<Response<v1::ListTeamsResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListTeamsRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListTeams", &filters);
        let v1::ListTeamsRequest { page_size, page_token, from_memory, view, customer_id, search, labels, managed_by } =
            request;
        let mut facets = label_facets(labels);
        if !customer_id.is_empty() {
            match state::meant::<Customer>(&self.state(), &customer_id, "customer_id") {
                Ok(id) => facets.push(Facet::Customer(id)),
                Err(error) => return respond(Err(error), &statuses),
            }
        }
        facets.extend(managed_facet(managed_by));
        let query = Query { facets, search: Some(search), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<Team>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListTeamsResponse {
            teams: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_team(
        &self,
        request: Request<v1::CreateTeamRequest>,
    ) -> Result<Response<v1::CreateTeamResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.TeamService/CreateTeam", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |team| v1::CreateTeamResponse { team: Some(team) };
        let created = self.create::<Team, _>(call, request.team, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_team(&self, request: Request<v1::GetTeamRequest>) -> Result<Response<v1::GetTeamResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetTeamRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<Team>(&id, Reading { from_memory, view }).await;
        respond(found.map(|team| v1::GetTeamResponse { team: Some(team) }), &statuses)
    }

    async fn update_team(
        &self,
        request: Request<v1::UpdateTeamRequest>,
    ) -> Result<Response<v1::UpdateTeamResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.TeamService/UpdateTeam", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |team, also_changed| v1::UpdateTeamResponse { team: Some(team), also_changed };
        respond(
            self.update::<Team, _>(
                call,
                Edit {
                    message: request.team,
                    mask: request.update_mask,
                    reset: Reset { budgets: request.reset_budget_usage, rate_limits: request.reset_rate_limit_usage },
                },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_team(
        &self,
        request: Request<v1::DeleteTeamRequest>,
    ) -> Result<Response<v1::DeleteTeamResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.TeamService/DeleteTeam", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteTeamResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        let v1::DeleteTeamRequest { id, revision: expected, children, .. } = request;
        respond(self.delete::<Team, _>(call, Removal { id: &id, expected, children }, answer).await, &statuses)
    }
}
