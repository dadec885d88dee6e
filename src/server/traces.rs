//! Traces: one span per call, sent to an OpenTelemetry collector (`docs/traces.md`).
//!
//! Spans carry what is named here and nothing else, so that nothing of a message, no token and no key gets into one by
//! the way. Without `--otlp-endpoint` there is no tracer at all, and a call pays for one look at an empty option.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};
use tonic::Code;
use tonic::transport::{ClientTlsConfig, Uri};

use super::status;
use crate::api::{CallId, Peer};
use crate::http::Protocol;
use crate::settings::names_host_alone;

/// How long the collector may take to take spans.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint is no URL of one.
    #[error(
        "--otlp-endpoint is no address of a collector; it is written as http://127.0.0.1:4317, and what it is to be shown \
         goes into OTEL_EXPORTER_OTLP_HEADERS"
    )]
    Endpoint,
    /// The exporter cannot be made.
    #[error("spans cannot be sent to --otlp-endpoint {endpoint}")]
    Exporter {
        /// What was given.
        endpoint: String,
        /// Why not.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// Sends spans. Clones send together.
#[derive(Clone)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans to the collector at `endpoint`, in batches, from a thread of its own. The collector need not be there
    /// yet; while it is away, spans are dropped and the log says so.
    ///
    /// # Errors
    ///
    /// The endpoint is no URL, or the exporter cannot be made.
    pub(super) fn start(endpoint: &str) -> Result<Self, TracesError> {
        let uri = endpoint.parse::<Uri>().ok().filter(names_host_alone);
        let secure = match uri.as_ref().and_then(Uri::scheme_str) {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(TracesError::Endpoint),
        };
        let builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(PATIENCE);
        let builder =
            if secure { builder.with_tls_config(ClientTlsConfig::new().with_native_roots()) } else { builder };
        let exporter =
            builder.build().map_err(|source| TracesError::Exporter { endpoint: endpoint.to_owned(), source })?;
        let resource = Resource::builder()
            .with_service_name("tollgate")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider =
            SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter).build();
        let tracer = provider.tracer_with_scope(InstrumentationScope::builder("tollgate").build());
        Ok(Self { provider, tracer })
    }

    /// Begins the span of a call: a child of the caller's, if the headers name one.
    pub(super) fn begin(
        &self,
        method: &str,
        protocol: Protocol,
        headers: &HeaderMap,
        id: &CallId,
        peer: Option<Peer>,
    ) -> CallTrace {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let mut attributes = vec![
            KeyValue::new("rpc.system", system(protocol)),
            KeyValue::new("tollgate.protocol", protocol.name()),
            KeyValue::new("tollgate.call.id", id.as_str().to_owned()),
        ];
        if let Some((service, name)) = method.split_once('/') {
            attributes.push(KeyValue::new("rpc.service", service.to_owned()));
            attributes.push(KeyValue::new("rpc.method", name.to_owned()));
        }
        if let Some(peer) = peer {
            attributes.push(KeyValue::new("client.address", peer.address().ip().to_string()));
        }
        let builder = self.tracer.span_builder(method.to_owned());
        let builder = builder.with_kind(SpanKind::Server).with_attributes(attributes);
        CallTrace { span: self.tracer.build_with_context(builder, &parent) }
    }

    /// Sends what is left.
    pub(super) async fn finish(self) {
        let provider = self.provider;
        let finished = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(PATIENCE)).await;
        if let Ok(Err(error)) = finished {
            tracing::warn!(error = %error, "the last spans were not sent to --otlp-endpoint");
        }
    }
}

/// The name that OpenTelemetry has for a protocol; of the mirrored API it knows none, and its calls are those of gRPC.
const fn system(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Connect => "connect_rpc",
        Protocol::Grpc | Protocol::GrpcWeb | Protocol::Rest => "grpc",
    }
}

/// The span of a call that goes on.
pub(super) struct CallTrace {
    span: Span,
}

impl CallTrace {
    /// Ends the span. `revision`: where the store stood then.
    pub(super) fn end(&mut self, code: Code, node_id: Option<&str>, revision: Option<i64>) {
        self.span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code as i32)));
        if let Some(node_id) = node_id {
            self.span.set_attribute(KeyValue::new("tollgate.node.id", node_id.to_owned()));
        }
        if let Some(revision) = revision {
            self.span.set_attribute(KeyValue::new("tollgate.revision", revision));
        }
        // What the conventions for gRPC count as errors of a server; the others are the caller's.
        if matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        ) {
            self.span.set_status(Status::error(status::name(code)));
        }
        self.span.end();
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_collector_is_refused_and_not_repeated() {
        for endpoint in
            ["", "collector:4317", "http://", "http://collector:x", "http://u:secret@collector:4317", "ftp://collector"]
        {
            let refused = Traces::start(endpoint).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(
                refused.contains("no address of a collector") && !refused.contains("secret"),
                "{endpoint}: {refused}"
            );
        }
    }
}
