//! `tollgate credit`: hard limits of which nodes hold credit, and how far each can be and was exceeded.

use clap::Args;

use super::Failure;
use super::remote::{RemoteArgs, amount, kind_name, moment, print, print_json_line, refused, table};
use crate::domain::LimitOwner;
use crate::proto::v1;
use crate::proto::v1::node_service_client::NodeServiceClient;

const HEAD: [&str; 11] = [
    "LIMIT",
    "KIND",
    "OWNER",
    "WINDOW FROM",
    "MAX",
    "COUNTED",
    "UNCOVERED",
    "GRANTED",
    "OUT",
    "LEFT",
    "OVERSHOOT NOW/POSSIBLE",
];

#[derive(Args, Debug)]
#[command(after_help = "\
UNCOVERED is the part of COUNTED that no node held credit for: usage from before credit was first asked for, of clients that \
report without credit, of requests that a limit began to apply to after they were admitted, and of nodes that were \
forgotten. OUT is what nodes hold and have not used, as far as they reported. A limit can be exceeded by what was lowered while credit \
was out, and by requests that cost more than they reserved.

Examples:
  tollgate credit
      Each hard limit on which there is credit.
  tollgate credit --limit 0190a8f0-…
      One of them, with the nodes that hold it.")]
pub(super) struct CreditArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Only this budget or rate limit, with its nodes
    #[arg(long, env = "TOLLGATE_LIMIT_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    limit: String,

    /// Only limits of which this node holds credit
    #[arg(long, env = "TOLLGATE_NODE_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    node_id: String,
}

pub(super) async fn run(args: CreditArgs) -> Result<(), Failure> {
    let CreditArgs { remote, limit, node_id } = args;
    let mut client = NodeServiceClient::new(remote.connect().await?);
    let with_nodes = !limit.is_empty();
    let mut request = v1::ListCreditRequest { page_size: 1_000, limit_id: limit, node_id, ..Default::default() };
    let mut limits = Vec::new();
    loop {
        let page = client.list_credit(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        limits.extend(page.limits);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if remote.json {
        return limits.iter().try_for_each(print_json_line);
    }
    table(&HEAD, &limits.iter().map(cells).collect::<Vec<_>>())?;
    if with_nodes {
        limits.iter().try_for_each(nodes)?;
    }
    Ok(())
}

fn cells(limit: &v1::LimitCredit) -> Vec<String> {
    let key = limit.key.clone().unwrap_or_default();
    let kind = key.kind();
    let owner = limit.owner.clone().map(LimitOwner::from);
    let owner = owner.map_or_else(|| "(deleted)".to_owned(), |owner| owner.to_string());
    let overshoot = format!(
        "{} / {}{}",
        amount(kind, limit.overshoot),
        amount(kind, limit.worst_possible_overshoot),
        if limit.recovering { ", recovering" } else { "" }
    );
    vec![
        key.limit_id.clone(),
        kind_name(kind).to_owned(),
        owner,
        key.window_start.as_ref().map(moment).unwrap_or_default(),
        amount(kind, limit.max),
        amount(kind, limit.counted),
        amount(kind, limit.uncovered),
        amount(kind, limit.granted),
        amount(kind, limit.outstanding),
        amount(kind, limit.left),
        overshoot,
    ]
}

fn nodes(limit: &v1::LimitCredit) -> Result<(), Failure> {
    let key = limit.key.clone().unwrap_or_default();
    let kind = key.kind();
    print("")?;
    let rows: Vec<Vec<String>> = limit
        .nodes
        .iter()
        .map(|node| {
            let numbers = [node.granted, node.used, node.returned].map(|number| amount(kind, number));
            [vec![node.node_id.clone(), node.incarnation.to_string()], numbers.to_vec()].concat()
        })
        .collect();
    table(&["NODE", "INCARNATION", "GRANTED", "USED", "RETURNED"], &rows)
}
