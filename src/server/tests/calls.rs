//! What every call goes through.

use super::*;

#[tokio::test]
async fn both_reflections_list_the_services() {
    let server = Server::usual().await;
    let ask = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "tollgate.v1.ConfigService"] {
        assert!(names.iter().any(|it| it == name), "{name} in {names:?}");
    }

    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
            "google.rpc.ErrorInfo".to_owned(),
        )),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    assert!(
        matches!(answer, Some(v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_))),
        "{answer:?}"
    );
    drop((client, answers));
    server.stop().await;
}

#[tokio::test]
async fn health_is_served_and_unknown_methods_are_unimplemented() {
    let server = Server::usual().await;
    let channel = server.channel().await;
    let health = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let id: uuid::Uuid = health.metadata().get("x-request-id").unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(health.into_inner().status(), Serving::Serving);
    for path in ["/tollgate.v1.NoService/Get", "/grpc.health.v1.Health/Get", "/"] {
        assert_eq!(call(&channel, path, &[]).await.0.code(), Code::Unimplemented, "{path}");
    }
}

#[tokio::test]
async fn services_see_call_id_and_peer() {
    let server = Server::usual().await;
    let (status, fields) = call(&server.channel().await, "/test.Trouble/Tell", &[("x-request-id", "mine")]).await;
    assert_eq!(status.code(), Code::Aborted);
    assert_eq!(status.message(), format!("{} 127.0.0.1", fields["x-request-id"].to_str().unwrap()));
}

#[tokio::test]
async fn a_call_too_many_is_refused_and_told_when_to_retry() {
    let server = Server::start(TransportSettings { max_calls: 1, ..TransportSettings::default() }).await;
    let channel = server.channel().await;
    let mut hanging = Box::pin(call(&channel, "/test.Trouble/Hang", &[]));
    let refused = loop {
        // The hanging call has its place once another is refused.
        tokio::select! {
            biased;
            _ = &mut hanging => panic!("it does not hang"),
            (status, _) = call(&channel, "/test.Trouble/Tell", &[]) => {
                if status.code() != Code::Aborted {
                    break status;
                }
            }
        }
    };
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "ERROR_REASON_OVERLOADED"));
    let details = refused.get_error_details();
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));

    // Streams have places of their own.
    HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap();
    drop(hanging);
    while call(&channel, "/test.Trouble/Tell", &[]).await.0.code() != Code::Aborted {}
}

#[tokio::test]
async fn deadlines_end_calls() {
    let server = Server::usual().await;
    // tonic's client would end the call by itself.
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{}/test.Trouble/Hang", server.address))
        .header(CONTENT_TYPE, "application/grpc")
        .header("grpc-timeout", "20m")
        .body(Body::empty())
        .unwrap();
    let answer = send.send_request(request).await.unwrap();
    assert_eq!(Status::from_header_map(answer.headers()).unwrap().code(), Code::DeadlineExceeded);
    drop((send, answer));
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn panics_are_internal_errors() {
    let server = Server::usual().await;
    let (fault, fields) = call(&server.channel().await, "/test.Trouble/Panic", &[]).await;
    assert_eq!((fault.code(), reason(&fault).as_str()), (Code::Internal, "ERROR_REASON_INTERNAL"));
    assert!(!fault.message().contains("secret"));
    let details = fault.get_error_details();
    let id = &details.error_info().unwrap().metadata["request_id"];
    assert_eq!(id, fields["x-request-id"].to_str().unwrap());
}

#[tokio::test]
async fn each_call_is_one_line_in_the_log_where_that_is_asked_for() {
    let (lines, _logging) = Lines::of(tracing::Level::INFO);
    let server = Server::start(TransportSettings { log_calls: true, ..TransportSettings::default() }).await;
    let channel = server.channel().await;
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    call(&channel, "/test.Trouble/Panic", &[]).await;
    call(&channel, "/test.Trouble/Tell", &[]).await;
    // A client that leaves.
    let mut watch = HealthClient::new(channel.clone()).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap();
    drop((watch, channel));
    server.stop().await;

    let written = lines.text();
    let calls: Vec<_> = lines
        .values()
        .into_iter()
        .filter(|line| line["message"] == "call")
        .map(|line| {
            assert!(line["duration_ms"].is_number() && line["span"]["call.id"].is_string(), "{line}");
            assert!(line["span"]["peer.addr"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            [&line["level"], &line["span"]["rpc.method"], &line["rpc.status"], &line["outcome"]].map(text)
        })
        .collect();
    assert_eq!(
        calls,
        [
            ["INFO", "grpc.health.v1.Health/Check", "OK", "completed"],
            ["ERROR", "test.Trouble/Panic", "INTERNAL", "completed"],
            ["INFO", "test.Trouble/Tell", "ABORTED", "completed"],
            ["INFO", "grpc.health.v1.Health/Watch", "CANCELLED", "cancelled"],
        ]
    );
    assert!(!written.contains("secret"));
}

#[tokio::test]
async fn calls_that_succeed_at_once_are_logged_at_debug() {
    for (level, expected) in [(tracing::Level::INFO, &[][..]), (tracing::Level::DEBUG, &["DEBUG"])] {
        let (lines, _logging) = Lines::of(level);
        let server = Server::usual().await;
        let channel = server.channel().await;
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
        call(&channel, "/test.Trouble/Tell", &[]).await;
        drop(channel);
        server.stop().await;
        let levels = |method: &str| {
            let lines = lines.values().into_iter().filter(|line| line["span"]["rpc.method"] == method);
            lines.filter(|line| line["message"] == "call").map(|line| line["level"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(levels("grpc.health.v1.Health/Check"), expected, "at {level}");
        assert_eq!(levels("test.Trouble/Tell"), ["INFO"], "at {level}");
    }
}
