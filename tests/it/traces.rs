//! Traces as a collector gets them.

use std::sync::{Arc, Mutex};

use http::{Method, Version};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use tokio::net::TcpListener;
use tollgate::proto::v1;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::{Request, Response, Status};

use super::connect::support::{request, send};
use super::watch::rig::{Rig, node};

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = TraceServiceServer::new(collector.clone());
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        (collector, endpoint)
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }
}

/// The attributes as text, but for those that are new in each call.
fn attributes(span: &Span) -> Vec<(String, String)> {
    let mut attributes: Vec<_> = span
        .attributes
        .iter()
        .filter(|it| it.key != "tollgate.call.id")
        .map(|it| match it.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => (it.key.clone(), text.clone()),
            Value::IntValue(number) => (it.key.clone(), number.to_string()),
            other => panic!("{other:?}"),
        })
        .collect();
    attributes.sort();
    attributes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_one_span_without_secrets() {
    let (collector, endpoint) = Collector::start().await;
    let mut rig = Rig::new();
    rig.settings.transport.otlp_endpoint = Some(endpoint);
    rig.start().await;
    let api = rig.api().await;

    let key = v1::VirtualKey { name: "the name of a key".to_owned(), ..Default::default() };
    let create = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let mut create = Request::new(create);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    create.metadata_mut().insert("traceparent", parent.parse().unwrap());
    create.metadata_mut().insert("authorization", "Bearer not-a-token-and-still-secret".parse().unwrap());
    let mut keys = VirtualKeyServiceClient::new(api.0.clone());
    let created = keys.create_virtual_key(create).await.unwrap().into_inner().virtual_key.unwrap();
    let unsampled = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00";
    let mut get = Request::new(v1::GetVirtualKeyRequest { id: created.id.clone(), ..Default::default() });
    get.metadata_mut().insert("traceparent", unsampled.parse().unwrap());
    keys.get_virtual_key(get).await.unwrap();
    drop(node(&api, &[]).await);
    drop((api, keys));
    // What is left is sent before a server has stopped.
    rig.stop().await;

    let spans = collector.spans();
    let called = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let revision = created.revision.to_string();
    let expected = |rest: &[(&str, &str)]| {
        let common = [
            ("client.address", "127.0.0.1"),
            ("rpc.system", "grpc"),
            ("tollgate.protocol", "grpc"),
            ("tollgate.revision", &revision),
        ];
        let mut all: Vec<_> = common.iter().chain(rest).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        all.sort();
        all
    };
    let [create] = called("tollgate.v1.VirtualKeyService/CreateVirtualKey")[..] else { panic!("{spans:#?}") };
    assert_eq!(create.kind(), SpanKind::Server);
    assert_eq!(hex::encode(&create.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex::encode(&create.parent_span_id), "b7ad6b7169203331");
    let service = [("rpc.service", "tollgate.v1.VirtualKeyService"), ("rpc.method", "CreateVirtualKey")];
    assert_eq!(attributes(create), expected(&[service[0], service[1], ("rpc.grpc.status_code", "0")]));
    assert_eq!(create.status.as_ref().map_or(StatusCode::Unset, |status| status.code()), StatusCode::Unset);
    assert!(create.end_time_unix_nano > create.start_time_unix_nano);

    let [watch] = called("tollgate.v1.ConfigService/WatchConfig")[..] else { panic!("{spans:#?}") };
    let of_node = attributes(watch).into_iter().any(|it| it == ("tollgate.node.id".to_owned(), "a node".to_owned()));
    assert!(of_node && watch.parent_span_id.is_empty(), "{watch:?}");
    assert!(called("tollgate.v1.VirtualKeyService/GetVirtualKey").is_empty(), "the caller did not sample it");

    let sent: Vec<u8> = collector.0.lock().unwrap().iter().flat_map(prost::Message::encode_to_vec).collect();
    for secret in [created.value.as_str(), "not-a-token-and-still-secret", "the name of a key", created.id.as_str()] {
        assert!(!sent.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_name_the_protocol_of_their_call() {
    let (collector, endpoint) = Collector::start().await;
    let mut rig = Rig::new();
    rig.settings.transport.otlp_endpoint = Some(endpoint);
    rig.start().await;
    for path in ["/tollgate.v1.TeamService/CreateTeam", "/api/governance/customers"] {
        let body = if path.starts_with("/api") { r#"{"name":"a"}"# } else { r#"{"team":{"name":"a"}}"# };
        let fields = [("content-type", "application/json"), ("authorization", "")];
        let answer = send(rig.address(), Version::HTTP_2, request(Method::POST, path, &fields, body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    rig.stop().await;
    for (name, system, protocol) in [
        ("tollgate.v1.TeamService/CreateTeam", "connect_rpc", "connect"),
        ("tollgate.v1.CustomerService/CreateCustomer", "grpc", "rest"),
    ] {
        let spans = collector.spans();
        let span = spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
        for (key, value) in [("rpc.system", system), ("tollgate.protocol", protocol)] {
            assert!(attributes(span).contains(&(key.to_owned(), value.to_owned())), "{key} of {span:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_holds_nothing_up() {
    let mut rig = Rig::new();
    rig.settings.transport.otlp_endpoint = Some("http://127.0.0.1:9".to_owned());
    rig.start().await;
    rig.api().await.team("one").await;
    rig.stop().await;
}
