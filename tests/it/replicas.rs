//! Several servers on one PostgreSQL database are one control plane.

mod away;
mod current;
mod large;
mod presence;
mod stopped;
mod threads;
mod tls;
mod together;
mod tokens;
mod usage;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use tollgate::proto::v1;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::seeded::{Bug, plant};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::engine::cluster::{self, ENGINE};
use crate::engine::{Database, on_postgres};
use crate::log::check_log;
use crate::watch::api::Api;
use crate::watch::rig::Rig;

/// Names the bug to plant; set in a child only.
const BUG: &str = "TOLLGATE_SEEDED_BUG_OF_REPLICAS";

/// Whether the test is to run: on PostgreSQL. Plants the bug that the environment names.
fn here() -> bool {
    if let Ok(name) = std::env::var(BUG) {
        let bugs = [Bug::SequenceInsteadOfCounter, Bug::SkipGap, Bug::PublishBeforeCommit];
        plant(*bugs.iter().find(|bug| format!("{bug:?}") == name).unwrap());
    }
    on_postgres()
}

/// The test `name` fails with the bug.
fn found(bug: Bug, name: &str) {
    // Once, in the run on SQLite, which is the one that runs others.
    if on_postgres() || cluster::binaries().is_none() {
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ENGINE, "postgres")
        .env(BUG, format!("{bug:?}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("running 1 test"), "{said}");
    assert!(!output.status.success(), "{bug:?} was not found: {said}");
}

#[test]
fn revisions_that_are_counted_without_the_lock_are_found() {
    found(Bug::SequenceInsteadOfCounter, "replicas::together::replicas_write_count_and_watch_as_one");
}

#[test]
fn a_gap_that_is_skipped_is_found() {
    found(Bug::SkipGap, "replicas::together::replicas_write_count_and_watch_as_one");
}

#[test]
fn what_is_published_before_it_is_committed_is_found() {
    found(
        Bug::PublishBeforeCommit,
        "replicas::away::what_is_being_written_is_shown_to_nobody_and_is_gone_if_the_database_dies",
    );
}

/// Servers on one database, each with a client.
async fn replicas(database: &Arc<Database>, count: usize) -> Vec<(Rig, Api)> {
    let mut replicas = Vec::new();
    for _ in 0..count {
        let mut rig = Rig::on(Arc::clone(database));
        rig.start().await;
        let api = rig.api().await;
        // It answers once it has started.
        teams(&api).await;
        replicas.push((rig, api));
    }
    replicas
}

async fn create(api: &Api, name: &str, request_id: &str) -> Result<v1::Team, Status> {
    let team = Some(v1::Team { name: name.to_owned(), ..Default::default() });
    let request = v1::CreateTeamRequest { team, request_id: request_id.to_owned(), ..Default::default() };
    Ok(TeamServiceClient::new(api.0.clone()).create_team(request).await?.into_inner().team.unwrap())
}

/// Ids by name, from memory.
async fn teams(api: &Api) -> BTreeMap<String, String> {
    let mut teams = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListTeamsRequest { page_size: 1_000, page_token, from_memory: true, ..Default::default() };
        let page = TeamServiceClient::new(api.0.clone()).list_teams(request).await.unwrap().into_inner();
        teams.extend(page.teams.into_iter().map(|team| (team.name, team.id)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return teams;
        }
    }
}

fn uuid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// The call was refused for now, with a time to come back.
fn assert_unavailable(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.get_error_details().retry_info().is_some_and(|retry| retry.retry_delay.is_some()), "{status:?}");
}
