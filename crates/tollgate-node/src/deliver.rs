//! Delivers usage: batches go to the control plane in their order, and stay in the outbox until it has counted them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tollgate_core::proto::v1::{RegisterNodeRequest, ReportUsageRequest, ReportUsageResponse, UsageAckStatus};
use tonic::{Code, Status};

use crate::engine::Engine;
use crate::follow::Lost;
use crate::outbox::OutboxError;
use crate::outbox::state::{Batch, Place, Registration};
use crate::proto::v1::usage_service_client::UsageServiceClient;
use crate::server::{Server, Servers};

/// How often what was used becomes a batch.
const INTERVAL: Duration = Duration::from_millis(250);
/// Batches on their way that are not acknowledged.
const ON_THE_WAY: usize = 16;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after a failure, doubled up to the second while it fails.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Delivers what the engine has.
pub(crate) struct Delivery {
    pub(crate) servers: Servers,
    pub(crate) node_id: String,
    pub(crate) engine: Arc<Engine>,
}

impl Delivery {
    /// Delivers for ever.
    pub(crate) async fn run(self) -> std::convert::Infallible {
        let mut must_register = false;
        let (mut backoff, mut said) = (MIN_BACKOFF, String::new());
        loop {
            let mut delivered = false;
            let (at, server) = self.servers.current();
            let lost = match self.session(&server, &mut must_register, &mut delivered).await {
                Ok(never) => match never {},
                Err(lost) => lost,
            };
            self.servers.failed(at);
            self.engine.note_error(&lost.why);
            if lost.for_good && self.engine.registration().is_none() {
                // Without an incarnation there is no credit.
                self.engine.withhold(&lost.why);
            }
            if delivered {
                (backoff, said) = (MIN_BACKOFF, String::new());
            }
            // Once for each reason, and not for each attempt.
            if lost.why != said {
                tracing::warn!(why = %lost.why, entries = self.engine.backlog().entries, "usage cannot be delivered; trying again");
                said = lost.why;
            }
            tokio::time::sleep(backoff.mul_f64(rand::random_range(0.5..=1.0))).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    async fn session(
        &self,
        server: &Server,
        must_register: &mut bool,
        delivered: &mut bool,
    ) -> Result<std::convert::Infallible, Lost> {
        let known = self.engine.registration().filter(|known| {
            // A numbered batch may be counted already: it goes by the name that it was numbered for.
            !*must_register && (known.node_id == self.node_id || !self.engine.due(None).is_empty())
        });
        let registration = match known {
            Some(known) => known,
            None => self.register(server).await?,
        };
        *must_register = false;
        let (send, receive) = mpsc::channel(ON_THE_WAY);
        let batches = stream::unfold(receive, async |mut receive: mpsc::Receiver<ReportUsageRequest>| {
            receive.recv().await.map(|batch| (batch, receive))
        });
        let is_renamed = registration.node_id != self.node_id;
        let refused = |status: Status, must_register: &mut bool| {
            // The name before is not this node's any more: what was counted by it under way, nobody can tell.
            *must_register |= is_renamed && status.code() == Code::PermissionDenied;
            Lost::from(status)
        };
        let mut client = UsageServiceClient::new(server.clone());
        let begun = in_time(client.report_usage(batches)).await?;
        let mut acks = begun.map_err(|status| refused(status, must_register))?.into_inner();
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent: Option<Place> = None;
        let mut on_the_way = 0_usize;
        let mut heard = tokio::time::Instant::now();
        loop {
            if on_the_way == 0 && self.engine.due(sent).is_empty() {
                let why = match self.engine.is_closed() {
                    true => Some("the incarnation was closed, and the node registers anew"),
                    false => is_renamed.then_some("the node has another name than before, and registers by it"),
                };
                if let Some(why) = why {
                    *must_register = true;
                    return Err(Lost::again(why));
                }
            }
            for batch in self.engine.due(sent) {
                if on_the_way == ON_THE_WAY || send.try_send(request(&registration, &batch)).is_err() {
                    break;
                }
                if on_the_way == 0 {
                    heard = tokio::time::Instant::now();
                }
                on_the_way += 1;
                sent = Some(batch.place);
            }
            tokio::select! {
                ack = acks.message() => {
                    let ack = ack.map_err(|status| refused(status, must_register))?.ok_or_else(|| Lost::again("the server ended the stream of usage"))?;
                    heard = tokio::time::Instant::now();
                    on_the_way = on_the_way.saturating_sub(1);
                    self.take(&registration, &ack, must_register)?;
                    *delivered = true;
                }
                _ = tick.tick() => self.batch().await?,
                () = self.engine.closed() => {}
                () = tokio::time::sleep_until(heard + PATIENCE), if on_the_way > 0 => {
                    return Err(Lost::again("a batch of usage was not acknowledged for too long"));
                }
            }
        }
    }

    /// Puts what was used into batches. They are on the disk when this returns: a batch that was sent never changes.
    async fn batch(&self) -> Result<(), Lost> {
        self.engine.batch().map_err(lost)?.reached().await.map_err(lost)
    }

    async fn register(&self, server: &Server) -> Result<Registration, Lost> {
        let request = RegisterNodeRequest {
            node_id: self.node_id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..RegisterNodeRequest::default()
        };
        let mut client = UsageServiceClient::new(server.clone());
        let answer = in_time(client.register_node(request)).await??.into_inner();
        let registration =
            Registration { incarnation: answer.incarnation, store_id: answer.store_id, node_id: self.node_id.clone() };
        self.engine.register(registration.clone()).map_err(lost)?.reached().await.map_err(lost)?;
        tracing::info!(incarnation = registration.incarnation, store.id = %registration.store_id, "registered");
        Ok(registration)
    }

    /// Takes an acknowledgement.
    fn take(
        &self,
        registration: &Registration,
        ack: &ReportUsageResponse,
        must_register: &mut bool,
    ) -> Result<(), Lost> {
        let incarnation = registration.incarnation;
        match ack.status() {
            UsageAckStatus::Applied | UsageAckStatus::Duplicate => {
                if let Some(first) = ack.rejected_entries.first() {
                    let rejected = ack.rejected_entries.len();
                    tracing::warn!(rejected, why = %first.reason, "the control plane did not count all that was reported");
                }
                self.engine.acknowledge((incarnation, ack.sequence)).map_err(lost)
            }
            UsageAckStatus::Gap => {
                // A backup was restored: what it misses was acknowledged, and is here no more.
                let first = self.engine.due(None).first().map(|batch| batch.place.1);
                *must_register = first.is_none_or(|first| first > ack.expected_sequence);
                Err(Lost::again(format!("the control plane expects batch {}", ack.expected_sequence)))
            }
            UsageAckStatus::Rejected | UsageAckStatus::Unspecified => {
                if ack.store_id != registration.store_id {
                    return Err(Lost::again(format!(
                        "the outbox has usage for store {}, and this is store {}: connect to the control plane of that \
                         store, or give this node another directory",
                        registration.store_id, ack.store_id
                    )));
                }
                *must_register = true;
                Err(Lost::again(ack.reason.clone()))
            }
        }
    }
}

fn lost(error: OutboxError) -> Lost {
    Lost::again(error.to_string())
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, Lost> {
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| Lost::again("the control plane does not answer"))
}

fn request(registration: &Registration, batch: &Batch) -> ReportUsageRequest {
    let ((incarnation, sequence), node_id) = (batch.place, registration.node_id.clone());
    let Batch { entries, credit_used, .. } = batch.clone();
    ReportUsageRequest { node_id, incarnation, sequence, entries, credit_used }
}
