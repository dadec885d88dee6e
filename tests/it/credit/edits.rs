//! Edits of limits while credit on them is out, and nodes that will not come back.

use super::*;
use crate::watch::rig::Rig;

async fn edited(api: &Api, key: &v1::VirtualKey, budget: v1::Budget) {
    let key = v1::VirtualKey { budgets: vec![budget], revision: 0, ..key.clone() };
    api.update_virtual_key(key, &["budgets"]).await.unwrap();
}

#[tokio::test]
async fn a_lower_ceiling_recalls_at_once_and_grants_nothing() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 6).await.unwrap();
    edited(&api, &key, v1::Budget { max_limit: 5e-9, ..key.budgets[0].clone() }).await;
    let recall = node.next().await.unwrap();
    assert_eq!(recall, Directive::Recall { session: node.session, keys: vec![budget.clone()] });
    assert_eq!(standing(&api).await, (0, 6, -1));
    node.give_back(&budget, 4).await;
    assert_eq!(node.ask(&budget, 10).await, None);
    assert_eq!(node.ask(&budget, 9).await.map(|account| account.granted), Some(9));
    assert_eq!(standing(&api).await, (0, 5, 0));
    rig.stop().await;
}

#[tokio::test]
async fn credit_of_a_window_that_an_edit_moved_counts_in_the_new_one() {
    let (mut rig, api) = Rig::started().await;
    let (key, before) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&before, 6).await.unwrap();
    let aligned = v1::VirtualKey { calendar_aligned: true, revision: 0, ..key.clone() };
    let written = api.update_virtual_key(aligned, &["calendar_aligned"]).await.unwrap();
    let Some(v1::config_resource::Resource::VirtualKey(key)) = written.resource else { panic!("no key") };
    let after = window(&key.budgets[0]);
    assert_ne!(after, before);
    assert_eq!(node.ask(&before, 7).await, None, "nothing is granted in a window that is gone");
    assert_eq!(node.ask(&after, 5).await, None);
    assert_eq!(node.ask(&after, 4).await.map(|account| account.granted), Some(4));
    let moved = credit(&api).await.into_iter().find(|limit| {
        limit.key.as_ref().unwrap().window_start == {
            let (seconds, nanos) = after.window_start.parts();
            Some(prost_types::Timestamp { seconds, nanos })
        }
    });
    assert_eq!(moved.map(|limit| (limit.outstanding, limit.left)), Some((10, 0)));
    rig.stop().await;
}

#[tokio::test]
async fn only_hard_limits_have_credit_and_a_deleted_one_has_none() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    for enforcement in [v1::Enforcement::Soft, v1::Enforcement::Shadow] {
        edited(&api, &key, v1::Budget { enforcement: enforcement.into(), ..key.budgets[0].clone() }).await;
        assert_eq!(node.ask(&budget, 1).await, None);
    }
    edited(&api, &key, v1::Budget { enforcement: v1::Enforcement::Hard.into(), ..key.budgets[0].clone() }).await;
    assert!(node.ask(&budget, 1).await.is_some());
    let none = v1::VirtualKey { budgets: Vec::new(), revision: 0, ..key.clone() };
    api.update_virtual_key(none, &["budgets"]).await.unwrap();
    assert_eq!(node.ask(&budget, 2).await, None);
    rig.stop().await;
}

#[tokio::test]
async fn a_reset_leaves_more_to_grant() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 10).await.unwrap();
    node.use_up(1, &key.id, 10, &[(budget.clone(), 10)]).await;
    assert_eq!(node.ask(&budget, 11).await, None);
    let request = v1::UpdateVirtualKeyRequest {
        virtual_key: Some(v1::VirtualKey { revision: 0, ..key.clone() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
        reset_budget_usage: true,
        ..Default::default()
    };
    let mut client = v1::virtual_key_service_client::VirtualKeyServiceClient::new(api.0.clone());
    client.update_virtual_key(request).await.unwrap();
    assert_eq!(node.ask(&budget, 11).await.map(|account| account.granted), Some(11));
    assert_eq!(standing(&api).await, (0, 1, 9));
    rig.stop().await;
}
