//! The hash chain of the log: whatever is altered of a revision's record, of its changes, or of the answers that are
//! remembered is found; and a store of an earlier version goes on under this one.

use tollgate::domain::Sha256Hash;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::token_service_client::TokenServiceClient;

use crate::access::support::{ROOT, caller, start};
use crate::engine::{Database, on_postgres};
use crate::log::check_log;
use crate::process::verify;
use crate::watch::api::Api;
use crate::watch::rig::Rig;

/// Requests with an id: one makes a revision, one changes nothing.
const MADE: &str = "00000000-0000-4000-8000-00000000000a";
const UNCHANGED: &str = "00000000-0000-4000-8000-00000000000b";

/// Bytes, as the engine writes them.
fn bytes(hex: &str) -> String {
    if on_postgres() { format!("'\\x{hex}'") } else { format!("x'{hex}'") }
}

async fn create(api: &Api, name: &str, request_id: &str) -> v1::Team {
    let team = Some(v1::Team { name: name.to_owned(), ..Default::default() });
    let request = v1::CreateTeamRequest { team, request_id: request_id.to_owned(), ..Default::default() };
    TeamServiceClient::new(api.0.clone()).create_team(request).await.unwrap().into_inner().team.unwrap()
}

async fn rename(api: &Api, team: &v1::Team, name: &str, request_id: &str) {
    let update_mask = Some(prost_types::FieldMask { paths: vec!["name".to_owned()] });
    let team = Some(v1::Team { id: team.id.clone(), name: name.to_owned(), ..Default::default() });
    let request = v1::UpdateTeamRequest { team, update_mask, request_id: request_id.to_owned(), ..Default::default() };
    TeamServiceClient::new(api.0.clone()).update_team(request).await.unwrap();
}

/// Whether the database agrees with itself, and what is told.
async fn altered(database: &Database, sql: &str) -> (bool, String) {
    database.sql(sql).await;
    verify(database, &[])
}

/// The last revision: that of the request `MADE` is the one before.
const LAST: i64 = 3;

#[tokio::test]
async fn every_column_of_a_revision_and_of_a_remembered_answer_is_covered() {
    let (mut rig, api) = Rig::started().await;
    let team = create(&api, "Research", MADE).await;
    rename(&api, &team, "Search", "").await;
    rename(&api, &team, "Search", UNCHANGED).await;
    drop(api);
    rig.stop().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees && !text.contains("earlier version"), "{text}");
    let backup = rig.database.back_up();

    let (not_chained, not_remembered) = ("do not give the chain", "is not remembered as it was");
    let alter = |table: &str, set: &str, of: &str| format!("UPDATE {table} SET {set} WHERE {of}");
    let (made, unchanged) = (format!("request_id = '{MADE}'"), format!("request_id = '{UNCHANGED}'"));
    let (last, of_last) = (format!("revision = {LAST}"), format!("revision = {LAST} AND ord = 0"));
    let hash = bytes(&"07".repeat(32));
    let mut cases = vec![
        (alter("change_txn", "revision = 9", &last), "row \"3\": the revision is missing"),
        (alter("change_txn", &format!("chain = {hash}"), &made), not_chained),
        (alter("change_txn", "chain_version = 1", &last), not_chained),
        (alter("change_txn", "chain_version = 1", &last), "of an earlier version"),
        (alter("change_txn", "chain_version = 3", &last), "there is no version 3"),
        (alter("change_txn", "committed_at = committed_at - 1", &last), not_chained),
        (alter("change_txn", "actor = 'mallory'", &last), not_chained),
        (alter("change_txn", "peer = ''", &last), not_chained),
        (alter("change_txn", "method = 'tollgate.v1.TeamService/CreateTeam'", &last), not_chained),
        (alter("change_txn", &format!("request_id = '{UNCHANGED}'"), &last), not_chained),
        (alter("change_txn", "request_digest = NULL", &made), not_chained),
        (alter("change_txn", &format!("request_digest = {hash}"), &last), not_chained),
        // Whoever moves the end of one text to the beginning of the next changes something, too.
        (alter("change_txn", "actor = 'a', peer = 'nonymous' || peer", &last), not_chained),
        ("UPDATE head SET committed_at = committed_at + 1".to_owned(), "another time of its commit"),
        (alter("change_row", "revision = 9", &of_last), "revision 9: there are changes of it, but it is not recorded"),
        (alter("change_row", "revision = 9", &of_last), not_chained),
        (alter("change_row", "ord = 1", &of_last), "numbered from 0"),
        (alter("change_row", "kind = 1", &of_last), not_chained),
        (alter("change_row", "resource_id = 'x'", &of_last), not_chained),
        (alter("change_row", "op = 1", &of_last), not_chained),
        (alter("change_row", "body = before_body", &of_last), not_chained),
        (alter("change_row", "before_body = body", &of_last), not_chained),
        (alter("change_row", &format!("before_body = {}", bytes("")), "op = 1"), not_chained),
        (format!("DELETE FROM change_row WHERE {of_last}"), not_chained),
        (format!("DELETE FROM request WHERE {made}"), not_remembered),
        (alter("request", &format!("accepted_at = 0, digest = {}", bytes("")), &made), not_remembered),
    ];
    for request in [&made, &unchanged] {
        for set in [
            "caller = 'mallory'".to_owned(),
            "method = 'tollgate.v1.TeamService/DeleteTeam'".to_owned(),
            "request_id = '00000000-0000-4000-8000-00000000000c'".to_owned(),
            format!("fingerprint = {hash}"),
            format!("response = {}", bytes("0a00")),
            "accepted_at = accepted_at + 1".to_owned(),
            format!("digest = {hash}"),
            format!("digest = {}", bytes("")),
        ] {
            cases.push((alter("request", &set, request), "what is remembered of it was altered"));
        }
    }
    for (sql, fault) in cases {
        let (agrees, text) = altered(&rig.database, &sql).await;
        assert!(!agrees && text.contains(fault), "{sql}: {text}");
        rig.database.restore(&backup);
    }
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}

/// A store that a server wrote whose chain took in changes alone.
fn of_an_earlier_version() -> Rig {
    let rig = Rig::new();
    rig.database.load(match on_postgres() {
        true => include_str!("../fixtures/changes_only.postgres.sql"),
        false => include_str!("../fixtures/changes_only.sqlite.sql"),
    });
    rig
}

#[tokio::test]
async fn a_store_of_an_earlier_version_goes_on_under_this_one() {
    let mut rig = of_an_earlier_version();
    // Opening it is what migrates it.
    rig.store().await.close().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(
        agrees && text.contains("7 revisions, from 1 on") && text.contains("the first 7 were written by"),
        "{text}"
    );
    rig.start().await;
    let api = rig.api().await;
    create(&api, "Operations", MADE).await;
    let team = create(&api, "Support", "").await;
    let api = rig.restart().await;
    rename(&api, &team, "Support", UNCHANGED).await;
    drop(api);
    rig.stop().await;
    assert_eq!(check_log(&rig.database).await, 9);
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(
        agrees && text.contains("9 revisions, from 1 on") && text.contains("the first 7 were written by"),
        "{text}"
    );

    let backup = rig.database.back_up();
    for (sql, fault) in [
        ("UPDATE change_row SET body = before_body WHERE revision = 4", "revision 4: its record and changes do not"),
        ("UPDATE change_txn SET chain_version = 2 WHERE revision = 7", "revision 7: its record and changes do not"),
        ("UPDATE change_txn SET chain_version = 1 WHERE revision = 8", "revision 8: its record and changes do not"),
        (
            "UPDATE change_txn SET chain_version = 1 WHERE revision = 9",
            "of an earlier version than that of the one before",
        ),
        ("UPDATE change_txn SET actor = 'mallory' WHERE revision = 8", "revision 8: its record and changes do not"),
        ("DELETE FROM request WHERE request_id LIKE '%a'", "revision 8: what was answered to its request"),
    ] {
        let (agrees, text) = altered(&rig.database, sql).await;
        assert!(!agrees && text.contains(fault), "{sql}: {text}");
        rig.database.restore(&backup);
    }
}

#[tokio::test]
async fn access_tokens_of_an_earlier_version_enter_the_log_once() {
    let mut rig = of_an_earlier_version();
    let hash = |value: &str| bytes(&hex::encode(Sha256Hash::of(value).0));
    let (works, ended) = (hash(ROOT), hash("tg_ended"));
    let made = format!(
        "INSERT INTO token (id, name, role, value_sha256, created_at, created_by, revoked_at, revoked_by) VALUES \
         ('a', 'ops', 'admin', {works}, 1000000, 'anonymous', NULL, NULL), \
         ('b', 'ci', 'viewer', {ended}, 2000000, 'ops/a', 3000000, 'ops/a')"
    );
    rig.database.sql(&made).await;
    // Migrated, and not yet entered.
    rig.store().await.close().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees && text.contains("7 revisions"), "{text}");

    let mut channel = start(&mut rig).await;
    for _ in 0..2 {
        let mut tokens = TokenServiceClient::new(caller(&channel, ROOT));
        let all = v1::ListTokensRequest { include_ended: true, ..Default::default() };
        let listed = tokens.list_tokens(all).await.unwrap().into_inner().tokens;
        let seconds = |time: &Option<prost_types::Timestamp>| time.as_ref().map(|time| time.seconds);
        let told: Vec<_> = listed.iter().map(|it| (it.id.as_str(), it.revision, seconds(&it.revoked_at))).collect();
        assert_eq!(told, [("a", 8, None), ("b", 8, Some(3))]);
        let of_tokens = v1::ListChangesRequest { kind: v1::ResourceKind::Token.into(), ..Default::default() };
        let mut config = ConfigServiceClient::new(caller(&channel, ROOT));
        let changes = config.list_changes(of_tokens).await.unwrap().into_inner().changes;
        assert!(changes.len() == 2 && changes.iter().all(|it| it.method == "adopt" && it.revision == 8), "{changes:?}");
        drop((tokens, config, channel));
        rig.stop().await;
        channel = start(&mut rig).await;
    }
    drop(channel);
    rig.stop().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
    let backup = rig.database.back_up();
    let other = hash("tg_other");
    let added = format!(
        "INSERT INTO token (id, revision, name, role, value_sha256, created_at, created_by) \
         VALUES ('c', 0, 'x', 'admin', {other}, 1, 'ops/a')"
    );
    for (sql, fault) in [
        ("UPDATE token SET revoked_at = NULL, revoked_by = NULL", "token b is not in the tables as revision 8"),
        (&added, "token c is in the tables, but the log knows nothing of it"),
        ("DELETE FROM token WHERE id = 'b'", "token b is not in the tables, but was last written"),
    ] {
        let (agrees, text) = altered(&rig.database, sql).await;
        assert!(!agrees && text.contains(fault), "{sql}: {text}");
        rig.database.restore(&backup);
    }
}
