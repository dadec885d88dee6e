//! `TokenService`.

use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::token_service_client::TokenServiceClient;
use tollgate::proto::v1::{self, Role, Token};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::support::{ROOT, caller, closed, make, revoke, start, token};

async fn list(channel: &tonic::transport::Channel, request: v1::ListTokensRequest) -> v1::ListTokensResponse {
    TokenServiceClient::new(caller(channel, ROOT)).list_tokens(request).await.unwrap().into_inner()
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().unwrap().field_violations.iter();
    let mut fields: Vec<String> = violations.map(|violation| violation.field.clone()).collect();
    fields.sort();
    fields
}

#[tokio::test]
async fn a_token_is_shown_once_and_works_until_it_is_revoked() {
    let (mut rig, channel) = closed().await;
    let made = make(&channel, token("ops", Role::Viewer)).await.unwrap();
    assert!(made.value.starts_with("tg_") && made.value.len() == 46, "{}", made.value.len());
    let (root, rest) = made.created_by.split_once('/').unwrap();
    assert_eq!((root, uuid::Uuid::parse_str(rest).is_ok()), ("bootstrap", true));

    let mut teams = TeamServiceClient::new(caller(&channel, &made.value));
    teams.list_teams(v1::ListTeamsRequest::default()).await.unwrap();
    let listed = list(&channel, v1::ListTokensRequest::default()).await;
    assert_eq!((listed.tokens.len(), listed.total_size), (2, 2));
    let shown = &listed.tokens[1];
    assert!(shown.last_used_at.is_some());
    assert_eq!(*shown, Token { value: String::new(), last_used_at: shown.last_used_at, ..made.clone() });

    let revoked = revoke(&channel, &made.id).await.unwrap();
    assert!(revoked.revoked_at.is_some());
    assert_eq!(revoked.revoked_by, made.created_by);
    assert_eq!(teams.list_teams(v1::ListTeamsRequest::default()).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(revoke(&channel, &made.id).await.unwrap(), revoked, "again, nothing changes");
    assert_eq!(list(&channel, v1::ListTokensRequest::default()).await.total_size, 1);
    let all = list(&channel, v1::ListTokensRequest { include_ended: true, ..Default::default() }).await;
    assert_eq!(all.tokens[1].revoked_at, revoked.revoked_at);

    let taken = make(&channel, token("ops", Role::Node)).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "ERROR_REASON_ALREADY_EXISTS"));
    assert_eq!(revoke(&channel, "nobody").await.unwrap_err().code(), Code::NotFound);
    drop((teams, channel));
    rig.stop().await;

    // What was decided before a restart still holds, and the bootstrap token does nothing to a store that has tokens.
    let channel = start(&mut rig).await;
    let mut teams = TeamServiceClient::new(caller(&channel, &made.value));
    assert_eq!(teams.list_teams(v1::ListTeamsRequest::default()).await.unwrap_err().code(), Code::Unauthenticated);
    let again = list(&channel, v1::ListTokensRequest { include_ended: true, ..Default::default() }).await;
    assert_eq!(again.tokens.len(), 2);
    assert!(again.tokens[0].last_used_at.is_some(), "noted when the server stopped, at the latest");
    drop((teams, channel));
    rig.stop().await;
}

#[tokio::test]
async fn a_malformed_token_is_refused_with_everything_that_is_wrong() {
    let (mut rig, channel) = closed().await;
    let past = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let bad = Token { name: "a b/c".to_owned(), role: 9, expires_at: past, ..Token::default() };
    let refused = make(&channel, bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["token.expires_at", "token.name", "token.role"]);
    let bound = Token { node_id: "gw-1".to_owned(), ..token("v", Role::Viewer) };
    assert_eq!(fields(&make(&channel, bound).await.unwrap_err()), ["token.node_id"]);
    for name in ["", "anonymous", "tollgate", "certificate:x", &"x".repeat(129)] {
        assert_eq!(fields(&make(&channel, token(name, Role::Viewer)).await.unwrap_err()), ["token.name"], "{name:?}");
    }
    let mut tokens = TokenServiceClient::new(caller(&channel, ROOT));
    let absent = tokens.create_token(v1::CreateTokenRequest::default()).await.unwrap_err();
    assert_eq!(fields(&absent), ["token"]);
    drop((tokens, channel));
    rig.stop().await;
}

#[tokio::test]
async fn there_is_always_a_way_in_that_stays() {
    let mut rig = crate::watch::rig::Rig::new();
    let channel = start(&mut rig).await;
    let mut open = TokenServiceClient::new(channel.clone());
    let later = jiff_seconds() + 3_600;
    let expiring = Some(prost_types::Timestamp { seconds: later, nanos: 0 });
    for first in
        [token("v", Role::Viewer), token("n", Role::Node), Token { expires_at: expiring, ..token("a", Role::Admin) }]
    {
        let request = v1::CreateTokenRequest { token: Some(first), ..Default::default() };
        let refused = open.create_token(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(reason(&refused), "ERROR_REASON_ADMIN_TOKEN_REQUIRED");
    }
    let request = v1::CreateTokenRequest { token: Some(token("a", Role::Admin)), ..Default::default() };
    let first = open.create_token(request.clone()).await.unwrap().into_inner().token.unwrap();
    assert_eq!(first.created_by, "anonymous");
    // From here on nobody is an administrator who does not show it.
    assert_eq!(open.create_token(request).await.unwrap_err().code(), Code::Unauthenticated);

    let mut tokens = TokenServiceClient::new(caller(&channel, &first.value));
    let id = first.id.clone();
    let last = tokens.revoke_token(v1::RevokeTokenRequest { id: id.clone(), ..Default::default() }).await.unwrap_err();
    assert_eq!((last.code(), reason(&last).as_str()), (Code::FailedPrecondition, "ERROR_REASON_ADMIN_TOKEN_REQUIRED"));
    for other in [token("b", Role::Admin), Token { expires_at: expiring, ..token("c", Role::Admin) }] {
        let request = v1::CreateTokenRequest { token: Some(other), ..Default::default() };
        tokens.create_token(request).await.unwrap();
    }
    tokens.revoke_token(v1::RevokeTokenRequest { id, ..Default::default() }).await.unwrap();
    drop((open, tokens, channel));
    rig.stop().await;
}

fn jiff_seconds() -> i64 {
    tollgate::domain::Timestamp::now().parts().0
}

#[tokio::test]
async fn a_repeated_request_is_done_once_and_never_shows_the_value_again() {
    let (mut rig, channel) = closed().await;
    let mut tokens = TokenServiceClient::new(caller(&channel, ROOT));
    let request_id = uuid::Uuid::now_v7().to_string();
    let request = v1::CreateTokenRequest { token: Some(token("ci", Role::Admin)), request_id, validate_only: false };
    let dry = v1::CreateTokenRequest { validate_only: true, ..request.clone() };
    let validated = tokens.create_token(dry).await.unwrap().into_inner().token.unwrap();
    assert_eq!((validated.name.as_str(), validated.value.as_str()), ("ci", ""));
    let first = tokens.create_token(request.clone()).await.unwrap().into_inner().token.unwrap();
    let again = tokens.create_token(request.clone()).await.unwrap().into_inner().token.unwrap();
    assert_eq!(again, Token { value: String::new(), ..first.clone() });
    let other = v1::CreateTokenRequest { token: Some(token("other", Role::Admin)), ..request };
    assert_eq!(reason(&tokens.create_token(other).await.unwrap_err()), "ERROR_REASON_REQUEST_ID_REUSED");
    let dry = v1::RevokeTokenRequest { id: first.id.clone(), validate_only: true, ..Default::default() };
    assert!(tokens.revoke_token(dry).await.unwrap().into_inner().token.unwrap().revoked_at.is_some());
    assert_eq!(list(&channel, v1::ListTokensRequest::default()).await.total_size, 2);
    drop((tokens, channel));
    rig.stop().await;
}

#[tokio::test]
async fn tokens_are_listed_in_pages_in_the_order_of_their_creation() {
    let (mut rig, channel) = closed().await;
    for number in 0..5 {
        make(&channel, token(&format!("t{number}"), Role::Node)).await.unwrap();
    }
    let mut request = v1::ListTokensRequest { page_size: 2, role: Role::Node.into(), ..Default::default() };
    let mut names = Vec::new();
    loop {
        let page = list(&channel, request.clone()).await;
        assert_eq!(page.total_size, 5);
        names.extend(page.tokens.into_iter().map(|token| token.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(names, ["t0", "t1", "t2", "t3", "t4"]);
    let foreign = v1::ListTokensRequest { role: Role::Admin.into(), ..request };
    let refused = TokenServiceClient::new(caller(&channel, ROOT)).list_tokens(foreign).await.unwrap_err();
    assert_eq!(reason(&refused), "ERROR_REASON_INVALID_PAGE_TOKEN");
    drop(channel);
    rig.stop().await;
}
