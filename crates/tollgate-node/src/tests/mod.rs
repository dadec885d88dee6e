//! Nodes that share limits, with a control plane of credit and usage alone.

mod control;
mod dimensions;
mod fleet;
mod single;
mod slots;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollgate_core::counters::CounterKey;
use tollgate_core::domain::{LimitKind, Timestamp, VirtualKey};
use tollgate_core::proto::v1;
use tollgate_core::reducer::{ConfigCopy, Reducer};
use tollgate_core::wire::{Form, render_any};
use tollgate_testkit::world::{World, config, key};

use crate::admission::{Granted, Used};
use crate::credit::Patience;
use crate::decide::{Credential, Estimate, Request};
use crate::deliver::Delivery;
use crate::engine::{Engine, OnFull, OnOutage, Policy};
use crate::outbox::Outbox;
use crate::refused::Refused;
use crate::session::Session;
use control::{Control, until};

/// Nano-dollars of the budget.
const MAX: i64 = 100_000;
/// Nano-dollars of a request.
const COST: i64 = 1_000;

/// A key with a budget of an hour, and its control plane.
struct Rig {
    world: World,
    key_id: String,
    control: Control,
}

impl Rig {
    async fn new() -> Self {
        Self::with(|_| ()).await
    }

    async fn with(edit: impl FnOnce(&mut v1::VirtualKey)) -> Self {
        let mut world = World::new();
        let budget = v1::Budget { max_limit: MAX as f64 / 1e9, reset_duration: "1h".to_owned(), ..Default::default() };
        let mut message = v1::VirtualKey { budgets: vec![budget], ..key(vec![config("openai", Some(1.0))]) };
        edit(&mut message);
        let key_id = world.add::<VirtualKey>(message).id.to_string();
        let control = Control::new(Arc::new(world.config.clone())).await;
        Self { world, key_id, control }
    }

    fn reducer(&self) -> Reducer<ConfigCopy> {
        let resources = self.world.resources();
        let resources = resources.iter().map(|any| render_any(any, Form::Stream));
        Reducer::of_resources(resources, self.world.revision, "").unwrap()
    }

    fn request(&self) -> Request<'_> {
        Request {
            credential: Credential::VirtualKeyId(&self.key_id),
            model: "openai/gpt-4o",
            estimate: Estimate { input_tokens: Some(2), output_tokens: Some(3), cost_nano_usd: Some(COST) },
            ..Request::default()
        }
    }

    /// A limit of the key in the window of `at`.
    fn limit(&self, kind: LimitKind, at: Timestamp) -> CounterKey {
        let key = self.world.config.get::<VirtualKey>(&self.key_id).unwrap();
        let limits = &key.resource.limits;
        let id = match kind {
            LimitKind::Budget => &limits.budgets[0].id,
            LimitKind::Tokens | LimitKind::Requests | LimitKind::Concurrency => &limits.rate_limits[0].id,
        };
        self.world.config.limit(id, kind).unwrap().counter(at)
    }

    fn budget(&self) -> CounterKey {
        self.limit(LimitKind::Budget, self.control.state().now())
    }

    async fn node(&self, directory: Option<&Path>) -> TestNode {
        self.node_of(directory, OnOutage::Refuse).await
    }

    /// A node that has a session, or knows that it gets none.
    async fn node_of(&self, directory: Option<&Path>, on_outage: OnOutage) -> TestNode {
        self.node_with(directory, self.policy(on_outage)).await
    }

    fn policy(&self, on_outage: OnOutage) -> Policy {
        Policy {
            admission_ttl: Duration::from_secs(600),
            on_full: OnFull::Refuse,
            keeps_copy: false,
            strict_prices: false,
            credit_wait: Patience { usual: Duration::from_millis(500), recall: Duration::from_secs(2) },
            on_outage,
        }
    }

    async fn node_with(&self, directory: Option<&Path>, policy: Policy) -> TestNode {
        let (outbox, is_cut) = Outbox::open(directory, 1 << 30).unwrap();
        let reducer = self.reducer();
        let engine = Engine::start(reducer.reader(), outbox, is_cut, policy).unwrap();
        engine.clock().begin(self.control.state().now());
        engine.tell(Default::default(), &Default::default());
        engine.applied_revision(self.world.revision, None);
        let (leave, is_leaving) = watch::channel(false);
        let (has_left, left) = watch::channel(false);
        let servers = self.control.servers();
        let session = Session {
            servers: servers.clone(),
            engine: Arc::clone(&engine),
            max_staleness: None,
            leave: is_leaving,
            left: has_left,
        };
        let delivery = Delivery { servers, node_id: "node".to_owned(), engine: Arc::clone(&engine) };
        let ticking = Arc::clone(&engine);
        let tick = async move {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                ticking.expire();
                ticking.tidy_credit();
            }
        };
        let tasks = vec![
            tokio::spawn(async { match session.run().await {} }),
            tokio::spawn(async { match delivery.run().await {} }),
            tokio::spawn(tick),
        ];
        let node = TestNode { engine, tasks, leave, left };
        node.engine.credit_is_settled().await;
        node
    }
}

/// A node without its stream of the configuration.
struct TestNode {
    engine: Arc<Engine>,
    tasks: Vec<JoinHandle<()>>,
    leave: watch::Sender<bool>,
    left: watch::Receiver<bool>,
}

impl TestNode {
    async fn admit(&self, rig: &Rig) -> Result<Granted, Refused> {
        self.engine.admit(&rig.request()).await
    }

    /// Ends it as a crash does: what is in flight stays so.
    async fn crash(self) {
        for task in self.tasks {
            task.abort();
            drop(task.await);
        }
        self.engine.close();
    }

    async fn reconnected(&self) {
        until("a session", || self.engine.session().is_some()).await;
    }

    async fn delivered(&self) {
        until("all usage is delivered", || self.engine.backlog().entries == 0).await;
    }
}

fn used(cost: i64) -> Used {
    Used { input_tokens: 2, output_tokens: 3, cost_nano_usd: Some(cost), ..Used::default() }
}
