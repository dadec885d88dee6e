//! A replica, and the two networks around it.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::Mutex;
use tollgate::seeded::{Bug, VARIABLE};

use super::HEARTBEAT;
use crate::engine::cluster::Cluster;
use crate::process::Server;
use crate::proxy::Proxy;

pub(crate) struct Replica {
    /// The name of its connections to the database.
    pub(crate) name: String,
    /// Between its clients and it.
    pub(crate) gate: Proxy,
    /// Between it and the database.
    pub(crate) way: Proxy,
    url: String,
    bug: String,
    directory: TempDir,
    server: Mutex<Option<Server>>,
    /// From when to when it was stopped.
    stops: std::sync::Mutex<Vec<Range<Instant>>>,
}

impl Replica {
    pub(crate) async fn start(number: usize, cluster: &Cluster, database: &str, bug: Bug) -> Self {
        let name = format!("replica-{number}");
        let way = Proxy::to(([127, 0, 0, 1], cluster.port).into()).await;
        // By a name, so that connecting takes a thread to look it up.
        let at = format!("localhost:{}", way.address.port());
        let url = format!("postgres://tollgate@{at}/{database}?sslmode=disable&application_name={name}");
        let replica = Self {
            name,
            // Nobody is there yet.
            gate: Proxy::to(way.address).await,
            way,
            url,
            bug: format!("{bug:?}"),
            directory: TempDir::new().unwrap(),
            server: Mutex::new(None),
            stops: std::sync::Mutex::default(),
        };
        let mut server = replica.server.lock().await;
        *server = Some(replica.launch().await);
        drop(server);
        replica
    }

    /// Starts it as often as it takes: without the database, it ends.
    async fn launch(&self) -> Server {
        let heartbeat = humantime::format_duration(HEARTBEAT).to_string();
        let arguments = ["--heartbeat-interval", &heartbeat, "--database-connections", "6"];
        loop {
            let environment = [(VARIABLE, self.bug.as_str())];
            let directory = self.directory.path();
            let launched = Server::launch_unprivileged(directory, &self.url, &arguments, &environment).await;
            if let Ok((server, address)) = launched {
                self.gate.retarget(address);
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Kills it, and starts it again after a while.
    pub(crate) async fn restart(&self, pause: Duration) {
        let mut server = self.server.lock().await;
        server.take().unwrap().kill();
        tokio::time::sleep(pause).await;
        *server = Some(self.launch().await);
    }

    /// Stops it; if `holds` says then that it is to be stopped for longer, it is. Whether it was.
    pub(crate) async fn pause(&self, pause: Duration, holds: impl Future<Output = bool>) -> bool {
        let longer = async {
            let holds = holds.await;
            if holds {
                tokio::time::sleep(pause).await;
            }
            holds
        };
        self.stopped_while(longer).await
    }

    /// Stops it until `meanwhile` is over; what that came to.
    pub(crate) async fn stopped_while<T>(&self, meanwhile: impl Future<Output = T>) -> T {
        let server = self.server.lock().await;
        let server = server.as_ref().unwrap();
        let began = Instant::now();
        server.pause();
        let result = meanwhile.await;
        server.resume();
        self.stops.lock().unwrap().push(began..Instant::now());
        result
    }

    /// From when to when it was stopped.
    pub(crate) fn stops(&self) -> Vec<Range<Instant>> {
        self.stops.lock().unwrap().clone()
    }

    /// Its process.
    pub(crate) async fn process(&self) -> u32 {
        self.server.lock().await.as_ref().unwrap().id()
    }

    /// Starts it again if it has ended by itself.
    pub(crate) async fn revive(&self) {
        let mut server = self.server.lock().await;
        if server.as_mut().unwrap().ended().is_some() {
            *server = Some(self.launch().await);
        }
    }

    /// Where its log is.
    pub(crate) fn log(&self) -> impl AsRef<Path> {
        self.directory.path().join("log")
    }
}
