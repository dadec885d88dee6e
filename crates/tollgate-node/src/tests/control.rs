//! A control plane of credit and usage alone: the book and the desk of the core behind gRPC. It has no configuration to follow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::routing::post;
use futures_util::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tollgate_core::config::Config;
use tollgate_core::counters::CounterKey;
use tollgate_core::credit::{Book, Desk, Directive, Outcome, Report, Terms};
use tollgate_core::domain::{Path, Timestamp, Violations};
use tollgate_core::proto::v1;
use tollgate_core::proto::v1::node_report::Report as Message;
use tollgate_core::usage::{Entry, FormerKeys, assign};
use tollgate_core::wire::{parse_credit_report, parse_credit_used, render_credit_directive};
use tollgate_testkit::world::NOW;
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::server::{Bearer, Servers};

/// How long a want waits for others to give credit back.
const WAIT: i64 = 250_000;

type Answers<M> = mpsc::UnboundedSender<Result<M, Status>>;

/// Dropping it ends it.
pub(super) struct Control {
    state: Arc<Mutex<State>>,
    pub(super) channel: Channel,
    _stop: oneshot::Sender<()>,
}

pub(super) struct State {
    pub(super) book: Book,
    desk: Desk,
    config: Arc<Config>,
    began: Instant,
    last_incarnation: i64,
    /// Of each incarnation, the last batch that was counted.
    batches: HashMap<i64, i64>,
    /// All that was counted.
    pub(super) entries: Vec<v1::UsageEntry>,
    lines: HashMap<i64, Answers<v1::ConnectResponse>>,
    /// Raised to cut all connections.
    cut: watch::Sender<u64>,
    /// With what it refuses sessions, if it does.
    pub(super) refusal: Option<Status>,
    /// How far its clock was set ahead, in microseconds.
    pub(super) ahead: i64,
    /// Whether everything about credit comes twice.
    pub(super) repeats: bool,
    /// What nodes said last, by incarnation.
    pub(super) applied: HashMap<i64, i64>,
    pub(super) hellos: usize,
    pub(super) recalls: usize,
}

impl Control {
    pub(super) async fn new(config: Arc<Config>) -> Self {
        let state = State {
            book: Book::default(),
            desk: Desk::default(),
            config,
            began: Instant::now(),
            last_incarnation: 0,
            batches: HashMap::new(),
            entries: Vec::new(),
            lines: HashMap::new(),
            cut: watch::Sender::new(0),
            refusal: None,
            ahead: 0,
            repeats: false,
            applied: HashMap::new(),
            hellos: 0,
            recalls: 0,
        };
        let state = Arc::new(Mutex::new(state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tonic::transport::Server::builder().add_routes(Routes::from(routes(&state)));
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, async { drop(stopped.await) }));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self { state, channel, _stop: stop }
    }

    pub(super) fn servers(&self) -> Servers {
        Bearer::new(None).unwrap().on(self.channel.clone()).into()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        let mut state = self.state();
        state.lines.clear();
        state.cut.send_modify(|cut| *cut += 1);
    }

    /// Closes an incarnation.
    pub(super) fn close(&self, incarnation: i64) {
        let mut state = self.state();
        let outcome = state.book.close(incarnation);
        state.publish(outcome);
    }
}

impl State {
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_micros(NOW + 1_000_000 + self.ahead).plus_micros(self.began.elapsed().as_micros() as i64)
    }

    fn take(&mut self, incarnation: i64, report: Report) {
        let at = self.now();
        let outcome = match report {
            Report::Hello(hello) => {
                self.hellos += 1;
                self.book.hello(incarnation, &hello, at)
            }
            Report::Want { session, wants } => {
                for want in &wants {
                    if let Some(limit) = self.config.limit(&want.key.limit_id, want.key.kind) {
                        let ends = limit.window(want.key.window_start).end;
                        let terms = Terms { max: limit.max(at), ends, lease: None, raised_until: None };
                        let outcome = self.book.set_terms(&want.key, terms);
                        self.publish(outcome);
                    }
                }
                self.desk.want(&mut self.book, incarnation, session, wants, at.plus_micros(WAIT), at)
            }
            Report::Return { session, returns } => self.book.give_back(incarnation, session, &returns),
            Report::Renew { session, sent, slots_for } => self.book.renew(incarnation, session, sent, slots_for, at),
        };
        self.publish(outcome);
    }

    fn publish(&mut self, outcome: Outcome) {
        let Outcome { directives, freed, .. } = outcome;
        for (incarnation, directive) in directives {
            self.recalls += usize::from(matches!(directive, Directive::Recall { .. }));
            let message = render_credit_directive(directive);
            let directives = vec![message; if self.repeats { 2 } else { 1 }];
            if let Some(line) = self.lines.get(&incarnation) {
                drop(line.send(Ok(v1::ConnectResponse { directives })));
            }
        }
        if !freed.is_empty() && !self.desk.is_empty() {
            let at = self.now();
            let outcome = self.desk.retry(&mut self.book, at);
            self.publish(outcome);
        }
    }

    fn report(&mut self, incarnation: i64, report: Message) {
        if let Message::AppliedRevision(revision) = report {
            self.applied.insert(incarnation, revision);
        }
        let mut violations = Violations::new();
        let parsed = parse_credit_report(report, &Path::root("reports"), &mut violations);
        assert!(violations.is_empty(), "{violations:?}");
        for report in vec![parsed; if self.repeats { 2 } else { 1 }].into_iter().flatten() {
            self.take(incarnation, report);
        }
    }

    /// Counts a batch, as the control plane does.
    fn count(&mut self, batch: v1::ReportUsageRequest) -> v1::ReportUsageResponse {
        let v1::ReportUsageRequest { incarnation, sequence, entries, credit_used, .. } = batch;
        let last = self.batches.entry(incarnation).or_default();
        let mut answer = v1::ReportUsageResponse { sequence, ..Default::default() };
        if sequence <= *last {
            answer.set_status(v1::UsageAckStatus::Duplicate);
            return answer;
        }
        assert_eq!(sequence, *last + 1, "a batch is missing");
        *last = sequence;
        let now = self.now();
        self.entries.extend_from_slice(&entries);
        for entry in entries {
            let entry = Entry {
                virtual_key_id: entry.virtual_key_id.into(),
                provider: entry.provider.into(),
                model: entry.model.into(),
                requests: entry.requests,
                input_tokens: entry.input_tokens,
                output_tokens: entry.output_tokens,
                cost: entry.cost_nano_usd,
                occurred_at: entry.occurred_at.and_then(|at| Timestamp::from_parts(at.seconds, at.nanos)),
                ..Entry::default()
            };
            let Ok(assigned) = assign(&self.config, &FormerKeys::default(), &entry, now) else { panic!("is refused") };
            for amount in assigned.amounts {
                let counted = self.book.counted(&amount.key) + amount.amount;
                self.book.set_counted(&amount.key, counted);
            }
        }
        let mut violations = Violations::new();
        let used = parse_credit_used(credit_used, &Path::root("credit_used"), &mut violations).unwrap();
        let used: Vec<_> = used.into_iter().map(|used| (used.key, used.used)).collect();
        let outcome = self.book.set_used(incarnation, &used);
        self.publish(outcome);
        answer.set_status(v1::UsageAckStatus::Applied);
        answer
    }

    pub(super) fn counted(&self, key: &CounterKey) -> i64 {
        self.book.counted(key)
    }
}

/// The methods that a session and usage need.
fn routes(state: &Arc<Mutex<State>>) -> Router {
    let (registering, reporting, connecting) = (Arc::clone(state), Arc::clone(state), Arc::clone(state));
    Router::new()
        .route(
            "/tollgate.v1.UsageService/RegisterNode",
            post(async |request: HttpRequest| {
                let service = tower::service_fn(move |_: Request<v1::RegisterNodeRequest>| {
                    let state = Arc::clone(&registering);
                    async move {
                        let mut state = state.lock().unwrap();
                        state.last_incarnation += 1;
                        let (incarnation, store_id) = (state.last_incarnation, "store".to_owned());
                        Ok(Response::new(v1::RegisterNodeResponse { incarnation, store_id }))
                    }
                });
                Grpc::new(ProstCodec::default()).unary(service, request).await
            }),
        )
        .route(
            "/tollgate.v1.UsageService/ReportUsage",
            post(async |request: HttpRequest| {
                let service = tower::service_fn(move |request: Request<Streaming<v1::ReportUsageRequest>>| {
                    let answers = talk(Arc::clone(&reporting), request, |state, batch, _| Some(state.count(batch)));
                    async move { answers }
                });
                Grpc::new(ProstCodec::default()).streaming(service, request).await
            }),
        )
        .route(
            "/tollgate.v1.NodeService/Connect",
            post(async |request: HttpRequest| {
                let service = tower::service_fn(move |request: Request<Streaming<v1::ConnectRequest>>| {
                    let state = Arc::clone(&connecting);
                    async move {
                        if let Some(refusal) = state.lock().unwrap().refusal.clone() {
                            return Err(refusal);
                        }
                        let mut incarnation = 0;
                        talk(state, request, move |state, message: v1::ConnectRequest, line| {
                            for report in message.reports.into_iter().filter_map(|report| report.report) {
                                if let Message::Hello(hello) = &report {
                                    incarnation = hello.incarnation;
                                    state.lines.insert(incarnation, line.clone());
                                }
                                state.report(incarnation, report);
                            }
                            None
                        })
                    }
                });
                Grpc::new(ProstCodec::default()).streaming(service, request).await
            }),
        )
}

/// Hands each message of a stream to `take`, until it ends or is cut.
fn talk<Q: Send + 'static, A: Send + 'static>(
    state: Arc<Mutex<State>>,
    request: Request<Streaming<Q>>,
    mut take: impl FnMut(&mut State, Q, &Answers<A>) -> Option<A> + Send + 'static,
) -> Result<Response<impl Stream<Item = Result<A, Status>>>, Status> {
    let (send, receive) = mpsc::unbounded_channel();
    let mut requests = request.into_inner();
    let mut cut = state.lock().unwrap().cut.subscribe();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                message = requests.next() => match message {
                    Some(Ok(message)) => {
                        let answer = take(&mut state.lock().unwrap(), message, &send);
                        answer.into_iter().for_each(|answer| drop(send.send(Ok(answer))));
                    }
                    _ => {
                        // Whoever ends its half wants no more.
                        drop(send.send(Err(Status::cancelled("it is over"))));
                        return;
                    }
                },
                _ = cut.changed() => {
                    drop(send.send(Err(Status::unavailable("it was cut"))));
                    return;
                }
            }
        }
    });
    let answers =
        futures_util::stream::unfold(receive, async |mut receive| receive.recv().await.map(|it| (it, receive)));
    Ok(Response::new(answers))
}

/// Waits until it is so.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "it never came: {what}");
}
