//! `tollgate explain`: what would happen to a request, and why.

use clap::Args;

use super::key::KeyArgs;
use super::remote::{RemoteArgs, later, limit_row, pair, print, print_json, refused, table};
use super::{Failure, REFUSED};
use crate::proto::v1;
use crate::proto::v1::decision_service_client::DecisionServiceClient;

#[derive(Args, Debug)]
#[command(after_help = "\
Nothing is counted and nothing is changed. Exit code 0 if the request would be allowed, 3 if it would be refused.

Examples:
  tollgate explain --model gpt-4o --provider openai
      A request without a key.
  tollgate explain --virtual-key notebook --model gpt-4o --header x-tier=gold
      A request with the key of this name, where the gateway chooses the provider.
  tollgate explain --virtual-key - --model gpt-4o < key.txt
      A request with the key whose value is in a file.")]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    key: KeyArgs,

    /// The model asked for
    #[arg(long, env = "TOLLGATE_MODEL", value_name = "MODEL")]
    model: String,

    /// The provider asked for [default: the gateway chooses]
    #[arg(long, env = "TOLLGATE_PROVIDER", default_value = "", hide_default_value = true, value_name = "NAME")]
    provider: String,

    /// The provider key asked for [default: any]
    #[arg(long, env = "TOLLGATE_PROVIDER_KEY", default_value = "", hide_default_value = true, value_name = "ID")]
    provider_key: String,

    /// The kind of request
    #[arg(long, env = "TOLLGATE_REQUEST_TYPE", default_value = "chat_completion", value_name = "KIND")]
    request_type: String,

    /// A header of the request; may be given several times
    #[arg(long = "header", env = "TOLLGATE_HEADERS", value_delimiter = ',', value_name = "NAME=VALUE", value_parser = pair)]
    headers: Vec<(String, String)>,

    /// A query parameter of the request; may be given several times
    #[arg(long = "param", env = "TOLLGATE_PARAMS", value_delimiter = ',', value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,

    /// Where the request goes next if that fails; may be given several times
    #[arg(long = "fallback", env = "TOLLGATE_FALLBACKS", value_delimiter = ',', value_name = "PROVIDER/MODEL")]
    fallbacks: Vec<String>,

    /// Input tokens that the request is expected to have
    #[arg(long, env = "TOLLGATE_CONTEXT_LENGTH", default_value_t = 0, value_name = "COUNT")]
    context_length: i64,

    /// Ask for a streamed answer
    #[arg(long, env = "TOLLGATE_STREAM")]
    stream: bool,

    /// LLM tokens that the request is expected to use
    #[arg(long, env = "TOLLGATE_ESTIMATED_TOKENS", default_value_t = 0, value_name = "COUNT")]
    estimated_tokens: i64,

    /// When the request is made: an instant, or how far away it is [default: now]
    #[arg(long, env = "TOLLGATE_AT", value_name = "TIME", value_parser = later)]
    at: Option<prost_types::Timestamp>,

    /// Seed of the weighted draws [default: chosen by the server]
    #[arg(long, env = "TOLLGATE_SEED", value_name = "NUMBER")]
    seed: Option<u64>,
}

pub(super) async fn run(args: ExplainArgs) -> Result<(), Failure> {
    let ExplainArgs {
        remote,
        key,
        model,
        provider,
        provider_key,
        request_type,
        headers,
        params,
        fallbacks,
        context_length,
        stream,
        estimated_tokens,
        at,
        seed,
    } = args;
    let server = remote.connect().await?;
    let request = v1::ExplainRequest {
        key: key.find(&server).await?,
        provider,
        model,
        provider_key_id: provider_key,
        request_type,
        headers: headers.into_iter().collect(),
        params: params.into_iter().collect(),
        fallbacks,
        context_length,
        stream,
        estimated_tokens,
        at,
        seed,
        ..v1::ExplainRequest::default()
    };
    let mut client = DecisionServiceClient::new(server);
    let answer = client.explain(request).await.map_err(|status| refused(&status))?.into_inner();
    if remote.json {
        print_json(&answer)?
    } else {
        show(&answer)?
    }
    if answer.decision() == v1::Decision::Allow { Ok(()) } else { Err(Failure::Told(REFUSED)) }
}

fn show(answer: &v1::ExplainResponse) -> Result<(), Failure> {
    let decision = answer.decision().as_str_name();
    print(&format!("{}: {}", decision.strip_prefix("DECISION_").unwrap_or(decision), answer.reason))?;
    let is_allowed = answer.decision() == v1::Decision::Allow;
    if let Some(routing) = answer.routing.as_ref().filter(|routing| is_allowed || !routing.provider.is_empty()) {
        let v1::ExplainedRouting { provider, model, key_id, fallbacks, .. } = routing;
        let key = if key_id.is_empty() { String::new() } else { format!(" with key {key_id}") };
        let provider = if provider.is_empty() { "(any provider)" } else { provider };
        print(&format!("goes to {provider}/{model}{key}"))?;
        if !fallbacks.is_empty() {
            print(&format!("then to {}", fallbacks.join(", ")))?;
        }
        for v1::RejectedFallback { fallback, decision: _, reason } in &answer.rejected_fallbacks {
            print(&format!("not to {fallback}: {reason}"))?;
        }
    }
    print(&format!("at revision {}, with seed {}", answer.revision, answer.seed))?;
    if !answer.rules.is_empty() {
        print("")?;
        let rows = answer.rules.iter().map(|rule| {
            let what = match (rule.matched, rule.disabled) {
                (true, _) => "matched".to_owned(),
                (false, true) => "disabled".to_owned(),
                (false, false) if rule.error.is_empty() => "no match".to_owned(),
                (false, false) => format!("no match: {}", rule.error),
            };
            let scope = rule.scope().as_str_name().trim_start_matches("ROUTING_SCOPE_").to_lowercase();
            vec![rule.hop.to_string(), scope, rule.priority.to_string(), rule.name.clone(), what]
        });
        table(&["HOP", "SCOPE", "PRIORITY", "RULE", "RESULT"], &rows.collect::<Vec<_>>())?;
    }
    if !answer.candidates.is_empty() {
        print("")?;
        let rows = answer.candidates.iter().map(|candidate| {
            let weight = candidate.weight.map_or_else(|| "-".to_owned(), |weight| weight.to_string());
            vec![candidate.provider.clone(), weight, candidate.why.clone()]
        });
        table(&["PROVIDER", "WEIGHT", "RESULT"], &rows.collect::<Vec<_>>())?;
    }
    if !answer.limits.is_empty() {
        print("")?;
        let rows: Vec<_> = answer.limits.iter().map(limit_row).collect();
        table(&["OWNER", "LIMIT", "USED", "MAX", "REMAINING", "RESETS AT", ""], &rows)?;
    }
    if let Some(price) = &answer.price {
        print(&format!("\npriced by {} ({})", price.name, price.id))?;
    }
    Ok(())
}
