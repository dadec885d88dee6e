//! MCP clients.

use std::mem;

use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{Edit, Listing, Reading, Removal, respond};
use super::page::{Scope, managed_facet};
use crate::domain::McpClient;
use crate::proto::v1;
use crate::proto::v1::mcp_client_service_server::McpClientService;
use crate::state::{Query, Reset};

#[tonic::async_trait]
impl McpClientService for Api {
    async fn list_mcp_clients(
        &self,
        request: Request<v1::ListMcpClientsRequest>,
    ) -> Result<Response<v1::ListMcpClientsResponse>, Status> {
        let statuses = Statuses::of(&request);
        let request = request.into_inner();
        let filters = v1::ListMcpClientsRequest {
            page_size: 0,
            page_token: String::new(),
            from_memory: false,
            view: 0,
            ..request.clone()
        };
        let scope = Scope::new("ListMcpClients", &filters);
        let v1::ListMcpClientsRequest { page_size, page_token, from_memory, view, managed_by } = request;
        let query = Query { facets: managed_facet(managed_by).into_iter().collect(), ..Query::default() };
        let reading = Reading { from_memory, view };
        let listed = self.list::<McpClient>(Listing { page_size, page_token, reading, scope, query }).await;
        let listed = listed.map(|listed| v1::ListMcpClientsResponse {
            mcp_clients: listed.items,
            next_page_token: listed.next_page_token,
            total_size: listed.total_size,
        });
        respond(listed, &statuses)
    }

    async fn create_mcp_client(
        &self,
        request: Request<v1::CreateMcpClientRequest>,
    ) -> Result<Response<v1::CreateMcpClientResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.McpClientService/CreateMcpClient", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |mcp_client| v1::CreateMcpClientResponse { mcp_client: Some(mcp_client) };
        let created = self.create::<McpClient, _>(call, request.mcp_client, |_| {}, answer).await;
        respond(created.map(|(answer, _)| answer), &statuses)
    }

    async fn get_mcp_client(
        &self,
        request: Request<v1::GetMcpClientRequest>,
    ) -> Result<Response<v1::GetMcpClientResponse>, Status> {
        let statuses = Statuses::of(&request);
        let v1::GetMcpClientRequest { id, from_memory, view } = request.into_inner();
        let found = self.get::<McpClient>(&id, Reading { from_memory, view }).await;
        respond(found.map(|mcp_client| v1::GetMcpClientResponse { mcp_client: Some(mcp_client) }), &statuses)
    }

    async fn update_mcp_client(
        &self,
        request: Request<v1::UpdateMcpClientRequest>,
    ) -> Result<Response<v1::UpdateMcpClientResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.McpClientService/UpdateMcpClient", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer =
            |mcp_client, also_changed| v1::UpdateMcpClientResponse { mcp_client: Some(mcp_client), also_changed };
        respond(
            self.update::<McpClient, _>(
                call,
                Edit { message: request.mcp_client, mask: request.update_mask, reset: Reset::default() },
                answer,
            )
            .await,
            &statuses,
        )
    }

    async fn delete_mcp_client(
        &self,
        request: Request<v1::DeleteMcpClientRequest>,
    ) -> Result<Response<v1::DeleteMcpClientResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.McpClientService/DeleteMcpClient", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        let answer = |revision, also_changed, total_changed_count| v1::DeleteMcpClientResponse {
            revision,
            also_changed,
            total_changed_count,
        };
        respond(self.delete::<McpClient, _>(call, Removal::new(&request.id, request.revision), answer).await, &statuses)
    }
}
