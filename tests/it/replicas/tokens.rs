//! Tokens are those of all replicas.

use tollgate::proto::v1::Role;
use tollgate::settings::BootstrapToken;

use super::*;
use crate::access::lapse::{farewell, watch};
use crate::access::support::{ROOT, caller, make, revoke, start, token};
use crate::watch::rig::soon;

#[tokio::test]
async fn a_token_that_is_revoked_at_one_replica_is_good_at_none() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut here = Rig::on(Arc::clone(&database));
    here.settings.access.bootstrap_token = Some(BootstrapToken(ROOT.to_owned()));
    let ours = start(&mut here).await;
    let mut there = Rig::on(database);
    let theirs = start(&mut there).await;

    // A server that has heard of no token yet serves everybody here, and ends that once it has.
    soon(async {
        while watch(caller(&theirs, ""), "a").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let made = make(&ours, token("node", Role::Node)).await.unwrap();
    let holder = caller(&theirs, &made.value);
    // It is good there as soon as they have heard of it.
    let ending = soon(async {
        loop {
            match watch(holder.clone(), "a").await {
                Ok(stream) => return stream,
                Err(status) => assert_eq!(status.code(), Code::Unauthenticated),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let ending = ending.await;
    revoke(&ours, &made.id).await.unwrap();
    assert!(farewell(ending).await.contains("revoked"));
    assert_eq!(watch(holder.clone(), "a").await.unwrap_err().code(), Code::Unauthenticated);
    drop((holder, ours, theirs));
    here.stop().await;
    there.stop().await;
}
