//! A viewer watches as a node does, but for the hashes of keys.

use std::process::{Command, Stdio};

use prost::Message as _;
use tokio::task::spawn_blocking;
use tollgate::domain::Sha256Hash;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::proto::v1::{self, Role, WatchMode, WatchReason};
use tollgate::reducer::{Progress, Reducer};
use tonic::Streaming;

use super::support::{Caller, ROOT, caller, closed, make, token};
use crate::process::verify;
use crate::watch::rig::{Rig, soon};

const RESUMED: (WatchMode, WatchReason) = (WatchMode::Resumed, WatchReason::Unspecified);
const FILTER_CHANGED: (WatchMode, WatchReason) = (WatchMode::Snapshot, WatchReason::FilterChanged);

/// Folds a stream, and keeps the bytes that came.
struct Watcher {
    caller: Caller,
    reducer: Reducer,
    stream: Option<Streaming<v1::WatchConfigResponse>>,
    bytes: Vec<u8>,
    without_hashes: bool,
}

impl Watcher {
    fn new(caller: Caller) -> Self {
        Self { caller, reducer: Reducer::new(), stream: None, bytes: Vec::new(), without_hashes: false }
    }

    /// Begins a stream with its own token, or with that of another.
    async fn connect(&mut self, resume_token: Option<&str>) -> (WatchMode, WatchReason) {
        let (own, min_revision) = self.reducer.connect();
        let resume_token = resume_token.unwrap_or(own).to_owned();
        let request = v1::WatchConfigRequest { resume_token, min_revision, ..Default::default() };
        let stream = ConfigServiceClient::new(self.caller.clone()).watch_config(request).await.unwrap();
        self.stream = Some(stream.into_inner());
        match self.step().await {
            Progress::Begun { mode, reason, without_hashes, .. } => {
                self.without_hashes = without_hashes;
                (mode, reason)
            }
            other => panic!("a stream began with {other:?}"),
        }
    }

    async fn step(&mut self) -> Progress {
        let message = soon(self.stream.as_mut().unwrap().message()).await.unwrap().unwrap();
        self.bytes.extend(message.encode_to_vec());
        self.reducer.apply(message).unwrap()
    }

    /// Reads on until its copy is proved at `revision` or later.
    async fn until(&mut self, revision: i64) {
        while !matches!(self.step().await, Progress::Bookmarked { revision: at, verified: true, .. } if at >= revision)
        {
        }
    }

    fn keys(&self) -> Vec<v1::VirtualKey> {
        let state = self.reducer.state();
        let keys = state.iter().filter_map(|(_, resource)| match &resource.resource {
            Some(Resource::VirtualKey(key)) => Some(key.clone()),
            _ => None,
        });
        let mut keys: Vec<_> = keys.collect();
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        keys
    }
}

/// A key that was rotated and has two secrets, and the hashes of both.
async fn rotated(root: &Caller, name: &str) -> (i64, Vec<[u8; 32]>) {
    let mut keys = VirtualKeyServiceClient::new(root.clone());
    let virtual_key = Some(v1::VirtualKey { name: name.to_owned(), ..Default::default() });
    let create = v1::CreateVirtualKeyRequest { virtual_key, ..Default::default() };
    let made = keys.create_virtual_key(create).await.unwrap().into_inner().virtual_key.unwrap();
    let grace_period = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
    let rotate = v1::RotateVirtualKeyRequest { id: made.id, grace_period, ..Default::default() };
    let rotated = keys.rotate_virtual_key(rotate).await.unwrap().into_inner().virtual_key.unwrap();
    (rotated.revision, [made.value, rotated.value].iter().map(|value| Sha256Hash::of(value).0).collect())
}

fn stripped(mut keys: Vec<v1::VirtualKey>) -> Vec<v1::VirtualKey> {
    for key in &mut keys {
        assert_eq!((key.value_sha256.len(), key.previous_value_sha256.len()), (32, 32));
        key.value_sha256.clear();
        key.previous_value_sha256.clear();
    }
    keys
}

#[tokio::test]
async fn a_viewer_gets_the_keys_without_hashes_and_a_node_beside_it_with_them() {
    let (mut rig, channel) = closed().await;
    let root = caller(&channel, ROOT);
    let viewer = make(&channel, token("viewer", Role::Viewer)).await.unwrap();
    let node = make(&channel, token("node", Role::Node)).await.unwrap();
    let (_, mut hashes) = rotated(&root, "first").await;
    let mut viewer = Watcher::new(caller(&channel, &viewer.value));
    let mut node = Watcher::new(caller(&channel, &node.value));
    for watcher in [&mut viewer, &mut node] {
        assert_eq!(watcher.connect(None).await, (WatchMode::Snapshot, WatchReason::First));
        watcher.until(0).await;
    }
    assert_eq!((viewer.without_hashes, node.without_hashes), (true, false));
    // What one stream has encoded is there for others. Either may be the first.
    for name in ["second", "third", "fourth"] {
        let (revision, of_this) = rotated(&root, name).await;
        hashes.extend(of_this);
        viewer.until(revision).await;
        node.until(revision).await;
        assert_eq!(viewer.keys(), stripped(node.keys()));
    }
    let has = |watcher: &Watcher, hash: &[u8; 32]| watcher.bytes.windows(32).any(|window| window == hash);
    for hash in &hashes {
        assert!(has(&node, hash) && !has(&viewer, hash), "a node finds keys by their hashes, and a viewer gets none");
    }
    drop((viewer, node, root, channel));
    rig.stop().await;
}

#[tokio::test]
async fn a_token_is_good_for_streams_of_its_kind_only() {
    let (mut rig, channel) = closed().await;
    let root = caller(&channel, ROOT);
    let made = make(&channel, token("viewer", Role::Viewer)).await.unwrap();
    let (mut viewer, mut admin) = (Watcher::new(caller(&channel, &made.value)), Watcher::new(root.clone()));
    let (mut revision, _) = rotated(&root, "first").await;
    for watcher in [&mut viewer, &mut admin] {
        watcher.connect(None).await;
        watcher.until(revision).await;
    }
    for name in ["second", "third"] {
        let tokens = [&viewer, &admin].map(|watcher| watcher.reducer.resume_token().to_owned());
        (revision, _) = rotated(&root, name).await;
        for (watcher, own, others) in [(&mut viewer, 0, 1), (&mut admin, 1, 0)] {
            assert_eq!(watcher.connect(Some(&tokens[own])).await, RESUMED);
            watcher.until(revision).await;
            assert_eq!(watcher.connect(Some(&tokens[others])).await, FILTER_CHANGED);
            watcher.until(revision).await;
        }
        assert_eq!(viewer.keys(), stripped(admin.keys()));
    }
    drop((viewer, admin, root, channel));
    rig.stop().await;
}

/// Runs the program to its end while the server goes on.
async fn program(rig: &Rig, token: &str, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).args(["--server", &format!("http://{}", rig.address()), "--token", token]).stdin(Stdio::null());
    let output = soon(spawn_blocking(move || command.output().unwrap())).await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

async fn verified(rig: &Rig, token: &str) -> (bool, String) {
    let (database, server) = (rig.database.clone(), format!("http://{}", rig.address()));
    let token = token.to_owned();
    let flags = move || verify(&database, &["--memory", "--server", &server, "--token", &token]);
    soon(spawn_blocking(flags)).await.unwrap()
}

#[tokio::test]
async fn a_viewer_runs_the_commands_that_watch() {
    let (mut rig, channel) = closed().await;
    rotated(&caller(&channel, ROOT), "key").await;
    let viewer = make(&channel, token("viewer", Role::Viewer)).await.unwrap().value;

    let (done, shown) = program(&rig, &viewer, &["watch", "--once", "--json", "--usage"]).await;
    assert!(
        done && shown.contains("\"withoutHashes\":true") && !shown.to_lowercase().contains("valuesha256"),
        "{shown}"
    );
    let (done, shown) = program(&rig, &viewer, &["watch", "--once"]).await;
    assert!(done && shown.contains("without hashes of keys"), "{shown}");
    let (done, shown) = program(&rig, ROOT, &["watch", "--once"]).await;
    assert!(done && !shown.contains("without hashes"), "{shown}");
    let (done, shown) = program(&rig, &viewer, &["usage"]).await;
    assert!(done && shown.contains("no limit has anything used"), "{shown}");

    let (agrees, text) = verified(&rig, &viewer).await;
    assert!(agrees && text.contains("without hashes of keys"), "{text}");
    let (agrees, text) = verified(&rig, ROOT).await;
    assert!(agrees && !text.contains("without hashes"), "{text}");
    rig.database.sql("UPDATE virtual_key SET description = 'altered'").await;
    let (agrees, text) = verified(&rig, &viewer).await;
    assert!(!agrees && text.contains("is not in the server's memory as it is in the tables"), "{text}");
    drop(channel);
    rig.stop().await;
}
