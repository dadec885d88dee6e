//! `tollgate prices unpriced`: the models that were used without a price.

use clap::Args;

use super::super::Failure;
use super::super::remote::{RemoteArgs, print, print_json, refused, table};
use super::PAGE;
use crate::proto::v1;
use crate::proto::v1::model_price_service_client::ModelPriceServiceClient;

#[derive(Args, Debug)]
#[command(after_help = "\
Nodes mark requests whose price they did not know: these cost nothing, so that no budget could fill. Give the models prices with `tollgate prices import` or CreateModelPrice.

Example:
  tollgate prices unpriced --from 2026-11-01T00:00:00Z")]
pub(super) struct UnpricedArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The beginning, an instant on a whole hour as 2026-11-01T00:00:00Z [default: that of the present month]
    #[arg(long, env = "TOLLGATE_FROM", value_name = "TIME", value_parser = instant)]
    from: Option<prost_types::Timestamp>,

    /// The end, which does not belong to it, an instant on a whole hour [default: now]
    #[arg(long, env = "TOLLGATE_TO", value_name = "TIME", value_parser = instant)]
    to: Option<prost_types::Timestamp>,
}

fn instant(text: &str) -> Result<prost_types::Timestamp, String> {
    text.parse().map_err(|_| "is no instant; write 2026-11-01T00:00:00Z".to_owned())
}

pub(super) async fn run(args: UnpricedArgs) -> Result<(), Failure> {
    let UnpricedArgs { remote, from, to } = args;
    let mut client = ModelPriceServiceClient::new(remote.connect().await?);
    let mut request = v1::ListUnpricedRequest { from, to, page_size: PAGE, page_token: String::new() };
    let mut models = Vec::new();
    loop {
        let page = client.list_unpriced(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        models.extend(page.models);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if remote.json {
        return print_json(&v1::ListUnpricedResponse { models, next_page_token: String::new() });
    }
    if models.is_empty() {
        return print("no model was used without a price");
    }
    let rows = models.into_iter().map(|it| {
        let now = if it.has_price { "priced" } else { "NO PRICE" };
        vec![it.provider, it.model, it.unpriced_requests.to_string(), it.requests.to_string(), now.to_owned()]
    });
    table(&["PROVIDER", "MODEL", "UNPRICED", "REQUESTS", "NOW"], &rows.collect::<Vec<_>>())
}
