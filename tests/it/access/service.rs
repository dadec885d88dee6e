//! `TokenService`.

use tollgate::proto::v1::apply_change::Change;
use tollgate::proto::v1::apply_request::Part;
use tollgate::proto::v1::change_service_client::ChangeServiceClient;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::token_service_client::TokenServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tollgate::proto::v1::{self, ResourceKind, Role, Token};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::support::{ROOT, caller, closed, make, revoke, start, token};
use crate::watch::rig::soon;

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

    let again = make(&channel, token("ops", Role::Node)).await.unwrap();
    let taken = make(&channel, token("ops", Role::Node)).await.unwrap_err();
    assert_eq!((taken.code(), reason(&taken).as_str()), (Code::AlreadyExists, "ERROR_REASON_ALREADY_EXISTS"));
    assert_eq!(revoke(&channel, &again.id).await.unwrap().name, "ops", "its name was free");
    assert_eq!(revoke(&channel, "nobody").await.unwrap_err().code(), Code::NotFound);
    drop((teams, channel));
    rig.stop().await;

    // What was decided before a restart still holds, and the bootstrap token does nothing to a store that has tokens.
    let channel = start(&mut rig).await;
    let mut teams = TeamServiceClient::new(caller(&channel, &made.value));
    assert_eq!(teams.list_teams(v1::ListTeamsRequest::default()).await.unwrap_err().code(), Code::Unauthenticated);
    let again = list(&channel, v1::ListTokensRequest { include_ended: true, ..Default::default() }).await;
    assert_eq!(again.tokens.len(), 3);
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
async fn to_make_and_revoke_a_token_is_in_the_audit_trail_without_its_hash() {
    let (mut rig, channel) = closed().await;
    let made = make(&channel, token("ops", Role::Viewer)).await.unwrap();
    let stale = v1::RevokeTokenRequest { id: made.id.clone(), revision: made.revision + 1, ..Default::default() };
    let mut tokens = TokenServiceClient::new(caller(&channel, ROOT));
    assert_eq!(tokens.revoke_token(stale.clone()).await.unwrap_err().code(), Code::Aborted);
    let negative = v1::RevokeTokenRequest { revision: -1, ..stale.clone() };
    assert_eq!(fields(&tokens.revoke_token(negative).await.unwrap_err()), ["revision"]);
    let request_id = uuid::Uuid::now_v7().to_string();
    let current = v1::RevokeTokenRequest { revision: made.revision, request_id: request_id.clone(), ..stale };
    let revoked = tokens.revoke_token(current.clone()).await.unwrap().into_inner().token.unwrap();
    assert_eq!(tokens.revoke_token(current).await.unwrap().into_inner().token.unwrap(), revoked, "a retry");
    assert_eq!(revoked.revision, made.revision + 1);
    assert_eq!((revoked.updated_at, made.updated_at), (revoked.revoked_at, made.created_at));

    let of_tokens = v1::ListChangesRequest { kind: ResourceKind::Token.into(), ..Default::default() };
    let mut config = ConfigServiceClient::new(caller(&channel, ROOT));
    let changes = config.list_changes(of_tokens.clone()).await.unwrap().into_inner().changes;
    let told: Vec<_> = changes.iter().map(|it| (it.revision, it.op(), it.method.as_str(), it.actor.as_str())).collect();
    let (create, revoke) = ("tollgate.v1.TokenService/CreateToken", "tollgate.v1.TokenService/RevokeToken");
    let root = made.created_by.as_str();
    let bootstrapped = changes.last().unwrap();
    assert_eq!(
        told,
        [
            (revoked.revision, v1::ChangeOp::Update, revoke, root),
            (made.revision, v1::ChangeOp::Create, create, root),
            (bootstrapped.revision, v1::ChangeOp::Create, "bootstrap", "tollgate"),
        ]
    );
    let shown = |token: &Token| Some(v1::ConfigResource { resource: Some(Resource::Token(token.clone())) });
    let made = Token { value: String::new(), ..made };
    assert_eq!((&changes[0].before, &changes[0].after), (&shown(&made), &shown(&revoked)), "there is no hash");
    assert_eq!(changes[0].request_id, request_id);
    // Of two with one name, one after the other, both are found by it.
    let by_name = v1::ListChangesRequest { actor: "bootstrap".to_owned(), ..of_tokens };
    assert_eq!(config.list_changes(by_name).await.unwrap().into_inner().changes.len(), 2);
    drop((tokens, config, channel));
    rig.stop().await;
    let (agrees, text) = crate::process::verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}

#[tokio::test]
async fn tokens_are_on_no_stream_and_a_rollback_leaves_them_as_they_are() {
    let (mut rig, channel) = closed().await;
    let made = make(&channel, token("ops", Role::Admin)).await.unwrap();
    let request = v1::WatchConfigRequest { kinds: vec![ResourceKind::Token.into()], ..Default::default() };
    let mut config = ConfigServiceClient::new(caller(&channel, ROOT));
    assert_eq!(config.watch_config(request).await.unwrap_err().code(), Code::InvalidArgument);
    let mut stream = config.watch_config(v1::WatchConfigRequest::default()).await.unwrap().into_inner();
    revoke(&channel, &made.id).await.unwrap();
    loop {
        match soon(stream.message()).await.unwrap().unwrap().event {
            Some(Event::Batch(batch)) => {
                let is_token = |it: &v1::ConfigResource| matches!(it.resource, Some(Resource::Token(_)));
                assert!(!batch.upserts.iter().any(is_token));
            }
            Some(Event::Bookmark(bookmark)) if bookmark.revision > made.revision => break,
            _ => {}
        }
    }
    let mut changes = ChangeServiceClient::new(caller(&channel, ROOT));
    let options = v1::ApplyOptions { rollback_to_revision: made.revision, ..Default::default() };
    let keys = vec![v1::ResourceKey { kind: ResourceKind::Token.into(), id: made.id.clone() }];
    let named = v1::ApplyOptions { rollback_keys: keys, ..options.clone() };
    let request =
        |parts: Vec<Part>| tokio_stream::iter(parts.into_iter().map(|part| v1::ApplyRequest { part: Some(part) }));
    let refused = changes.apply(request(vec![Part::Options(named)])).await.unwrap_err();
    assert_eq!(fields(&refused), ["options.rollback_keys[0].kind"]);
    changes.apply(request(vec![Part::Options(options)])).await.unwrap();
    let resource = v1::ConfigResource { resource: Some(Resource::Token(token("x", Role::Admin))) };
    let upsert = v1::ApplyChange { change: Some(Change::Upsert(resource)), ..Default::default() };
    let parts = vec![Part::Options(v1::ApplyOptions::default()), Part::Change(upsert)];
    let refused = changes.apply(request(parts)).await.unwrap_err();
    assert!(refused.message().contains("TokenService"), "{}", refused.message());
    let mut teams = TeamServiceClient::new(caller(&channel, &made.value));
    assert_eq!(teams.list_teams(v1::ListTeamsRequest::default()).await.unwrap_err().code(), Code::Unauthenticated);
    drop((stream, config, changes, teams, channel));
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
