//! What watches calls: metrics always, traces if they are on. One place through which all calls pass, so that no handler
//! has to think of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tonic::Code;

use super::metrics::{CallMeter, CallMetrics};
use super::traces::{CallTrace, Traces};
use crate::api::{CallId, CallNotes, Peer};
use crate::http::Protocol;

/// Tells where the store stands.
type Head = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Watches calls. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Observers {
    metrics: CallMetrics,
    traces: Option<Traces>,
    head: Option<Head>,
}

impl Observers {
    pub(super) fn new(metrics: CallMetrics, traces: Option<Traces>, head: Option<Head>) -> Self {
        Self { metrics, traces, head }
    }

    /// Begins the call `method`, written as `package.Service/Method`.
    pub(super) fn begin(
        &self,
        method: &str,
        protocol: Protocol,
        headers: &HeaderMap,
        id: &CallId,
        peer: Option<Peer>,
    ) -> Observed {
        let meter = self.metrics.begin(method);
        let trace = self.traces.as_ref().map(|traces| traces.begin(meter.method(), protocol, headers, id, peer));
        Observed { meter, trace, notes: CallNotes::default(), head: self.head.clone() }
    }
}

/// A call that is watched.
pub(super) struct Observed {
    meter: CallMeter,
    trace: Option<CallTrace>,
    notes: CallNotes,
    head: Option<Head>,
}

impl Observed {
    /// Where handlers note what they know of the call.
    pub(super) fn notes(&self) -> &CallNotes {
        &self.notes
    }

    /// Ends it. To be called once.
    pub(super) fn end(&mut self, code: Code, took: Duration) {
        self.meter.end(code, took);
        if let Some(trace) = &mut self.trace {
            trace.end(code, self.notes.node_id(), self.head.as_ref().map(|head| head()));
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observed")
    }
}
