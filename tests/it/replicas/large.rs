//! Changes of many resources, over a network that is slow.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tollgate::proto::v1::team_service_client::TeamServiceClient;

use super::*;
use crate::engine::cluster::Cluster;
use crate::proxy::Proxy;
use crate::watch::rig::{Rig, node, soon};

/// Keys of the team: more than are written in one part.
const KEYS: usize = 4_500;
/// How long a message takes to the database, and back.
const WAY: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_team_of_thousands_is_deleted_over_a_slow_network_while_others_write() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut near = Rig::on(Arc::clone(&database));
    near.start().await;
    let api = near.api().await;
    let team = api.team("large").await;
    let keys = stream::iter(0..KEYS).map(|number| {
        let (api, name) = (api.clone(), format!("key {number}"));
        let key = v1::VirtualKey { name, team_id: team.id.clone(), ..Default::default() };
        async move { api.create_virtual_key(key).await }
    });
    let keys: Vec<_> = soon(keys.buffer_unordered(64).try_collect()).await.unwrap();
    let mut watcher = node(&api, &[]).await;

    let cluster = Cluster::shared();
    let way = Proxy::to(([127, 0, 0, 1], cluster.port).into()).await;
    way.delay(WAY);
    let name = crate::engine::name(&database.settings.url);
    let slow = Database::at(format!("postgres://tollgate@{}/{name}?sslmode=disable", way.address));
    let mut far = Rig::on(Arc::new(slow));
    far.start().await;
    let far_api = far.api().await;

    let request =
        v1::DeleteTeamRequest { id: team.id.clone(), children: v1::Children::Detach.into(), ..Default::default() };
    let mut client = TeamServiceClient::new(far_api.0.clone());
    let deleting = soon(client.delete_team(request));
    let request_id = uuid();
    let (deleted, other) = tokio::join!(deleting, create(&api, "written by the other", &request_id));
    let deleted = deleted.unwrap().into_inner();
    assert_eq!(usize::try_from(deleted.total_changed_count).unwrap(), KEYS);
    let other = match other {
        Ok(team) => team.revision,
        Err(status) => {
            assert_unavailable(&status);
            create(&api, "written by the other", &request_id).await.unwrap().revision
        }
    };
    watcher.until_proved(other.max(deleted.revision)).await;
    let held = watcher.reducer.state();
    for key in keys {
        let wanted = v1::ResourceKey { kind: v1::ResourceKind::VirtualKey.into(), id: key.id };
        let config = held.get(&wanted).unwrap().resource.clone().unwrap();
        let v1::config_resource::Resource::VirtualKey(key) = config else { panic!("{config:?}") };
        assert_eq!((key.team_id.as_str(), key.revision), ("", deleted.revision));
    }
    far.stop().await;
    near.stop().await;
    assert_eq!(check_log(&database).await, other.max(deleted.revision));
}
