//! External authorization: admission for those who have that filter already. It cannot change bodies, so that a request goes to
//! the model that it asks for or nowhere, and a streamed answer tells its usage only if the caller asked for it.

use tonic::{Code, Request, Response, Status};

use super::Envoy;
use super::admit::{Admitted, Incoming, REMOVED, admit};
use super::denial::Denial;
use super::kind::Dialect;
use super::message::{metadata, set_header};
use super::proto::envoy::config::core::v3::{HeaderValueOption, HttpStatus};
use super::proto::envoy::service::auth::v3 as auth;
use auth::authorization_server::Authorization;
use auth::check_response::HttpResponse;

#[tonic::async_trait]
impl Authorization for Envoy {
    async fn check(&self, request: Request<auth::CheckRequest>) -> Result<Response<auth::CheckResponse>, Status> {
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let http = attributes.request.and_then(|request| request.http).unwrap_or_default();
        let auth::HttpRequest { method, mut headers, path, body, raw_body } = http;
        headers.retain(|name, _| !name.starts_with(':'));
        let body = if raw_body.is_empty() { body.as_bytes() } else { &raw_body };
        let incoming = Incoming { method: &method, path: &path, headers: headers.into_iter().collect(), body };
        let answer = match admit(&self.0.node, incoming).await {
            Ok(admitted) => self.authorize(admitted),
            Err((dialect, denial)) => denied(&denial, dialect),
        };
        Ok(Response::new(answer))
    }
}

impl Envoy {
    fn authorize(&self, admitted: Admitted) -> auth::CheckResponse {
        let (id, Admitted { flight, route, other_model, .. }) = (admitted.id(), admitted);
        if let Some(model) = other_model {
            let kind = flight.kind;
            flight.give_up(&self.0.node, &self.0.ended);
            return denied(&Denial::unchangeable(&model), kind.dialect());
        }
        // What is removed is removed after what is set.
        let is_set = |name: &&str| route.iter().any(|(set, _)| set == name);
        let ok = auth::OkHttpResponse {
            headers: set(route.iter().map(|(name, value)| (*name, value.as_str()))),
            headers_to_remove: REMOVED.into_iter().filter(|name| !is_set(name)).map(ToOwned::to_owned).collect(),
            response_headers_to_add: set(flight.headers.iter().map(|(name, value)| (*name, value.as_str()))),
        };
        self.0.flights.add(flight, self.0.node.admission_ttl());
        auth::CheckResponse {
            status: Some(auth::Status { code: Code::Ok.into() }),
            http_response: Some(HttpResponse::OkResponse(ok)),
            dynamic_metadata: Some(metadata(id, true)),
        }
    }
}

fn denied(denial: &Denial, dialect: Dialect) -> auth::CheckResponse {
    let response = auth::DeniedHttpResponse {
        status: Some(HttpStatus { code: denial.status.into() }),
        headers: set(denial.headers()),
        body: denial.body(dialect),
    };
    auth::CheckResponse {
        status: Some(auth::Status { code: Code::PermissionDenied.into() }),
        http_response: Some(HttpResponse::DeniedResponse(response)),
        dynamic_metadata: None,
    }
}

fn set<'a>(headers: impl Iterator<Item = (&'static str, &'a str)>) -> Vec<HeaderValueOption> {
    headers.map(|(name, value)| set_header(name, value, true)).collect()
}
