//! The session with the control plane: by it the node gets credit for hard limits and gives it back, and says how it is and what
//! it knows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tollgate_core::credit::Report;
use tollgate_core::domain::Kind;
use tollgate_core::proto::v1::node_directive::Directive;
use tollgate_core::proto::v1::node_report::Report as Message;
use tollgate_core::proto::v1::{ConnectRequest, ConnectResponse, NodeHello, NodeReport, NodeStatus};
use tollgate_core::wire::{parse_credit_directive, render_credit_report, render_duration};
use tonic::{Code, Status, Streaming};

use crate::engine::Engine;
use crate::follow::Lost;
use crate::outbox::state::Registration;
use crate::proto::v1::node_service_client::NodeServiceClient;
use crate::server::{Server, Servers};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The parts of the protocol that this node knows and earlier ones did not.
const FEATURES: [&str; 2] = ["concurrency-limits", "temporary-increases"];
/// Pause after a failure, doubled up to the second while it fails.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Pause after a refusal: what refuses may be replaced by something newer.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
/// How often the node says how it is.
const STATUS: Duration = Duration::from_secs(5);
/// How often it is looked whether credit has to be renewed.
const RENEWAL: Duration = Duration::from_millis(500);
/// Messages that may wait to be sent.
const TO_SEND: usize = 16;
/// How many reports, and returns in one of them, a message has at most.
const REPORTS: usize = 1_000;
/// How long the last reports may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Keeps a session.
pub(crate) struct Session {
    pub(crate) servers: Servers,
    pub(crate) engine: Arc<Engine>,
    pub(crate) max_staleness: Option<Duration>,
    /// Whether the node is to give all credit back and leave.
    pub(crate) leave: watch::Receiver<bool>,
    /// Whether it has.
    pub(crate) left: watch::Sender<bool>,
}

/// Why a connection ended.
enum End {
    /// The node left.
    Left,
    /// The server is about to end, and asks to come back after this time.
    Away(Duration),
    /// It was lost.
    Lost(Lost),
    /// The server ended it with an error.
    Failed(Status),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl Session {
    /// Keeps a session for ever, or until the node is to leave.
    pub(crate) async fn run(mut self) -> Infallible {
        self.keep().await;
        self.left.send_replace(true);
        std::future::pending().await
    }

    async fn keep(&mut self) {
        let (mut backoff, mut said, mut refusals) = (MIN_BACKOFF, String::new(), 0);
        loop {
            let mut leave = self.leave.clone();
            let registration = tokio::select! {
                registration = self.registration() => registration,
                _ = leave.wait_for(|leave| *leave) => return,
            };
            let (at, server) = self.servers.current();
            let begun = Instant::now();
            let end = self.connect(&server, &registration).await;
            self.engine.disconnected();
            self.servers.failed(at);
            if begun.elapsed() > MAX_BACKOFF {
                (backoff, said) = (MIN_BACKOFF, String::new());
            }
            let (lost, is_refusal) = match end {
                End::Left => return,
                End::Away(pause) => {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                End::Lost(lost) => (lost, false),
                End::Failed(status) => (Lost::from(status.clone()), self.is_refusal(&status)),
            };
            self.engine.note_error(&lost.why);
            refusals = if is_refusal { refusals + 1 } else { 0 };
            let pause = if is_refusal {
                // Other servers may be newer.
                if refusals % self.servers.count() != 0 {
                    continue;
                }
                if self.engine.withhold(&lost.why) {
                    tracing::warn!(why = %lost.why, "the control plane grants no credit; hard limits are decided as soft ones");
                }
                REFUSED_PAUSE
            } else {
                // Once for each reason, and not for each attempt.
                if lost.why != said {
                    tracing::warn!(why = %lost.why, "the session with the control plane is lost; connecting again");
                    said = lost.why;
                }
                backoff
            };
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))) => {}
                _ = leave.wait_for(|leave| *leave) => return,
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Whether a server says that it grants no credit at all, or none to this caller. A caller that had some keeps to its hard limits,
    /// whatever became of its access token.
    fn is_refusal(&self, status: &Status) -> bool {
        match status.code() {
            Code::Unimplemented => true,
            Code::PermissionDenied => !self.engine.needs_credit(),
            _ => false,
        }
    }

    /// The registration by which the node reports, once there is one.
    async fn registration(&self) -> Registration {
        let mut incarnation = self.engine.incarnation();
        loop {
            incarnation.mark_unchanged();
            if let Some(registration) = self.engine.registration().filter(|_| !self.engine.is_closed()) {
                return registration;
            }
            // The sender is the engine's own.
            let _ = incarnation.changed().await;
        }
    }

    /// Keeps one connection.
    async fn connect(&mut self, server: &Server, registration: &Registration) -> End {
        let (send, receive) = mpsc::channel(TO_SEND);
        let requests = stream::unfold(receive, async |mut receive: mpsc::Receiver<ConnectRequest>| {
            receive.recv().await.map(|request| (request, receive))
        });
        let mut applied = self.engine.applied();
        let hello = self.hello(registration, *applied.borrow_and_update());
        // There is room for the first.
        let _ = send.try_send(ConnectRequest { reports: vec![hello] });
        let mut client = NodeServiceClient::new(server.clone());
        let begun = tokio::time::timeout(PATIENCE, client.connect(requests)).await;
        let directives = match begun {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return status.into(),
            Err(_) => return Lost::again("the control plane does not answer").into(),
        };
        self.talk(registration.incarnation, send, directives, applied).await.unwrap_or_else(|end| end)
    }

    fn hello(&self, registration: &Registration, applied_revision: i64) -> NodeReport {
        let mut hello = render_credit_report(self.engine.hello(rand::random()));
        if let Some(Message::Hello(hello)) = &mut hello.report {
            *hello = NodeHello {
                node_id: registration.node_id.clone(),
                incarnation: registration.incarnation,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                kinds: Kind::ALL.into_iter().map(Kind::number).collect(),
                features: FEATURES.map(str::to_owned).to_vec(),
                applied_revision,
                max_staleness: self.max_staleness.map(render_duration),
                ..std::mem::take(hello)
            };
        }
        hello
    }

    async fn talk(
        &self,
        incarnation: i64,
        send: mpsc::Sender<ConnectRequest>,
        mut directives: Streaming<ConnectResponse>,
        mut applied: watch::Receiver<i64>,
    ) -> Result<End, End> {
        let engine = &self.engine;
        let (mut registered, mut leave) = (engine.incarnation(), self.leave.clone());
        let every = |period| {
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut status, mut renewal) = (every(STATUS), every(RENEWAL));
        let (begun, mut renewed) = (Instant::now(), Instant::now());
        let mut to_send: Vec<NodeReport> = Vec::new();
        loop {
            let again_at = engine.ask_again_at();
            let has_session = engine.session().is_some();
            tokio::select! {
                message = directives.message() => {
                    let message = message?.ok_or_else(|| Lost::again("the server ended the session"))?;
                    self.take(message)?;
                }
                Ok(permit) = send.reserve(), if !to_send.is_empty() && has_session => {
                    let rest = to_send.split_off(to_send.len().min(REPORTS));
                    permit.send(ConnectRequest { reports: std::mem::replace(&mut to_send, rest) });
                }
                () = engine.has_reports() => to_send.extend(engine.reports().into_iter().flat_map(messages)),
                Ok(()) = applied.changed() => to_send.push(report(Message::AppliedRevision(*applied.borrow_and_update()))),
                _ = status.tick() => to_send.push(report(Message::Status(self.status()))),
                _ = renewal.tick() => {
                    if engine.renewal().is_some_and(|every| renewed.elapsed() >= every) {
                        renewed = Instant::now();
                        engine.renew_credit();
                    }
                }
                () = tokio::time::sleep_until(again_at.unwrap_or(begun)), if again_at.is_some() => engine.ask_again(),
                () = tokio::time::sleep_until(begun + PATIENCE), if !has_session => {
                    return Err(Lost::again("the control plane does not answer the hello").into());
                }
                Ok(_) = registered.wait_for(|registered| *registered != incarnation) => {
                    return Err(Lost::again("the node registered anew").into());
                }
                _ = leave.wait_for(|leave| *leave) => break,
            }
        }
        engine.give_all_credit_back();
        to_send.extend(engine.reports().into_iter().flat_map(messages));
        // Where it takes too long, the credit is outstanding until the next start.
        let _ = tokio::time::timeout(GOODBYE, goodbye(send, to_send, directives)).await;
        Ok(End::Left)
    }

    /// Takes what a server directs.
    fn take(&self, message: ConnectResponse) -> Result<(), End> {
        for directive in message.directives.into_iter().filter_map(|directive| directive.directive) {
            if let Directive::GoAway(away) = &directive {
                let retry_after = away.retry_after.and_then(|pause| Duration::try_from(pause).ok());
                return Err(End::Away(retry_after.unwrap_or_default().max(MIN_BACKOFF)));
            }
            let is_stale = matches!(directive, Directive::Stale(_));
            match parse_credit_directive(directive) {
                Ok(Some(directive)) => self.engine.direct(directive),
                // It is newer than this node.
                Ok(None) => {}
                Err(faults) => {
                    return Err(Lost::again(format!("the server sent a directive that is none: {faults:?}")).into());
                }
            }
            if self.engine.is_closed() {
                return Err(Lost::again("the incarnation was closed").into());
            }
            if is_stale && self.engine.session().is_none() {
                return Err(Lost::again("the session is not valid any more").into());
            }
        }
        Ok(())
    }

    fn status(&self) -> NodeStatus {
        let backlog = self.engine.backlog();
        NodeStatus {
            outbox_batches: i64::try_from(self.engine.due(None).len()).unwrap_or(i64::MAX),
            outbox_age: backlog.oldest.map(render_duration),
            open_admissions: i64::try_from(backlog.in_flight).unwrap_or(i64::MAX),
            last_error: self.engine.last_error(),
            credit_refused: i64::try_from(backlog.credit.counts.refused_while_held).unwrap_or(i64::MAX),
        }
    }
}

/// Sends the last reports, and waits until the server has taken them and ends the session.
async fn goodbye(
    send: mpsc::Sender<ConnectRequest>,
    reports: Vec<NodeReport>,
    mut directives: Streaming<ConnectResponse>,
) {
    for reports in reports.chunks(REPORTS) {
        if send.send(ConnectRequest { reports: reports.to_vec() }).await.is_err() {
            return;
        }
    }
    drop(send);
    while let Ok(Some(_)) = directives.message().await {}
}

fn report(report: Message) -> NodeReport {
    NodeReport { report: Some(report) }
}

/// A report as the API has it: one that gives much back is several.
fn messages(report: Report) -> Vec<NodeReport> {
    match report {
        Report::Return { session, returns } => {
            let returns = returns.chunks(REPORTS).map(|some| Report::Return { session, returns: some.to_vec() });
            returns.map(render_credit_report).collect()
        }
        report => vec![render_credit_report(report)],
    }
}
