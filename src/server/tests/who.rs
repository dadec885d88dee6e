//! Who is served, by which protocol.

use super::*;

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let server = Server::usual().await;
    let foreign = server.endpoint().origin("http://tollgate.example.com".parse().unwrap()).connect().await.unwrap();
    let refused = HealthClient::new(foreign).check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "ERROR_REASON_PERMISSION_DENIED"));
    assert!(refused.message().contains("localhost"), "{}", refused.message());

    let channel = server.channel().await;
    for origin in ["http://localhost:3000", "https://example.com"] {
        let (refused, _) = call(&channel, "/grpc.health.v1.Health/Check", &[("origin", origin)]).await;
        assert_eq!(refused.code(), Code::PermissionDenied, "{origin}");
        assert!(refused.message().contains("--allow-origin"), "{}", refused.message());
    }
}

/// A gRPC-Web call of Health.Check with an empty message.
fn web(server: &Server) -> http::request::Builder {
    Request::post("/grpc.health.v1.Health/Check")
        .header(HOST, server.address.to_string())
        .header(CONTENT_TYPE, "application/grpc-web+proto")
}

#[tokio::test]
async fn grpc_web_is_refused_unless_asked_for() {
    let server = Server::usual().await;
    let (status, fields, _) = server.http1(web(&server), &[0; 5]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&fields["grpc-status"], &fields[CONTENT_TYPE]),
        (&"7".parse().unwrap(), &"application/grpc-web+proto".parse().unwrap())
    );
    assert!(fields["grpc-message"].to_str().unwrap().contains("--grpc-web"));

    let web = [("content-type", "application/grpc-web+proto")];
    let (status, _) = call_web(&server.channel().await, &web).await;
    assert_eq!(status, Some("7".to_owned()));
}

async fn call_web(channel: &Channel, fields: &[(&str, &str)]) -> (Option<String>, Vec<u8>) {
    let mut request = Request::post("/grpc.health.v1.Health/Check");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = Body::new(http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5])));
    let (head, body) = channel.clone().oneshot(request.body(body).unwrap()).await.unwrap().into_parts();
    let status = head.headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    (status, body.collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn grpc_web_is_served_if_asked_for() {
    let allow_origins = vec!["http://localhost:3000".parse().unwrap()];
    let web_too = TransportSettings { grpc_web: true, allow_origins, ..TransportSettings::default() };
    let server = Server::start_with(web_too, AccessSettings { insecure: true, ..AccessSettings::default() }).await;
    // The message { status: SERVING }, then the trailers as a frame of their own.
    let message = [0, 0, 0, 0, 2, 8, 1, 0x80];
    let here = web(&server).header(ORIGIN, "http://localhost:3000");
    let (status, fields, body) = server.http1(here, &[0; 5]).await;
    assert_eq!((status, &fields[CONTENT_TYPE]), (StatusCode::OK, &"application/grpc-web+proto".parse().unwrap()));
    assert!(fields.contains_key("x-request-id"));
    assert!(body.starts_with(&message), "{body:?}");
    assert!(String::from_utf8_lossy(&body).contains("grpc-status:0"));

    let by_http2 = call_web(&server.channel().await, &[("content-type", "application/grpc-web+proto")]).await;
    assert!(by_http2.1.starts_with(&message), "{by_http2:?}");

    let (status, _, _) = server
        .http1(
            Request::post("/grpc.health.v1.Health/Check")
                .header(HOST, "localhost")
                .header(CONTENT_TYPE, "application/grpc-web+json"),
            b"{}",
        )
        .await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);

    let plain = HealthClient::new(server.channel().await).check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(plain.into_inner().status(), Serving::Serving);
}

#[tokio::test]
async fn what_is_no_call_gets_a_text_and_an_id_by_which_it_is_logged() {
    let (lines, _logging) = Lines::of(tracing::Level::DEBUG);
    let server = Server::usual().await;
    for (request, expected) in [
        (Request::get("/"), StatusCode::NOT_FOUND),
        (Request::options("/tollgate.v1.TeamService/ListTeams"), StatusCode::METHOD_NOT_ALLOWED),
        (Request::post("/"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (Request::post("/").header(CONTENT_TYPE, "application/json"), StatusCode::NOT_FOUND),
        (Request::post("/").header(CONTENT_TYPE, "application/grpcish"), StatusCode::NOT_FOUND),
        (Request::post("/").header(CONTENT_TYPE, "application/grpc"), StatusCode::HTTP_VERSION_NOT_SUPPORTED),
    ] {
        let (status, fields, body) = server.http1(request.header(HOST, "localhost"), b"").await;
        assert_eq!((status, &fields[CONTENT_TYPE]), (expected, &"text/plain; charset=utf-8".parse().unwrap()));
        assert!(String::from_utf8(body).unwrap().starts_with("This is a gRPC server"));
        let id = fields["x-request-id"].to_str().unwrap();
        let logged = lines.values().into_iter().filter(|line| line["call.id"] == id);
        assert_eq!(logged.map(|line| line["http.status"].clone()).collect::<Vec<_>>(), [expected.as_u16()]);
    }

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn oversized_headers_are_refused_and_the_connection_goes_on() {
    let server = Server::usual().await;
    let channel = server.channel().await;
    let big = "x".repeat(20 * 1024);
    let (status, _) = call(&channel, "/grpc.health.v1.Health/Check", &[("x", &big)]).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "ERROR_REASON_TOO_LARGE"));
    let bigger = "x".repeat(600 * 1024);
    let request =
        Request::post("/grpc.health.v1.Health/Check").header(CONTENT_TYPE, "application/grpc").header("x", &bigger);
    let answer = channel.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();

    let huge: &'static str = "x".repeat(64 * 1024).leak();
    let (status, ..) = server.http1(Request::get("/").header(HOST, "localhost").header("x", huge), b"").await;
    assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}
