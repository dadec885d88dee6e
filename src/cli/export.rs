//! `tollgate export`: writes a whole store into a file, from which `tollgate import` makes another one.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::BoolishValueParser;

use super::database::Database;
use super::progress::Progress;
use super::{Failure, stop_signal};
use crate::archive;
use crate::domain::Timestamp;
use crate::store::{Snapshot, Store};

#[derive(Args, Debug)]
#[command(after_help = "\
Reads only, may run beside the server, and shows one moment: what is written meanwhile is not in it. The \
file has everything but the history: resources with ids, times and anchors, what was counted and how far \
each node's batches were, access tokens, and the requests of the last 24 hours. Of keys and access tokens \
it has hashes, and no values; keep it as you keep the database. A usage batch that is acknowledged after the export is \
in the old store only: stop the servers first if you mean to move.

Examples:
  tollgate export --database sqlite://tollgate.db --output tollgate.jsonl
  tollgate export | gzip > tollgate.jsonl.gz")]
pub(super) struct ExportArgs {
    #[command(flatten)]
    database: Database,

    /// The file, which only you may read; `-` for standard output
    #[arg(long, env = "TOLLGATE_OUTPUT", default_value = "-", value_name = "FILE")]
    output: PathBuf,

    /// Replace the file if it exists
    #[arg(long, env = "TOLLGATE_FORCE", value_parser = BoolishValueParser::new())]
    force: bool,
}

pub(super) async fn run(args: ExportArgs) -> Result<(), Failure> {
    let ExportArgs { database, output, force } = args;
    let to_stdout = output.as_os_str() == "-";
    if !force && !to_stdout && output.exists() {
        return Err(exists(&output));
    }
    let store = Store::open_beside(&database.url()?).await?;
    let exported = async {
        let snapshot = store.snapshot().await?;
        match to_stdout {
            true => export(&snapshot, io::stdout().lock()).await,
            false => to_file(&snapshot, &output, force).await,
        }
    };
    let exported = exported.await;
    store.close().await;
    let (records, revision) = exported?;
    let place = if to_stdout { "standard output".into() } else { output.to_string_lossy() };
    eprintln!("exported {records} records at revision {revision} to {place}");
    Ok(())
}

async fn export(snapshot: &Snapshot, out: impl io::Write) -> Result<(u64, i64), Failure> {
    let mut progress =
        Progress::new("exporting", snapshot.count().await?, "{msg} {wide_bar} {pos}/{len} records, {eta} left");
    let out = BufWriter::with_capacity(1 << 20, out);
    let records = archive::export(snapshot, out, Timestamp::now(), |records| progress.reach(records)).await?;
    Ok((records, snapshot.head().revision))
}

/// The file is there when it is whole, or not at all.
async fn to_file(snapshot: &Snapshot, output: &Path, force: bool) -> Result<(u64, i64), Failure> {
    let explain = |error: io::Error| io::Error::new(error.kind(), format!("{} (--output): {error}", output.display()));
    let directory = output.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Nobody else may read it, which is what this makes by default.
    let draft = tempfile::Builder::new().prefix(".tollgate-export-").tempfile_in(directory).map_err(explain)?;
    let mut signal = stop_signal()?;
    let done = tokio::select! {
        done = export(snapshot, draft.as_file()) => done?,
        signal = signal.received() => return Err(Failure::Failed(format!("stopped by {signal}; there is no export").into())),
    };
    draft.as_file().sync_all().map_err(explain)?;
    match force {
        true => draft.persist(output).map_err(|error| explain(error.error))?,
        false => draft.persist_noclobber(output).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => exists(output),
            _ => explain(error.error).into(),
        })?,
    };
    // Its name must be on disk, too.
    #[cfg(unix)]
    std::fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(explain)?;
    Ok(done)
}

fn exists(output: &Path) -> Failure {
    Failure::Failed(format!("{} exists; choose another name, or replace it with --force", output.display()).into())
}
