//! The governance of providers.

use std::mem;

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, check_revision, identified, present, render, respond};
use super::mask::Patch;
use super::page::{Scope, managed_facet};
use crate::domain::{Error, Path, ProviderGovernance, Violations};
use crate::ledger::{Call, Command};
use crate::proto::v1;
use crate::proto::v1::provider_governance_service_server::ProviderGovernanceService;
use crate::state::{self, Query, Reset};

#[tonic::async_trait]
impl ProviderGovernanceService for Api {
    async fn list_provider_governance(
        &self,
        request: Request<v1::ListProviderGovernanceRequest>,
    ) -> Result<Response<v1::ListProviderGovernanceResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListProviderGovernanceRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListProviderGovernance", &filters);
        let v1::ListProviderGovernanceRequest { page_size, page_token, from_memory, view, managed_by } = request;
        let query = Query { facets: managed_facet(managed_by).into_iter().collect(), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<ProviderGovernance>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListProviderGovernanceResponse {
            provider_governance: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn get_provider_governance(
        &self,
        request: Request<v1::GetProviderGovernanceRequest>,
    ) -> Result<Response<v1::GetProviderGovernanceResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetProviderGovernanceRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<ProviderGovernance>(&id, Reading { from_memory, view }).await;
        respond(
            found.map(|provider_governance| v1::GetProviderGovernanceResponse {
                provider_governance: Some(provider_governance),
            }),
            &statuses,
        )
    }

    async fn update_provider_governance(
        &self,
        request: Request<v1::UpdateProviderGovernanceRequest>,
    ) -> Result<Response<v1::UpdateProviderGovernanceResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.ProviderGovernanceService/UpdateProviderGovernance", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        let edit = Edit {
            message: request.provider_governance,
            mask: request.update_mask,
            reset: Reset { budgets: request.reset_budget_usage, rate_limits: request.reset_rate_limit_usage },
        };
        respond(self.govern(call, edit).await, &statuses)
    }

    async fn delete_provider_governance(
        &self,
        request: Request<v1::DeleteProviderGovernanceRequest>,
    ) -> Result<Response<v1::DeleteProviderGovernanceResponse>, Status> {
        let (call, statuses, request) =
            call::enter(request, "tollgate.v1.ProviderGovernanceService/DeleteProviderGovernance", |r| {
                (mem::take(&mut r.request_id), r.validate_only)
            })?;
        respond(self.ungovern(call, &request.id, request.revision).await, &statuses)
    }
}

impl Api {
    async fn govern(
        &self,
        call: Call,
        edit: Edit<v1::ProviderGovernance>,
    ) -> Result<v1::UpdateProviderGovernanceResponse, Error> {
        let Edit { message, mask, reset } = edit;
        let (message, name, expected) = identified::<ProviderGovernance>(message, "provider")?;
        let patch = Patch::<ProviderGovernance>::new(message, mask)?;
        let command = Command {
            decide: Box::new(move |state, cx| {
                state::govern(state, cx, &name, expected, reset, |stored| patch.merge(stored))
            }),
            answer: Box::new(|state, decision, now| {
                let mut governance = render::<ProviderGovernance>(state, &decision.subject, now);
                if governance.id.is_empty() {
                    // No limit is left: the provider and nothing else.
                    governance.id = decision.subject.id.to_string();
                    governance.provider = decision.subject.id.to_string();
                }
                let provider_governance = Some(governance);
                v1::UpdateProviderGovernanceResponse { provider_governance, also_changed: Vec::new() }.encode_to_vec()
            }),
        };
        Ok(self.submit(call, command).await?.0)
    }

    async fn ungovern(
        &self,
        call: Call,
        id: &str,
        expected: i64,
    ) -> Result<v1::DeleteProviderGovernanceResponse, Error> {
        let name = present(id, "id")?.to_owned();
        let mut violations = Violations::new();
        check_revision(expected, &Path::root("revision"), &mut violations);
        violations.or(())?;
        let command = Command {
            decide: Box::new(move |state, _| state::ungovern(state, &name, expected)),
            answer: Box::new(|state, _, _| {
                let revision = state.revision();
                let (also_changed, total_changed_count) = (Vec::new(), 0);
                v1::DeleteProviderGovernanceResponse { revision, also_changed, total_changed_count }.encode_to_vec()
            }),
        };
        Ok(self.submit(call, command).await?.0)
    }
}
