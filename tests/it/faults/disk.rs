//! A disk that is full under the database.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tollgate::proto::v1;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::{Code, Status};

use crate::engine::cluster::{Cluster, is_here, own};
use crate::engine::{Database, on_postgres};
use crate::log::check_log;
use crate::watch::api::Api;
use crate::watch::rig::{Rig, node, soon};

/// A file system of its own, in memory. Mounting takes root.
struct Volume(TempDir);

impl Volume {
    fn mount(size: &str) -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tollgate-test"]).arg(directory.path());
        let mounted = mount.output().is_ok_and(|mounted| mounted.status.success());
        mounted.then(|| {
            own(directory.path());
            Self(directory)
        })
    }

    fn ballast(&self) -> PathBuf {
        self.0.path().join("ballast")
    }

    /// Leaves no room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.ballast()).unwrap();
        while file.write_all(&[0; 4_096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: the last process of the database may be about to end.
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).status());
    }
}

/// As large as it may be, and nothing that could be compressed.
fn large(name: usize) -> v1::VirtualKey {
    let description = (0..2_000).map(|_| char::from(rand::random_range(b'!'..=b'~'))).collect();
    v1::VirtualKey { name: name.to_string(), description, ..Default::default() }
}

async fn create(api: &Api, key: v1::VirtualKey, request_id: &str) -> Result<i64, Status> {
    let (virtual_key, request_id) = (Some(key), request_id.to_owned());
    let request = v1::CreateVirtualKeyRequest { virtual_key, request_id, ..Default::default() };
    let answer = VirtualKeyServiceClient::new(api.0.clone()).create_virtual_key(request).await?.into_inner();
    Ok(answer.virtual_key.unwrap().revision)
}

#[tokio::test]
async fn a_full_disk_refuses_writes_whole_and_they_come_back() {
    if on_postgres() || !is_here("no disk of PostgreSQL was filled") {
        return;
    }
    let Some(volume) = Volume::mount("160m") else {
        eprintln!("SKIPPED: no disk of PostgreSQL was filled, because this user may not mount one");
        return;
    };
    let small = ["fsync=off", "min_wal_size=32MB", "max_wal_size=32MB"];
    let cluster = Cluster::start_in(volume.0.path(), &small);
    let database = Arc::new(Database::of(&cluster));
    let mut rig = Rig::on(Arc::clone(&database));
    rig.start().await;
    let api = rig.api().await;
    let first = create(&api, large(0), "").await.unwrap();
    let mut watcher = node(&api, &[]).await;

    volume.fill();
    let (mut last, mut refused) = (first, None);
    for name in 1..5_000 {
        let (key, request) = (large(name), uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string());
        match create(&api, key.clone(), &request).await {
            Ok(revision) => {
                assert_eq!(revision, last + 1);
                last = revision;
            }
            Err(status) => {
                refused = Some((key, request, status));
                break;
            }
        }
    }
    let (key, request, status) = refused.expect("the disk is never full");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    println!("{} writes, then: {}", last - first, status.message());
    watcher.until_proved(last).await;

    volume.free();
    // A database that could not go on has ended itself; somebody starts it again.
    let again = soon(async {
        loop {
            match create(&api, key.clone(), &request).await {
                Ok(revision) => return revision,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
            if !cluster.runs() {
                cluster.resume();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(again.await, last + 1);
    watcher.until_proved(last + 1).await;
    rig.stop().await;
    assert_eq!(check_log(&database).await, last + 1);
}
