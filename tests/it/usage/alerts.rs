//! Thresholds that a limit names itself (`alert_percents`), and when a change of them holds.

use tollgate::proto::v1::config_resource::Resource;

use super::thresholds::{events, of_team};
use super::*;

fn with_alerts(team: &v1::Team, alert_percents: &[i32]) -> v1::Team {
    let budget = v1::Budget { alert_percents: alert_percents.to_vec(), ..team.budgets[0].clone() };
    v1::Team { budgets: vec![budget], revision: 0, ..team.clone() }
}

#[tokio::test]
async fn a_limit_records_the_thresholds_that_it_names() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    assert_eq!(team.budgets[0].alert_percents, [80, 90, 100], "answers name the usual ones");
    let written = api.update_team(with_alerts(&team, &[150, 5, 50]), &["budgets"]).await.unwrap();
    let Some(Resource::Team(named)) = written.resource else { panic!("no team") };
    assert_eq!(named.budgets[0].alert_percents, [5, 50, 150], "sorted");
    assert_eq!(named.budgets[0].id, team.budgets[0].id);

    let incarnation = register(&api).await;
    let cent = 10_000_000;
    let spend = |sequence, cents| batch(incarnation, sequence, vec![entry(&key.id, cents * cent)]);
    // Batches of one stream may be counted together.
    for (sequence, cents) in [(1, 4), (2, 46), (3, 45)] {
        report(&api, vec![spend(sequence, cents)]).await;
    }
    let (half, twentieth) = ((50, 50 * cent, 100 * cent), (5, 50 * cent, 100 * cent));
    assert_eq!(events(&api, of_team(&team)).await, [half, twentieth], "nothing at 80 and 90 percent");

    // What was reached before a change is not recorded after it; what is reached after it is, past 100 percent too.
    api.update_team(with_alerts(&team, &[1, 90, 96, 200]), &["budgets"]).await.unwrap();
    assert_eq!(events(&api, of_team(&team)).await, [half, twentieth]);
    let api = rig.restart().await;
    report(&api, vec![spend(4, 5)]).await;
    report(&api, vec![spend(5, 100)]).await;
    let expected = [(200, 200 * cent, 100 * cent), (96, 100 * cent, 100 * cent), half, twentieth];
    assert_eq!(events(&api, of_team(&team)).await, expected);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_rate_limit_has_its_thresholds_in_both_dimensions() {
    let (mut rig, api) = Rig::started().await;
    let (_, key) = hierarchy(&api).await;
    let limit = v1::RateLimit { alert_percents: vec![20], ..key.rate_limits[0].clone() };
    let changed = v1::VirtualKey { id: key.id.clone(), rate_limits: vec![limit], ..Default::default() };
    api.update_virtual_key(changed, &["rate_limits"]).await.unwrap();
    let incarnation = register(&api).await;
    for sequence in 1..=3 {
        report(&api, vec![batch(incarnation, sequence, vec![entry(&key.id, 0)])]).await;
    }
    let of_key = v1::ListThresholdEventsRequest { virtual_key_id: key.id.clone(), ..Default::default() };
    let mut reached = events(&api, of_key).await;
    reached.sort_unstable();
    assert_eq!(reached, [(20, 2, 10), (20, 200, 1_000)]);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn thresholds_are_distinct_percentages_up_to_a_thousand() {
    let (mut rig, api) = Rig::started().await;
    let refused = |alert_percents: Vec<i32>| {
        let budgets = vec![v1::Budget { alert_percents, ..budget("1d") }];
        let created = api.create_team(v1::Team { name: "team".to_owned(), budgets, ..Default::default() });
        async { created.await.unwrap_err() }
    };
    for (percents, says) in [
        (vec![80, 0], "team.budgets[0].alert_percents[1]: is 0; must be a percentage from 1 to 1000"),
        (vec![1_001], "team.budgets[0].alert_percents[0]: is 1001; must be a percentage from 1 to 1000"),
        (vec![50, 60, 50], "team.budgets[0].alert_percents[2]: is 50, which is in the list already"),
        ((1..=21).collect(), "team.budgets[0].alert_percents: has 21 entries; may have 20"),
    ] {
        let status = refused(percents).await;
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(says), "{}", status.message());
    }
    drop(api);
    rig.stop().await;
}
