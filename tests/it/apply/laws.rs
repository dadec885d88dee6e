//! What holds of every call of `Apply`, over random organisations and random edits of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tollgate::proto::v1::{ConfigResource, ResourceKey};
use tollgate::reducer::View;

use super::organisation::Organisation;
use super::*;
use crate::process::verify;
use crate::watch::api::{common, undated};
use crate::watch::rig::{Node, Rig, node};

/// How many organisations follow one another in a store.
const ROUNDS: usize = 20;

/// A copy of the configuration, without what tells when it was written; of keys also the hashes of their values.
fn configuration(view: &View) -> BTreeMap<(i32, String), (ConfigResource, Bytes)> {
    let hash = |resource: &ConfigResource| match &resource.resource {
        Some(Resource::VirtualKey(key)) => key.value_sha256.clone(),
        _ => Bytes::new(),
    };
    let all = view.iter();
    all.map(|(key, it)| ((key.kind, key.id.clone()), (undated(&common(it)), hash(it)))).collect()
}

/// What a change is answered with, as far as a plan can know it: `ids` are those that the plan gave to what is new.
fn outcome(outcome: &v1::ApplyOutcome, ids: &HashMap<String, String>) -> String {
    let plain = |resource: &ConfigResource| undated(&unmade(common(resource)));
    let (before, after) = (&outcome.before, outcome.after.as_ref().map(plain));
    let text = format!("{:?} {:?} {before:?} {after:?}", outcome.operation(), outcome.key);
    ids.iter().fold(text, |text, (planned, given)| text.replace(planned, given))
}

/// Without what the server gives to what is new: times, and ids of parts.
fn unmade(mut resource: ConfigResource) -> ConfigResource {
    let clear = |budgets: &mut Vec<v1::Budget>, limits: &mut Vec<v1::RateLimit>| {
        budgets.iter_mut().for_each(|it| (it.id, it.created_at, it.updated_at, it.owner) = Default::default());
        limits.iter_mut().for_each(|it| (it.id, it.created_at, it.updated_at, it.owner) = Default::default());
    };
    match resource.resource.as_mut().unwrap() {
        Resource::Customer(it) => {
            it.created_at = None;
            clear(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::Team(it) => {
            it.created_at = None;
            clear(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::VirtualKey(it) => {
            it.created_at = None;
            clear(&mut it.budgets, &mut it.rate_limits);
            it.mcp_configs.iter_mut().for_each(|config| config.id = 0);
            for config in &mut it.provider_configs {
                config.id = 0;
                clear(&mut config.budgets, &mut config.rate_limits);
            }
        }
        Resource::ModelConfig(it) => {
            it.created_at = None;
            clear(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::ProviderGovernance(it) => {
            it.created_at = None;
            clear(&mut it.budgets, &mut it.rate_limits);
        }
        Resource::Provider(it) => {
            it.created_at = None;
            it.keys.iter_mut().for_each(|key| clear(&mut key.budgets, &mut key.rate_limits));
        }
        Resource::RoutingRule(it) => it.created_at = None,
        Resource::PricingOverride(it) => it.created_at = None,
        Resource::McpClient(it) => it.created_at = None,
        Resource::ModelPrice(it) => it.created_at = None,
        Resource::Webhook(_) | Resource::Token(_) => {}
    }
    resource
}

/// What an answer says of the resources that it changed is all that changed, and all of that.
fn check_outcomes(answer: &v1::ApplyResponse, before: &View, after: &View) {
    let told = answer.outcomes.iter().filter(|it| it.operation() != ApplyOperation::Unchanged);
    let told = told.filter_map(|outcome| outcome.key.clone());
    let told: HashSet<ResourceKey> = told.chain(answer.also_changed.iter().cloned()).collect();
    let all = before.iter().chain(after.iter()).map(|(key, _)| key.clone());
    let changed: HashSet<ResourceKey> = all.filter(|key| before.get(key) != after.get(key)).collect();
    assert_eq!(told, changed);
    for outcome in &answer.outcomes {
        let key = outcome.key.as_ref().unwrap();
        let expected = match (before.get(key), after.get(key)) {
            (None, Some(_)) => ApplyOperation::Created,
            (Some(_), None) => ApplyOperation::Deleted,
            (Some(one), Some(other)) if one == other => ApplyOperation::Unchanged,
            (Some(_), Some(_)) => ApplyOperation::Updated,
            (None, None) => panic!("{outcome:?} is of what there never was"),
        };
        assert_eq!(outcome.operation(), expected, "{outcome:?}");
    }
}

/// A change that cannot be made beside any others.
fn impossible(rng: &mut StdRng) -> v1::ApplyChange {
    let heavy = v1::Customer { budgets: vec![budget(-1.0, "1d")], ..customer("impossible") };
    let faults = [
        upsert(Resource::Customer(customer(" "))),
        upsert(Resource::Customer(heavy)),
        upsert(Resource::Team(team("impossible", "name:Nobody"))),
        upsert(Resource::VirtualKey(v1::VirtualKey { id: "no-such-id".to_owned(), ..key("impossible", "", "") })),
        delete(ResourceKind::VirtualKey, "name://Nobody"),
        v1::ApplyChange { revision: 1, ..upsert(Resource::Customer(customer("impossible"))) },
        v1::ApplyChange::default(),
    ];
    faults.choose(rng).unwrap().clone()
}

/// The copy of a node that has proved it by the digests of the server.
async fn proved(node: &mut Node, revision: i64) -> Arc<View> {
    node.until_proved(revision).await;
    assert_eq!(node.revision(), revision);
    node.reducer.state()
}

#[tokio::test]
async fn what_was_planned_is_done_once_or_nothing_is_and_can_be_taken_back() {
    let (mut rig, api) = Rig::started().await;
    let mut watcher = node(&api, &[]).await;
    let mut rng = StdRng::seed_from_u64(2_026);
    let empty = watcher.reducer.state();
    let (mut organisation, mut ids) = (Organisation::default(), BTreeMap::new());
    let mut history = vec![(empty.revision(), configuration(&empty))];
    let mut cascades = 0;
    for round in 0..ROUNDS {
        let edits = if round == 0 { 40 } else { rng.random_range(1..9) };
        let next = (0..edits).fold(organisation.clone(), |next, _| next.edited(&mut rng));
        let upserts = next.upserts(&mut rng);
        let cascading = rng.random_bool(0.5);
        let deletions = organisation.deletions(&next, &ids, cascading);
        let (places, changes): (Vec<_>, Vec<_>) = upserts.iter().cloned().chain(deletions).unzip();
        let before = watcher.reducer.state();
        let options = v1::ApplyOptions { return_resources: true, take_over: true, ..Default::default() };

        // A plan changes nothing, nor does a call with one change that cannot be made.
        let plan = v1::ApplyOptions { validate_only: true, ..options.clone() };
        let planned = apply(&api, plan, changes.clone()).await.unwrap();
        let mut faulty = changes.clone();
        faulty.insert(rng.random_range(0..=faulty.len()), impossible(&mut rng));
        apply(&api, options.clone(), faulty).await.unwrap_err();
        let head = apply(&api, options.clone(), Vec::new()).await.unwrap().revision;
        assert_eq!(head, before.revision());
        assert_eq!(proved(&mut watcher, head).await, before);

        // All that was planned is done, in one revision, and nothing else.
        let answer = apply(&api, options.clone(), changes).await.unwrap();
        let after = proved(&mut watcher, answer.revision).await;
        let is_changed = answer.outcomes.iter().any(|it| it.operation() != ApplyOperation::Unchanged);
        assert_eq!(answer.revision, head + i64::from(is_changed));
        check_outcomes(&answer, &before, &after);
        let given =
            self::ids(&planned).into_iter().zip(self::ids(&answer)).filter(|(one, other)| one != other).collect();
        let told = |it: &v1::ApplyResponse| it.outcomes.iter().map(|it| outcome(it, &given)).collect::<Vec<_>>();
        assert_eq!(told(&planned), told(&answer));
        let others = |it: &v1::ApplyResponse| it.also_changed.iter().cloned().collect::<HashSet<_>>();
        assert_eq!(others(&planned), others(&answer));
        assert_eq!(planned.total_changed_count, answer.total_changed_count);
        cascades += answer.total_changed_count;

        // A second time there is nothing left to do.
        ids.extend(places.into_iter().zip(self::ids(&answer)));
        let again = apply(&api, options, upserts.iter().map(|(_, change)| change.clone()).collect()).await.unwrap();
        assert_eq!(again.revision, answer.revision);
        assert_eq!(operations(&again), vec![ApplyOperation::Unchanged; upserts.len()]);
        let same: Vec<_> = upserts.iter().map(|(place, _)| ids[place].clone()).collect();
        assert_eq!(self::ids(&again), same);
        assert_eq!(after.len(), empty.len() + next.places().count(), "nothing is there but what the organisation has");
        history.push((answer.revision, configuration(&after)));
        organisation = next;
    }
    assert!(cascades > 0, "nothing went along with anything");
    for _ in 0..4 {
        let (revision, wanted) = history.choose(&mut rng).unwrap();
        let options = v1::ApplyOptions { rollback_to_revision: *revision, ..Default::default() };
        let answer = apply(&api, options, Vec::new()).await.unwrap();
        assert_eq!(&configuration(&*proved(&mut watcher, answer.revision).await), wanted, "revision {revision}");
    }
    drop((api, watcher));
    rig.stop().await;
    let (good, said) = verify(&rig.database, &[]);
    assert!(good, "{said}");
}
