//! `tollgate import`: fills an empty database with what `tollgate export` wrote.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::database::Database;
use super::progress::Progress;
use super::remote::print;
use crate::archive::{self, ImportError, Imported};
use crate::store::Store;

#[derive(Args, Debug)]
#[command(after_help = "\
The database must be new: an empty file name, or an empty database of PostgreSQL, that no server was \
started on. Either all of the file is in it afterwards, or nothing. The store gets an id of its own, and \
its revisions begin anew: watchers get a snapshot (STORE_CHANGED) when they connect. Nodes go on with the \
incarnations that they have, and access tokens and keys work as before. Memory is needed as for a server.

Examples:
  tollgate import --database postgres://tollgate@db.example/tollgate --input tollgate.jsonl
  gunzip < tollgate.jsonl.gz | tollgate import --database sqlite://new.db")]
pub(super) struct ImportArgs {
    #[command(flatten)]
    database: Database,

    /// The file; `-` for standard input
    #[arg(long, env = "TOLLGATE_INPUT", default_value = "-", value_name = "FILE")]
    input: PathBuf,
}

pub(super) async fn run(args: ImportArgs) -> Result<(), Failure> {
    let ImportArgs { database, input } = args;
    let database = database.url()?;
    let explain = |error: io::Error| io::Error::new(error.kind(), format!("{} (--input): {error}", input.display()));
    let file = match input.as_os_str() == "-" {
        true => None,
        false => Some(File::open(&input).map_err(explain)?),
    };
    let store = Store::open(&database, Store::MIN_CONNECTIONS).await?;
    let imported = match file {
        None => import(&store, io::stdin().lock(), None).await,
        Some(file) => {
            let size = file.metadata().ok().map(|metadata| metadata.len());
            import(&store, BufReader::with_capacity(1 << 20, file), size).await
        }
    };
    store.close().await;
    let Imported { records, revision } = imported?;
    print(&format!("imported {records} records; the store is at revision {revision}"))
}

async fn import(store: &Store, input: impl io::BufRead, size: Option<u64>) -> Result<Imported, ImportError> {
    let template = match size {
        Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left",
        None => "{msg} {bytes}",
    };
    let mut progress = Progress::new("importing", size.unwrap_or(0), template);
    archive::import(store, input, |bytes| progress.reach(bytes)).await
}
