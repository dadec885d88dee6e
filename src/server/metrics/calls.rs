//! Calls, counted where all of them pass. Methods that do not exist are one method, so that no caller can add labels.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;

use crate::server::{descriptor_sets, status};

/// Seconds: from what memory answers to the longest that a unary call may take.
const DURATIONS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];
/// What stands for methods that do not exist.
const UNKNOWN: &str = "(unknown)";

/// A method's name, `package.Service/Method`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&self.0.as_ref(), encoder)
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Label {
    Method(Name),
    Code(&'static str),
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            Self::Method(name) => name.encode(encoder),
            Self::Code(code) => EncodeLabelValue::encode(code, encoder),
        }
    }
}

type ByMethod = [(&'static str, Name); 1];
type ByMethodAndCode = [(&'static str, Label); 2];

/// Counts calls. Clones count together.
#[derive(Clone)]
pub(in crate::server) struct CallMetrics {
    /// Of each method, by its name, whether either side of it is a stream.
    methods: Arc<HashMap<Arc<str>, bool>>,
    unknown: Arc<str>,
    ended: Family<ByMethodAndCode, Counter>,
    durations: Family<ByMethodAndCode, Histogram, fn() -> Histogram>,
    open: Family<ByMethod, Gauge>,
}

impl CallMetrics {
    /// Counts of all methods that are served.
    ///
    /// # Errors
    ///
    /// A descriptor set does not decode.
    pub(in crate::server) fn new() -> Result<Self, prost::DecodeError> {
        let mut methods = HashMap::new();
        for encoded in descriptor_sets() {
            for file in FileDescriptorSet::decode(encoded)?.file {
                for service in &file.service {
                    for method in &service.method {
                        let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                        methods.insert(name.into(), method.client_streaming() || method.server_streaming());
                    }
                }
            }
        }
        Ok(Self {
            methods: Arc::new(methods),
            unknown: UNKNOWN.into(),
            ended: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            open: Family::default(),
        })
    }

    /// Begins a call of `method`, written as `package.Service/Method`.
    pub(in crate::server) fn begin(&self, method: &str) -> CallMeter {
        let (method, streaming) = match self.methods.get_key_value(method) {
            Some((name, streaming)) => (Name(Arc::clone(name)), *streaming),
            None => (Name(Arc::clone(&self.unknown)), false),
        };
        let open = self.open.get_or_create_owned(&[("method", method.clone())]);
        open.inc();
        CallMeter { metrics: self.clone(), method, streaming, open: Some(open) }
    }

    pub(in crate::server) fn register(&self, registry: &mut Registry) {
        let Self { methods: _, unknown: _, ended, durations, open } = self.clone();
        registry.register("rpc", "Calls that have ended", ended);
        registry.register_with_unit("rpc_duration", "How long unary calls took", Unit::Seconds, durations);
        registry.register("rpc_open", "Calls that go on, streams among them", open);
    }
}

/// A call that goes on; it counts as open until it has ended or is dropped.
pub(in crate::server) struct CallMeter {
    metrics: CallMetrics,
    method: Name,
    streaming: bool,
    /// Until the call has ended.
    open: Option<Gauge>,
}

impl CallMeter {
    /// The method as the metrics name it.
    pub(in crate::server) fn method(&self) -> &str {
        &self.method.0
    }

    /// Counts the end of the call. To be called once.
    pub(in crate::server) fn end(&mut self, code: Code, took: Duration) {
        self.close();
        let labels = [("method", Label::Method(self.method.clone())), ("code", Label::Code(status::name(code)))];
        self.metrics.ended.get_or_create(&labels).inc();
        // How long a stream was open says nothing of how fast the server is.
        if !self.streaming {
            self.metrics.durations.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.dec();
        }
    }
}

impl Drop for CallMeter {
    fn drop(&mut self) {
        self.close();
    }
}
