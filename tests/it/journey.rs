//! One journey through the front door: what a new user and a node do first.

use std::future::Future;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tollgate::reducer::Reducer;
use tollgate::server;
use tollgate::settings::{
    AccessSettings, CreditSettings, RetentionSettings, Settings, SpendSettings, TransportSettings, WatchSettings,
};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::engine::Database;

struct Server {
    channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), server::ServerError>>,
}

impl Server {
    async fn start(database: &Database) -> Self {
        let listener = server::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let settings = Settings {
            database: database.settings.clone(),
            ready_file: None,
            transport: TransportSettings::default(),
            watch: WatchSettings::default(),
            retention: RetentionSettings::default(),
            spend: SpendSettings::default(),
            credit: CreditSettings::default(),
            access: AccessSettings::default(),
            webhooks: tollgate::settings::WebhookSettings::default(),
        };
        let task = tokio::spawn(server::run(listener, settings, async move {
            let _ = stopped.await;
        }));
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = channel.connect().await.unwrap();
        Self { channel, stop: Some(stop), task }
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        drop(self.channel);
        self.task.await.unwrap().unwrap();
    }
}

fn customer(name: &str) -> v1::Customer {
    v1::Customer {
        name: name.to_owned(),
        budgets: vec![v1::Budget { max_limit: 500.0, reset_duration: "1M".to_owned(), ..v1::Budget::default() }],
        ..v1::Customer::default()
    }
}

/// Folds a stream from the reducer's token until it is at `revision`; returns how the stream began.
async fn follow(channel: Channel, reducer: &mut Reducer, revision: i64) -> v1::WatchBegin {
    let (token, min_revision) = reducer.connect();
    let request = v1::WatchConfigRequest { resume_token: token.to_owned(), min_revision, ..Default::default() };
    let mut stream = ConfigServiceClient::new(channel).watch_config(request).await.unwrap().into_inner();
    let mut begin = None;
    loop {
        let message = stream.message().await.unwrap().expect("the stream goes on");
        if let Some(Event::Begin(first)) = &message.event {
            begin = Some(*first);
        }
        let bookmark = matches!(message.event, Some(Event::Bookmark(_)));
        reducer.apply(message).unwrap();
        if bookmark && reducer.state().revision() >= revision {
            return begin.expect("begin comes first");
        }
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

#[test]
fn what_is_written_is_streamed_and_survives_a_restart() {
    run(async {
        let database = Database::new();
        let server = Server::start(&database).await;
        let mut customers = CustomerServiceClient::new(server.channel.clone());
        let mut teams = TeamServiceClient::new(server.channel.clone());
        let mut keys = VirtualKeyServiceClient::new(server.channel.clone());

        let request = v1::CreateCustomerRequest { customer: Some(customer("Acme")), ..Default::default() };
        let acme = customers.create_customer(request).await.unwrap().into_inner().customer.unwrap();
        assert_eq!((acme.revision, acme.budgets[0].max_limit_nano_usd), (2, 500_000_000_000));
        let team = v1::Team { name: "Research".to_owned(), customer_id: acme.id.clone(), ..Default::default() };
        let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
        let team = teams.create_team(request).await.unwrap().into_inner().team.unwrap();
        let key = v1::VirtualKey { name: "notebook".to_owned(), team_id: team.id.clone(), ..Default::default() };
        let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
        let key = keys.create_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap();
        assert!(key.value.starts_with("sk-tg-") && key.value.len() == 49);

        for from_memory in [false, true] {
            let request = v1::GetVirtualKeyRequest { id: key.id.clone(), from_memory, ..Default::default() };
            let got = keys.get_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap();
            let mask = format!("{}…{}", &key.value[..10], &key.value[45..]);
            assert_eq!(got, v1::VirtualKey { value: mask, ..key.clone() });
        }

        let mut node = Reducer::new();
        let begin = follow(server.channel.clone(), &mut node, key.revision).await;
        assert_eq!((begin.mode(), begin.reason()), (v1::WatchMode::Snapshot, v1::WatchReason::First));
        drop((customers, teams, keys));
        server.stop().await;

        let server = Server::start(&database).await;
        let mut customers = CustomerServiceClient::new(server.channel.clone());
        let children = v1::Children::Detach.into();
        let request = v1::DeleteCustomerRequest { id: acme.id.clone(), children, ..Default::default() };
        let deleted = customers.delete_customer(request).await.unwrap().into_inner();
        let changed = v1::ResourceKey { kind: v1::ResourceKind::Team.into(), id: team.id.clone() };
        assert_eq!((deleted.revision, deleted.also_changed), (5, vec![changed]));
        let begin = follow(server.channel.clone(), &mut node, deleted.revision).await;
        assert_eq!(begin.mode(), v1::WatchMode::Resumed);
        // The digests of a snapshot prove the copy that was resumed.
        let mut fresh = Reducer::new();
        follow(server.channel.clone(), &mut fresh, deleted.revision).await;
        assert_eq!(node.state().revision(), fresh.state().revision());
        drop(customers);
        server.stop().await;
    });
}

#[test]
fn a_refused_write_says_everything_that_is_wrong_and_takes_no_revision() {
    run(async {
        let database = Database::new();
        let server = Server::start(&database).await;
        let mut customers = CustomerServiceClient::new(server.channel.clone());
        let bad = v1::Customer {
            name: " ".to_owned(),
            budgets: vec![v1::Budget { max_limit: f64::NAN, reset_duration: "1x".to_owned(), ..Default::default() }],
            ..Default::default()
        };
        let request = v1::CreateCustomerRequest { customer: Some(bad), ..Default::default() };
        let status = customers.create_customer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = details.bad_request().unwrap().field_violations.iter();
        let mut fields: Vec<&str> = violations.map(|violation| violation.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["customer.budgets[0].max_limit", "customer.budgets[0].reset_duration", "customer.name"]);
        let info = details.error_info().unwrap();
        assert_eq!((info.domain.as_str(), info.reason.as_str()), ("tollgate", "ERROR_REASON_INVALID_FIELD"));

        let request = v1::CreateCustomerRequest { customer: Some(customer("Acme")), ..Default::default() };
        let acme = customers.create_customer(request).await.unwrap().into_inner().customer.unwrap();
        assert_eq!(acme.revision, 2);
        drop(customers);
        server.stop().await;
    });
}
