//! How a server begins and ends.

use super::*;

#[tokio::test]
async fn shutdown_ends_streams_and_frees_the_port() {
    let server = Server::usual().await;
    let address = server.address;
    let mut watch =
        HealthClient::new(server.channel().await).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), Serving::Serving);
    // A connection that has not said a word must not hold the end up either.
    let silent = TcpStream::connect(address).await.unwrap();
    let ended = tokio::join!(watch.message(), server.stop()).0.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "ERROR_REASON_UNAVAILABLE"));
    assert!(TcpStream::connect(address).await.is_err());
    drop(silent);
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_dropped() {
    let grace = Duration::from_millis(50);
    let server = Server::start(TransportSettings { shutdown_grace: grace, ..TransportSettings::default() }).await;
    let channel = server.channel().await;
    let request = Request::post("/test.Trouble/Hang").header(CONTENT_TYPE, "application/grpc");
    let hanging = channel.clone().oneshot(request.body(Body::empty()).unwrap());
    HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
    assert!(tokio::join!(hanging, server.stop()).0.is_err());
}

#[tokio::test]
async fn silent_connections_are_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(b"PRI * HT").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let given_up = io::Io::open(io::Stream::Plain(stream), Duration::from_millis(20)).await.err().unwrap();
    assert_eq!(given_up.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn addresses_that_cannot_be_listened_on_are_named() {
    for listen in ["", "127.0.0.1", "50051"] {
        assert!(matches!(bind(listen).await.unwrap_err(), ServerError::Address { .. }), "{listen:?}");
    }
    let taken = bind("localhost:0").await.unwrap();
    let again = bind(&taken.local_addr().unwrap().to_string()).await.unwrap_err();
    assert!(matches!(again, ServerError::Listen { .. }), "{again}");
}

#[tokio::test]
async fn a_running_server_announces_its_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("address");
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        database: crate::settings::DatabaseSettings {
            url: format!("sqlite://{}", directory.path().join("tollgate.db").display()),
            ..Default::default()
        },
        ready_file: Some(path.clone()),
        transport: TransportSettings::default(),
        watch: crate::settings::WatchSettings::default(),
        retention: crate::settings::RetentionSettings::default(),
        spend: crate::settings::SpendSettings::default(),
        credit: crate::settings::CreditSettings::default(),
        access: crate::settings::AccessSettings::default(),
        webhooks: crate::settings::WebhookSettings::default(),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let seen = async {
        let announced = loop {
            match std::fs::read_to_string(&path) {
                Ok(announced) => break announced,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert_eq!(announced, format!("{address}\n"));
        let channel = Endpoint::from_shared(format!("http://{}", announced.trim())).unwrap().connect().await.unwrap();
        HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap();
        drop(stop);
    };
    let (served, ()) = tokio::join!(run(listener, settings, async { drop(stopped.await) }), seen);
    served.unwrap();
    assert!(!path.exists());
}
