//! `tollgate spend`: what was spent when, by whom, on what.

use std::io::{self, BufWriter, Write as _};

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::Failure;
use super::remote::{RemoteArgs, amount, lines, moment, print_json, printable, refused};
use crate::proto::v1;
use crate::proto::v1::LimitKind;
use crate::proto::v1::usage_service_client::UsageServiceClient;
use crate::usage::SpendZone;

const PAGE: i32 = 1_000;

#[derive(Args, Debug)]
#[command(after_help = "\
Without --month, --from and --to: the present month up to now. Of each period, what cost most comes first; a last line has the total. \
Corrections of limits in that time (`tollgate usage adjust`) follow in a table of their own: no amount of spend contains them. With \
--csv they are left out.

Examples:
  tollgate spend --by team --month 2026-11
      What each team spent in November, in the time zone of the server.
  tollgate spend --by provider,model --granularity day --time-zone Europe/Berlin
      The present month by days of another time zone.
  tollgate spend --by label:cost-center --month 2026-11 --csv
      For a spreadsheet: money in nano-dollars, exactly.")]
pub(super) struct SpendArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// List spend apart by these: customer, team, virtual_key, provider, model, label:NAME
    #[arg(long, env = "TOLLGATE_BY", value_delimiter = ',', value_name = "PROPERTY,…")]
    by: Vec<String>,

    /// The month, as 2026-11
    #[arg(long, env = "TOLLGATE_MONTH", value_name = "YYYY-MM", conflicts_with_all = ["from", "to"])]
    month: Option<String>,

    /// The beginning: a day, as 2026-11-01, or an instant, as 2026-11-01T08:00:00Z
    #[arg(long, env = "TOLLGATE_FROM", value_name = "TIME")]
    from: Option<String>,

    /// The end, which does not belong to it: a day or an instant
    #[arg(long, env = "TOLLGATE_TO", value_name = "TIME")]
    to: Option<String>,

    /// The length of the periods [default: the whole range]
    #[arg(long, env = "TOLLGATE_GRANULARITY", value_enum, value_name = "PERIOD")]
    granularity: Option<Granularity>,

    /// The time zone of days and months, as Europe/Berlin [default: the server's for spend]
    #[arg(long, env = "TOLLGATE_TIME_ZONE", default_value = "", hide_default_value = true, value_name = "NAME")]
    time_zone: String,

    /// Only of the customer with this id
    #[arg(long, env = "TOLLGATE_CUSTOMER", default_value = "", hide_default_value = true, value_name = "ID")]
    customer: String,

    /// Only of the team with this id
    #[arg(long, env = "TOLLGATE_TEAM", default_value = "", hide_default_value = true, value_name = "ID")]
    team: String,

    /// Only of the virtual key with this id
    #[arg(long, env = "TOLLGATE_VIRTUAL_KEY_ID", default_value = "", hide_default_value = true, value_name = "ID")]
    virtual_key_id: String,

    /// Only at this provider
    #[arg(long, env = "TOLLGATE_PROVIDER", default_value = "", hide_default_value = true, value_name = "NAME")]
    provider: String,

    /// Only of this model
    #[arg(long, env = "TOLLGATE_MODEL", default_value = "", hide_default_value = true, value_name = "MODEL")]
    model: String,

    /// Print comma-separated values: all amounts exactly, money in nano-dollars
    #[arg(long, env = "TOLLGATE_CSV", value_parser = BoolishValueParser::new(), conflicts_with = "json")]
    csv: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Granularity {
    /// Hours
    Hour,
    /// Days
    Day,
    /// Months
    Month,
}

pub(super) async fn run(args: SpendArgs) -> Result<(), Failure> {
    let server = args.remote.connect().await?;
    let mut client = UsageServiceClient::new(server);
    let mut request = v1::ListSpendRequest {
        granularity: match args.granularity {
            None => v1::SpendGranularity::Unspecified,
            Some(Granularity::Hour) => v1::SpendGranularity::Hour,
            Some(Granularity::Day) => v1::SpendGranularity::Day,
            Some(Granularity::Month) => v1::SpendGranularity::Month,
        }
        .into(),
        time_zone: args.time_zone.clone(),
        group_by: args.by.clone(),
        customer_id: args.customer.clone(),
        team_id: args.team.clone(),
        virtual_key_id: args.virtual_key_id.clone(),
        provider: args.provider.clone(),
        model: args.model.clone(),
        page_size: PAGE,
        ..v1::ListSpendRequest::default()
    };
    if args.month.is_some() || args.from.is_some() || args.to.is_some() {
        // Days and months are those of the server, which says its time zone with any answer.
        let probe = v1::ListSpendRequest { time_zone: args.time_zone.clone(), page_size: 1, ..Default::default() };
        let zone = client.list_spend(probe).await.map_err(|status| refused(&status))?.into_inner().time_zone;
        let zone =
            SpendZone::named(&zone).ok_or_else(|| usage(format!("the server's time zone {zone} is unknown here")))?;
        if let Some(month) = &args.month {
            let wrong = || usage(format!("--month {month}: must be a month, as 2026-11"));
            let first = day(&format!("{month}-01"), &zone).ok_or_else(wrong)?;
            let (start, end) = zone.month(first);
            (request.from, request.to) = (Some(stamp(start)), Some(stamp(end)));
        }
        for (flag, given, bound) in [("--from", &args.from, &mut request.from), ("--to", &args.to, &mut request.to)] {
            if let Some(text) = given {
                let at = instant(text).or_else(|| day(text, &zone).map(stamp));
                let wrong =
                    || usage(format!("{flag} {text}: must be a day, as 2026-11-01, or an instant with its offset"));
                *bound = Some(at.ok_or_else(wrong)?);
            }
        }
    }
    let mut answer = client.list_spend(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
    while !answer.next_page_token.is_empty() {
        let page = v1::ListSpendRequest { page_token: answer.next_page_token, ..request.clone() };
        let page = client.list_spend(page).await.map_err(|status| refused(&status))?.into_inner();
        answer.rows.extend(page.rows);
        answer.next_page_token = page.next_page_token;
    }
    if args.remote.json {
        return print_json(&answer);
    }
    written(if args.csv { csv(&args.by, &answer) } else { text(&args.by, answer) })
}

fn usage(text: String) -> Failure {
    Failure::Usage(text.into())
}

fn stamp(at: crate::domain::Timestamp) -> Timestamp {
    crate::wire::timestamp(at)
}

fn instant(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(stamp(crate::domain::Timestamp::from_micros(at.as_microsecond())))
}

/// The start of a day of the time zone.
fn day(text: &str, zone: &SpendZone) -> Option<crate::domain::Timestamp> {
    zone.start_of(text.parse().ok()?)
}

/// The cells of a row by which spend is listed apart.
fn properties(by: &[String], row: &v1::SpendRow) -> Vec<String> {
    let named = |name: &String, id: &String| if name.is_empty() { id.clone() } else { name.clone() };
    let property = |by: &String| match by.as_str() {
        "customer" => named(&row.customer_name, &row.customer_id),
        "team" => named(&row.team_name, &row.team_id),
        "virtual_key" => named(&row.virtual_key_name, &row.virtual_key_id),
        "provider" => row.provider.clone(),
        "model" => row.model.clone(),
        label => row.labels.get(label.trim_start_matches("label:")).cloned().unwrap_or_default(),
    };
    by.iter().map(property).collect()
}

fn text(by: &[String], answer: v1::ListSpendResponse) -> Vec<String> {
    let v1::ListSpendResponse { mut rows, total, adjustments, more_adjustments, .. } = answer;
    let cost = |row: &v1::SpendRow| row.amounts.unwrap_or_default().cost_nano_usd;
    rows.sort_by_key(|row| (row.start.map(|at| at.seconds), std::cmp::Reverse(cost(row))));
    let cells = |first: String, properties: Vec<String>, amounts: v1::SpendAmounts| {
        let mut cells = vec![first];
        cells.extend(properties);
        cells.extend([
            amount(LimitKind::Budget, amounts.cost_nano_usd),
            amounts.requests.to_string(),
            amounts.input_tokens.to_string(),
            amounts.output_tokens.to_string(),
        ]);
        cells
    };
    let row = |row: &v1::SpendRow| {
        let start = row.start.as_ref().map(moment).unwrap_or_default();
        let shown = properties(by, row).into_iter().map(|it| if it.is_empty() { "(none)".to_owned() } else { it });
        cells(start, shown.collect(), row.amounts.unwrap_or_default())
    };
    let mut table: Vec<_> = rows.iter().map(row).collect();
    table.push(cells("total".to_owned(), vec![String::new(); by.len()], total.unwrap_or_default()));
    let mut head = vec!["FROM".to_owned()];
    head.extend(by.iter().map(|it| it.trim_start_matches("label:").to_uppercase().replace('_', " ")));
    head.extend(["COST", "REQUESTS", "INPUT TOKENS", "OUTPUT TOKENS"].map(ToOwned::to_owned));
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    let mut all = lines(&head, &table);
    if !adjustments.is_empty() {
        all.extend([String::new(), "Corrections of limits, which are no part of spend:".to_owned()]);
        let head = ["AT", "LIMIT OF", "ADJUSTED", "USED BEFORE", "USED AFTER", "BY", "REASON"];
        all.extend(lines(&head, &adjustments.into_iter().map(adjusted).collect::<Vec<_>>()));
    }
    if more_adjustments {
        all.push("There are more of them; ask for a shorter time, or `tollgate changes`.".to_owned());
    }
    all.iter().map(|line| printable(line)).collect()
}

/// The cells of a correction.
fn adjusted(correction: v1::SpendAdjustment) -> Vec<String> {
    let v1::SpendAdjustment { commit_time, actor, owner, adjustment, revision: _ } = correction;
    let (owner, adjustment) = (owner.unwrap_or_default(), adjustment.unwrap_or_default());
    let kind = owner.kind().as_str_name().trim_start_matches("RESOURCE_KIND_").to_lowercase().replace('_', " ");
    let units = match adjustment.kind() {
        LimitKind::Tokens => " LLM tokens",
        LimitKind::Requests => " requests",
        LimitKind::Budget | LimitKind::Concurrency | LimitKind::Unspecified => "",
    };
    let amount = |count| format!("{}{units}", amount(adjustment.kind(), count));
    vec![
        commit_time.as_ref().map(moment).unwrap_or_default(),
        format!("{kind} {}", owner.id),
        amount(adjustment.used - adjustment.used_before),
        amount(adjustment.used_before),
        amount(adjustment.used),
        actor,
        adjustment.reason,
    ]
}

fn csv(by: &[String], answer: &v1::ListSpendResponse) -> Vec<String> {
    const AMOUNTS: [&str; 9] = [
        "requests",
        "unpriced_requests",
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "audio_tokens",
        "cost_nano_usd",
    ];
    let ids = |by: &String| match by.as_str() {
        "customer" | "team" | "virtual_key" => vec![format!("{by}_id"), format!("{by}_name")],
        other => vec![other.to_owned()],
    };
    let mut head = vec!["start".to_owned()];
    head.extend(by.iter().flat_map(ids));
    head.extend(AMOUNTS.map(ToOwned::to_owned));
    let row = |row: &v1::SpendRow| {
        let mut cells = vec![row.start.as_ref().map(moment).unwrap_or_default()];
        for (by, text) in by.iter().zip(properties(by, row)) {
            match by.as_str() {
                "customer" => cells.extend([row.customer_id.clone(), row.customer_name.clone()]),
                "team" => cells.extend([row.team_id.clone(), row.team_name.clone()]),
                "virtual_key" => cells.extend([row.virtual_key_id.clone(), row.virtual_key_name.clone()]),
                _ => cells.push(text),
            }
        }
        let amounts = crate::usage::SpendAmounts::from(row.amounts.unwrap_or_default()).to_array();
        cells.extend(amounts.map(|amount| amount.to_string()));
        cells
    };
    let lines = std::iter::once(head).chain(answer.rows.iter().map(row));
    lines.map(|cells| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",")).collect()
}

/// A cell of comma-separated values.
fn quoted(cell: &str) -> String {
    // What begins like a formula is none: a spreadsheet would compute it.
    let cell = if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell.to_owned() };
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    }
}

fn written(lines: Vec<String>) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let all = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match all {
        // A reader that has gone away is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
