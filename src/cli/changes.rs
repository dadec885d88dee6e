//! `tollgate changes`: the audit trail for people. Who did what, when, by which call, and what differs since.

use clap::Args;
use serde_json::{Map, Value};

use super::Failure;
use super::files::reference::is_id;
use super::remote::{RemoteArgs, amount, dynamic, kind_name, moment, print, print_json_line, refused};
use super::resource::api::{Api, text};
use super::resource::find::find;
use super::resource::subject;
use super::resource::subject::word;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;

/// Fields that differ after every change, and tell nothing.
const ALWAYS_DIFFERENT: [&str; 2] = ["revision", "updatedAt"];

#[derive(Args, Debug)]
#[command(after_help = "\
Newest first. Times are RFC 3339, as 2026-03-01T00:00:00Z, or a duration back from now, as 24h. \
Secrets and their hashes are left out.

Examples:
  tollgate changes --from 24h
      All changes since yesterday.
  tollgate changes --kind key --id Acme/Search/notebook --actor ops
      The changes of one virtual key by one caller.
  tollgate changes --id 0190a8f0-…
      Those of a resource that may be deleted.
  tollgate changes --kind token
      The changes by which access tokens were made and revoked.
  tollgate changes --json --limit 1000000 | jq -c 'select(.op == \"CHANGE_OP_DELETE\")'
      All deletions, one object a line.")]
pub(super) struct ChangesArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Only changes of this kind of resource
    #[arg(long, env = "TOLLGATE_KIND", value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,

    /// Only changes of this resource: an id; or, beside --kind, the name or path of one that exists
    #[arg(long, env = "TOLLGATE_ID", value_name = "NAME", default_value = "", hide_default_value = true)]
    id: String,

    /// Only changes by this caller: the name of an access token, or the actor as the trail shows it
    #[arg(long, env = "TOLLGATE_ACTOR", value_name = "TEXT", default_value = "", hide_default_value = true)]
    actor: String,

    /// Only changes at this time or later
    #[arg(long, env = "TOLLGATE_FROM", value_name = "TIME", value_parser = time)]
    from: Option<prost_types::Timestamp>,

    /// Only changes before this time
    #[arg(long, env = "TOLLGATE_TO", value_name = "TIME", value_parser = time)]
    to: Option<prost_types::Timestamp>,

    /// Only changes of this store revision
    #[arg(long, env = "TOLLGATE_REVISION", value_name = "N", default_value_t = 0, hide_default_value = true)]
    revision: i64,

    /// The most changes to print
    #[arg(long, env = "TOLLGATE_LIMIT", value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// A kind of resource. Those that are on no stream are in the audit trail too.
fn kind(text: &str) -> Result<Kind, String> {
    let name = text.trim().replace('-', "_");
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == name || word(*kind) == name);
    known.or_else(|| subject::kind(text.trim()).ok()).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.into_iter().map(word).collect();
        format!("is none of {}", names.join(", "))
    })
}

/// The id of the resource that `--id` names.
async fn id_of(api: &Api, kind: Option<Kind>, named: String) -> Result<String, Failure> {
    match kind {
        // Their names are their ids, of those too that are deleted.
        None | Some(Kind::Provider | Kind::McpClient | Kind::ProviderGovernance) => Ok(named),
        Some(_) if named.is_empty() || is_id(&named) => Ok(named),
        Some(kind) => find(api, kind, &named).await.map(|found| text(&found, "id")).map_err(|failure| match failure {
            Failure::Failed(why) => {
                let why = format!("{why}; of one that is deleted give the id: tollgate changes --kind {}", word(kind));
                Failure::Failed(why.into())
            }
            failure => failure,
        }),
    }
}

/// An instant, or how long ago it was.
fn time(text: &str) -> Result<prost_types::Timestamp, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let time = std::time::SystemTime::now().checked_sub(ago).ok_or("is too long ago")?;
        return Ok(time.into());
    }
    text.parse().map_err(|_| "is no time; write 2026-03-01T00:00:00Z, or a duration back from now as 24h".to_owned())
}

pub(super) async fn run(args: ChangesArgs) -> Result<(), Failure> {
    let ChangesArgs { remote, kind, id, actor, from, to, revision, limit } = args;
    let api = Api { server: remote.connect().await? };
    let is_guessed = kind.is_none() && !id.is_empty() && !is_id(&id);
    let named = id.clone();
    let id = id_of(&api, kind, id).await?;
    let kind = kind.map_or(0, Kind::number);
    let mut request = v1::ListChangesRequest { kind, id, actor, from, to, revision, ..Default::default() };
    let mut client = ConfigServiceClient::new(api.server);
    let (mut left, mut is_empty) = (limit, true);
    while left > 0 {
        request.page_size = i32::try_from(left.min(500)).unwrap_or(500);
        let page = client.list_changes(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        left -= page.changes.len().min(left);
        is_empty &= page.changes.is_empty();
        for change in &page.changes {
            if remote.json { print_json_line(change)? } else { show(change)? }
        }
        if page.next_page_token.is_empty() {
            if is_empty && is_guessed {
                let text =
                    format!("no change is of the id {named:?}; beside a name or path give --kind, as --kind key");
                return Err(Failure::Failed(text.into()));
            }
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
    eprintln!("tollgate: there is more; ask for it with --limit, or narrow it");
    Ok(())
}

fn show(change: &v1::Change) -> Result<(), Failure> {
    let v1::Change { revision, id, commit_time, actor, peer, method, request_id, before, after, adjustment, .. } =
        change;
    let at = commit_time.as_ref().map(moment).unwrap_or_default();
    let kind = change.kind().as_str_name().trim_start_matches("RESOURCE_KIND_").to_lowercase();
    let op = change.op().as_str_name().trim_start_matches("CHANGE_OP_").to_lowercase();
    let (before, after) = (fields(before.as_ref())?, fields(after.as_ref())?);
    let name = [&after, &before].into_iter().find_map(|it| it.get("name")).and_then(Value::as_str);
    let name = name.map(|name| format!(" {name:?}")).unwrap_or_default();
    print(&format!("{revision}  {at}  {op} {kind} {id}{name}"))?;
    let method = method.rsplit('.').next().unwrap_or_default();
    let request = if request_id.is_empty() { String::new() } else { format!(", request {request_id}") };
    let from = if peer.is_empty() { String::new() } else { format!(" from {peer}") };
    print(&format!("    by {actor}{from}, {method}{request}"))?;
    if let Some(v1::UsageAdjustment { limit_id, used_before, used, reason, .. }) = adjustment {
        let kind = adjustment.as_ref().map_or(v1::LimitKind::Unspecified, v1::UsageAdjustment::kind);
        let (of, before, after) = (kind_name(kind), amount(kind, *used_before), amount(kind, *used));
        print(&format!("    {of} of limit {limit_id}: {before} used → {after}, since {reason:?}"))?;
    }
    for line in differences(&before, &after) {
        print(&format!("    {line}"))?;
    }
    Ok(())
}

/// One line for each top-level field that differs.
fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&String| before.get(*name) != after.get(*name);
    let told = |name: &&String| !ALWAYS_DIFFERENT.contains(&name.as_str());
    let text = |value: Option<&Value>| value.map_or_else(|| "(nothing)".to_owned(), Value::to_string);
    names
        .into_iter()
        .filter(|name| differs(name) && told(name))
        .map(|name| match (before.is_empty(), after.is_empty()) {
            (true, _) => format!("{name}: {}", text(after.get(name))),
            (false, true) => format!("{name}: {} is gone", text(before.get(name))),
            (false, false) => format!("{name}: {} → {}", text(before.get(name)), text(after.get(name))),
        })
        .collect()
}

/// The fields of a resource, as protobuf JSON; none if there is none.
fn fields(resource: Option<&v1::ConfigResource>) -> Result<Map<String, Value>, Failure> {
    let Some(resource) = resource else { return Ok(Map::new()) };
    // The one field is the one of the kind.
    let Value::Object(kinds) = serde_json::to_value(dynamic(resource)?)? else { return Ok(Map::new()) };
    Ok(match kinds.into_iter().next() {
        Some((_, Value::Object(fields))) => fields,
        Some(_) | None => Map::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_differs_is_told_and_what_always_differs_is_not() {
        let before = map(r#"{"name": "a", "budgets": [1], "revision": "1", "updatedAt": "x"}"#);
        let after = map(r#"{"name": "b", "budgets": [1], "description": "new", "revision": "2", "updatedAt": "y"}"#);
        assert_eq!(differences(&before, &after), [r#"description: (nothing) → "new""#, r#"name: "a" → "b""#]);
        assert_eq!(differences(&Map::new(), &map(r#"{"name": "a"}"#)), [r#"name: "a""#]);
        assert_eq!(differences(&map(r#"{"name": "a"}"#), &Map::new()), [r#"name: "a" is gone"#]);
    }

    #[test]
    fn times_are_instants_or_durations_back() {
        assert_eq!(time("1970-01-01T00:00:01Z"), Ok(prost_types::Timestamp { seconds: 1, nanos: 0 }));
        assert!(time("24h").is_ok_and(|it| it.seconds > 1_700_000_000));
        assert!(time("yesterday").is_err());
    }
}
