//! `tollgate webhooks`: where alerts are sent, and what became of them.

use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::remote::{RemoteArgs, moment, print, print_json, print_json_line, refused, table};
use super::target::Server;
use crate::proto::v1;
use crate::proto::v1::webhook_service_client::WebhookServiceClient;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  tollgate webhooks
      All webhooks.
  tollgate webhooks create --name ops --url https://alerts.example.com/tollgate --event threshold-crossed
      Create one; its secret is printed on standard output, this once.
  tollgate webhooks test ops
      Send a test event to it.
  tollgate webhooks deliveries --state failed
      Events that were given up, the newest first.")]
pub(super) struct WebhooksArgs {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List webhooks
    List(ListArgs),
    /// Create a webhook, and print its secret on standard output, this once
    Create(CreateArgs),
    /// Delete a webhook: what waits for it is not sent any more
    Delete(NamedArgs),
    /// Send a test event to a webhook
    Test(NamedArgs),
    /// List what was sent, waits or was given up, the newest first
    Deliveries(DeliveriesArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

#[derive(Args, Debug)]
struct NamedArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Id or name of the webhook
    #[arg(env = "TOLLGATE_WEBHOOK", value_name = "ID")]
    webhook: String,
}

#[derive(Args, Debug)]
struct CreateArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Its name
    #[arg(long, env = "TOLLGATE_WEBHOOK_NAME", value_name = "TEXT")]
    name: String,

    /// Where to POST: an https URL
    #[arg(long, env = "TOLLGATE_WEBHOOK_URL", hide_env_values = true, value_name = "URL")]
    url: String,

    /// An event to send; several times for several
    #[arg(
        long = "event",
        env = "TOLLGATE_WEBHOOK_EVENTS",
        value_enum,
        value_name = "EVENT",
        required = true,
        value_delimiter = ','
    )]
    events: Vec<EventArg>,

    /// How the body is written
    #[arg(long, env = "TOLLGATE_WEBHOOK_FORMAT", value_enum, value_name = "FORMAT", default_value = "standard")]
    format: FormatArg,

    /// Only what concerns this customer, its teams and their keys
    #[arg(long, env = "TOLLGATE_CUSTOMER_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    customer_id: String,

    /// Only what concerns this team and its keys
    #[arg(long, env = "TOLLGATE_TEAM_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    team_id: String,

    /// Only what concerns this virtual key
    #[arg(long, env = "TOLLGATE_VIRTUAL_KEY_ID", value_name = "ID", default_value = "", hide_default_value = true)]
    virtual_key_id: String,
}

#[derive(Args, Debug)]
struct DeliveriesArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Only those to the webhook with this id or name
    #[arg(long, env = "TOLLGATE_WEBHOOK", value_name = "ID")]
    webhook: Option<String>,

    /// Only those in this state
    #[arg(long, env = "TOLLGATE_DELIVERY_STATE", value_enum, value_name = "STATE")]
    state: Option<StateArg>,

    /// How many at most
    #[arg(long, env = "TOLLGATE_LIMIT", value_name = "N", default_value_t = 100)]
    limit: usize,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum EventArg {
    /// A limit reached one of its thresholds
    ThresholdCrossed,
    /// A virtual key expires in less than 7 days, or 1 day
    KeyExpiring,
    /// A node was not heard for 15 seconds
    NodeSilent,
    /// A server cannot write to its database
    StoreNotWritable,
}

impl EventArg {
    const fn message(self) -> v1::WebhookEvent {
        match self {
            Self::ThresholdCrossed => v1::WebhookEvent::ThresholdCrossed,
            Self::KeyExpiring => v1::WebhookEvent::KeyExpiring,
            Self::NodeSilent => v1::WebhookEvent::NodeSilent,
            Self::StoreNotWritable => v1::WebhookEvent::StoreNotWritable,
        }
    }
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum FormatArg {
    /// A JSON object with type, timestamp and data (Standard Webhooks)
    Standard,
    /// A line of text, as Slack takes it
    Slack,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum StateArg {
    Waiting,
    Delivered,
    Failed,
}

type Client = WebhookServiceClient<Server>;

pub(super) async fn run(args: WebhooksArgs) -> Result<(), Failure> {
    let WebhooksArgs { command, remote } = args;
    match command.unwrap_or(Command::List(ListArgs { remote })) {
        Command::List(args) => list(args.remote).await,
        Command::Create(args) => create(args).await,
        Command::Delete(args) => delete(args).await,
        Command::Test(args) => test(args).await,
        Command::Deliveries(args) => deliveries(args).await,
    }
}

async fn list(remote: RemoteArgs) -> Result<(), Failure> {
    let webhooks = fetch(&mut Client::new(remote.connect().await?)).await?;
    if remote.json {
        return print_json(&v1::ListWebhooksResponse { webhooks, ..Default::default() });
    }
    let rows = webhooks.iter().map(|webhook| {
        let owner =
            [("customer", &webhook.customer_id), ("team", &webhook.team_id), ("virtual key", &webhook.virtual_key_id)];
        let owner = owner.into_iter().find(|(_, id)| !id.is_empty());
        vec![
            webhook.name.clone(),
            webhook.url.clone(),
            webhook.events().map(event_name).collect::<Vec<_>>().join(","),
            owner.map(|(kind, id)| format!("{kind} {id}")).unwrap_or_default(),
            webhook.format().as_str_name().trim_start_matches("WEBHOOK_FORMAT_").to_lowercase(),
            webhook.id.clone(),
            if webhook.is_active() { String::new() } else { "inactive".to_owned() },
        ]
    });
    table(&["NAME", "URL", "EVENTS", "ONLY FOR", "FORMAT", "ID", ""], &rows.collect::<Vec<_>>())
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let CreateArgs { remote, name, url, events, format, customer_id, team_id, virtual_key_id } = args;
    let format = match format {
        FormatArg::Standard => v1::WebhookFormat::Standard,
        FormatArg::Slack => v1::WebhookFormat::Slack,
    };
    let webhook = v1::Webhook {
        name,
        url,
        events: events.into_iter().map(|event| event.message().into()).collect(),
        format: format.into(),
        customer_id,
        team_id,
        virtual_key_id,
        ..v1::Webhook::default()
    };
    let request = v1::CreateWebhookRequest { webhook: Some(webhook), ..Default::default() };
    let answer = Client::new(remote.connect().await?).create_webhook(request).await;
    let webhook = answer.map_err(|status| refused(&status))?.into_inner().webhook.unwrap_or_default();
    if remote.json {
        return print_json(&webhook);
    }
    // Standard output has the secret alone, for scripts.
    eprintln!("secret of webhook {} ({}), shown this once:", webhook.name, webhook.id);
    print(&webhook.secret)
}

async fn delete(args: NamedArgs) -> Result<(), Failure> {
    let mut client = Client::new(args.remote.connect().await?);
    let id = id_of(&mut client, &args.webhook).await?;
    let request = v1::DeleteWebhookRequest { id: id.clone(), ..Default::default() };
    let answer = client.delete_webhook(request).await.map_err(|status| refused(&status))?.into_inner();
    if args.remote.json {
        return print_json(&answer);
    }
    print(&format!("deleted webhook {id} with revision {}", answer.revision))
}

async fn test(args: NamedArgs) -> Result<(), Failure> {
    let mut client = Client::new(args.remote.connect().await?);
    let request = v1::SendTestEventRequest { id: id_of(&mut client, &args.webhook).await? };
    let answer = client.send_test_event(request).await.map_err(|status| refused(&status))?.into_inner();
    if args.remote.json {
        return print_json(&answer);
    }
    let id = answer.delivery.unwrap_or_default().id;
    print(&format!("a test event is on its way, as {id}; `tollgate webhooks deliveries` shows what became of it"))
}

async fn deliveries(args: DeliveriesArgs) -> Result<(), Failure> {
    let DeliveriesArgs { remote, webhook, state, limit } = args;
    let mut client = Client::new(remote.connect().await?);
    let webhooks = fetch(&mut client).await?;
    let webhook_id = webhook.map(|webhook| named(&webhooks, webhook)).unwrap_or_default();
    let state = match state {
        None => v1::WebhookDeliveryState::Unspecified,
        Some(StateArg::Waiting) => v1::WebhookDeliveryState::Waiting,
        Some(StateArg::Delivered) => v1::WebhookDeliveryState::Delivered,
        Some(StateArg::Failed) => v1::WebhookDeliveryState::Failed,
    };
    let mut request = v1::ListWebhookDeliveriesRequest { webhook_id, state: state.into(), ..Default::default() };
    let mut found = Vec::new();
    while found.len() < limit {
        request.page_size = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
        let page = client.list_webhook_deliveries(request.clone()).await;
        let page = page.map_err(|status| refused(&status))?.into_inner();
        found.extend(page.deliveries);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    if remote.json {
        return found.iter().try_for_each(print_json_line);
    }
    let rows = found.iter().map(|delivery| {
        let webhook = webhooks.iter().find(|it| it.id == delivery.webhook_id);
        vec![
            delivery.created_at.as_ref().map(moment).unwrap_or_default(),
            webhook.map_or_else(|| format!("(deleted) {}", delivery.webhook_id), |it| it.name.clone()),
            event_name(delivery.event()),
            delivery.state().as_str_name().trim_start_matches("WEBHOOK_DELIVERY_STATE_").to_lowercase(),
            delivery.attempts.to_string(),
            delivery.next_attempt_at.as_ref().map(moment).unwrap_or_default(),
            delivery.id.clone(),
            delivery.last_error.clone(),
        ]
    });
    let head = ["NOTICED", "WEBHOOK", "EVENT", "STATE", "ATTEMPTS", "NEXT", "ID", "ERROR"];
    table(&head, &rows.collect::<Vec<_>>())
}

fn event_name(event: v1::WebhookEvent) -> String {
    event.as_str_name().trim_start_matches("WEBHOOK_EVENT_").to_lowercase().replace('_', "-")
}

async fn fetch(client: &mut Client) -> Result<Vec<v1::Webhook>, Failure> {
    let mut request = v1::ListWebhooksRequest { page_size: 1_000, ..Default::default() };
    let mut webhooks = Vec::new();
    loop {
        let page = client.list_webhooks(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        webhooks.extend(page.webhooks);
        if page.next_page_token.is_empty() {
            return Ok(webhooks);
        }
        request.page_token = page.next_page_token;
    }
}

/// The id of the webhook with this id or name.
async fn id_of(client: &mut Client, webhook: &str) -> Result<String, Failure> {
    Ok(named(&fetch(client).await?, webhook.to_owned()))
}

fn named(webhooks: &[v1::Webhook], webhook: String) -> String {
    webhooks.iter().find(|it| it.name == webhook).map_or(webhook, |it| it.id.clone())
}
