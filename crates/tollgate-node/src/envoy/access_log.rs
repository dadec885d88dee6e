//! The access log as a witness: it ends the admissions whose answers no meter saw.

use tonic::{Request, Response, Status, Streaming};

use super::Envoy;
use super::message::admission_of;
use super::meter::Reading;
use super::proto::envoy::service::accesslog::v3 as log;
use log::access_log_service_server::AccessLogService;
use log::stream_access_logs_message::LogEntries;

#[tonic::async_trait]
impl AccessLogService for Envoy {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<log::StreamAccessLogsMessage>>,
    ) -> Result<Response<log::StreamAccessLogsResponse>, Status> {
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            let Some(LogEntries::HttpLogs(log::HttpAccessLogEntries { log_entry })) = message.log_entries else {
                continue;
            };
            for entry in log_entry {
                self.witness(entry).await;
            }
        }
        Ok(Response::new(log::StreamAccessLogsResponse {}))
    }
}

impl Envoy {
    async fn witness(&self, entry: log::HttpAccessLogEntry) {
        let Self(shared) = self;
        let common = entry.common_properties.unwrap_or_default();
        let id = admission_of(common.metadata.as_ref()).filter(|_| !common.intermediate_log_entry);
        let Some(flight) = id.and_then(|id| shared.flights.take(id)) else { return };
        let log::HttpResponseProperties { response_code, response_code_details } = entry.response.unwrap_or_default();
        let status = response_code.and_then(|code| u16::try_from(code).ok()).filter(|code| *code > 0);
        tracing::debug!(status, cause = response_code_details, "no meter saw an answer");
        let answer = status.map(|status| Reading { status, ..Reading::default() });
        flight.end(&shared.node, answer, &shared.ended).await;
    }
}
