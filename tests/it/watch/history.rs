//! Random histories: one writer, several watchers that come and go, a server that does too. At every revision that a
//! watcher is brought to, its copy must be the store at that revision.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tollgate::proto::v1::{ResourceKind, WatchMode, WatchReason};
use tollgate::reducer::{Progress, Reducer, View};
use tonic::Code;

use super::api::Api;
use super::rig::{Node, Rig, endpoint, failure, soon};
use super::world::{Server, World, foreign_token};
use super::writes::{Model, write};
use crate::engine::on_postgres;

const HISTORIES: u64 = 200;
/// On PostgreSQL a server takes longer to start, and what is tested is the same.
const HISTORIES_ON_POSTGRES: u64 = 12;
const WRITES: usize = 25;
/// Histories at once.
const LANES: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_holds_at_every_revision_what_the_store_held() {
    let histories = if on_postgres() { HISTORIES_ON_POSTGRES } else { HISTORIES };
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(async move {
            for seed in (lane..histories).step_by(LANES as usize) {
                run(seed).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
}

/// One history. The error says how the stream broke its promise.
pub(crate) async fn run(seed: u64) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rig = Rig::new();
    rig.settings.watch.heartbeat_interval = Duration::from_millis(20);
    rig.start().await;
    let (revision, model) = Model::of(&rig.api().await).await;
    let world = Arc::new(World::new(rig.address(), revision, model.clone()));

    let mut tasks = JoinSet::new();
    let one = [ResourceKind::Team, ResourceKind::VirtualKey, ResourceKind::Provider, ResourceKind::McpClient];
    let one = one[rng.random_range(0..one.len())];
    for kinds in [vec![], vec![ResourceKind::Customer, ResourceKind::VirtualKey], vec![one]] {
        let watcher = Watcher {
            node: Node::new(&kinds),
            world: Arc::clone(&world),
            rng: StdRng::seed_from_u64(rng.random()),
            seen: Vec::new(),
            token_revision: 0,
            kept: Vec::new(),
        };
        tasks.spawn(watcher.watch());
    }
    tasks.spawn(writer(rig, rng, world, revision, model));
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            // The others would wait for it.
            tasks.abort_all();
            if error.is_panic() && result.is_ok() {
                result = Err(failure(error));
            }
        }
    }
    result
}

async fn writer(mut rig: Rig, mut rng: StdRng, world: Arc<World>, mut head: i64, mut model: Model) {
    let mut api = rig.api().await;
    let mut starts = 0;
    for _ in 0..WRITES {
        if rng.random_bool(0.02) {
            world.now.send_modify(|now| now.server = None);
            rig.stop().await;
            if rng.random_bool(0.5) {
                let revision = rng.random_range(world.compacted()..=head);
                rig.compact(revision).await;
                world.compacted.store(revision, Ordering::SeqCst);
            }
            let address = rig.start().await;
            api = rig.api().await;
            starts += 1;
            world.now.send_modify(|now| now.server = Some(Server { address, starts }));
        }
        if let Some(written) = write(&api, &mut rng, head, &model).await {
            (head, model) = written;
            world.wrote(head, &model);
        }
        if rng.random_bool(0.2) {
            tokio::task::yield_now().await;
        }
    }
    if let Some(difference) = model.differs_from_tables(&api).await {
        panic!("{difference}");
    }
    world.now.send_modify(|now| now.done = true);
    // The server goes on until the watchers, which hold the world too, are done.
    while Arc::strong_count(&world) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(api);
    rig.stop().await;
}

/// How a stream is begun.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    /// With what the watcher has.
    GoOn,
    /// As a node that lost everything.
    Forget,
    /// As a node that was restored from an older copy.
    Restore,
    /// With a token of other kinds.
    OtherKinds,
    /// With a token of another store.
    OtherStore,
    /// With something that is no token.
    Garbage,
}

struct Watcher {
    node: Node,
    world: Arc<World>,
    rng: StdRng,
    /// Where it was brought to, and what it held there.
    seen: Vec<(i64, Arc<View>)>,
    /// The revision of the token that it has; 0 for none.
    token_revision: i64,
    /// Copies that it kept, with their tokens.
    kept: Vec<(Arc<View>, String)>,
}

impl Watcher {
    async fn watch(mut self) {
        while !self.session().await {}
        for (revision, copy) in &self.seen {
            let model = self.world.model(*revision).unwrap_or_else(|| panic!("revision {revision} was never written"));
            if let Some(difference) = model.differs(&self.node.kinds, copy) {
                panic!("a watcher of {:?} at revision {revision}: {difference}", self.node.kinds);
            }
        }
    }

    /// One stream. Whether it was the last.
    async fn session(&mut self) -> bool {
        let server = self.world.server().await;
        let mut endpoint = endpoint(server.address);
        let narrow = self.rng.random_bool(0.3);
        if narrow {
            endpoint = endpoint.initial_stream_window_size(512).initial_connection_window_size(512);
        }
        let channel = match soon(endpoint.connect()).await {
            Ok(channel) => channel,
            Err(error) => {
                self.server_went(server, &error);
                return false;
            }
        };
        let api = Api(channel);
        let Some((way, token)) = self.choose().await else { return false };
        // What is compacted changes only while there is no server.
        let compacted = self.world.compacted();
        let begun = self.node.connect_with(&api, &token).await;
        let (mode, reason, _) = match begun {
            Ok(begun) => begun,
            Err(status) if way == Way::Garbage => {
                if status.code() != Code::InvalidArgument {
                    self.server_went(server, &status);
                }
                return false;
            }
            Err(status) => {
                self.server_went(server, &status);
                return false;
            }
        };
        let expected = match way {
            Way::OtherStore => (WatchMode::Snapshot, WatchReason::StoreChanged),
            Way::OtherKinds => (WatchMode::Snapshot, WatchReason::FilterChanged),
            _ if token.is_empty() => (WatchMode::Snapshot, WatchReason::First),
            _ if self.token_revision < compacted => (WatchMode::Snapshot, WatchReason::Compacted),
            _ => (WatchMode::Resumed, WatchReason::Unspecified),
        };
        assert_eq!((mode, reason), expected, "{way:?} with a token of {}", self.token_revision);
        self.follow(server).await
    }

    /// Reads for a while, or to the end of the history. Whether that was reached.
    async fn follow(&mut self, server: Server) -> bool {
        let mut left: u32 = self.rng.random_range(1..15);
        loop {
            let now = *self.world.now.borrow();
            if !now.done && left == 0 {
                self.node.close();
                return false;
            }
            left = left.saturating_sub(1);
            if self.rng.random_bool(0.1) {
                let writes = self.rng.random_range(1..8);
                self.world.pause(writes).await;
            }
            let progress = match self.node.step().await {
                Ok(Some(progress)) => progress,
                Ok(None) => {
                    self.server_went(server, &"it ended");
                    return false;
                }
                Err(error) => {
                    self.server_went(server, &error);
                    return false;
                }
            };
            let copy = self.node.reducer.state();
            match progress {
                Progress::Applied(_) => self.seen.push((copy.revision(), copy)),
                Progress::Bookmarked { revision, verified, .. } => {
                    let token = self.node.reducer.resume_token();
                    self.world.keep_token(&self.node.kinds, token);
                    self.kept.push((Arc::clone(&copy), token.to_owned()));
                    self.token_revision = revision;
                    self.seen.push((revision, copy));
                    if now.done && revision == now.written && verified {
                        return true;
                    }
                }
                _ => {}
            }
        }
    }

    async fn choose(&mut self) -> Option<(Way, String)> {
        let way = match self.rng.random_range(0..12) {
            _ if self.world.now.borrow().done => Way::GoOn,
            0 => Way::Forget,
            1 => Way::Restore,
            2 => Way::OtherKinds,
            3 => Way::OtherStore,
            4 => Way::Garbage,
            _ => Way::GoOn,
        };
        let token = match way {
            Way::GoOn => self.node.reducer.resume_token().to_owned(),
            Way::Forget => {
                self.node.reducer = Reducer::new();
                self.token_revision = 0;
                String::new()
            }
            Way::Restore => {
                if self.kept.is_empty() {
                    return None;
                }
                let (copy, token) = self.kept[self.rng.random_range(0..self.kept.len())].clone();
                let resources = copy.iter().map(|(_, resource)| resource.as_ref().clone());
                self.node.reducer = Reducer::restore(resources, copy.revision(), token.clone()).unwrap();
                self.token_revision = copy.revision();
                token
            }
            Way::OtherKinds => self.world.token_of_others(&self.node.kinds)?,
            Way::OtherStore => foreign_token().await.to_owned(),
            Way::Garbage => "garbage".to_owned(),
        };
        Some((way, token))
    }

    /// A stream may only end if its server does.
    fn server_went(&self, server: Server, why: &dyn std::fmt::Debug) {
        assert_ne!(self.world.now.borrow().server, Some(server), "a stream ended without cause: {why:?}");
    }
}
