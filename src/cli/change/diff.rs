//! `tollgate diff`: what differs between two revisions.

use std::collections::BTreeMap;

use clap::Args;

use super::told::{Item, show};
use crate::cli::Failure;
use crate::cli::remote::{RemoteArgs, print_json_line, refused};
use crate::cli::resource::subject::kind;
use crate::cli::status::info;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::proto::v1::{ApplyOperation, ApplyOutcome};

#[derive(Args, Debug)]
#[command(after_help = "\
From the audit trail, as far as the retention keeps it.

Examples:
  tollgate diff 4711
      Show the changes since then.
  tollgate diff 4711 4700 --kind key
      Backwards, and of keys alone.")]
pub(in crate::cli) struct DiffArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The one revision
    #[arg(value_name = "REV1", value_parser = clap::value_parser!(i64).range(0..))]
    from: i64,

    /// The other revision [default: the present one]
    #[arg(value_name = "REV2", value_parser = clap::value_parser!(i64).range(0..))]
    to: Option<i64>,

    /// Only resources of this kind
    #[arg(long, env = "TOLLGATE_KIND", value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
}

pub(in crate::cli) async fn run(args: DiffArgs) -> Result<(), Failure> {
    let DiffArgs { remote, from, to, kind } = args;
    let server = remote.connect().await?;
    let head = info(&server).await?.head_revision;
    if let Some(future) = [Some(from), to].into_iter().flatten().find(|revision| *revision > head) {
        let text = format!("revision {future} is in the future; the store is at revision {head}");
        return Err(Failure::Failed(text.into()));
    }
    let to = to.unwrap_or(head);
    let (earlier, later) = (from.min(to), from.max(to));
    let mut client = ConfigServiceClient::new(server);
    let kind = kind.map_or(0, Kind::number);
    let mut request = v1::ListChangesRequest { page_size: 1_000, kind, ..Default::default() };
    let mut outcomes: BTreeMap<(i32, String), ApplyOutcome> = BTreeMap::new();
    let mut first = i64::MAX;
    // Newest first: the first that is met has the state after, the last the state before.
    'pages: loop {
        let page = client.list_changes(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        for change in page.changes {
            if change.revision <= earlier {
                first = earlier;
                break 'pages;
            }
            first = change.revision;
            if change.revision > later {
                continue;
            }
            let key = v1::ResourceKey { kind: change.kind, id: change.id.clone() };
            let outcome = outcomes.entry((change.kind, change.id));
            let outcome =
                outcome.or_insert_with(|| ApplyOutcome { key: Some(key), after: change.after, ..Default::default() });
            outcome.before = change.before;
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if first > earlier + 1 && first != i64::MAX && kind == 0 && earlier > 0 {
        eprintln!("tollgate: the audit trail begins at revision {first}; what changed before is not shown");
    }
    let mut items = Vec::new();
    for mut outcome in outcomes.into_values() {
        if from > to {
            std::mem::swap(&mut outcome.before, &mut outcome.after);
        }
        let operation = match (&outcome.before, &outcome.after) {
            (None, Some(_)) => ApplyOperation::Created,
            (Some(_), None) => ApplyOperation::Deleted,
            (Some(_), Some(_)) => ApplyOperation::Updated,
            // Created and deleted between the two.
            (None, None) => continue,
        };
        outcome.set_operation(operation);
        let item = Item::new(&outcome, None)?;
        if operation == ApplyOperation::Updated && item.differences.is_empty() {
            continue;
        }
        if remote.json {
            print_json_line(&outcome)?;
        }
        items.push(item);
    }
    match items.is_empty() {
        _ if remote.json => Ok(()),
        true => {
            eprintln!("tollgate: nothing differs between revisions {from} and {to}");
            Ok(())
        }
        false => show(&items),
    }
}
