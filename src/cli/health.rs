//! `tollgate health`: whether a server serves, for probes.

use clap::Args;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::Failure;
use super::remote::{RemoteArgs, print, refused};

#[derive(Args, Debug)]
#[command(after_help = "\
Needs no access token. Exit code 0 if the server serves, else 1; nothing is printed on success with --quiet.

Example:
  HEALTHCHECK CMD [\"tollgate\", \"health\", \"--timeout\", \"3s\", \"--quiet\"]")]
pub(super) struct HealthArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The service asked about: tollgate.v1.writes says whether writes are taken too [default: the server as a whole]
    #[arg(long, env = "TOLLGATE_SERVICE", default_value = "", hide_default_value = true, value_name = "NAME")]
    service: String,

    /// Print nothing if all is well
    #[arg(short, long, env = "TOLLGATE_QUIET", value_parser = clap::builder::BoolishValueParser::new())]
    quiet: bool,
}

pub(super) async fn run(args: HealthArgs) -> Result<(), Failure> {
    let HealthArgs { remote, service, quiet } = args;
    let mut client = HealthClient::new(remote.connect().await?);
    let answer = client.check(HealthCheckRequest { service }).await.map_err(|status| refused(&status))?.into_inner();
    let status = answer.status();
    let name = status.as_str_name();
    match (remote.json, quiet) {
        (true, _) => print(&serde_json::json!({ "status": name }).to_string())?,
        (false, true) => {}
        (false, false) => print(&name.replace('_', " ").to_lowercase())?,
    }
    match status {
        ServingStatus::Serving => Ok(()),
        _ => Err(Failure::Told(1)),
    }
}
