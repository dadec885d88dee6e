//! Servers with tokens, and callers who show them.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tollgate::ledger::Clock;
use tollgate::proto::v1::token_service_client::TokenServiceClient;
use tollgate::proto::v1::{self, CreateTokenRequest, Role, Token};
use tollgate::settings::BootstrapToken;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::engine::cluster::{self, Cluster};
use crate::engine::{Database, name, on_postgres};
use crate::watch::rig::{Rig, endpoint, soon};

/// The administrator's token of every server of these tests.
pub(crate) const ROOT: &str = "tg_root_of_the_tests_0123456789abcdefghij";

/// Shows a token with every call.
#[derive(Clone)]
pub(crate) struct Bearer(Arc<str>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !self.0.is_empty() {
            let value: AsciiMetadataValue = format!("Bearer {}", self.0).parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

pub(crate) type Caller = InterceptedService<Channel, Bearer>;

/// A caller with this token; with none, if it is empty.
pub(crate) fn caller(channel: &Channel, token: &str) -> Caller {
    InterceptedService::new(channel.clone(), Bearer(token.into()))
}

/// A server whose first token is [`ROOT`].
pub(crate) async fn closed() -> (Rig, Channel) {
    closed_by(Clock::system()).await
}

/// The same, by this clock.
pub(crate) async fn closed_by(clock: Clock) -> (Rig, Channel) {
    let mut rig = Rig::new();
    rig.clock = clock;
    rig.settings.access.bootstrap_token = Some(BootstrapToken(ROOT.to_owned()));
    let channel = start(&mut rig).await;
    (rig, channel)
}

pub(crate) async fn start(rig: &mut Rig) -> Channel {
    let address = rig.start().await;
    soon(endpoint(address).connect()).await.unwrap()
}

pub(crate) fn token(name: &str, role: Role) -> Token {
    Token { name: name.to_owned(), role: role.into(), ..Token::default() }
}

/// Makes a token as [`ROOT`].
pub(crate) async fn make(channel: &Channel, token: Token) -> Result<Token, Status> {
    let request = CreateTokenRequest { token: Some(token), ..CreateTokenRequest::default() };
    let made = TokenServiceClient::new(caller(channel, ROOT)).create_token(request).await?;
    Ok(made.into_inner().token.unwrap())
}

pub(crate) async fn revoke(channel: &Channel, id: &str) -> Result<Token, Status> {
    let request = v1::RevokeTokenRequest { id: id.to_owned(), ..Default::default() };
    let revoked = TokenServiceClient::new(caller(channel, ROOT)).revoke_token(request).await?;
    Ok(revoked.into_inner().token.unwrap())
}

/// A server in a process of its own, as an operator runs it. Dropping it kills it.
pub(crate) struct Process {
    database: Database,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it with these flags and this environment; its log is everything that
    /// there is to be logged, unless the environment says otherwise.
    pub(crate) async fn start(flags: &[&str], env: &[(&str, &str)]) -> Self {
        let database = Database::new();
        let ready = database.directory().join("ready");
        let log = File::create(database.directory().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]).env("TOLLGATE_LOG", "trace");
        command.arg("--ready-file").arg(&ready).arg("--database").arg(&database.settings.url).args(flags);
        command.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        let address = soon(async {
            loop {
                match std::fs::read_to_string(&ready) {
                    Ok(address) if address.ends_with('\n') => return address,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
                if let Some(status) = child.try_wait().unwrap() {
                    panic!("the server ended by itself, {status}");
                }
            }
        });
        let address = address.await.trim().parse().unwrap();
        Self { database, child, address }
    }

    /// Where its metrics are read, if `--metrics-listen` is among its flags: the log says it.
    pub(crate) async fn metrics_address(&self) -> SocketAddr {
        let line = async {
            loop {
                let log = std::fs::read_to_string(self.database.directory().join("log")).unwrap();
                if let Some((_, rest)) = log.split_once("\"metrics.addr\":\"") {
                    return rest.split('"').next().unwrap().parse().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        soon(line).await
    }

    /// Where its database is.
    pub(crate) fn database(&self) -> &str {
        &self.database.settings.url
    }

    /// Runs the command line against it, to its end: standard output, or standard error if it failed.
    pub(crate) fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(args).env("TOLLGATE_SERVER", format!("http://{}", self.address)).envs(env.iter().copied());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Kills it, so that its files are as they happen to be; all of them, by name, and all that its database has.
    pub(crate) fn kill(mut self) -> Vec<(String, Vec<u8>)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let files = std::fs::read_dir(self.database.directory()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect();
        if on_postgres() {
            files.extend(remains(name(self.database())));
        }
        files
    }
}

/// What somebody finds who got hold of a database of the cluster: its content, bytes as hexadecimal digits, and the
/// cluster's log.
fn remains(database: &str) -> [(String, Vec<u8>); 2] {
    let cluster = Cluster::shared();
    let mut dump = cluster::program("pg_dump");
    dump.args(["-U", "tollgate", "-p", &cluster.port.to_string(), "-d", database, "-h"]).arg(&cluster.directory);
    let log = std::fs::read(cluster.directory.join("log")).unwrap();
    [("the database".to_owned(), cluster::run(&mut dump).into_bytes()), ("the log of PostgreSQL".to_owned(), log)]
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
