mod histories;
mod streams;

use std::collections::BTreeMap;

use super::*;
use crate::proto::v1::{Customer, KindDigest, Team, WatchReason, config_resource::Resource};
use crate::reducer::digest::resource_digest;

fn team(id: &str, name: &str, revision: i64) -> ConfigResource {
    let team = Team { id: id.to_owned(), name: name.to_owned(), revision, ..Team::default() };
    ConfigResource { resource: Some(Resource::Team(team)) }
}

fn customer(id: &str, name: &str, revision: i64) -> ConfigResource {
    let customer = Customer { id: id.to_owned(), name: name.to_owned(), revision, ..Customer::default() };
    ConfigResource { resource: Some(Resource::Customer(customer)) }
}

fn key(kind: ResourceKind, id: &str) -> ResourceKey {
    ResourceKey { kind: kind.into(), id: id.to_owned() }
}

fn message(event: watch_config_response::Event) -> WatchConfigResponse {
    WatchConfigResponse { event: Some(event) }
}

fn begin(mode: WatchMode, head_revision: i64) -> WatchConfigResponse {
    let heartbeat_interval = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    let begin = WatchBegin { mode: mode.into(), head_revision, heartbeat_interval, ..WatchBegin::default() };
    message(watch_config_response::Event::Begin(begin))
}

fn batch(from: i64, to: i64, upserts: Vec<ConfigResource>, removes: Vec<ResourceKey>) -> ConfigBatch {
    ConfigBatch { from_revision: from, to_revision: to, upserts, removes, revisions: 1, ..ConfigBatch::default() }
}

fn sent(batch: ConfigBatch) -> WatchConfigResponse {
    message(watch_config_response::Event::Batch(batch))
}

fn snapshot(batch: ConfigBatch) -> WatchConfigResponse {
    sent(ConfigBatch { snapshot: true, ..batch })
}

fn bookmark(revision: i64, token: &str, digests: Vec<KindDigest>, snapshot_end: bool) -> WatchConfigResponse {
    let bookmark =
        Bookmark { revision, resume_token: token.to_owned(), digests, snapshot_end, age: None, server_time: None };
    message(watch_config_response::Event::Bookmark(bookmark))
}

fn digests(resources: &[ConfigResource]) -> Vec<KindDigest> {
    let mut sums = BTreeMap::from([(1, 0_u64), (2, 0)]);
    for summary in resources.iter().filter_map(Summary::of) {
        let sum = sums.entry(summary.key.kind).or_default();
        *sum = sum.wrapping_add(resource_digest(summary.key.kind, &summary.key.id, summary.revision));
    }
    sums.into_iter().map(|(kind, digest)| KindDigest { kind, digest }).collect()
}

fn held(view: &View) -> Vec<ConfigResource> {
    let mut held: Vec<_> = view.iter().map(|(key, resource)| ((key.kind, key.id.clone()), resource)).collect();
    held.sort_by(|left, right| left.0.cmp(&right.0));
    held.into_iter().map(|(_, resource)| ConfigResource::clone(resource)).collect()
}

/// A reducer that holds a customer and a team at revision 2, with token `t2`.
fn at_two() -> Reducer {
    let resources = [customer("c", "one", 1), team("t", "two", 2)];
    let mut reducer = Reducer::new();
    reducer.apply(begin(WatchMode::Snapshot, 2)).unwrap();
    reducer.apply(snapshot(batch(0, 2, resources.to_vec(), vec![]))).unwrap();
    reducer.apply(bookmark(2, "t2", digests(&resources), true)).unwrap();
    reducer
}

/// Another stream on a reducer that resumes.
fn resumed(mut reducer: Reducer) -> Reducer {
    reducer.connect();
    reducer.apply(begin(WatchMode::Resumed, 2)).unwrap();
    reducer
}
