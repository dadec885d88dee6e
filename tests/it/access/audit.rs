//! The audit trail, and what proves it.

use tollgate::proto::v1;
use tollgate::proto::v1::team_service_client::TeamServiceClient;

use super::support::{Process, ROOT, caller};
use crate::engine::on_postgres;
use crate::process::verify;
use crate::watch::rig::{Rig, endpoint, soon};

#[tokio::test]
async fn changes_are_read_and_verified_at_the_command_line() {
    let server = Process::start(&[], &[("TOLLGATE_BOOTSTRAP_TOKEN", ROOT)]).await;
    let env = [("TOLLGATE_TOKEN", ROOT)];
    let ops = server.run(&["token", "create", "--name", "ops", "--role", "admin"], &env).unwrap();
    let ops = ops.trim();
    let channel = soon(endpoint(server.address).connect()).await.unwrap();
    let mut teams = TeamServiceClient::new(caller(&channel, ops));
    let team = |id: &str, name: &str| v1::Team { id: id.to_owned(), name: name.to_owned(), ..Default::default() };
    let create = v1::CreateTeamRequest { team: Some(team("", "Research")), ..Default::default() };
    let id = teams.create_team(create).await.unwrap().into_inner().team.unwrap().id;
    let update_mask = Some(prost_types::FieldMask { paths: vec!["name".to_owned()] });
    let update = v1::UpdateTeamRequest { team: Some(team(&id, "Re\u{1b}search")), update_mask, ..Default::default() };
    assert!(teams.update_team(update.clone()).await.is_err(), "control characters are refused");
    let update = v1::UpdateTeamRequest { team: Some(team(&id, "Search")), ..update };
    teams.update_team(update).await.unwrap();
    teams.delete_team(v1::DeleteTeamRequest { id: id.clone(), ..Default::default() }).await.unwrap();

    let told = server.run(&["changes", "--id", &id, "--actor", "ops", "--from", "1h"], &env).unwrap();
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    for (line, part) in [
        (0, format!("delete team {id} \"Search\"")),
        (1, "TeamService/DeleteTeam".to_owned()),
        (1, "by ops/".to_owned()),
        (1, " from 127.0.0.1:".to_owned()),
    ] {
        assert!(lines[line].contains(&part), "{told}");
    }
    assert!(lines.contains(&"name: \"Research\" → \"Search\""), "{told}");
    assert!(lines.contains(&"name: \"Research\""), "{told}");
    let json = server.run(&["changes", "--json", "--kind", "team"], &env).unwrap();
    assert_eq!(json.lines().count(), 3, "{json}");
    for line in json.lines() {
        let change: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(change["id"], id.as_str());
    }
    let nobody = server.run(&["changes", "--actor", "nobody"], &env).unwrap();
    assert_eq!(nobody, "");
    let refused = server.run(&["changes"], &[]).unwrap_err();
    assert!(refused.contains("Unauthenticated") && refused.contains("TOLLGATE_TOKEN"), "{refused}");

    let listed = server.run(&["token", "list"], &env).unwrap();
    assert!(listed.contains("ops") && listed.contains("bootstrap/") && !listed.contains(ops), "{listed}");
    let database = server.database();
    let verified = server.run(&["verify", "--database", database, "--memory"], &env).unwrap();
    assert!(verified.contains("all of it agrees") && verified.contains("memory"), "{verified}");
    server.run(&["token", "revoke", "ops"], &env).unwrap();
    assert!(teams.list_teams(v1::ListTeamsRequest::default()).await.is_err());
    let rescue = ["token", "create", "--name", "rescue", "--role", "admin", "--database", database];
    let rescued = server.run(&rescue, &[]);
    if on_postgres() {
        // A file has one owner, and a server that runs keeps others out; here others write beside it, and it hears of it.
        let mut teams = TeamServiceClient::new(caller(&channel, rescued.unwrap().trim()));
        soon(async { while teams.list_teams(v1::ListTeamsRequest::default()).await.is_err() {} }).await;
    } else {
        assert!(rescued.unwrap_err().contains("another tollgate server"));
    }
}

#[tokio::test]
async fn a_token_can_be_made_in_the_database_of_a_stopped_server() {
    let (mut rig, channel) = super::support::closed().await;
    drop(channel);
    rig.stop().await;
    let create = |name: &str, role: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let args = ["token", "create", "--name", name, "--role", role, "--database", &rig.settings.database.url];
        command.args(args).output().unwrap()
    };
    let made = create("rescue", "admin");
    assert!(made.status.success(), "{made:?}");
    let value = String::from_utf8(made.stdout).unwrap();
    assert!(!create("rescue", "admin").status.success(), "the name is taken");
    assert!(!create("a b", "viewer").status.success(), "a bad name");
    let channel = super::support::start(&mut rig).await;
    TeamServiceClient::new(caller(&channel, value.trim())).list_teams(v1::ListTeamsRequest::default()).await.unwrap();
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn what_was_altered_behind_the_servers_back_is_found() {
    for (sql, fault) in [
        ("UPDATE team SET name = 'Other'", "is not in the tables as revision"),
        ("DELETE FROM team", "is not in the tables, but was last written"),
        ("UPDATE change_row SET body = before_body, before_body = body WHERE kind = 2 AND op = 2", "recorded"),
        ("UPDATE change_row SET resource_id = 'x' WHERE kind = 2 AND op = 1", "recorded"),
        ("DELETE FROM change_row WHERE kind = 2 AND op = 2", "recorded"),
        ("UPDATE head SET chain = compacted_chain", "another chain"),
        ("DELETE FROM change_txn WHERE revision = 2", "missing"),
    ] {
        let (mut rig, api) = Rig::started().await;
        let made = api.create_team(v1::Team { name: "Research".to_owned(), ..Default::default() }).await.unwrap();
        api.update_team(v1::Team { name: "Search".to_owned(), ..made }, &["name"]).await.unwrap();
        drop(api);
        rig.stop().await;
        let (agrees, text) = verify(&rig.database, &[]);
        assert!(agrees, "{text}");
        rig.database.sql(sql).await;
        let (agrees, text) = verify(&rig.database, &[]);
        assert!(!agrees && text.contains(fault), "{sql}: {text}");
    }
}
