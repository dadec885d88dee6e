//! A network that fails: whatever connects to it is connected to its target, as long and as fast as it lets through.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How a client of PostgreSQL commits.
const COMMIT: &[u8] = b"COMMIT\0";
/// How it asks whether the connection still is one.
const SYNC: &[u8] = b"S\0\0\0\x04";

/// Dropping it ends it, and all its connections.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    network: Arc<Network>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Network {
    target: Mutex<SocketAddr>,
    weather: watch::Sender<Weather>,
    /// The number of the next connection.
    next: AtomicU64,
    /// What happens when the next COMMIT comes by.
    at_commit: Mutex<Option<AtCommit>>,
    commits_cut: AtomicU64,
    /// A connection that is asked twice on end whether it still is one is silent from then on.
    at_asking_twice: AtomicBool,
    asked_twice: AtomicU64,
}

/// What happens when a COMMIT comes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtCommit {
    /// Its connection ends, when it has been let through.
    Cut,
    /// All connections are silent from then on, before it is let through.
    Silence,
}

/// What becomes of connections; they are numbered.
#[derive(Clone, Copy, Default)]
struct Weather {
    /// Those with a lower number end.
    cut_below: u64,
    /// Those with a lower number let nothing through, and tell nobody.
    silent_below: u64,
    /// What goes through takes so much longer.
    delay: Duration,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let network = Arc::new(Network {
            target: Mutex::new(target),
            weather: watch::Sender::new(Weather::default()),
            next: AtomicU64::new(0),
            at_commit: Mutex::default(),
            commits_cut: AtomicU64::new(0),
            at_asking_twice: AtomicBool::new(false),
            asked_twice: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&network)));
        Self { address, network, accepting }
    }

    /// Connects to another target from now on.
    pub(crate) fn retarget(&self, target: SocketAddr) {
        *self.network.target.lock().unwrap() = target;
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        let next = self.network.next.load(Ordering::SeqCst);
        self.network.weather.send_modify(|weather| weather.cut_below = next);
    }

    /// Half-opens all connections: nothing comes through any more, and no end is told. Those that are made until
    /// [`Self::speak`] are like that too.
    pub(crate) fn silence(&self) {
        self.network.weather.send_modify(|weather| weather.silent_below = u64::MAX);
    }

    /// Connections that are made from now on let everything through again; to be called after [`Self::silence`].
    pub(crate) fn speak(&self) {
        let next = self.network.next.load(Ordering::SeqCst);
        self.network.weather.send_modify(|weather| weather.silent_below = next);
    }

    /// Everything takes so much longer.
    pub(crate) fn delay(&self, delay: Duration) {
        self.network.weather.send_modify(|weather| weather.delay = delay);
    }

    /// Ends the connection on which the next COMMIT comes by, when it has been let through and before it is answered.
    pub(crate) fn cut_at_commit(&self) {
        *self.network.at_commit.lock().unwrap() = Some(AtCommit::Cut);
    }

    /// [`Self::silence`] when the next COMMIT comes by, which is not let through.
    pub(crate) fn silence_at_commit(&self) {
        *self.network.at_commit.lock().unwrap() = Some(AtCommit::Silence);
    }

    /// From now on, or no longer, half-opens connections of PostgreSQL as they are asked for the second time on end whether
    /// they still are one: that is what the driver does with those that are given back.
    pub(crate) fn silence_at_return(&self, silences: bool) {
        self.network.at_asking_twice.store(silences, Ordering::SeqCst);
    }

    /// How many connections have been half-opened so.
    pub(crate) fn silenced_at_return(&self) -> u64 {
        self.network.asked_twice.load(Ordering::SeqCst)
    }

    /// How many connections have been ended at a COMMIT.
    pub(crate) fn commits_cut(&self) -> u64 {
        self.network.commits_cut.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.network.weather.send_modify(|weather| weather.cut_below = u64::MAX);
    }
}

async fn accept(listener: TcpListener, network: Arc<Network>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let number = network.next.fetch_add(1, Ordering::SeqCst);
        let network = Arc::clone(&network);
        tokio::spawn(async move {
            let target = *network.target.lock().unwrap();
            let Ok(server) = TcpStream::connect(target).await else { return };
            for end in [&client, &server] {
                drop(end.set_nodelay(true));
            }
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let unanswered = AtomicBool::new(false);
            let line = Line { network: &network, number, unanswered: &unanswered };
            tokio::select! {
                () = line.carry(from_client, to_server, true) => {}
                () = line.carry(from_server, to_client, false) => {}
                () = line.cut() => {}
            }
        });
    }
}

/// One connection.
#[derive(Clone, Copy)]
struct Line<'a> {
    network: &'a Network,
    number: u64,
    /// Whether the server's answers do not come through any more.
    unanswered: &'a AtomicBool,
}

impl Line<'_> {
    /// Until an end closes. While nothing is let through, that does not show either.
    async fn carry(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asks: bool) {
        let mut weather = self.network.weather.subscribe();
        let mut buffer = vec![0; 16 * 1024];
        let mut asked = false;
        loop {
            let read = from.read(&mut buffer).await;
            let Ok(now) = weather.wait_for(|weather| self.number >= weather.silent_below).await.map(|now| *now) else {
                return;
            };
            let length = match read {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            };
            let asks_again = std::mem::replace(&mut asked, asks && &buffer[..length] == SYNC) && asked;
            if asks_again && self.network.at_asking_twice.load(Ordering::SeqCst) {
                self.network.asked_twice.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            if !now.delay.is_zero() {
                tokio::time::sleep(now.delay).await;
            }
            if !asks && self.unanswered.load(Ordering::SeqCst) {
                return;
            }
            let commits = asks && buffer[..length].windows(COMMIT.len()).any(|bytes| bytes == COMMIT);
            let at_commit = if commits { self.network.at_commit.lock().unwrap().take() } else { None };
            if at_commit == Some(AtCommit::Silence) {
                self.network.weather.send_modify(|weather| weather.silent_below = u64::MAX);
                std::future::pending::<()>().await;
            }
            let cut = at_commit == Some(AtCommit::Cut);
            if cut {
                self.unanswered.store(true, Ordering::SeqCst);
            }
            if to.write_all(&buffer[..length]).await.is_err() {
                return;
            }
            if cut {
                self.network.commits_cut.fetch_add(1, Ordering::SeqCst);
                // The server gets to see it before it sees the end.
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
        }
    }

    async fn cut(self) {
        let mut weather = self.network.weather.subscribe();
        // The sender lives as long as the network.
        drop(weather.wait_for(|weather| self.number < weather.cut_below).await);
    }
}
