//! `tollgate migrate`: tells which migrations of the schema a database has, and applies those that it lacks. `tollgate
//! serve` applies them too; here it is done before a server starts, and by whom it is to be done.

use clap::{Args, Subcommand};

use super::Failure;
use super::database::Database;
use super::remote::{print, table};
use crate::store::{DatabaseUrl, Store};

#[derive(Args, Debug)]
pub(super) struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Subcommand, Debug)]
enum MigrateCommand {
    /// List the migrations that this version knows, and which of them the database has
    Status(DatabaseArgs),
    /// Apply the migrations that the database lacks; a database that is empty becomes a store
    Up(DatabaseArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "\
`tollgate serve` migrates by itself when it starts. `status` reads only and may run beside a \
server; so may `up` on PostgreSQL, where servers of the version before go on. On SQLite `up` needs the \
server to be stopped. Exit code 1 if the database was migrated by a newer version, or is no store.

Example:
  tollgate migrate up --database postgres://tollgate@db.example/tollgate")]
struct DatabaseArgs {
    #[command(flatten)]
    database: Database,
}

pub(super) async fn run(args: MigrateArgs) -> Result<(), Failure> {
    match args.command {
        MigrateCommand::Status(DatabaseArgs { database }) => status(&database.url()?).await,
        MigrateCommand::Up(DatabaseArgs { database }) => up(&database.url()?).await,
    }
}

async fn status(database: &DatabaseUrl) -> Result<(), Failure> {
    let migrations = Store::migrations(database).await?;
    let rows = migrations.iter().map(|migration| {
        let applied = migration.applied_at.map_or_else(|| "pending".to_owned(), |at| at.to_string());
        vec![migration.name.clone(), applied]
    });
    table(&["MIGRATION", "APPLIED"], &rows.collect::<Vec<_>>())
}

async fn up(database: &DatabaseUrl) -> Result<(), Failure> {
    let applied = Store::migrate(database).await?;
    for name in &applied {
        print(&format!("applied {name}"))?;
    }
    if applied.is_empty() {
        print("nothing is pending")?;
    }
    Ok(())
}
