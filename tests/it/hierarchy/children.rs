//! The fate of teams and keys when the customer or team that they belong to is deleted.

use tollgate::proto::v1::Children;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::contract::laws::fields;
use crate::watch::rig::{Rig, node};

/// A customer with a team that has a key, a key of its own, and a rule and a model config of each.
struct World {
    customer: v1::Customer,
    team: v1::Team,
    /// Of the team, and of the customer directly.
    keys: [v1::VirtualKey; 2],
}

async fn world(api: &Api) -> World {
    let customer = api.create_customer(customer("Acme")).await.unwrap();
    let team = api.create_team(team("Search", &customer.id)).await.unwrap();
    let of_team = v1::VirtualKey { team_id: team.id.clone(), ..key("notebook") };
    let of_customer = v1::VirtualKey { customer_id: customer.id.clone(), ..key("direct") };
    let keys = [api.create_virtual_key(of_team).await.unwrap(), api.create_virtual_key(of_customer).await.unwrap()];
    for (scope, scope_id) in [
        (v1::ModelConfigScope::Customer, &customer.id),
        (v1::ModelConfigScope::Team, &team.id),
        (v1::ModelConfigScope::VirtualKey, &keys[0].id),
    ] {
        let (model_name, scope, scope_id) = ("m".to_owned(), scope.into(), scope_id.clone());
        let config = v1::ModelConfig { model_name, scope, scope_id, ..Default::default() };
        api.create_model_config(config).await.unwrap();
    }
    World { customer, team, keys }
}

/// How many resources of the hierarchy are left: customers, teams, keys, model configs.
async fn left(api: &Api) -> [usize; 4] {
    let mut counts = [0; 4];
    for resource in api.all().await {
        match resource.resource.unwrap() {
            Resource::Customer(_) => counts[0] += 1,
            Resource::Team(_) => counts[1] += 1,
            Resource::VirtualKey(_) => counts[2] += 1,
            Resource::ModelConfig(_) => counts[3] += 1,
            _ => {}
        }
    }
    counts
}

/// The resource with this id, from the tables.
async fn stored(api: &Api, id: &str) -> Resource {
    let of = |resource: &Resource| match resource {
        Resource::Team(team) => team.id == id,
        Resource::VirtualKey(key) => key.id == id,
        _ => false,
    };
    api.all().await.into_iter().filter_map(|it| it.resource).find(of).unwrap()
}

fn counts(refused: &Status) -> [String; 2] {
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "ERROR_REASON_HAS_CHILDREN");
    ["teams", "virtual_keys"].map(|name| info.metadata[name].clone())
}

#[tokio::test]
async fn what_has_teams_or_keys_is_not_deleted_unless_it_is_said_what_becomes_of_them() {
    let (mut rig, api) = Rig::started().await;
    let World { customer, team, .. } = world(&api).await;
    let refused = api.delete_customer(&customer.id).await.unwrap_err();
    assert_eq!(counts(&refused), ["1", "1"]);
    assert!(refused.message().contains("CHILDREN_DETACH"), "{}", refused.message());
    assert_eq!(counts(&api.delete_team(&team.id).await.unwrap_err()), ["0", "1"]);
    let unknown = v1::DeleteTeamRequest { id: team.id.clone(), children: 9, ..Default::default() };
    let unknown = TeamServiceClient::new(api.0.clone()).delete_team(unknown).await.unwrap_err();
    assert_eq!(fields(&unknown), ["children"]);
    let stale = v1::DeleteTeamRequest { id: team.id, revision: 1, ..Default::default() };
    let stale = TeamServiceClient::new(api.0.clone()).delete_team(stale).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted, "a stale revision is told first");
    assert_eq!(left(&api).await, [1, 1, 2, 3]);

    // Without any it goes as before.
    let empty = api.create_customer(super::customer("empty")).await.unwrap();
    api.delete_customer(&empty.id).await.unwrap();
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn children_are_detached_deactivated_or_deleted_in_one_revision() {
    for (children, active, counts, also) in [
        (Children::Detach, Some(true), [0, 1, 2, 2], 3),
        (Children::Deactivate, Some(false), [0, 1, 2, 2], 3),
        (Children::Delete, None, [0, 0, 0, 0], 6),
    ] {
        let (mut rig, api) = Rig::started().await;
        let World { customer, team, keys: [of_team, of_customer] } = world(&api).await;
        let mut watcher = node(&api, &[]).await;
        let deleted = api.delete_customer_and(&customer.id, children).await.unwrap();
        assert_eq!((left(&api).await, deleted.also_changed.len()), (counts, also), "{children:?}");
        watcher.until_proved(deleted.revision).await;
        let held = watcher.reducer.state();
        for key in &deleted.also_changed {
            let revision = held.get(key).map(|it| tollgate::reducer::Summary::of(it).unwrap().revision);
            assert!(revision.is_none_or(|revision| revision == deleted.revision), "{key:?}");
        }
        if let Some(active) = active {
            let Resource::Team(team) = stored(&api, &team.id).await else { panic!("no team") };
            assert_eq!((team.customer_id.as_str(), team.is_active), ("", Some(active)));
            let Resource::VirtualKey(direct) = stored(&api, &of_customer.id).await else { panic!("no key") };
            assert_eq!((direct.customer_id.as_str(), direct.is_active), ("", Some(active)));
            let Resource::VirtualKey(key) = stored(&api, &of_team.id).await else { panic!("no key") };
            assert_eq!((key.team_id, key.revision), (team.id, of_team.revision), "it stays as it is, below its team");
            let decision = if active { v1::Decision::Allow } else { v1::Decision::TeamInactive };
            assert_eq!(explain(&api, &of_team, "gpt-4o").await.decision(), decision);
        }
        let api = rig.restart().await;
        assert_eq!(left(&api).await, counts);
        drop((api, watcher));
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_was_inactive_stays_so_when_it_is_detached() {
    let (mut rig, api) = Rig::started().await;
    let above = api.create_team(team("Search", "")).await.unwrap();
    let idle = v1::VirtualKey { team_id: above.id.clone(), is_active: Some(false), ..key("idle") };
    let idle = api.create_virtual_key(idle).await.unwrap();
    api.delete_team_and(&above.id, Children::Detach).await.unwrap();
    let Resource::VirtualKey(idle) = stored(&api, &idle.id).await else { panic!("no key") };
    assert_eq!((idle.team_id.as_str(), idle.is_active), ("", Some(false)));
    drop(api);
    rig.stop().await;
}
