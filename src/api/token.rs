//! Access tokens.

use std::mem;
use std::sync::Arc;

use prost::Message as _;
use tonic::{Request, Response, Status};

use super::Api;
use super::call::{self, Statuses};
use super::crud::{check_revision, present, respond};
use super::page::{self, Scope};
use crate::domain::{Error, Path, Role, Stored, Token, Violations};
use crate::ledger::Call;
use crate::proto::v1;
use crate::proto::v1::token_service_server::TokenService;
use crate::wire::{Form, Wire as _, parse_token, render_role, timestamp};

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
        respond(self.revoke_token(call, &request).await, &statuses)
    }
}

impl Api {
    async fn create_token(&self, call: Call, token: Option<v1::Token>) -> Result<v1::CreateTokenResponse, Error> {
        let mut violations = Violations::new();
        let token = match token {
            Some(token) => parse_token(token, &Path::root("token"), self.now(), &mut violations),
            None => {
                violations.add(Path::root("token"), "is absent; must be the access token to make");
                None
            }
        };
        let token = violations.or(token)?.ok_or_else(|| Error::Internal("a token without a role".to_owned()))?;
        let answer = |token: &Stored<Token>| v1::CreateTokenResponse { token: Some(rendered(token)) }.encode_to_vec();
        let (actor, peer) = (call.actor.clone(), call.peer.clone());
        let (given, value) = self.tokens.create(call, token, answer).await?;
        let mut response: v1::CreateTokenResponse = decode(given.response)?;
        if let (Some(token), Some(value)) = (&mut response.token, value) {
            let role = token.role().as_str_name();
            tracing::info!(
                token.id = token.id,
                token.name = token.name,
                token.role = role,
                actor,
                peer.addr = peer,
                "made a token"
            );
            token.value = value;
        }
        Ok(response)
    }

    async fn revoke_token(
        &self,
        call: Call,
        request: &v1::RevokeTokenRequest,
    ) -> Result<v1::RevokeTokenResponse, Error> {
        let id = present(&request.id, "id")?;
        let mut violations = Violations::new();
        check_revision(request.revision, &Path::root("revision"), &mut violations);
        violations.or(())?;
        let answer = |token: &Stored<Token>| v1::RevokeTokenResponse { token: Some(rendered(token)) }.encode_to_vec();
        let (actor, peer, validates) = (call.actor.clone(), call.peer.clone(), call.validate_only);
        let given = self.tokens.revoke(call, id, request.revision, answer).await?;
        let response: v1::RevokeTokenResponse = decode(given.response)?;
        if let Some(token) = response.token.as_ref().filter(|_| !validates && !given.replayed) {
            tracing::info!(token.id = token.id, token.name = token.name, actor, peer.addr = peer, "revoked a token");
        }
        Ok(response)
    }

    async fn list_tokens(&self, request: v1::ListTokensRequest) -> Result<v1::ListTokensResponse, Error> {
        let filters = v1::ListTokensRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListTokens", &filters);
        let v1::ListTokensRequest { page_size, page_token, role, include_ended } = request;
        let role = filter_role(role)?;
        let limit = page::size(page_size)?;
        let after = scope.read_created(&page_token)?;
        let (state, now) = (self.state(), self.now());
        let uses = self.tokens.uses().await.map_err(|error| error.to_domain())?;
        let is_wanted = |token: &&Arc<Stored<Token>>| {
            let Token { role: has, .. } = token.resource;
            role.is_none_or(|role| role == has) && (include_ended || token.resource.works_at(now))
        };
        let place = |token: &Arc<Stored<Token>>| (token.created_at, token.id.shared());
        let mut tokens: Vec<_> = state.all::<Token>().filter(is_wanted).collect();
        let total_size = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
        tokens.retain(|token| after.as_ref().is_none_or(|after| place(token) > *after));
        let more = tokens.len() > limit;
        tokens.truncate(limit);
        let next_page_token = match tokens.last() {
            Some(token) if more => scope.token(token.created_at.as_micros(), token.id.as_str()),
            _ => String::new(),
        };
        let shown = |token: &Arc<Stored<Token>>| v1::Token {
            last_used_at: uses(token.id.as_str()).map(timestamp),
            ..rendered(token)
        };
        Ok(v1::ListTokensResponse { tokens: tokens.into_iter().map(shown).collect(), next_page_token, total_size })
    }
}

/// An access token as answers have it.
fn rendered(token: &Stored<Token>) -> v1::Token {
    // Nothing of it depends on the time.
    Token::render(token, Form::Answer(token.updated_at))
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
