//! Hard limits over many nodes (`docs/design/credit.md`), at the server: a bare client stands for each node.

mod bound;
mod edits;
mod fleet;
mod grants;
mod random;
mod replicas;
mod sessions;
mod slots;
mod turns;
mod wait;

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tollgate::counters::CounterKey;
use tollgate::credit::{Account, Directive, Hello, Report, Returned, Want};
use tollgate::proto::v1;
use tollgate::proto::v1::node_service_client::NodeServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::wire;
use tonic::{Status, Streaming};

use crate::watch::api::Api;
use crate::watch::rig::soon;

/// A node: its incarnation and its session.
pub(crate) struct Node {
    api: Api,
    node_id: String,
    incarnation: i64,
    session: i64,
    connections: u64,
    reports: mpsc::Sender<v1::ConnectRequest>,
    answers: Streaming<v1::ConnectResponse>,
    waiting: VecDeque<v1::node_directive::Directive>,
    /// What the welcome named.
    welcome: Vec<(CounterKey, Account)>,
}

async fn register(api: &Api, node_id: &str) -> i64 {
    let request = v1::RegisterNodeRequest { node_id: node_id.to_owned(), ..Default::default() };
    UsageServiceClient::new(api.0.clone()).register_node(request).await.unwrap().into_inner().incarnation
}

/// A stream of reports and one of directives.
async fn connect(api: &Api) -> (mpsc::Sender<v1::ConnectRequest>, Streaming<v1::ConnectResponse>) {
    let (reports, sent) = mpsc::channel(64);
    let answers = NodeServiceClient::new(api.0.clone()).connect(ReceiverStream::new(sent)).await.unwrap();
    (reports, answers.into_inner())
}

fn request(reports: impl IntoIterator<Item = v1::node_report::Report>) -> v1::ConnectRequest {
    let reports = reports.into_iter().map(|report| v1::NodeReport { report: Some(report) });
    v1::ConnectRequest { reports: reports.collect() }
}

fn hello(node_id: &str, incarnation: i64, connection: u64, hello: Hello) -> v1::NodeHello {
    let report = wire::render_credit_report(Report::Hello(hello)).report;
    let Some(v1::node_report::Report::Hello(hello)) = report else { panic!("no hello") };
    let (node_id, version) = (node_id.to_owned(), "1.2.3".to_owned());
    let (kinds, features) = (vec![v1::ResourceKind::VirtualKey.into(), 60], vec!["concurrency-limits".to_owned()]);
    v1::NodeHello { node_id, incarnation, version, connection, kinds, features, ..hello }
}

impl Node {
    /// A node that registers and begins a session.
    pub(crate) async fn new(api: &Api, node_id: &str) -> Self {
        let incarnation = register(api, node_id).await;
        Self::resume(api, node_id, incarnation, Hello { connection: 1, ..Hello::default() }).await.unwrap()
    }

    /// A node that begins a session with an incarnation that it has.
    async fn resume(api: &Api, node_id: &str, incarnation: i64, said: Hello) -> Result<Self, Status> {
        let (reports, answers) = connect(api).await;
        let mut node = Self {
            api: Api(api.0.clone()),
            node_id: node_id.to_owned(),
            incarnation,
            session: 0,
            connections: said.connection,
            reports,
            answers,
            waiting: VecDeque::new(),
            welcome: Vec::new(),
        };
        let said = hello(node_id, incarnation, node.connections, said);
        node.send(v1::node_report::Report::Hello(said)).await;
        match node.next().await? {
            Directive::Welcome { connection, session, credits } => {
                assert_eq!(connection, node.connections);
                node.session = session;
                node.welcome = credits.into_iter().map(|credit| (credit.key, credit.account)).collect();
            }
            other => panic!("a hello was answered with {other:?}"),
        }
        Ok(node)
    }

    /// Another session of the same incarnation.
    async fn again(&self) -> Self {
        let said = Hello { connection: self.connections + 1, session: self.session, ..Hello::default() };
        Self::resume(&self.api, &self.node_id, self.incarnation, said).await.unwrap()
    }

    async fn send(&self, report: v1::node_report::Report) {
        // A stream that has ended says why when it is read.
        drop(self.reports.send(request([report])).await);
    }

    async fn report(&self, report: Report) {
        self.send(wire::render_credit_report(report).report.unwrap()).await;
    }

    async fn next_message(&mut self) -> Result<v1::node_directive::Directive, Status> {
        while self.waiting.is_empty() {
            match soon(self.answers.message()).await? {
                Some(answer) => self.waiting.extend(answer.directives.into_iter().filter_map(|it| it.directive)),
                None => return Err(Status::cancelled("the stream has ended")),
            }
        }
        Ok(self.waiting.pop_front().unwrap())
    }

    async fn next(&mut self) -> Result<Directive, Status> {
        let message = self.next_message().await?;
        Ok(wire::parse_credit_directive(message).unwrap().expect("a directive about credit"))
    }

    /// Asks for credit.
    async fn want(&self, key: &CounterKey, level: i64) {
        let want = Want { key: key.clone(), level, ahead: 0, guessed: false };
        self.report(Report::Want { session: self.session, wants: vec![want] }).await;
    }

    /// Asks for credit, and takes the answer: the account, if it was met.
    async fn ask(&mut self, key: &CounterKey, level: i64) -> Option<Account> {
        self.want(key, level).await;
        match self.next().await.unwrap() {
            Directive::Grant { credits, .. } => Some(credits[0].account),
            Directive::Unmet { keys, .. } => {
                assert_eq!(keys, std::slice::from_ref(key));
                None
            }
            other => panic!("a want was answered with {other:?}"),
        }
    }

    async fn give_back(&self, key: &CounterKey, returned: i64) {
        let returns = vec![Returned { key: key.clone(), returned }];
        self.report(Report::Return { session: self.session, returns }).await;
    }

    /// Reports usage of a key, with what was used of the limit in all.
    async fn use_up(&self, sequence: i64, virtual_key_id: &str, cost: i64, used: &[(CounterKey, i64)]) {
        let mut batch =
            crate::usage::batch(self.incarnation, sequence, vec![crate::usage::entry(virtual_key_id, cost)]);
        batch.node_id.clone_from(&self.node_id);
        batch.credit_used = wire::render_credit_used(used.iter().map(|(key, used)| (key, *used)));
        let acks = crate::usage::report(&self.api, vec![batch]).await;
        assert_eq!(acks[0].status(), v1::UsageAckStatus::Applied, "{acks:?}");
    }
}

/// A key with one budget of so many nano-dollars, and the window of now.
async fn limited(api: &Api, nanos: i64) -> (v1::VirtualKey, CounterKey) {
    let budget =
        v1::Budget { max_limit: nanos as f64 / 1e9, reset_duration: "10Y".to_owned(), ..v1::Budget::default() };
    let key = v1::VirtualKey { name: format!("key of {nanos}"), budgets: vec![budget], ..v1::VirtualKey::default() };
    let key = api.create_virtual_key(key).await.unwrap();
    let window = window(&key.budgets[0]);
    (key, window)
}

/// The window of now of a budget.
fn window(budget: &v1::Budget) -> CounterKey {
    let start = budget.last_reset.unwrap();
    CounterKey {
        limit_id: budget.id.as_str().into(),
        kind: tollgate::domain::LimitKind::Budget,
        window_start: tollgate::domain::Timestamp::from_parts(start.seconds, start.nanos).unwrap(),
    }
}

/// A node that holds credit of a limit and a slot of another, and is gone.
pub(crate) async fn hold(api: &Api) {
    let ((key, budget), (_, slots)) = (limited(api, 1_000).await, slots::limited(api, 2).await);
    let mut node = slots::holder(api, "holder", slots::LONG).await;
    node.ask(&budget, 7).await.unwrap();
    node.ask(&slots, 1).await.unwrap();
    node.use_up(1, &key.id, 3, &[(budget.clone(), 3)]).await;
}

/// The credit on all limits.
async fn credit(api: &Api) -> Vec<v1::LimitCredit> {
    let request = v1::ListCreditRequest { page_size: 1_000, ..Default::default() };
    NodeServiceClient::new(api.0.clone()).list_credit(request).await.unwrap().into_inner().limits
}

/// Counted, outstanding and left of the one limit on which there is credit. Of no limit is more out than there is.
async fn standing(api: &Api) -> (i64, i64, i64) {
    let limits = credit(api).await;
    let [limit] = &limits[..] else { panic!("{limits:?}") };
    (limit.counted, limit.outstanding, limit.left)
}
