//! Three replicas, the database that they share, and how each fault is brought about.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tollgate::seeded::Bug;
use tollgate::store::{DatabaseUrl, Store};

use super::plan::{Fault, Planned, REPLICAS};
use super::replica::Replica;
use crate::engine::cluster::Cluster;
use crate::process::{Limit, Resource};

/// How often a replica that does not hold the lock is stopped until one does.
const TRIES: usize = 200;

pub(super) struct World {
    cluster: Arc<Cluster>,
    database: String,
    pub(super) replicas: Vec<Replica>,
    injected: Mutex<BTreeMap<Fault, u64>>,
    /// Held while the database is away.
    away: tokio::sync::Mutex<()>,
    /// Held while a revision is hidden or altered: of two on the same one, neither could be undone.
    spoiling: tokio::sync::Mutex<()>,
}

impl World {
    pub(super) async fn start(bug: Bug) -> Self {
        // What was written survives the end of its processes; that of the machine is not tried.
        let cluster = tokio::task::spawn_blocking(|| Arc::new(Cluster::start(&["fsync=off"]))).await.unwrap();
        let url = cluster.create();
        let database = crate::engine::name(&url).to_owned();
        let mut replicas = Vec::new();
        for number in 0..REPLICAS {
            // The last one is on a machine whose clock jumps, unless there is a bug to be found.
            let clock = if number + 1 == REPLICAS && bug == Bug::None { Bug::ClockJumps } else { bug };
            replicas.push(Replica::start(number, &cluster, &database, clock).await);
        }
        Self {
            cluster,
            database,
            replicas,
            injected: Mutex::default(),
            away: tokio::sync::Mutex::default(),
            spoiling: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn gates(&self) -> Vec<SocketAddr> {
        self.replicas.iter().map(|replica| replica.gate.address).collect()
    }

    /// The store, read past all networks.
    pub(super) async fn store(&self) -> Store {
        let url = DatabaseUrl::parse(&self.cluster.url(&self.database)).unwrap();
        Store::open(&url, Store::MIN_CONNECTIONS).await.unwrap()
    }

    /// What waits for processes must not keep the clients waiting.
    pub(super) async fn with_cluster<T: Send + 'static>(&self, work: impl FnOnce(&Cluster) -> T + Send + 'static) -> T {
        let cluster = Arc::clone(&self.cluster);
        tokio::task::spawn_blocking(move || work(&cluster)).await.unwrap()
    }

    /// How often each fault was brought about.
    pub(super) fn injected(&self) -> BTreeMap<Fault, u64> {
        self.injected.lock().unwrap().clone()
    }

    fn count(&self, fault: Fault) {
        *self.injected.lock().unwrap().entry(fault).or_default() += 1;
    }

    pub(super) async fn inject(self: Arc<Self>, planned: Planned) {
        let Planned { fault, replica, lasts, .. } = planned;
        let replica = &self.replicas[replica];
        match fault {
            Fault::KillReplica => replica.restart(lasts).await,
            Fault::StopLockHolder => {
                if !self.stop_lock_holder(lasts).await {
                    return;
                }
            }
            Fault::CrashDatabase => {
                let _away = self.away.lock().await;
                self.with_cluster(Cluster::crash).await;
                tokio::time::sleep(lasts).await;
                self.with_cluster(Cluster::resume).await;
            }
            Fault::CutDatabase => replica.way.cut(),
            Fault::CutAtCommit => {
                let before = replica.way.commits_cut();
                replica.way.cut_at_commit();
                // It may take its time, or never come: other faults are in the way.
                for _ in 0..200 {
                    if replica.way.commits_cut() > before {
                        self.count(fault);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                return;
            }
            Fault::SilenceDatabase | Fault::SilenceClients => {
                let network = if fault == Fault::SilenceDatabase { &replica.way } else { &replica.gate };
                network.silence();
                tokio::time::sleep(lasts).await;
                network.speak();
            }
            Fault::DelayDatabase | Fault::DelayClients => {
                let network = if fault == Fault::DelayDatabase { &replica.way } else { &replica.gate };
                network.delay(Duration::from_millis(100));
                tokio::time::sleep(lasts).await;
                network.delay(Duration::ZERO);
            }
            Fault::CutClients => replica.gate.cut(),
            Fault::HideRevision | Fault::AlterHash => {
                let spoil = if fault == Fault::HideRevision { HIDE } else { ALTER };
                if !self.spoil(replica, spoil, lasts).await {
                    return;
                }
            }
            Fault::UseUpDescriptors => limited(replica, Resource::OpenFiles, lasts).await,
            Fault::UseUpMemory => limited(replica, Resource::Memory, lasts).await,
            Fault::UseUpThreads => {
                let limited = limited(replica, Resource::Threads, lasts);
                let cut = async {
                    tokio::time::sleep(lasts / 4).await;
                    replica.way.cut();
                };
                tokio::join!(limited, cut);
            }
            Fault::StopReading => unreachable!("watchers do that by themselves"),
        }
        self.count(fault);
    }

    /// Stops one replica after the other until one is found to hold the lock. Whether there was one.
    async fn stop_lock_holder(&self, lasts: Duration) -> bool {
        for attempt in 0..TRIES {
            let replica = &self.replicas[attempt % REPLICAS];
            let holds = async {
                // The database must be there to tell.
                let _there = self.away.lock().await;
                let sql = format!(
                    "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND application_name = '{}'",
                    replica.name
                );
                self.with_cluster(move |cluster| cluster.sql("postgres", &sql)).await != "0"
            };
            if replica.pause(lasts, holds).await {
                return true;
            }
        }
        false
    }

    /// Stops a replica until others have written what it does not know, and does something to the first revision of that,
    /// which doing it once more undoes. Whether others wrote.
    async fn spoil(&self, replica: &Replica, spoil: [&str; 2], lasts: Duration) -> bool {
        let _alone = self.spoiling.lock().await;
        let head = "SELECT revision FROM head";
        let spoiled = replica.stopped_while(async {
            let before: i64 = self.sql(head.to_owned()).await.parse().unwrap();
            for _ in 0..TRIES {
                if self.sql(head.to_owned()).await.parse::<i64>().unwrap() >= before + AHEAD {
                    self.sql(spoil[0].replace("$1", &(before + 1).to_string())).await;
                    return Some(before + 1);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            None
        });
        let Some(revision) = spoiled.await else { return false };
        tokio::time::sleep(lasts).await;
        self.sql(spoil[1].replace("$1", &revision.to_string())).await;
        // Those that found it twice have ended.
        for replica in &self.replicas {
            replica.revive().await;
        }
        true
    }

    /// What a statement answers, once the database is there.
    async fn sql(&self, statement: String) -> String {
        let _there = self.away.lock().await;
        let database = self.database.clone();
        self.with_cluster(move |cluster| cluster.sql(&database, &statement)).await
    }

    /// The end of each replica's log, for people.
    pub(super) fn logs(&self) -> String {
        let mut all = String::new();
        for replica in &self.replicas {
            let log = std::fs::read_to_string(replica.log()).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(25).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
            writeln!(all, "{}:\n{last}", replica.name).unwrap();
        }
        all
    }
}

/// Takes a revision out of the log, and puts it back.
const HIDE: [&str; 2] = [
    "UPDATE change_txn SET revision = -revision WHERE revision = $1",
    "UPDATE change_txn SET revision = -revision WHERE revision = -$1",
];
/// Gives a revision another hash, and its own again.
const ALTER: [&str; 2] =
    ["UPDATE change_txn SET chain = set_byte(chain, 0, 255 - get_byte(chain, 0)) WHERE revision = $1"; 2];
/// How many revisions others write while a replica is stopped: all but the stopped one have read the first then.
const AHEAD: i64 = 20;

/// Lets a replica have no more of a resource than it has, for a while. A process that cannot do without ends, and is
/// started again.
async fn limited(replica: &Replica, resource: Resource, lasts: Duration) {
    let limit = Limit::to_what_is_used(replica.process().await, resource);
    tokio::time::sleep(lasts).await;
    drop(limit);
    replica.revive().await;
}
