//! Dimensions of spend, from the request to what the control plane is told.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::domain::SpendDimensions;

use super::*;
use crate::admission::Target;
use crate::dimensions::combination;

fn dimensions(end_user: &str, session: &str, tool: &str, tags: &[&str]) -> SpendDimensions {
    SpendDimensions::new(end_user, session, tool, tags).unwrap()
}

/// Nano-dollars by end user, session, tool and tags.
fn told(rig: &Rig) -> BTreeMap<String, i64> {
    let mut told = BTreeMap::new();
    for entry in &rig.control.state().entries {
        let (texts, tags) = combination(entry);
        *told.entry([texts.join("/"), tags.join(",")].join("/")).or_default() += entry.cost_nano_usd;
    }
    told
}

fn expected(of: &[(&str, i64)]) -> BTreeMap<String, i64> {
    of.iter().map(|(dimensions, cost)| ((*dimensions).to_owned(), *cost)).collect()
}

#[tokio::test]
async fn dimensions_come_with_the_request_or_its_settlement_and_survive_a_restart() {
    let (rig, directory) = (Rig::new().await, tempfile::TempDir::new().unwrap());
    let node = rig.node(Some(directory.path())).await;
    let ada = dimensions("ada", "s-1", "", &["b", "a"]);
    let request = Request { dimensions: &ada, ..rig.request() };
    node.engine.admit(&request).await.unwrap().settle(used(1)).await.unwrap();
    // The settlement replaces each dimension that it has; the others are as they were admitted.
    let known = |tool: &str, tags: &[&str]| dimensions("", "", tool, tags);
    let settled = Used { dimensions: known("search", &[]), ..used(20) };
    node.engine.admit(&request).await.unwrap().settle(settled).await.unwrap();
    let settled = Used { dimensions: known("", &["c"]), ..used(300) };
    node.admit(&rig).await.unwrap().settle(settled).await.unwrap();
    // Another target is of the same dimensions.
    let mut granted = node.engine.admit(&request).await.unwrap();
    granted.retarget(&Target { model: "o3", ..Target::default() }).await.unwrap();
    granted.settle(used(4_000)).await.unwrap();
    // These are charged at their estimate when the node starts again, and one is settled for more after that.
    node.engine.admit(&request).await.unwrap().detach();
    let open = node.engine.admit(&request).await.unwrap().detach();
    node.crash().await;
    let node = rig.node(Some(directory.path())).await;
    let (_, durable) = node.engine.settle(open, &used(COST + 50_000)).unwrap();
    durable.reached().await.unwrap();
    node.delivered().await;
    let all = [("ada/s-1//a,b", 1 + 4_000 + 2 * COST + 50_000), ("ada/s-1/search/a,b", 20), ("///c", 300)];
    assert_eq!(told(&rig), expected(&all));
    let budget = rig.budget();
    assert_eq!(rig.control.state().counted(&budget), all.iter().map(|(_, cost)| cost).sum::<i64>());
}

/// Whoever makes up an end user for each request makes no more entries than there are places for, and all is counted.
#[tokio::test]
async fn a_flood_of_end_users_is_bounded_and_counted() {
    let rig = Rig::new().await;
    let node = rig.node(None).await;
    // More than the minutes hold that this takes: one, or two if it turns meanwhile.
    let users = 2_001;
    for user in 0..users {
        let of_user = dimensions(&user.to_string(), "", "", &[]);
        let estimate = Estimate { cost_nano_usd: Some(7), ..rig.request().estimate };
        let request = Request { dimensions: &of_user, estimate, ..rig.request() };
        node.engine.admit(&request).await.unwrap().settle(used(7)).await.unwrap();
    }
    node.delivered().await;
    let (told, joined) = (told(&rig), node.engine.backlog().counts.joined_dimensions);
    assert_eq!(told.values().sum::<i64>(), 7 * users);
    let budget = rig.budget();
    assert_eq!(rig.control.state().counted(&budget), 7 * users);
    assert!(joined > 0 && told["other/other/other/"] == 7 * joined as i64, "{joined}");
    // By the minutes of admissions, the last of which may have been settled in the next.
    let mut minutes = BTreeMap::<i64, BTreeSet<_>>::new();
    for entry in rig.control.state().entries.iter().filter(|entry| entry.end_user != "other") {
        minutes.entry(entry.occurred_at.unwrap().seconds / 60).or_default().insert(combination(entry));
    }
    assert!(minutes.values().all(|kept| kept.len() <= 1_001), "{}", minutes.len());
}
