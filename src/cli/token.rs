//! `tollgate token`: makes, lists and revokes tokens at a server, or makes one in the database of a stopped server.

use std::time::{Duration, SystemTime};

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};
use prost::Message as _;

use super::Failure;
use super::remote::{RemoteArgs, moment, print, print_json, refused, table};
use crate::access::Tokens;
use crate::domain::{Path, Stored, Token, Violations};
use crate::ledger::{Call, Clock};
use crate::proto::v1;
use crate::proto::v1::token_service_client::TokenServiceClient;
use crate::store::{DatabaseUrl, Store};
use crate::wire::{Form, Wire as _, parse_token};

#[derive(Args, Debug)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    /// Create an access token, and print it on standard output, this once
    Create(CreateArgs),
    /// List access tokens
    List(ListArgs),
    /// Revoke an access token for good
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "\
The first access token must have role admin and not expire; from then on callers must send one.

Examples:
  tollgate token create --name ops --role admin
      Create the first access token, at a server on this machine.
  tollgate token create --name gw-1 --role node --node-id gw-1 --expires-in 90d
      Create an access token for one node, as the caller whose access token is in TOLLGATE_TOKEN.
  tollgate token create --name rescue --role admin --database sqlite://tollgate.db
      Create an access token without having one, in the database of a stopped server.")]
struct CreateArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Its name, for people and the audit trail; free again once it is revoked
    #[arg(long, env = "TOLLGATE_TOKEN_NAME", value_name = "TEXT")]
    name: String,

    /// Role of its holder
    #[arg(long, env = "TOLLGATE_TOKEN_ROLE", value_enum)]
    role: RoleArg,

    /// The one node that its holder speaks for (role node) [default: any]
    #[arg(long, env = "TOLLGATE_TOKEN_NODE_ID", value_name = "TEXT", default_value = "", hide_default_value = true)]
    node_id: String,

    /// Lifetime, from now on [default: it does not expire]
    #[arg(long, env = "TOLLGATE_EXPIRES_IN", value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,

    /// Create it in this database instead, whose server must be stopped. `tollgate serve` or `tollgate migrate up` makes a
    /// database
    #[arg(long, env = "TOLLGATE_TOKEN_DATABASE", hide_env_values = true, value_name = "URL")]
    database: Option<String>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum RoleArg {
    /// Everything
    Admin,
    /// Reads and watches, without hashes of secrets
    Viewer,
    /// The methods that a data-plane node needs
    Node,
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Also those that were revoked or have expired
    #[arg(long, env = "TOLLGATE_ALL", value_parser = BoolishValueParser::new())]
    all: bool,
}

#[derive(Args, Debug)]
struct RevokeArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// Id or name of the access token
    #[arg(env = "TOLLGATE_TOKEN_ID", value_name = "ID")]
    id: String,
}

pub(super) async fn run(args: TokenArgs) -> Result<(), Failure> {
    match args.command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::List(args) => list(args).await,
        TokenCommand::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: CreateArgs) -> Result<(), Failure> {
    let CreateArgs { remote, name, role, node_id, expires_in, database } = args;
    let role = match role {
        RoleArg::Admin => v1::Role::Admin,
        RoleArg::Viewer => v1::Role::Viewer,
        RoleArg::Node => v1::Role::Node,
    };
    let expires_at = expires_in.map(|time| SystemTime::now() + time).map(prost_types::Timestamp::from);
    let token = v1::Token { name, role: role.into(), node_id, expires_at, ..v1::Token::default() };
    let made = match database {
        Some(database) => create_offline(&database, token).await?,
        None => {
            let request = v1::CreateTokenRequest { token: Some(token), ..v1::CreateTokenRequest::default() };
            let answer = TokenServiceClient::new(remote.connect().await?).create_token(request).await;
            answer.map_err(|status| refused(&status))?.into_inner().token.unwrap_or_default()
        }
    };
    if remote.json {
        return print_json(&made);
    }
    // Standard output has the token alone, for scripts.
    eprintln!("token {} ({}), shown this once:", made.name, made.id);
    print(&made.value)
}

/// Makes a token in a database that no server has.
async fn create_offline(database: &str, token: v1::Token) -> Result<v1::Token, Failure> {
    let (mut violations, clock) = (Violations::new(), Clock::system());
    let token = parse_token(token, &Path::root("token"), clock.now(), &mut violations);
    let Some(token) = token.filter(|_| violations.is_empty()) else {
        let all: Vec<_> = violations.iter().map(|it| format!("{}: {}", it.field, it.description)).collect();
        return Err(Failure::Failed(all.join("; ").into()));
    };
    let store = Store::open_existing(&DatabaseUrl::parse(database)?, Store::MIN_CONNECTIONS).await?;
    let call = Call { actor: "tollgate".to_owned(), ..Call::of("token create --database") };
    let render = |token: &Stored<Token>| Token::render(token, Form::Answer(token.updated_at)).encode_to_vec();
    let made = Tokens::create_offline(&store, &clock, &call, token, render).await;
    store.close().await;
    let (answer, value) = made?;
    let made = v1::Token::decode(answer.response).map_err(|error| Failure::Failed(error.into()))?;
    Ok(v1::Token { value, ..made })
}

async fn list(args: ListArgs) -> Result<(), Failure> {
    let ListArgs { remote, all } = args;
    let tokens = fetch(&remote, all).await?;
    if remote.json {
        return print_json(&v1::ListTokensResponse { tokens, ..Default::default() });
    }
    let rows = tokens.iter().map(|token| {
        let ended = token.revoked_at.as_ref().map(|at| format!("revoked {} by {}", moment(at), token.revoked_by));
        let ended = ended.or_else(|| token.expires_at.as_ref().map(|at| format!("expires {}", moment(at))));
        vec![
            token.name.clone(),
            token.role().as_str_name().trim_start_matches("ROLE_").to_lowercase(),
            token.node_id.clone(),
            token.id.clone(),
            token.created_by.clone(),
            token.last_used_at.as_ref().map_or_else(|| "never".to_owned(), moment),
            ended.unwrap_or_default(),
        ]
    });
    table(&["NAME", "ROLE", "NODE", "ID", "MADE BY", "LAST USED", ""], &rows.collect::<Vec<_>>())
}

async fn fetch(remote: &RemoteArgs, include_ended: bool) -> Result<Vec<v1::Token>, Failure> {
    let mut client = TokenServiceClient::new(remote.connect().await?);
    let mut request = v1::ListTokensRequest { page_size: 1_000, include_ended, ..Default::default() };
    let mut tokens = Vec::new();
    loop {
        let page = client.list_tokens(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        tokens.extend(page.tokens);
        if page.next_page_token.is_empty() {
            return Ok(tokens);
        }
        request.page_token = page.next_page_token;
    }
}

async fn revoke(args: RevokeArgs) -> Result<(), Failure> {
    let RevokeArgs { remote, id } = args;
    // Of those with this name, the one that still works.
    let named = fetch(&remote, true).await?.into_iter().filter(|token| token.name == id);
    let named = named.min_by_key(|token| token.revoked_at.is_some());
    let id = named.map_or(id, |token| token.id);
    let request = v1::RevokeTokenRequest { id, ..Default::default() };
    let answer = TokenServiceClient::new(remote.connect().await?).revoke_token(request).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    if remote.json {
        return print_json(&answer);
    }
    let token = answer.token.unwrap_or_default();
    print(&format!("revoked {} ({})", token.name, token.id))
}
