//! `tollgate price`: which price a model has, and which pricing override applies to a request.

use clap::Args;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::Failure;
use super::key::KeyArgs;
use super::remote::{RemoteArgs, print, print_json, refused, table};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::v1;
use crate::proto::v1::decision_service_client::DecisionServiceClient;

#[derive(Args, Debug)]
#[command(after_help = "\
Prints the rates: those of the price of the model at the provider, overlaid with those of the override that applies; then every override that matches the model, the winner first, with why the others lost.

Example:
  tollgate price --model gpt-4o --provider openai --virtual-key notebook")]
pub(super) struct PriceArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The model
    #[arg(long, env = "TOLLGATE_MODEL", value_name = "MODEL")]
    model: String,

    /// The kind of request
    #[arg(long, env = "TOLLGATE_REQUEST_TYPE", default_value = "chat_completion", value_name = "KIND")]
    request_type: String,

    #[command(flatten)]
    key: KeyArgs,

    /// The provider [default: none]
    #[arg(long, env = "TOLLGATE_PROVIDER", default_value = "", hide_default_value = true, value_name = "NAME")]
    provider: String,

    /// Id of the provider key [default: none]
    #[arg(long, env = "TOLLGATE_PROVIDER_KEY", default_value = "", hide_default_value = true, value_name = "ID")]
    provider_key: String,
}

pub(super) async fn run(args: PriceArgs) -> Result<(), Failure> {
    let PriceArgs { remote, model, request_type, key, provider, provider_key } = args;
    let server = remote.connect().await?;
    let request = v1::ResolvePriceRequest {
        virtual_key_id: key.id(&server).await?,
        provider,
        provider_key_id: provider_key,
        model,
        request_type,
        base: None,
        at: None,
    };
    let mut client = DecisionServiceClient::new(server);
    let answer = client.resolve_price(request).await.map_err(|status| refused(&status))?.into_inner();
    if remote.json {
        return print_json(&answer);
    }
    match &answer.model_price {
        Some(price) => print(&format!("price of {} at {} ({})", price.model, price.provider, price.id))?,
        None => print("the model has no price")?,
    }
    match &answer.winner {
        Some(winner) => print(&format!("override {} ({}), pattern {}", winner.name, winner.id, winner.pattern))?,
        None => print("no pricing override applies")?,
    }
    if answer.model_price.is_none() && answer.winner.is_none() {
        return candidates(&answer);
    }
    print("")?;
    let rates = rates(&answer.rates.unwrap_or_default())?.into_iter().map(Vec::from);
    table(&["RATE", "USD"], &rates.collect::<Vec<_>>())?;
    candidates(&answer)
}

/// The rates that are present, each with its name.
pub(super) fn rates(patch: &v1::PricingPatch) -> Result<Vec<[String; 2]>, Failure> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let Some(descriptor) = pool.get_message_by_name("tollgate.v1.PricingPatch") else { return Ok(Vec::new()) };
    let dynamic = DynamicMessage::decode(descriptor, patch.encode_to_vec().as_slice())?;
    let present = dynamic.fields().filter_map(|(field, value)| {
        let rate = value.as_f64()?;
        Some((field.number(), [field.name().to_owned(), rate.to_string()]))
    });
    let mut present: Vec<_> = present.collect();
    present.sort_by_key(|(number, _)| *number);
    Ok(present.into_iter().map(|(_, row)| row).collect())
}

fn candidates(answer: &v1::ResolvePriceResponse) -> Result<(), Failure> {
    if answer.candidates.is_empty() {
        return Ok(());
    }
    print("")?;
    let rows = answer.candidates.iter().map(|candidate| {
        let scope = candidate.scope_kind().as_str_name().trim_start_matches("PRICING_SCOPE_KIND_").to_lowercase();
        vec![candidate.name.clone(), scope, candidate.id.clone(), candidate.why.clone()]
    });
    table(&["OVERRIDE", "SCOPE", "ID", "RESULT"], &rows.collect::<Vec<_>>())
}
