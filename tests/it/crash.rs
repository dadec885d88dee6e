//! The server is killed at random moments while clients write and watch, and is started again on the same file: what
//! was answered is there, once, and watchers go on from where they were.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::{
    CreateTeamRequest, DeleteTeamRequest, ListTeamsRequest, Team, UpdateTeamRequest, WatchMode, WatchReason,
};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::engine::Database;
use crate::log::check_log;
use crate::process::Server;
use crate::watch::api::Api;
use crate::watch::rig::{Node, soon};

/// How often the server is killed, where the environment does not say otherwise.
const KILLS: u64 = 8;
const WRITERS: u64 = 4;
const WATCHERS: usize = 3;

/// Where the server is, and the writes that it has answered. `None`: there will be no server any more.
type Place = watch::Sender<Option<Channel>>;

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Write {
    Create(String),
    Update(String, String),
    Delete(String),
}

/// What a writer knows to be there: name by id. And all revisions that it was given.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) teams: BTreeMap<String, String>,
    revisions: Vec<i64>,
}

impl Known {
    pub(crate) fn propose(&self, lane: u64, count: u64, rng: &mut StdRng) -> Write {
        let name = format!("team {lane}-{count}");
        let any = self.teams.keys().nth(rng.random_range(0..self.teams.len().max(1)));
        match (any, rng.random_range(0..10)) {
            (Some(id), 0..3) => Write::Update(id.clone(), name),
            (Some(id), 3..5) => Write::Delete(id.clone()),
            _ => Write::Create(name),
        }
    }

    pub(crate) fn answered(&mut self, write: Write, id: String, revision: i64) {
        match write {
            Write::Create(name) | Write::Update(_, name) => self.teams.insert(id, name),
            Write::Delete(id) => self.teams.remove(&id),
        };
        self.revisions.push(revision);
    }
}

/// Id and revision that the write was answered with.
pub(crate) async fn send(channel: Channel, write: Write, request_id: String) -> Result<(String, i64), Status> {
    let mut teams = TeamServiceClient::new(channel);
    let team = |id, name| Some(Team { id, name, ..Team::default() });
    let team = match write {
        Write::Create(name) => {
            let request = CreateTeamRequest { team: team(String::new(), name), request_id, ..Default::default() };
            teams.create_team(request).await?.into_inner().team.unwrap()
        }
        Write::Update(id, name) => {
            let request = UpdateTeamRequest { team: team(id, name), request_id, ..Default::default() };
            teams.update_team(request).await?.into_inner().team.unwrap()
        }
        Write::Delete(id) => {
            let request = DeleteTeamRequest { id: id.clone(), request_id, ..Default::default() };
            return Ok((id, teams.delete_team(request).await?.into_inner().revision));
        }
    };
    Ok((team.id, team.revision))
}

/// Writes until there is no server any more. A write whose answer was lost is sent again with its request id.
async fn write(lane: u64, seed: u64, place: Arc<Place>, answered: watch::Sender<u64>) -> Known {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut place = place.subscribe();
    let mut known = Known::default();
    for count in 0.. {
        let write = known.propose(lane, count, &mut rng);
        let request_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid().to_string();
        loop {
            let Some(channel) = place.borrow_and_update().clone() else { return known };
            match send(channel, write.clone(), request_id.clone()).await {
                Ok((id, revision)) => {
                    known.answered(write, id, revision);
                    answered.send_modify(|count| *count += 1);
                    break;
                }
                Err(status) => {
                    let gone = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                    assert!(gone.contains(&status.code()), "{write:?}: {status:?}");
                    soon(place.changed()).await.unwrap();
                }
            }
        }
    }
    known
}

/// Watches until there is no server any more; every stream but the first resumes.
async fn follow(place: Arc<Place>) -> (Node, u64) {
    let mut place = place.subscribe();
    let mut node = Node::new(&[]);
    let mut streams = 0;
    loop {
        let Some(channel) = place.borrow_and_update().clone() else { return (node, streams) };
        let had_token = !node.reducer.resume_token().is_empty();
        if let Ok((mode, reason, _)) = node.connect(&Api(channel)).await {
            let expected = match had_token {
                true => (WatchMode::Resumed, WatchReason::Unspecified),
                false => (WatchMode::Snapshot, WatchReason::First),
            };
            assert_eq!((mode, reason), expected);
            streams += 1;
            while let Ok(Some(_)) = node.step().await {}
        }
        soon(place.changed()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_nothing_and_doubles_nothing() {
    let kills = std::env::var("TOLLGATE_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let database = Database::new();
    let mut rng = StdRng::seed_from_u64(kills);
    let (mut server, channel) = Server::start(&database).await;
    let place = Arc::new(Place::new(Some(channel)));
    let answered = watch::Sender::new(0_u64);

    let mut writers = JoinSet::new();
    for lane in 0..WRITERS {
        writers.spawn(write(lane, rng.random(), Arc::clone(&place), answered.clone()));
    }
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        watchers.spawn(follow(Arc::clone(&place)));
    }

    for _ in 0..kills {
        // Counted in answers, then a moment that falls anywhere between two of them.
        let until = *answered.borrow() + rng.random_range(20..120);
        soon(answered.subscribe().wait_for(|count| *count >= until)).await.unwrap();
        for _ in 0..rng.random_range(0..2_000) {
            std::hint::spin_loop();
        }
        server.kill();
        let channel;
        (server, channel) = Server::start(&database).await;
        place.send_replace(Some(channel));
    }
    let until = *answered.borrow() + 20;
    soon(answered.subscribe().wait_for(|count| *count >= until)).await.unwrap();
    let channel = place.borrow().clone().unwrap();

    // The writers stop, the watchers come to the end.
    place.send_replace(None);
    let known: Vec<Known> = soon(writers.join_all()).await;
    let teams = all(channel.clone()).await;
    let expected: BTreeMap<_, _> = known.iter().flat_map(|known| known.teams.clone()).collect();
    assert_eq!(teams, expected, "what was answered, and nothing else");
    let mut last = Node::new(&[]);
    let (.., head) = last.connect(&Api(channel.clone())).await.unwrap();
    last.until_proved(head).await;
    server.kill();
    for (mut node, streams) in soon(watchers.join_all()).await {
        assert!(streams > 1, "it never resumed while the server was being killed");
        let (again, channel) = Server::start(&database).await;
        assert_eq!(node.connect(&Api(channel)).await.unwrap(), (WatchMode::Resumed, WatchReason::Unspecified, head));
        node.until_proved(head).await;
        assert_eq!(node.reducer.state(), last.reducer.state());
        again.kill();
    }

    let (revisions, given): (usize, Vec<i64>) = (
        known.iter().map(|known| known.revisions.len()).sum(),
        known.iter().flat_map(|it| it.revisions.clone()).collect(),
    );
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), revisions, "no two writes were given one revision");
    let first = given.iter().min().copied().unwrap();
    assert_eq!(head - first + 1, i64::try_from(revisions).unwrap(), "revisions are dense: one for each answered write");
    assert_eq!(check_log(&database).await, head);
    println!("{kills} kills, {revisions} writes");
}

async fn all(channel: Channel) -> BTreeMap<String, String> {
    let mut teams = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = ListTeamsRequest { page_size: 1_000, page_token, ..ListTeamsRequest::default() };
        let page = TeamServiceClient::new(channel.clone()).list_teams(request).await.unwrap().into_inner();
        teams.extend(page.teams.into_iter().map(|team| (team.id, team.name)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return teams;
        }
    }
}
