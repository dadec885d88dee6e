//! `tollgate usage adjust`: corrects what a limit has counted in its current window.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::super::Failure;
use super::super::remote::{RemoteArgs, amount, kind_name, moment, print, print_json, refused};
use crate::proto::v1;
use crate::proto::v1::LimitKind;
use crate::proto::v1::usage_service_client::UsageServiceClient;

#[derive(Args, Debug)]
#[command(after_help = "\
Usage never falls below 0, and what was spent (`tollgate spend`) does not change. The owner of the limit gets a revision: \
`tollgate changes` shows who adjusted what, and why.

Examples:
  tollgate usage adjust 0190a8f0-… --usd -12.50 --reason 'refund of the provider'
      Take 12.50 USD off what a budget has counted.
  tollgate usage adjust 0190a8f0-… --usd 340 --reason 'spent in the old gateway in November'
      Bring along what was spent elsewhere.
  tollgate usage adjust 0190a8f0-… --requests -1000 --reason 'load test' --dry-run
      Show the outcome, and change nothing.")]
pub(super) struct AdjustArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Id of the budget or rate limit, as `tollgate usage --json` shows it
    #[arg(env = "TOLLGATE_LIMIT_ID", value_name = "ID")]
    limit_id: String,

    #[command(flatten)]
    amount: Amount,

    /// Why, for the audit trail
    #[arg(long, env = "TOLLGATE_REASON", value_name = "TEXT")]
    reason: String,

    /// A UUID: another run with the same one within 24 hours adjusts nothing again
    #[arg(long, env = "TOLLGATE_REQUEST_ID", value_name = "UUID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Show the outcome, but change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,
}

/// How much, of what the limit counts.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Amount {
    /// US dollars to add to what a budget has counted, as 12.50; negative to take away
    #[arg(long, env = "TOLLGATE_USD", value_name = "AMOUNT", allow_hyphen_values = true, value_parser = nano_usd)]
    usd: Option<i64>,

    /// LLM tokens to add to what a rate limit has counted; negative to take away
    #[arg(long, env = "TOLLGATE_LLM_TOKENS", value_name = "N", allow_hyphen_values = true)]
    tokens: Option<i64>,

    /// Requests to add to what a rate limit has counted; negative to take away
    #[arg(long, env = "TOLLGATE_REQUESTS", value_name = "N", allow_hyphen_values = true)]
    requests: Option<i64>,
}

/// US dollars, in nano-dollars.
fn nano_usd(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && [whole, decimals].iter().all(|it| it.bytes().all(|it| it.is_ascii_digit()));
    let nanos = (is_number && decimals.len() <= 9).then(|| format!("{whole}{decimals:0<9}").parse::<i64>().ok());
    let nanos = nanos.flatten().ok_or("is no amount of US dollars; write 12.50 or -3, with at most nine decimals")?;
    Ok(if digits == text { nanos } else { -nanos })
}

pub(super) async fn run(args: AdjustArgs) -> Result<(), Failure> {
    let AdjustArgs { remote, limit_id, amount: Amount { usd, tokens, requests }, reason, request_id, dry_run } = args;
    let given = [(LimitKind::Budget, usd), (LimitKind::Tokens, tokens), (LimitKind::Requests, requests)];
    let given = given.into_iter().find_map(|(kind, delta)| Some((kind, delta?)));
    let (kind, delta) = given.unwrap_or((LimitKind::Unspecified, 0));
    let request =
        v1::AdjustUsageRequest { limit_id, kind: kind.into(), delta, reason, request_id, validate_only: dry_run };
    let mut client = UsageServiceClient::new(remote.connect().await?);
    let answer = client.adjust_usage(request).await.map_err(|status| refused(&status))?.into_inner();
    if remote.json {
        return print_json(&answer);
    }
    let v1::UsageAdjustment { limit_id, window_start, used_before, used, .. } = answer.adjustment.unwrap_or_default();
    let since = window_start.as_ref().map(moment).unwrap_or_default();
    let (kind, before, after) = (kind_name(kind), amount(kind, used_before), amount(kind, used));
    let outcome = match (dry_run, used == used_before) {
        (_, true) => "nothing changes".to_owned(),
        (true, false) => "would be adjusted".to_owned(),
        (false, false) => format!("adjusted at revision {}", answer.revision),
    };
    print(&format!("{kind} of limit {limit_id}, window from {since}: {before} used → {after}; {outcome}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        for (text, nanos) in [
            ("12.50", 12_500_000_000),
            ("-3", -3_000_000_000),
            ("0.000000001", 1),
            ("-0.1", -100_000_000),
            ("9223372036.854775807", i64::MAX),
        ] {
            assert_eq!(nano_usd(text), Ok(nanos), "{text}");
        }
        for text in ["", "-", ".5", "1e3", "1.0000000001", "--1", "+1", "1,5", "1.-5", "9223372036.854775808"] {
            assert!(nano_usd(text).is_err(), "{text}");
        }
    }
}
