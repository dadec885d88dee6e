//! The fleet: sessions of nodes, what each knows, and the credit that it holds.

mod credit;
mod fleet;
mod session;
mod wait;

use std::pin::Pin;

pub(super) use fleet::SILENT;
use futures_util::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use super::call::{Statuses, principal};
use super::crud::respond;
use super::notes::CallNotes;
use crate::proto::v1;
use crate::proto::v1::node_service_server::NodeService;

#[tonic::async_trait]
impl NodeService for Api {
    type ConnectStream = Pin<Box<dyn Stream<Item = Result<v1::ConnectResponse, Status>> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<v1::ConnectRequest>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let (statuses, notes) = (Statuses::of(&request), CallNotes::of(&request));
        let principal = principal(&request).map_err(|error| statuses.status(error))?;
        let directives = self.session(request.into_inner(), principal, notes, statuses);
        Ok(Response::new(Box::pin(directives)))
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.nodes(request.into_inner()).await, &statuses)
    }

    async fn get_node(&self, request: Request<v1::GetNodeRequest>) -> Result<Response<v1::GetNodeResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.node(request.into_inner()).await, &statuses)
    }

    async fn forget_node(
        &self,
        request: Request<v1::ForgetNodeRequest>,
    ) -> Result<Response<v1::ForgetNodeResponse>, Status> {
        let statuses = Statuses::of(&request);
        let forgotten = async {
            let actor = principal(&request)?.actor().to_string();
            self.forget(request.into_inner(), &actor).await
        };
        respond(forgotten.await, &statuses)
    }

    async fn list_credit(
        &self,
        request: Request<v1::ListCreditRequest>,
    ) -> Result<Response<v1::ListCreditResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.credit(request.into_inner()).await, &statuses)
    }
}
