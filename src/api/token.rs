//! Tokens.

use std::mem;

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{present, respond};
use super::page::{self, Scope};
use crate::domain::{Error, Path, Role, Timestamp, Token, Violations};
use crate::ledger::Call;
use crate::proto::v1;
use crate::proto::v1::token_service_server::TokenService;
use crate::wire::{parse_token, render_role, render_token};

#[tonic::async_trait]
impl TokenService for Api {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.TokenService/CreateToken", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.create_token(call, request.token).await, &statuses)
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let statuses = Statuses::of(&request);
        respond(self.list_tokens(request.into_inner()).await, &statuses)
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let (call, statuses, request) = call::enter(request, "tollgate.v1.TokenService/RevokeToken", |r| {
            (mem::take(&mut r.request_id), r.validate_only)
        })?;
        respond(self.revoke_token(call, &request.id).await, &statuses)
    }
}

impl Api {
    async fn create_token(&self, call: Call, token: Option<v1::Token>) -> Result<v1::CreateTokenResponse, Error> {
        let mut violations = Violations::new();
        let new = match token {
            Some(token) => parse_token(token, &Path::root("token"), self.now(), &mut violations),
            None => {
                violations.add(Path::root("token"), "is absent; must be the token to make");
                None
            }
        };
        let new = violations.or(new)?.ok_or_else(|| Error::Internal("a token without a role".to_owned()))?;
        let answer = |token: &Token| v1::CreateTokenResponse { token: Some(render_token(token)) }.encode_to_vec();
        let (given, value) = self.tokens.create(call, new, answer).await?;
        let mut response: v1::CreateTokenResponse = decode(given.response)?;
        if let (Some(token), Some(value)) = (&mut response.token, value) {
            token.value = value;
        }
        Ok(response)
    }

    async fn revoke_token(&self, call: Call, id: &str) -> Result<v1::RevokeTokenResponse, Error> {
        let id = present(id, "id")?;
        let answer = |token: &Token| v1::RevokeTokenResponse { token: Some(render_token(token)) }.encode_to_vec();
        decode(self.tokens.revoke(call, id, answer).await?.response)
    }

    async fn list_tokens(&self, request: v1::ListTokensRequest) -> Result<v1::ListTokensResponse, Error> {
        let filters = v1::ListTokensRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListTokens", &filters);
        let v1::ListTokensRequest { page_size, page_token, role, include_ended } = request;
        let role = filter_role(role)?;
        let limit = page::size(page_size)?;
        let after = scope.read_created(&page_token)?;
        let now = self.now();
        let place = |token: &Token| (token.created_at, token.id.clone());
        let mut tokens = self.tokens.list().await.map_err(|error| error.to_domain())?;
        tokens.retain(|token| role.is_none_or(|role| token.role == role) && (include_ended || token.works_at(now)));
        tokens.sort_by_key(place);
        let total_size = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
        tokens.retain(|token| after.as_ref().is_none_or(|after| place(token) > *after));
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let next_page_token = match tokens.last() {
            Some(Token { created_at, id, .. }) if more => scope.token(Timestamp::as_micros(*created_at), id),
            _ => String::new(),
        };
        Ok(v1::ListTokensResponse { tokens: tokens.iter().map(render_token).collect(), next_page_token, total_size })
    }
}

fn decode<M: prost::Message + Default>(response: bytes::Bytes) -> Result<M, Error> {
    M::decode(response).map_err(|error| Error::Internal(format!("an answer cannot be read: {error}")))
}

fn filter_role(number: i32) -> Result<Option<Role>, Error> {
    if number == 0 {
        return Ok(None);
    }
    let found = Role::ALL.into_iter().find(|role| i32::from(render_role(*role)) == number);
    found.map(Some).ok_or_else(|| super::crud::unknown("role", number, "Role"))
}
