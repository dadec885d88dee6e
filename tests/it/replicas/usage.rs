//! Usage that a node reports to one replica and hears of from another.

use tollgate::proto::v1::UsageAckStatus::Applied;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::watch_config_response::Event;

use super::together::{BATCHES, key, register, report};
use super::*;
use crate::watch::rig::soon;

/// A node that goes on to another replica is told of all that it reported to the first: it does not add those batches any more, and
/// its budget must not look emptier than it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_node_begins_with_what_other_replicas_counted() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let [(mut first, there), (mut second, here)] =
        <[(Rig, Api); 2]>::try_from(replicas(&database, 2).await).ok().unwrap();
    let key = key(&there).await;
    let incarnation = register(&there).await;
    let mut counted = 0;
    for sequence in 1..=BATCHES {
        assert_eq!(report(&there, &key.id, incarnation, sequence).await.status(), Applied);
        counted += 1_000 + sequence;
        let request =
            v1::WatchConfigRequest { include_usage: true, incarnations: vec![incarnation], ..Default::default() };
        let mut stream = ConfigServiceClient::new(here.0.clone()).watch_config(request).await.unwrap().into_inner();
        let (mut used, mut last) = (Vec::new(), None);
        while last.is_none() {
            let message = soon(stream.message()).await.unwrap().unwrap();
            if let Some(Event::Usage(update)) = message.event {
                used.extend(update.limits.iter().map(|limit| limit.used));
                last = (!update.more).then_some(update.counted);
            }
        }
        let told = v1::CountedBatches { incarnation, sequence };
        assert_eq!((used, last), (vec![counted], Some(vec![told])));
    }
    first.stop().await;
    second.stop().await;
}
