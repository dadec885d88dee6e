//! Calls, counted where all of them pass. Methods that do not exist are one method, so that no caller can add labels.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
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

use crate::server::{DESCRIPTOR_SETS, status};

/// Seconds: from what memory answers to the longest that a unary call may take.
const DURATIONS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];
/// Status codes: from 0, which is OK, to 16.
const CODES: usize = 17;
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
pub(in crate::server) struct CallMetrics(Arc<Inner>);

struct Inner {
    methods: HashMap<Arc<str>, Arc<Method>>,
    unknown: Arc<Method>,
    families: Families,
}

#[derive(Clone)]
struct Families {
    ended: Family<ByMethodAndCode, Counter>,
    durations: Family<ByMethodAndCode, Histogram, fn() -> Histogram>,
    open: Family<ByMethod, Gauge>,
}

/// A method with the counters of its calls, which are looked up once: that takes longer than to count a call.
struct Method {
    name: Name,
    /// Whether either side of it is a stream.
    streaming: bool,
    open: OnceLock<Gauge>,
    /// By the numbers of the codes. What never came is not shown.
    ended: [OnceLock<Ended>; CODES],
}

/// The counters of those calls of a method that ended with one code.
struct Ended {
    count: Counter,
    /// How long a stream was open says nothing of how fast the server is.
    durations: Option<Histogram>,
}

impl Method {
    fn new(name: Arc<str>, streaming: bool) -> Arc<Self> {
        Arc::new(Self { name: Name(name), streaming, open: OnceLock::new(), ended: [const { OnceLock::new() }; CODES] })
    }

    fn open(&self, families: &Families) -> &Gauge {
        self.open.get_or_init(|| families.open.get_or_create_owned(&[("method", self.name.clone())]))
    }

    fn ended(&self, families: &Families, code: Code) -> Option<&Ended> {
        let ended = self.ended.get(code as usize)?;
        Some(ended.get_or_init(|| {
            let labels = [("method", Label::Method(self.name.clone())), ("code", Label::Code(status::name(code)))];
            Ended {
                count: families.ended.get_or_create_owned(&labels),
                durations: (!self.streaming).then(|| families.durations.get_or_create_owned(&labels)),
            }
        }))
    }
}

impl CallMetrics {
    /// Counts of all methods that are served.
    ///
    /// # Errors
    ///
    /// A descriptor set does not decode.
    pub(in crate::server) fn new() -> Result<Self, prost::DecodeError> {
        let mut methods = HashMap::new();
        for encoded in DESCRIPTOR_SETS {
            for file in FileDescriptorSet::decode(encoded)?.file {
                for service in &file.service {
                    for method in &service.method {
                        let name: Arc<str> = format!("{}.{}/{}", file.package(), service.name(), method.name()).into();
                        let streaming = method.client_streaming() || method.server_streaming();
                        methods.insert(Arc::clone(&name), Method::new(name, streaming));
                    }
                }
            }
        }
        let families = Families {
            ended: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            open: Family::default(),
        };
        Ok(Self(Arc::new(Inner { methods, unknown: Method::new(UNKNOWN.into(), false), families })))
    }

    /// Begins a call of `method`, written as `package.Service/Method`.
    pub(in crate::server) fn begin(&self, method: &str) -> CallMeter {
        let Inner { methods, unknown, families } = self.0.as_ref();
        let method = Arc::clone(methods.get(method).unwrap_or(unknown));
        method.open(families).inc();
        CallMeter { metrics: self.clone(), method, is_open: true }
    }

    pub(in crate::server) fn register(&self, registry: &mut Registry) {
        let Families { ended, durations, open } = self.0.families.clone();
        registry.register("rpc", "Calls that have ended", ended);
        registry.register_with_unit("rpc_duration", "How long unary calls took", Unit::Seconds, durations);
        registry.register("rpc_open", "Calls that go on, streams among them", open);
    }
}

/// A call that goes on; it counts as open until it has ended or is dropped.
pub(in crate::server) struct CallMeter {
    metrics: CallMetrics,
    method: Arc<Method>,
    is_open: bool,
}

impl CallMeter {
    /// The method as the metrics name it.
    pub(in crate::server) fn method(&self) -> &str {
        &self.method.name.0
    }

    /// Counts the end of the call. To be called once.
    pub(in crate::server) fn end(&mut self, code: Code, took: Duration) {
        self.close();
        if let Some(Ended { count, durations }) = self.method.ended(&self.metrics.0.families, code) {
            count.inc();
            if let Some(durations) = durations {
                durations.observe(took.as_secs_f64());
            }
        }
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.method.open(&self.metrics.0.families).dec();
        }
    }
}

impl Drop for CallMeter {
    fn drop(&mut self) {
        self.close();
    }
}
