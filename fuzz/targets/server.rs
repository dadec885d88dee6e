//! A server to send things to.

use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tollgate::server;
use tollgate::settings::{
    AccessSettings, CreditSettings, DatabaseSettings, RetentionSettings, Settings, SpendSettings, TransportSettings,
    WatchSettings,
};
use tollgate::store::Store;
use tonic::transport::{Channel, Endpoint};

/// A server on a store of its own, with a few things in it.
pub(crate) struct Rig {
    pub(crate) runtime: Runtime,
    pub(super) channel: Channel,
    /// A token of the second page of teams, one at a time.
    pub(super) page_token: String,
    /// A resume token of everything.
    pub(super) resume_token: String,
    pub(super) team_id: String,
    _stop: oneshot::Sender<()>,
    _dir: TempDir,
}

impl Rig {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dir = TempDir::new().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (channel, page_token, resume_token, team_id) = runtime.block_on(async {
            let channel = connect(serve(&dir, stopped).await).await;
            let mut teams = TeamServiceClient::new(channel.clone());
            let mut id = String::new();
            for name in ["one", "two", "three"] {
                let team = v1::Team { name: name.to_owned(), ..Default::default() };
                let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
                id = teams.create_team(request).await.unwrap().into_inner().team.unwrap().id;
            }
            let request = v1::ListTeamsRequest { page_size: 1, ..Default::default() };
            let page_token = teams.list_teams(request).await.unwrap().into_inner().next_page_token;
            let mut config = ConfigServiceClient::new(channel.clone());
            let mut stream = config.watch_config(v1::WatchConfigRequest::default()).await.unwrap().into_inner();
            let resume_token = loop {
                if let Some(Event::Bookmark(bookmark)) = stream.message().await.unwrap().unwrap().event {
                    break bookmark.resume_token;
                }
            };
            (channel, page_token, resume_token, id)
        });
        Self { runtime, channel, page_token, resume_token, team_id, _stop: stop, _dir: dir }
    }
}

async fn serve(dir: &TempDir, stopped: oneshot::Receiver<()>) -> SocketAddr {
    let listener = server::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        database: DatabaseSettings {
            url: format!("sqlite://{}", dir.path().join("fuzz.db").display()),
            in_memory: false,
            connections: Store::MIN_CONNECTIONS,
            default_prices: false,
        },
        ready_file: None,
        transport: TransportSettings::default(),
        watch: WatchSettings::default(),
        retention: RetentionSettings::default(),
        spend: SpendSettings::default(),
        credit: CreditSettings::default(),
        access: AccessSettings::default(),
        webhooks: tollgate::settings::WebhookSettings::default(),
    };
    tokio::spawn(server::run(listener, settings, async { drop(stopped.await) }));
    address
}

async fn connect(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}
