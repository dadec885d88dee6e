//! Row 8: usage, counted and durable. `cargo bench --bench usage` has more of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tollgate::proto::v1;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tonic::transport::Channel;

use crate::Bench;
use crate::keys::{Keys, Shape};
use crate::process::Place;
use crate::raw;
use crate::table::{Goal, Line, Runs};
use crate::target::CONNECTIONS;

const STREAMS: usize = 64;
const ENTRIES: usize = 100;
/// Batches of a stream that are not acknowledged yet: of all streams, half of what the server lets wait.
const IN_FLIGHT: usize = 32;
const KEYS: usize = 1_000;

pub(crate) async fn usage(bench: &mut Bench) {
    let place = Place::sqlite(&bench.server);
    let process = place.start().await;
    let channels = raw::connect(&process.address, CONNECTIONS).await;
    let keys = Keys::create(&channels, Shape::Full, KEYS).await;
    let mut rates = Runs::default();
    for round in 0..bench.rounds {
        let counted = Arc::new(AtomicU64::new(0));
        let mut nodes = JoinSet::new();
        for number in 0..STREAMS {
            let channel = channels[number % CONNECTIONS].clone();
            nodes.spawn(report(channel, keys.clone(), format!("node-{round}-{number}"), number, Arc::clone(&counted)));
        }
        tokio::time::sleep(bench.span.warm_up).await;
        let before = counted.load(Ordering::Relaxed);
        tokio::time::sleep(bench.span.measured).await;
        let acknowledged = counted.load(Ordering::Relaxed) - before;
        rates.push(acknowledged as f64 / bench.span.measured.as_secs_f64());
        assert!(nodes.try_join_next().is_none(), "a node has ended");
        nodes.shutdown().await;
    }
    bench.table.push(Line {
        row: 8,
        measure: format!("usage entries/s, {STREAMS} streams, batches of {ENTRIES}"),
        tollgate: rates,
        beside: None,
        goal: Goal::AtLeast(100_000.0),
    });
}

/// Reports as fast as it is acknowledged, until it is aborted. An entry counts against two budgets, tokens and requests
/// of its key.
async fn report(channel: Channel, keys: Keys, node_id: String, first: usize, counted: Arc<AtomicU64>) {
    let mut client = UsageServiceClient::new(channel);
    let registration = v1::RegisterNodeRequest { node_id: node_id.clone(), ..Default::default() };
    let incarnation = client.register_node(registration).await.expect("registered").into_inner().incarnation;
    let in_flight = Semaphore::new(IN_FLIGHT);
    let (send, batches) = mpsc::channel(IN_FLIGHT);
    let mut acks = client.report_usage(ReceiverStream::new(batches)).await.expect("the stream begins").into_inner();
    let acknowledged = async {
        while let Some(ack) = acks.message().await.expect("acknowledged") {
            assert_eq!(ack.status(), v1::UsageAckStatus::Applied, "{}", ack.reason);
            counted.fetch_add(ENTRIES as u64, Ordering::Relaxed);
            in_flight.add_permits(1);
        }
    };
    let reported = async {
        for sequence in 1.. {
            in_flight.acquire().await.expect("it is not closed").forget();
            let entry = |place: usize| v1::UsageEntry {
                // Steps that meet every key, in another order on each stream.
                virtual_key_id: keys.ids[(first + (sequence as usize * ENTRIES + place) * 7) % KEYS].clone(),
                provider: "openai".to_owned(),
                model: "gpt-4o".to_owned(),
                requests: 1,
                input_tokens: 700,
                output_tokens: 300,
                cost_nano_usd: 1_234_567,
                occurred_at: None,
                ..Default::default()
            };
            let entries = (0..ENTRIES).map(entry).collect();
            let batch = v1::ReportUsageRequest {
                node_id: node_id.clone(),
                incarnation,
                sequence,
                entries,
                ..Default::default()
            };
            if send.send(batch).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(acknowledged, reported);
}
