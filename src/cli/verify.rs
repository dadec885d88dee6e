//! `tollgate verify`: whether a store is what its history says, and a server's memory what the store says. It reads
//! beside a running server.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use prost::Message as _;

use super::Failure;
use super::database::Database;
use super::remote::{print, refused};
use super::target::Target;
use crate::domain::{Kind, ResourceKey};
use crate::ledger::{Verification, verify};
use crate::proto::v1::WatchConfigRequest;
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::store::Store;
use crate::watch::{Progress, Reducer, View};

/// How long a stream may take to bring everything.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often the database is read again because the server has gone on meanwhile.
const TRIES: usize = 10;

#[derive(Args, Debug)]
#[command(after_help = "\
Recomputes the hash chain from the log, folds the log and compares that with the tables; with --memory
also what a running server (of --server, with a token of role node or admin) has in memory. Reads only,
and may run beside the server. The chain that it prints can be compared with the one that servers log
every hour. Exit code 1 if anything is not as it should be.

Examples:
  tollgate verify --database sqlite:///var/lib/tollgate/tollgate.db
  TOLLGATE_TOKEN=tg_… tollgate verify --database sqlite://tollgate.db --memory")]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    database: Database,

    /// Compare with the memory of a running server, too
    #[arg(long, env = "TOLLGATE_MEMORY", value_parser = BoolishValueParser::new())]
    memory: bool,

    #[command(flatten)]
    target: Target,
}

pub(super) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    let VerifyArgs { database, memory, target } = args;
    let database = database.url()?;
    let store = Store::open_beside(&database).await?;
    let compared =
        async { if memory { with_memory(&store, &target).await } else { Ok((verify(&store).await?, None)) } };
    let compared = compared.await;
    store.close().await;
    let (found, in_memory) = compared?;

    let Verification { head, first_revision, revisions, resources, faults } = found;
    print(&format!("store     {}", head.store_id))?;
    print(&format!("revision  {}", head.revision))?;
    print(&format!("chain     {}", head.chain))?;
    print(&format!("log       {revisions} revisions, from {first_revision} on"))?;
    print(&format!("tables    {} resources", resources.len()))?;
    if let Some(in_memory) = in_memory {
        print(&format!("memory    {in_memory} resources"))?;
    }
    for fault in &faults {
        print(&format!("FAULT     {fault}"))?;
    }
    match faults.is_empty() {
        true => print("all of it agrees"),
        false => Err(Failure::Failed(format!("{} fault(s) in {database}", faults.len()).into())),
    }
}

/// Verifies the store, and compares it with a server's memory at the same revision. Also returns how many resources that
/// memory has.
async fn with_memory(store: &Store, target: &Target) -> Result<(Verification, Option<usize>), Failure> {
    for _ in 0..TRIES {
        let mut found = verify(store).await?;
        let view = follow(target, found.head.revision).await?;
        if view.revision() == found.head.revision {
            compare(&view, &mut found);
            let in_memory = view.len();
            return Ok((found, Some(in_memory)));
        }
    }
    Err(Failure::Failed("the server changes faster than its database can be read; try again".into()))
}

/// What the server has in memory, at `revision` or later.
async fn follow(target: &Target, revision: i64) -> Result<View, Failure> {
    let mut client = ConfigServiceClient::new(target.connect(PATIENCE).await?);
    let request = WatchConfigRequest { min_revision: revision, ..WatchConfigRequest::default() };
    let mut messages = client.watch_config(request).await.map_err(|status| refused(&status))?.into_inner();
    let mut reducer = Reducer::new();
    while let Some(message) = messages.message().await.map_err(|status| refused(&status))? {
        if let Progress::Bookmarked { .. } = reducer.apply(message)? {
            return Ok(View::clone(&reducer.state()));
        }
    }
    Err(Failure::Failed("the server ended the stream".into()))
}

fn compare(view: &View, found: &mut Verification) {
    let mut tables: HashMap<ResourceKey, blake3::Hash> = found.resources.clone();
    for (key, resource) in view.iter() {
        let Some(kind) = Kind::from_number(key.kind) else { continue };
        let key = ResourceKey { kind, id: key.id.as_str().into() };
        match tables.remove(&key) {
            None => found.fault(format!("{key} is in the server's memory, but not in the tables")),
            Some(hash) if hash != blake3::hash(&resource.encode_to_vec()) => {
                found.fault(format!("{key} is not in the server's memory as it is in the tables"));
            }
            Some(_) => {}
        }
    }
    for key in tables.into_keys() {
        found.fault(format!("{key} is in the tables, but not in the server's memory"));
    }
}
