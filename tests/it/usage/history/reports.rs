//! Nodes that report, and the protocol that they go by (`docs/design/usage.md §1`), told anew.

use futures_util::future::join_all;
use rand::Rng as _;
use rand::seq::{IteratorRandom as _, SliceRandom as _};
use tokio_stream::StreamExt as _;
use tollgate::proto::v1;
use tollgate::proto::v1::UsageAckStatus::{self as Status, Applied, Duplicate, Gap, Rejected};
use tollgate::proto::v1::usage_service_client::UsageServiceClient;

use super::{History, MODELS, PROVIDERS};
use crate::usage::model::window::Micros;
use crate::usage::model::{Model, limited_key};
use crate::watch::api::Api;

/// An incarnation of a node, and all that it ever numbered.
pub(super) struct Incarnation {
    node_id: String,
    number: i64,
    /// Batch by batch, from 1.
    log: Vec<v1::ReportUsageRequest>,
    /// The last that was counted.
    last: i64,
}

/// What an acknowledgement says: status, expected number, places of rejected entries, late entries.
type Said = (Status, i64, Vec<i32>, i32);

fn said(ack: &v1::ReportUsageResponse) -> Said {
    let rejected = ack.rejected_entries.iter().map(|entry| entry.index).collect();
    (ack.status(), ack.expected_sequence, rejected, ack.late_entries)
}

impl Incarnation {
    /// What is to be answered to a batch, and counted.
    fn take(&mut self, batch: &v1::ReportUsageRequest, model: &mut Model) -> Said {
        let nothing = |status, expected| (status, expected, Vec::new(), 0);
        if batch.node_id != self.node_id || batch.incarnation != self.number {
            return nothing(Rejected, 0);
        }
        let next = self.last + 1;
        let content = usize::try_from(batch.sequence - 1).ok().and_then(|index| self.log.get(index));
        match batch.sequence {
            ..1 => nothing(Rejected, next),
            sequence if sequence == self.last && content != Some(batch) => nothing(Rejected, next),
            sequence if sequence < next => nothing(Duplicate, next),
            sequence if sequence > next => nothing(Gap, next),
            _ => {
                self.last += 1;
                let (rejected, late) = model.count(&batch.entries);
                (Applied, next + 1, rejected, late)
            }
        }
    }

    fn fresh(&self) -> Vec<v1::ReportUsageRequest> {
        self.log[usize::try_from(self.last).unwrap()..].to_vec()
    }
}

/// Sends batches on a stream of their own and reads `acks` acknowledgements at most. What came, and whether all did.
async fn send(api: &Api, batches: Vec<v1::ReportUsageRequest>, acks: usize) -> Vec<v1::ReportUsageResponse> {
    let mut client = UsageServiceClient::new(api.0.clone());
    let Ok(stream) = client.report_usage(tokio_stream::iter(batches)).await else { return Vec::new() };
    stream.into_inner().take(acks).map_while(Result::ok).collect().await
}

impl History {
    /// A node starts without a record of what it sent.
    pub(super) async fn register(&mut self) {
        let node_id = format!("node {}", self.rng.random_range(0..3));
        let request = v1::RegisterNodeRequest { node_id: node_id.clone(), ..Default::default() };
        let number =
            UsageServiceClient::new(self.api.0.clone()).register_node(request).await.unwrap().into_inner().incarnation;
        assert!(self.incarnations.iter().all(|before| before.number < number), "incarnations rise");
        self.incarnations.push(Incarnation { node_id, number, log: Vec::new(), last: 0 });
    }

    /// An incarnation, mostly one of the last.
    fn any_incarnation(&mut self) -> usize {
        let all = self.incarnations.len();
        let from = if self.rng.random_bool(0.8) { all.saturating_sub(3) } else { 0 };
        self.rng.random_range(from..all)
    }

    /// Numbers so many new batches.
    fn number(&mut self, incarnation: usize, count: usize) {
        for _ in 0..count {
            let entries = (0..self.rng.random_range(0..12)).map(|_| self.entry()).collect::<Vec<_>>();
            self.batches += 1;
            self.entries += entries.len();
            let Incarnation { node_id, number, log, .. } = &mut self.incarnations[incarnation];
            let sequence = i64::try_from(log.len()).unwrap() + 1;
            log.push(v1::ReportUsageRequest {
                node_id: node_id.clone(),
                incarnation: *number,
                sequence,
                entries,
                ..Default::default()
            });
        }
    }

    /// What a node sends that may repeat, run ahead and err, and in the end all that it has.
    fn plan(&mut self, incarnation: usize) -> Vec<v1::ReportUsageRequest> {
        let entry = self.entry();
        let all = i64::try_from(self.incarnations.len()).unwrap();
        let Incarnation { log, number, last, .. } = &self.incarnations[incarnation];
        let rng = &mut self.rng;
        let mut plan = Vec::new();
        let mut others = |plan: &mut Vec<v1::ReportUsageRequest>| {
            let recent = &log[log.len().saturating_sub(6)..];
            for _ in 0..rng.random_range(0..3) {
                plan.extend(recent.iter().choose(rng).cloned());
            }
            let Some(mut wrong) = recent.iter().choose(rng).cloned().filter(|_| rng.random_bool(0.1)) else { return };
            match rng.random_range(0..4) {
                // What was not counted yet would be, with this content.
                0 if wrong.sequence <= *last => wrong.entries.push(entry.clone()),
                0 | 1 => wrong.incarnation = *number + all + 1_000,
                2 => wrong.node_id = "another".to_owned(),
                _ => wrong.sequence = rng.random_range(-1..1),
            }
            plan.push(wrong);
        };
        for fresh in self.incarnations[incarnation].fresh() {
            others(&mut plan);
            plan.push(fresh);
        }
        others(&mut plan);
        plan
    }

    /// A node reports on one stream, which may be cut, by itself or by a server that restarts; then it sends again.
    pub(super) async fn report(&mut self) -> &'static str {
        let incarnation = self.any_incarnation();
        let count = self.rng.random_range(0..4);
        self.number(incarnation, count);
        let plan = self.plan(incarnation);
        let sent = plan.len();
        let (acks, what) = match self.rng.random_range(0..20) {
            0..15 => (send(&self.api, plan.clone(), sent).await, "a report"),
            15..18 => {
                let read = self.rng.random_range(0..=sent);
                (send(&self.api, plan.clone(), read).await, "a report that is cut")
            }
            _ => {
                let api = self.api.clone();
                let batches = plan.clone();
                let sending = tokio::spawn(async move { send(&api, batches, sent).await });
                for _ in 0..self.rng.random_range(0..50) {
                    tokio::task::yield_now().await;
                }
                self.restart().await;
                (sending.await.unwrap(), "a report while the server restarts")
            }
        };
        if what == "a report" {
            assert_eq!(acks.len(), sent, "each batch is answered");
        }
        let Self { incarnations, model, .. } = self;
        let held = &mut incarnations[incarnation];
        for (batch, ack) in plan.iter().zip(&acks) {
            let expected = held.take(batch, model);
            assert_eq!(said(ack), expected, "{what}: {batch:?}");
            assert_eq!(ack.sequence, batch.sequence);
        }
        // Of the others nobody knows; sent again, each is counted now or was before.
        let again = held.fresh();
        let acks = send(&self.api, again.clone(), again.len()).await;
        assert_eq!(acks.len(), again.len(), "each batch is answered");
        for (batch, ack) in again.iter().zip(&acks) {
            let (_, expected_sequence, rejected, late) = held.take(batch, model);
            match ack.status() {
                Duplicate => assert!(ack.expected_sequence >= expected_sequence, "{ack:?}"),
                _ => assert_eq!(said(ack), (Applied, expected_sequence, rejected, late), "{what}: {batch:?}"),
            }
        }
        what
    }

    /// Several nodes report at once, some of them the same on two streams.
    pub(super) async fn burst(&mut self) -> &'static str {
        let mut nodes: Vec<usize> = (0..self.incarnations.len()).collect();
        nodes.shuffle(&mut self.rng);
        nodes.truncate(4);
        let mut streams = Vec::new();
        for node in &nodes {
            let count = self.rng.random_range(1..4);
            self.number(*node, count);
            for _ in 0..self.rng.random_range(1..3) {
                streams.push((*node, self.incarnations[*node].fresh()));
            }
        }
        let sending = streams.iter().map(|(_, batches)| send(&self.api, batches.clone(), batches.len()));
        let acks = join_all(sending).await;
        let Self { incarnations, model, .. } = self;
        for node in nodes {
            let held = &mut incarnations[node];
            let of_node = || streams.iter().zip(&acks).filter(|((of, _), _)| *of == node);
            for (place, batch) in held.fresh().iter().enumerate() {
                let expected = held.take(batch, model);
                let answers: Vec<_> = of_node().map(|(_, acks)| acks.get(place).expect("each is answered")).collect();
                let applied: Vec<Said> =
                    answers.iter().filter(|it| it.status() != Duplicate).map(|it| said(it)).collect();
                assert_eq!(applied, [expected], "of the same batch on several streams, one counts: {answers:?}");
            }
        }
        "a burst"
    }

    fn entry(&mut self) -> v1::UsageEntry {
        let rng = &mut self.rng;
        let model = &self.model;
        let virtual_key_id = match rng.random_range(0..40) {
            0..30 => model.keys.keys().choose(rng).cloned().unwrap_or_default(),
            30..35 => model.former.keys().choose(rng).cloned().unwrap_or_default(),
            35..39 => String::new(),
            _ => "00000000-0000-7000-8000-000000000000".to_owned(),
        };
        let provider = PROVIDERS[[0, 0, 0, 0, 1, 1, 2, 3][rng.random_range(0..8)]];
        let keys = [String::new(), limited_key(provider), "another".to_owned()];
        let mut entry = v1::UsageEntry {
            virtual_key_id,
            provider: provider.to_owned(),
            model: MODELS[rng.random_range(0..MODELS.len())].to_owned(),
            requests: rng.random_range(0..4),
            input_tokens: rng.random_range(0..700),
            output_tokens: rng.random_range(0..300),
            cost_nano_usd: rng.random_range(0..300_000),
            occurred_at: None,
            cached_input_tokens: rng.random_range(0..200),
            cache_write_tokens: rng.random_range(0..20),
            reasoning_tokens: rng.random_range(0..100),
            audio_tokens: rng.random_range(0..10),
            unpriced_requests: rng.random_range(-1..40).min(1),
            provider_key_id: keys[[0, 0, 1, 2][rng.random_range(0..4)]].clone(),
            end_user: ["", "", "ada", "eve"][rng.random_range(0..4)].to_owned(),
            session: ["", "", "", "s-1"][rng.random_range(0..4)].to_owned(),
            tool: ["", "", "search"][rng.random_range(0..3)].to_owned(),
            tags: ["b", "a", "b"].into_iter().filter(|_| rng.random_bool(0.2)).map(ToOwned::to_owned).collect(),
        };
        let amounts =
            [&mut entry.requests, &mut entry.input_tokens, &mut entry.output_tokens, &mut entry.cost_nano_usd];
        if rng.random_bool(0.04) {
            let amount = if self.huge && rng.random_bool(0.5) { i64::MAX - rng.random_range(0..1_000) } else { -1 };
            *amounts.into_iter().choose(rng).unwrap() = amount;
        }
        let now = model.now;
        const SECOND: Micros = 1_000_000;
        const DAY: Micros = 86_400 * SECOND;
        let at = match rng.random_range(0..20) {
            0..8 => return entry,
            8 => now,
            9 => now - rng.random_range(0..600 * SECOND),
            10 | 11 => now + rng.random_range(0..=300 * SECOND),
            12 => now + 300 * SECOND + rng.random_range(0..2),
            13 => now + rng.random_range(0..2 * DAY),
            14 => now - DAY,
            15 => now - rng.random_range(0..2 * DAY),
            16 => now - rng.random_range(0..60 * DAY),
            17 => now - rng.random_range(0..800 * DAY),
            // In the window before, or at its very edge, of one of the limits.
            _ => match model.limits.values().flatten().choose(rng) {
                Some(limit) => {
                    let current = limit.window(now).0;
                    let before = limit.window(current - 1).0;
                    [current - 1, current, before, before - 1, rng.random_range(before..=current)]
                        [rng.random_range(0..5)]
                }
                None => now,
            },
        };
        let nanos = i32::try_from(at.rem_euclid(SECOND) * 1_000).unwrap();
        entry.occurred_at = Some(prost_types::Timestamp { seconds: at.div_euclid(SECOND), nanos });
        entry
    }
}
