//! What the writer and the watchers of a history share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{OnceCell, watch};
use tollgate::proto::v1::ResourceKind;

use super::rig::{Rig, node, soon};
use super::writes::Model;

/// One run of the server. A later one may have the same address.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// How often it was started before.
    pub(crate) starts: u32,
}

/// Where a history stands.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Now {
    /// `None` while it is away.
    pub(crate) server: Option<Server>,
    /// Revision of the last answered write.
    pub(crate) written: i64,
    /// Whether that was the last.
    pub(crate) done: bool,
}

pub(crate) struct World {
    pub(crate) now: watch::Sender<Now>,
    pub(crate) compacted: AtomicI64,
    models: Mutex<BTreeMap<i64, Model>>,
    tokens: Mutex<Vec<(Vec<ResourceKind>, String)>>,
}

impl World {
    pub(crate) fn new(address: SocketAddr, revision: i64, model: Model) -> Self {
        Self {
            now: watch::Sender::new(Now {
                server: Some(Server { address, starts: 0 }),
                written: revision,
                done: false,
            }),
            compacted: AtomicI64::new(0),
            models: Mutex::new([(revision, model)].into()),
            tokens: Mutex::default(),
        }
    }

    pub(crate) fn wrote(&self, revision: i64, model: &Model) {
        self.models.lock().unwrap().insert(revision, model.clone());
        self.now.send_modify(|now| now.written = revision);
    }

    pub(crate) fn model(&self, revision: i64) -> Option<Model> {
        self.models.lock().unwrap().get(&revision).cloned()
    }

    pub(crate) fn compacted(&self) -> i64 {
        self.compacted.load(Ordering::SeqCst)
    }

    pub(crate) fn keep_token(&self, kinds: &[ResourceKind], token: &str) {
        self.tokens.lock().unwrap().push((kinds.to_vec(), token.to_owned()));
    }

    /// A token that was given for other kinds.
    pub(crate) fn token_of_others(&self, kinds: &[ResourceKind]) -> Option<String> {
        let tokens = self.tokens.lock().unwrap();
        tokens.iter().rev().find(|(of, _)| of != kinds).map(|(_, token)| token.clone())
    }

    /// Waits for a server.
    pub(crate) async fn server(&self) -> Server {
        let mut now = self.now.subscribe();
        soon(now.wait_for(|now| now.server.is_some())).await.unwrap().server.unwrap()
    }

    /// Waits for `writes` more writes, or for anything that ends the wait: the server going, or the last write.
    pub(crate) async fn pause(&self, writes: i64) {
        let mut now = self.now.subscribe();
        let before = *now.borrow();
        let over = |now: &Now| now.done || now.server != before.server || now.written >= before.written + writes;
        soon(now.wait_for(over)).await.unwrap();
    }
}

/// A token of a store that no history has.
pub(crate) async fn foreign_token() -> &'static str {
    static TOKEN: OnceCell<String> = OnceCell::const_new();
    TOKEN
        .get_or_init(|| async {
            let (mut rig, api) = Rig::started().await;
            let node = node(&api, &[]).await;
            let token = node.reducer.resume_token().to_owned();
            drop((node, api));
            rig.stop().await;
            token
        })
        .await
}
