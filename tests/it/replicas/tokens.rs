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

#[tokio::test]
async fn a_revocation_does_not_wait_for_the_lock_of_the_writers() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut rig = Rig::on(Arc::clone(&database));
    rig.settings.access.bootstrap_token = Some(BootstrapToken(ROOT.to_owned()));
    let channel = start(&mut rig).await;
    let made = make(&channel, token("node", Role::Node)).await.unwrap();
    let holder = caller(&channel, &made.value);
    let ending = watch(holder.clone(), "a").await.unwrap();

    // Another server that stopped in its transaction: this one wants to write, and follows nothing meanwhile.
    let stopped = database.store().await;
    let held = stopped.lock().await.unwrap();
    let writing = tokio::spawn({
        let channel = channel.clone();
        async move { make(&channel, token("late", Role::Node)).await }
    });
    // The log does not tell of it: only the table does.
    database.sql(&format!("UPDATE token SET revoked_at = 1, revoked_by = 'ops' WHERE id = '{}'", made.id)).await;
    assert!(farewell(ending).await.contains("revoked"));
    assert_eq!(watch(holder.clone(), "a").await.unwrap_err().code(), Code::Unauthenticated);
    held.rollback().await;
    stopped.close().await;
    // Nor does it work again once the states are followed that know nothing of it.
    drop(writing.await.unwrap());
    make(&channel, token("later", Role::Node)).await.unwrap();
    assert_eq!(watch(holder.clone(), "a").await.unwrap_err().code(), Code::Unauthenticated);
    drop((holder, channel));
    rig.stop().await;
}
