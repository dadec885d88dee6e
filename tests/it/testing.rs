//! `tollgate serve --testing`: a server for the tests of people who use Tollgate.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::task::{JoinSet, spawn_blocking};
use tollgate::proto::v1;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::watch::rig::soon;

/// A server, as a suite of tests starts it. Dropping it kills it.
struct Server {
    process: Child,
    url: String,
    /// Where it was started, and its user's home.
    directory: TempDir,
}

fn command(directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(["serve", "--testing"]).args(arguments).current_dir(directory.path());
    command.env("HOME", directory.path()).env_remove("XDG_CONFIG_HOME").stdin(Stdio::null());
    command
}

impl Server {
    async fn start(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut process = command(&directory, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (url, output) = soon(spawn_blocking(move || {
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            (line, output)
        }))
        .await
        .unwrap();
        process.stdout = Some(output.into_inner());
        Self { process, url: url.trim_end().to_owned(), directory }
    }

    async fn channel(&self) -> Channel {
        soon(Endpoint::from_shared(self.url.clone()).unwrap().connect()).await.unwrap()
    }

    /// The output of a command that asks this server.
    fn tollgate(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(arguments).env("TOLLGATE_CONFIG", "/no/such/config.toml").env("TOLLGATE_SERVER", &self.url);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Stops it with SIGTERM. What else it printed, and the files that it left.
    async fn stop(mut self) -> (String, Vec<String>) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        soon(spawn_blocking(move || {
            assert!(self.process.wait().unwrap().success());
            let mut rest = String::new();
            self.process.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
            let files = std::fs::read_dir(self.directory.path()).unwrap();
            (rest, files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect())
        }))
        .await
        .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_for_tests_prints_its_url_serves_without_a_configuration_and_leaves_nothing() {
    let server = Server::start(&[]).await;
    let port: u16 = server.url.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
    assert_ne!(port, 0);

    server.tollgate(&["create", "customer", "Acme", "--budget", "500/1M"]);
    server.tollgate(&["create", "team", "Acme/Search"]);
    let key = server.tollgate(&["create", "key", "Acme/Search/notebook", "--allow", "openai:gpt-4o*"]);
    assert!(key.contains("sk-tg-"), "{key}");
    let explained = server.tollgate(&["explain", "--virtual-key", "notebook", "--model", "openai/gpt-4o"]);
    assert!(explained.to_lowercase().contains("allow"), "{explained}");
    // It begins as every store does.
    assert!(server.tollgate(&["prices", "list"]).contains("gpt-4o"));

    let (rest, files) = server.stop().await;
    assert_eq!((rest.as_str(), files), ("", Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_readers_of_tables_in_memory_do_not_fail_each_other() {
    const CLIENTS: usize = 8;
    const CUSTOMERS: usize = 25;
    let server = Server::start(&["--no-default-prices"]).await;
    let channel = server.channel().await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut customers = CustomerServiceClient::new(channel.clone());
        clients.spawn(async move {
            for number in 0..CUSTOMERS {
                let name = format!("customer {client}/{number}");
                let customer = Some(v1::Customer { name, ..Default::default() });
                let request = v1::CreateCustomerRequest { customer, ..Default::default() };
                let made = customers.create_customer(request).await.unwrap().into_inner().customer.unwrap();
                let request = v1::GetCustomerRequest { id: made.id.clone(), ..Default::default() };
                let read = customers.get_customer(request).await.unwrap().into_inner().customer.unwrap();
                assert_eq!((read.id, read.name, read.revision), (made.id, made.name, made.revision));
                customers.list_customers(v1::ListCustomersRequest::default()).await.unwrap();
            }
        });
    }
    soon(async {
        while let Some(done) = clients.join_next().await {
            done.unwrap()
        }
    })
    .await;
    let mut customers = CustomerServiceClient::new(channel);
    let all = customers.list_customers(v1::ListCustomersRequest::default()).await.unwrap().into_inner();
    assert_eq!(usize::try_from(all.total_size).unwrap(), CLIENTS * CUSTOMERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_for_tests_know_nothing_of_each_other() {
    let (one, other) = tokio::join!(Server::start(&[]), Server::start(&[]));
    one.tollgate(&["create", "customer", "Acme"]);
    assert!(one.tollgate(&["get", "customers"]).contains("Acme"));
    assert!(!other.tollgate(&["get", "customers"]).contains("Acme"));
}

#[test]
fn a_server_for_tests_refuses_what_would_leave_something_or_let_others_in() {
    let refused = |arguments: &[&str], environment: &[(&str, &str)]| {
        let directory = TempDir::new().unwrap();
        let output = command(&directory, arguments).envs(environment.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!((output.stdout.len(), std::fs::read_dir(directory.path()).unwrap().count()), (0, 0));
        String::from_utf8(output.stderr).unwrap()
    };
    let leave_out =
        "--testing keeps its store in memory and takes no database; leave out --database and TOLLGATE_DATABASE";
    assert!(refused(&["--database", "sqlite://t.db"], &[]).contains(leave_out));
    assert!(refused(&[], &[("TOLLGATE_DATABASE", "sqlite://t.db")]).contains(leave_out));
    let elsewhere = refused(&["--listen", "0.0.0.0:0"], &[]);
    assert!(elsewhere.contains("listen on 127.0.0.1 only"), "{elsewhere}");
}
