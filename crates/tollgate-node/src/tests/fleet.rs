//! Nodes that share a budget, while connections break and nodes end.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const NODES: usize = 4;

/// A node with callers.
struct Busy {
    node: TestNode,
    stop: Arc<AtomicBool>,
    callers: Vec<JoinHandle<()>>,
}

impl Busy {
    async fn new(rig: &Rig, directory: &Path) -> Self {
        let node = rig.node(Some(directory)).await;
        let stop = Arc::new(AtomicBool::new(false));
        let caller = || caller(Arc::clone(&node.engine), rig.key_id.clone(), Arc::clone(&stop));
        let callers = (0..3).map(|_| caller()).collect();
        Self { node, stop, callers }
    }

    /// Lets its callers finish.
    async fn rest(self) -> TestNode {
        self.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.await.unwrap();
        }
        self.node
    }

    /// Ends while requests are in flight.
    async fn crash(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.node.crash().await;
    }
}

/// Admits and settles until it is told to stop.
fn caller(engine: Arc<Engine>, key_id: String, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            let request = Request {
                credential: Credential::VirtualKeyId(&key_id),
                model: "openai/gpt-4o",
                estimate: Estimate { input_tokens: Some(2), output_tokens: Some(3), cost_nano_usd: Some(COST) },
                ..Request::default()
            };
            if let Ok(granted) = engine.admit(&request).await {
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..20))).await;
                // The node may have ended.
                drop(granted.settle(used(COST)).await);
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    })
}

/// Connections are cut, every message about credit comes twice, nodes crash with requests in flight, and one loses its directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_spend_exactly_what_they_share() {
    let rig = Rig::new().await;
    rig.control.state().repeats = true;
    let mut directories: Vec<_> = (0..NODES).map(|_| tempfile::TempDir::new().unwrap()).collect();
    let mut nodes = Vec::new();
    for directory in &directories {
        nodes.push(Busy::new(&rig, directory.path()).await);
    }
    let budget = rig.budget();
    let spent = || {
        let spent = rig.control.state().counted(&budget);
        assert!(spent <= MAX, "{spent} of {MAX} were spent");
        spent
    };
    let mut round = 0;
    while spent() < MAX {
        assert!(round < 1_000, "{} of {MAX} were spent, and nobody goes on", spent());
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.control.cut();
        let place = round % NODES;
        let busy = nodes.remove(place);
        if round == 2 {
            let node = busy.rest().await;
            node.delivered().await;
            let incarnation = node.engine.backlog().incarnation.unwrap();
            node.crash().await;
            directories[place] = tempfile::TempDir::new().unwrap();
            rig.control.close(incarnation);
        } else if round < 12 {
            busy.crash().await;
        } else {
            // So that it ends: whatever is in flight is charged.
            nodes.insert(place, busy);
            round += 1;
            continue;
        }
        nodes.insert(place, Busy::new(&rig, directories[place].path()).await);
        round += 1;
    }
    for busy in nodes {
        busy.rest().await.delivered().await;
    }
    assert_eq!(spent(), MAX);
    let state = rig.control.state();
    assert!(state.hellos > 2 * NODES, "{} hellos", state.hellos);
    assert_eq!(state.book.outstanding(&budget), 0);
}
