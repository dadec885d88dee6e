//! A network that fails: whatever connects to it is connected to its target, as long as it lets through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Dropping it ends it, and all its connections.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    network: Arc<Network>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Network {
    target: SocketAddr,
    weather: watch::Sender<Weather>,
    /// The number of the next connection.
    next: AtomicU64,
}

/// What becomes of connections; they are numbered.
#[derive(Clone, Copy, Default)]
struct Weather {
    /// Those with a lower number end.
    cut_below: u64,
    /// Those with a lower number let nothing through, and tell nobody.
    silent_below: u64,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let network =
            Arc::new(Network { target, weather: watch::Sender::new(Weather::default()), next: AtomicU64::new(0) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&network)));
        Self { address, network, accepting }
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
            let Ok(server) = TcpStream::connect(network.target).await else { return };
            for end in [&client, &server] {
                drop(end.set_nodelay(true));
            }
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let line = Line { network: &network, number };
            tokio::select! {
                () = line.carry(from_client, to_server) => {}
                () = line.carry(from_server, to_client) => {}
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
}

impl Line<'_> {
    /// Until an end closes. While nothing is let through, that does not show either.
    async fn carry(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut weather = self.network.weather.subscribe();
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).await;
            if weather.wait_for(|weather| self.number >= weather.silent_below).await.is_err() {
                return;
            }
            match read {
                Ok(length) if length > 0 && to.write_all(&buffer[..length]).await.is_ok() => {}
                _ => return,
            }
        }
    }

    async fn cut(self) {
        let mut weather = self.network.weather.subscribe();
        // The sender lives as long as the network.
        drop(weather.wait_for(|weather| self.number < weather.cut_below).await);
    }
}
