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
use super::super::table::distance;
use super::super::{Failure, REFUSED, chain};

const PATIENCE: Duration = Duration::from_secs(5);

/// Columns of what is printed.
const WIDTH: usize = 80;

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
Nothing is held and nothing is counted. Exit code 0 if the request would be admitted, 3 if it would be refused, 1 if the \
node cannot be asked.

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
            if !running.json {
                print(&text)?;
            }
            if let Some(limit) = refusal.limit.as_ref().filter(|_| !running.json) {
                table(&["OWNER", "LIMIT", "USED", "MAX", "REMAINING", "RESETS AT", ""], &[limit_row(limit)])?;
            }
            return Err(Failure::Told(REFUSED));
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
    told(&status).iter().flat_map(|text| wrapped(text)).try_for_each(|line| print(&line))
}

/// The status in words, a text for each subject.
fn told(status: &v1::GetStatusResponse) -> Vec<String> {
    let state = status.state().as_str_name();
    let state = state.strip_prefix("NODE_STATE_").unwrap_or(state);
    let reason = if status.reason.is_empty() { String::new() } else { format!(": {}", status.reason) };
    let mut texts = vec![format!("{state}{reason}")];
    if let Some(time) = &status.stale_for {
        texts.push(format!("without its server for {}", age(time)));
    }
    if !status.admits {
        texts.push("admits no requests".to_owned());
    }
    texts.push(format!("node {} {}, at revision {}", status.node_id, status.version, status.revision));
    // A node of an earlier version tells no ages.
    if let Some(time) = &status.copy_age {
        let heard = match &status.contact_age {
            Some(time) => format!("heard {} ago", age(time)),
            None => "not heard since the start".to_owned(),
        };
        texts.push(format!("copy confirmed {} ago, control plane {heard}", age(time)));
    }
    let oldest = status.outbox_age.as_ref().map(|time| format!(", the oldest {} old", age(time))).unwrap_or_default();
    let (in_flight, unreported) = (status.in_flight, status.unreported_entries);
    texts.push(format!("{in_flight} requests in flight, {unreported} entries of usage not reported yet{oldest}"));
    let v1::RequestCounts { admitted, refused, settled, abandoned, expired, unpriced, uncovered, joined_dimensions } =
        status.requests.unwrap_or_default();
    texts.push(format!(
        "since its start: {admitted} admitted, {refused} refused, {settled} settled, {abandoned} abandoned, {expired} expired"
    ));
    texts.push(credit_line(&status.credit.clone().unwrap_or_default()));
    if unpriced > 0 {
        texts.push(format!(
            "{unpriced} of them cost nothing, since nobody knows the price of the model; see `tollgate prices import`"
        ));
    }
    if uncovered > 0 {
        texts.push(format!(
            "{uncovered} of them used a provider or a model that they were not admitted for; the gateway must call Touch before"
        ));
    }
    if joined_dimensions > 0 {
        texts.push(format!(
            "{joined_dimensions} of them are reported with the dimensions of spend `other`: a minute had more than 1,000 combinations"
        ));
    }
    texts
}

fn age(time: &prost_types::Duration) -> String {
    distance(0, time.seconds)
}

/// A text in lines of at most 80 columns, the later ones set in. A word that is longer has a line for itself.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("  {word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_busy_node_fits_80_columns() {
        let time = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let requests = v1::RequestCounts { admitted: i64::MAX, unpriced: 12, uncovered: 3, ..Default::default() };
        let credit = v1::CreditStatus { session: 7, held_nano_usd: i64::MAX, wants: 99_999, ..Default::default() };
        let status = v1::GetStatusResponse {
            state: v1::NodeState::Stale.into(),
            reason: "status: Unavailable, message: the server ended the stream of the configuration ".repeat(3),
            stale_for: time(150),
            node_id: "gw-1".to_owned(),
            version: "1.0.0".to_owned(),
            revision: 12,
            unreported_entries: 40,
            requests: Some(requests),
            credit: Some(v1::CreditStatus { standing: v1::CreditStanding::Granted.into(), ..credit }),
            copy_age: time(151),
            outbox_age: time(90),
            contact_age: time(149),
            ..Default::default()
        };
        let lines: Vec<_> = told(&status).iter().flat_map(|text| wrapped(text)).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        let has = |line: &str| assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
        has("without its server for 2m");
        has("node gw-1 1.0.0, at revision 12");
        has("copy confirmed 2m ago, control plane heard 2m ago");
        has("0 requests in flight, 40 entries of usage not reported yet, the oldest 90s old");
        let unheard = told(&v1::GetStatusResponse { contact_age: None, ..status });
        assert!(unheard.iter().any(|text| text.ends_with("control plane not heard since the start")), "{unheard:#?}");
    }

    #[test]
    fn a_word_that_is_too_long_has_a_line_for_itself() {
        let word = "x".repeat(90);
        assert_eq!(wrapped(&format!("a {word} b")), ["a".to_owned(), format!("  {word}"), "  b".to_owned()]);
        assert!(wrapped("").is_empty());
    }
}
