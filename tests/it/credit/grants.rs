//! Credit is granted, given back, used and recalled, and what was told is there after a restart.

use super::*;
use crate::watch::rig::Rig;

#[tokio::test]
async fn two_nodes_get_no_more_than_there_is_and_what_one_gives_back_the_other_gets() {
    let (mut rig, api) = Rig::started().await;
    let (_, budget) = limited(&api, 10).await;
    let (mut one, mut other) = (Node::new(&api, "one").await, Node::new(&api, "other").await);
    assert_eq!(one.ask(&budget, 7).await, Some(Account { granted: 7, used: 0, returned: 0 }));
    // A want that is repeated gets nothing twice.
    assert_eq!(one.ask(&budget, 7).await.map(|account| account.granted), Some(7));
    assert_eq!(standing(&api).await, (0, 7, 3));

    other.want(&budget, 5).await;
    let recall = one.next().await.unwrap();
    assert_eq!(recall, Directive::Recall { session: one.session, keys: vec![budget.clone()] });
    let unmet = other.next().await.unwrap();
    assert_eq!(unmet, Directive::Unmet { session: other.session, keys: vec![budget.clone()], recalling: true });
    one.give_back(&budget, 4).await;
    // It waited, or, where the machine is slow, asks once more.
    let granted = match tokio::time::timeout(std::time::Duration::from_secs(2), other.next()).await {
        Ok(directive) => directive.unwrap(),
        Err(_) => {
            other.want(&budget, 5).await;
            other.next().await.unwrap()
        }
    };
    let Directive::Grant { credits, .. } = granted else { panic!("{granted:?}") };
    assert_eq!(credits[0].account, Account { granted: 5, used: 0, returned: 0 });
    assert_eq!(standing(&api).await, (0, 8, 2));
    rig.stop().await;
}

#[tokio::test]
async fn what_is_used_is_counted_once_and_is_no_credit_any_more() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 6).await.unwrap();
    node.use_up(1, &key.id, 4, &[(budget.clone(), 4)]).await;
    assert_eq!(standing(&api).await, (4, 2, 4));
    // More than was granted: the next grant begins above it.
    node.use_up(2, &key.id, 5, &[(budget.clone(), 9)]).await;
    assert_eq!(standing(&api).await, (9, 0, 1));
    assert_eq!(node.ask(&budget, 10).await.map(|account| account.granted), Some(10));
    assert_eq!(node.ask(&budget, 11).await, None);
    // An entry that is rejected was used all the same.
    node.use_up(3, "no such key", 1, &[(budget.clone(), 10)]).await;
    assert_eq!(standing(&api).await, (9, 0, 1));
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_again_knows_what_it_granted() {
    let (mut rig, api) = Rig::started().await;
    let (key, budget) = limited(&api, 10).await;
    let mut node = Node::new(&api, "node").await;
    node.ask(&budget, 6).await.unwrap();
    node.use_up(1, &key.id, 2, &[(budget.clone(), 2)]).await;
    node.give_back(&budget, 1).await;
    // The answer of the next want is after the return.
    assert_eq!(node.ask(&budget, 6).await, Some(Account { granted: 6, used: 2, returned: 1 }));
    let before = (credit(&api).await, node.session);
    let api = rig.restart().await;
    assert_eq!(credit(&api).await, before.0);
    let said = Hello { connection: 2, session: node.session, ..Hello::default() };
    let node = Node::resume(&api, "node", node.incarnation, said).await.unwrap();
    assert_eq!(node.welcome, [(budget, Account { granted: 6, used: 2, returned: 1 })]);
    assert!(node.session > before.1);
    rig.stop().await;
}

#[tokio::test]
async fn a_want_on_several_limits_is_met_on_all_or_on_none() {
    let (mut rig, api) = Rig::started().await;
    let [(_, wide), (_, narrow)] = [limited(&api, 100).await, limited(&api, 1).await];
    let mut node = Node::new(&api, "node").await;
    let both = |level| {
        let want = |key: &CounterKey| Want { key: key.clone(), level, ahead: 0, guessed: false };
        vec![want(&wide), want(&narrow)]
    };
    node.report(Report::Want { session: node.session, wants: both(2) }).await;
    let unmet = node.next().await.unwrap();
    assert_eq!(unmet, Directive::Unmet { session: node.session, keys: vec![narrow.clone()], recalling: false });
    assert!(credit(&api).await.iter().all(|limit| limit.outstanding == 0));
    node.report(Report::Want { session: node.session, wants: both(1) }).await;
    assert!(matches!(node.next().await.unwrap(), Directive::Grant { credits, .. } if credits.len() == 2));
    rig.stop().await;
}
