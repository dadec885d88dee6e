//! `GetServerInfo`: a server's answer on the control plane, other servers included.

use tollgate::domain::Timestamp;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::{DatabaseEngine, NodeState, Replica, ReplicaState, ServerInfo};
use tollgate::store;

use super::together::register;
use super::*;
use crate::access::support::{ROOT, caller, closed};
use crate::watch::rig::soon;

async fn info(api: &Api) -> ServerInfo {
    let answer = ConfigServiceClient::new(api.0.clone()).get_server_info(v1::GetServerInfoRequest {}).await;
    answer.unwrap().into_inner().server_info.unwrap()
}

/// The information once `holds` is true of it.
async fn until(api: &Api, holds: impl Fn(&ServerInfo) -> bool) -> ServerInfo {
    soon(async {
        loop {
            let info = info(api).await;
            if holds(&info) {
                return info;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_server_tells_of_itself_and_of_its_store() {
    let (mut rig, api) = Rig::started().await;
    let team = create(&api, "Search", "").await.unwrap();
    register(&api).await;
    let told = info(&api).await;
    assert_eq!(told.version, env!("CARGO_PKG_VERSION"));
    let engine = if on_postgres() { DatabaseEngine::Postgresql } else { DatabaseEngine::Sqlite };
    assert_eq!((told.database_engine(), told.head_revision), (engine, team.revision));
    assert!(!told.authentication_required && told.server_time.is_some());
    let [replica] = &told.replicas[..] else { panic!("{told:?}") };
    assert_eq!((&replica.id, replica.revision), (&told.replica_id, team.revision));
    assert_eq!((replica.state(), &*replica.version), (ReplicaState::Current, env!("CARGO_PKG_VERSION")));
    assert!(replica.name.ends_with(&format!(":{}", rig.address().port())), "{replica:?}");
    // It registered, and never had a session.
    let counts: Vec<_> = told.node_counts.iter().map(|nodes| (nodes.state(), nodes.count)).collect();
    assert_eq!(counts, [(NodeState::Gone, 1)]);

    assert_eq!(told.retained_revision, 0);
    create(&api, "Ads", "").await.unwrap();
    rig.stop().await;
    let store = rig.store().await;
    assert_eq!(told.store_id, *store.read_head().await.unwrap().store_id);
    store.close().await;
    rig.compact(team.revision).await;
    rig.start().await;
    let api = rig.api().await;
    let again = info(&api).await;
    assert_eq!((again.retained_revision, again.head_revision), (team.revision, team.revision + 1));
    assert_eq!(again.store_id, told.store_id);
    assert_ne!(again.replica_id, told.replica_id, "it is another run");
    assert_eq!(until(&api, |told| told.replicas.len() == 1).await.replicas[0].id, again.replica_id);
    drop(api);
    rig.stop().await;

    let (mut rig, channel) = closed().await;
    let mut client = ConfigServiceClient::new(caller(&channel, ROOT));
    let told = client.get_server_info(v1::GetServerInfoRequest {}).await.unwrap().into_inner().server_info.unwrap();
    assert!(told.authentication_required);
    drop((client, channel));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_a_database_see_each_other_come_fall_silent_and_go() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut replicas = replicas(&database, 2).await;
    let apis: Vec<Api> = replicas.iter().map(|(_, api)| api.clone()).collect();
    let ids = |told: &ServerInfo| told.replicas.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
    let [one, other] = [&apis[0], &apis[1]].map(|api| until(api, |told| told.replicas.len() == 2));
    let (one, other) = (one.await, other.await);
    assert_eq!(ids(&one), ids(&other));
    assert!(ids(&one).contains(&one.replica_id) && ids(&one).contains(&other.replica_id));
    assert_ne!(one.replica_id, other.replica_id);
    assert!(one.replicas.iter().all(|it| it.state() == ReplicaState::Current), "{one:?}");
    let team = create(&apis[1], "Search", "").await.unwrap();
    assert_eq!(info(&apis[0]).await.head_revision, team.revision, "whoever wrote it");

    // One that was killed says nothing any more.
    let store = replicas[0].0.store().await;
    let killed = |seconds: i64| store::Replica {
        id: format!("killed {seconds} s ago").into(),
        name: "machine:50051".into(),
        version: "0.0.1".into(),
        started_at: Timestamp::EPOCH,
        last_seen: Timestamp::now().plus_micros(-seconds * 1_000_000),
        revision: 1,
        is_current: true,
    };
    for seconds in [60, 7_200] {
        store.write_replica(&killed(seconds), Timestamp::EPOCH).await.unwrap();
    }
    let stuck = store::Replica { id: "stuck".into(), is_current: false, ..killed(0) };
    store.write_replica(&stuck, Timestamp::EPOCH).await.unwrap();
    let told = info(&apis[0]).await;
    let state = |id: &str| told.replicas.iter().find(|it| it.id == id).map(Replica::state);
    assert_eq!(state("killed 60 s ago"), Some(ReplicaState::Silent));
    assert_eq!(state("stuck"), Some(ReplicaState::NotCurrent));
    // Whoever tells of himself next forgets those that are long gone.
    until(&apis[0], |told| !told.replicas.iter().any(|it| it.id == "killed 7200 s ago")).await;

    replicas[1].0.stop().await;
    let told = info(&apis[0]).await;
    assert!(ids(&told).contains(&one.replica_id) && !ids(&told).contains(&other.replica_id), "{told:?}");
    store.close().await;
    drop(apis);
    for (mut rig, api) in replicas.drain(..1) {
        drop(api);
        rig.stop().await;
    }
}
