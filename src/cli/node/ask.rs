//! Asks a running node.

use std::io;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use tollgate_node::proto::node::v1;
use tollgate_node::proto::node::v1::admit_request::Credential;
use tollgate_node::proto::node::v1::admit_response::Outcome;
use tollgate_node::proto::node::v1::gate_service_client::GateServiceClient;
use tollgate_node::proto::node::v1::node_status_service_client::NodeStatusServiceClient;
use tollgate_node::serve::Listen;
use tonic::transport::{Channel, Endpoint};

use super::super::remote::{limit_row, print, print_json, refused, table};
use super::super::{Failure, chain};

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
struct RunningArgs {
    /// Where the node listens: an address and port, or unix://PATH
    #[arg(long, env = "TOLLGATE_NODE", default_value = "127.0.0.1:50052", value_name = "PLACE")]
    node: Listen,

    /// Print the answer as protobuf JSON
    #[arg(long, env = "TOLLGATE_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
}

impl RunningArgs {
    async fn connect(&self) -> Result<Channel, Failure> {
        let url = match &self.node {
            Listen::Tcp(address) => format!("http://{address}"),
            Listen::Unix(_) => self.node.to_string(),
        };
        let endpoint = Endpoint::from_shared(url).map_err(|error| Failure::Usage(error.into()))?;
        endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect().await.map_err(|error| {
            let why = chain(&error);
            Failure::Failed(format!("no node answers at {}: {why}; start one with `tollgate node`", self.node).into())
        })
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 0 if the request would be admitted, 1 if not.

Examples:
  tollgate node check sk-… gpt-4o
      A request with this virtual key.
  tollgate node check - openai/gpt-4o --input-tokens 20000 < key.txt
      A large request to a provider, with the virtual key in a file.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    running: RunningArgs,

    /// Value or id of the virtual key; `-` reads it from standard input. Other users of the machine see what is on a command
    /// line
    #[arg(env = "TOLLGATE_VIRTUAL_KEY", hide_env_values = true, value_name = "KEY")]
    virtual_key: String,

    /// The model asked for, with or without its provider: gpt-4o, openai/gpt-4o
    #[arg(env = "TOLLGATE_MODEL", value_name = "MODEL")]
    model: String,

    /// The kind of request
    #[arg(long, env = "TOLLGATE_REQUEST_TYPE", default_value = "chat_completion", value_name = "KIND")]
    request_type: String,

    /// LLM tokens of the prompt
    #[arg(long, env = "TOLLGATE_INPUT_TOKENS", value_name = "COUNT", value_parser = clap::value_parser!(i64).range(0..))]
    input_tokens: Option<i64>,

    /// LLM tokens of the answer at most [default: what is usual for the model]
    #[arg(long, env = "TOLLGATE_OUTPUT_TOKENS", value_name = "COUNT", value_parser = clap::value_parser!(i64).range(0..))]
    output_tokens: Option<i64>,
}

#[derive(Args, Debug)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    running: RunningArgs,
}

pub(super) async fn check(args: CheckArgs) -> Result<(), Failure> {
    let CheckArgs { running, virtual_key, model, request_type, input_tokens, output_tokens } = args;
    let text = if virtual_key == "-" { io::read_to_string(io::stdin())?.trim().to_owned() } else { virtual_key };
    let credential = match uuid::Uuid::try_parse(&text) {
        Ok(_) => Credential::VirtualKeyId(text),
        Err(_) => Credential::VirtualKeyValue(text),
    };
    // As a gateway does that is told `openai/gpt-4o`.
    let (provider, model) = match model.split_once('/') {
        Some((provider, model)) => (provider.to_owned(), model.to_owned()),
        None => (String::new(), model),
    };
    let request = v1::AdmitRequest {
        credential: Some(credential),
        provider,
        model,
        request_type,
        estimate: Some(v1::Estimate { input_tokens, output_tokens, ..v1::Estimate::default() }),
        validate_only: true,
        ..v1::AdmitRequest::default()
    };
    let answer = GateServiceClient::new(running.connect().await?).admit(request).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    if running.json {
        print_json(&answer)?;
    }
    match answer.outcome {
        Some(Outcome::Admitted(admission)) if running.json => drop(admission),
        Some(Outcome::Admitted(admission)) => {
            let v1::Admission { provider, model, provider_key_id, fallbacks, headers, .. } = admission;
            let key = if provider_key_id.is_empty() { String::new() } else { format!(" with key {provider_key_id}") };
            let provider = if provider.is_empty() { "(any provider)" } else { &provider };
            print(&format!("ALLOW: goes to {provider}/{model}{key}"))?;
            if !fallbacks.is_empty() {
                print(&format!("then to {}", fallbacks.join(", ")))?;
            }
            headers.iter().try_for_each(|(name, value)| print(&format!("{name}: {value}")))?;
        }
        Some(Outcome::Refused(refusal)) => {
            let decision = refusal.decision().as_str_name();
            let decision = decision.strip_prefix("DECISION_").unwrap_or(decision);
            let text = format!("{decision}: {} (HTTP status {})", refusal.reason, refusal.http_status);
            if let Some(limit) = refusal.limit.as_ref().filter(|_| !running.json) {
                table(&["OWNER", "LIMIT", "USED", "MAX", "REMAINING", "RESETS AT", ""], &[limit_row(limit)])?;
            }
            return Err(Failure::Failed(text.into()));
        }
        None => {
            return Err(Failure::Failed("the node is newer than this command and says what it does not know".into()));
        }
    }
    Ok(())
}

pub(super) async fn status(args: StatusArgs) -> Result<(), Failure> {
    let StatusArgs { running } = args;
    let answer = NodeStatusServiceClient::new(running.connect().await?).get_status(v1::GetStatusRequest {}).await;
    let status = answer.map_err(|status| refused(&status))?.into_inner();
    if running.json {
        return print_json(&status);
    }
    let state = status.state().as_str_name();
    let state = state.strip_prefix("NODE_STATE_").unwrap_or(state);
    let reason = if status.reason.is_empty() { String::new() } else { format!(": {}", status.reason) };
    print(&format!("{state}{reason}"))?;
    if let Some(time) = &status.stale_for {
        print(&format!("without its server for {} s", time.seconds))?;
    }
    if !status.admits {
        print("admits no requests")?;
    }
    print(&format!("node {} {}, at revision {}", status.node_id, status.version, status.revision))?;
    let (in_flight, unreported) = (status.in_flight, status.unreported_entries);
    print(&format!("{in_flight} requests in flight, {unreported} entries of usage not reported yet"))?;
    let v1::RequestCounts { admitted, refused, settled, abandoned, expired, unpriced, uncovered } =
        status.requests.unwrap_or_default();
    print(&format!(
        "since its start: {admitted} admitted, {refused} refused, {settled} settled, {abandoned} abandoned, {expired} expired"
    ))?;
    print(&credit_line(&status.credit.unwrap_or_default()))?;
    if unpriced > 0 {
        print(&format!(
            "{unpriced} of them cost nothing, since nobody knows the price of the model; see `tollgate prices import`"
        ))?;
    }
    if uncovered > 0 {
        print(&format!(
            "{uncovered} of them used a provider or a model that they were not admitted for; the gateway must call Touch before"
        ))?;
    }
    Ok(())
}

/// The credit of a node, in words.
fn credit_line(credit: &v1::CreditStatus) -> String {
    let v1::CreditStatus { reason, session, held_nano_usd, held_tokens, held_requests, held_slots, .. } = credit;
    let v1::CreditStatus { waiting, wants, recalls, refused, .. } = credit;
    match credit.standing() {
        v1::CreditStanding::Granted => {
            let session = if *session == 0 { "no session".to_owned() } else { format!("session {session}") };
            let dollars = *held_nano_usd as f64 / 1e9;
            format!(
                "credit: {session}; holds {dollars:.6} USD, {held_tokens} LLM tokens, {held_requests} requests and {held_slots} slots; \
                 {waiting} requests wait; since its start: asked {wants} times, was asked back {recalls} times, refused {refused} requests for want of credit"
            )
        }
        v1::CreditStanding::Withheld => format!("credit: none, hard limits are decided as soft ones: {reason}"),
        v1::CreditStanding::Unknown | v1::CreditStanding::Unspecified => {
            "credit: no server has granted any yet, hard limits are decided as soft ones".to_owned()
        }
    }
}
