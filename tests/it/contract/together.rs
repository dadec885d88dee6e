//! Writes that meet: while one group is being written, the next is decided on what it will leave. Whoever is answered
//! finds what was answered before, whatever group that was in.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate::proto::v1::Team;
use tonic::Code;
use tonic::transport::Channel;

use super::laws::reason;
use super::subject::{How, Subject};
use crate::watch::rig::Rig;

const CLIENTS: usize = 24;
const ROUNDS: usize = 12;

fn team(name: String) -> Team {
    Team { name, ..Team::default() }
}

/// Adds one to the number that is the team's name, as often as it takes to be the first to do so.
async fn count(channel: Channel, id: String) {
    loop {
        let read = Team::get(channel.clone(), &id, true).await.unwrap();
        let next = read.name.parse::<usize>().unwrap() + 1;
        let update = Team { id: id.clone(), revision: read.revision, ..team(next.to_string()) };
        match Team::update(channel.clone(), update, How::mask(&["name"])).await {
            Ok(written) => {
                assert_eq!(written.name, next.to_string());
                let read = Team::get(channel, &id, false).await.unwrap();
                assert!(read.revision >= written.revision, "what was answered is in the tables");
                return;
            }
            Err(refused) => assert_eq!(reason(&refused, Code::Aborted), "REVISION_MISMATCH"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writes_that_expect_the_same_revision_one_is_made() {
    let (mut rig, api) = Rig::started().await;
    let id = Team::create(api.0.clone(), team("0".to_owned()), How::default()).await.unwrap().id;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (channel, id) = (api.0.clone(), id.clone());
        clients.spawn(async move {
            for _ in 0..ROUNDS {
                count(channel.clone(), id.clone()).await;
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    let counted = Team::get(api.0.clone(), &id, false).await.unwrap();
    assert_eq!(counted.name, (CLIENTS * ROUNDS).to_string());
    drop(api);
    let api = rig.restart().await;
    assert_eq!(Team::get(api.0.clone(), &id, true).await.unwrap(), counted);
    drop(api);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_sent_many_times_at_once_is_made_once() {
    let (mut rig, api) = Rig::started().await;
    // Others write all the time, so that each group is decided while another is being written.
    let mut others = JoinSet::new();
    for other in 0..4 {
        let channel = api.0.clone();
        others.spawn(async move {
            for number in 0.. {
                Team::create(channel.clone(), team(format!("{number} of {other}")), How::default()).await.unwrap();
            }
        });
    }
    for round in 0..ROUNDS {
        let request_id = format!("0190a8f0-0000-7000-8000-{round:012}");
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (channel, request_id) = (api.0.clone(), request_id.clone());
            clients.spawn(async move {
                // Some come while the first is being written, some soon after, and some much later.
                tokio::time::sleep(Duration::from_millis(client as u64 / 2)).await;
                Team::create(channel, team(format!("team {round}")), How::id(&request_id)).await.unwrap()
            });
        }
        let mut answers = HashSet::new();
        while let Some(answer) = clients.join_next().await {
            let Team { id, revision, .. } = answer.unwrap();
            answers.insert((id, revision));
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
    others.shutdown().await;
    drop(api);
    rig.stop().await;
}
