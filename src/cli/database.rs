//! `--database` of the commands that use one without serving it.

use clap::Args;

use crate::store::{DatabaseUrl, StoreError};

#[derive(Args, Debug)]
pub(super) struct Database {
    /// The database
    #[arg(
        long,
        env = "TOLLGATE_DATABASE",
        hide_env_values = true,
        default_value = "sqlite://tollgate.db",
        value_name = "URL"
    )]
    database: String,
}

impl Database {
    /// The URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn url(&self) -> Result<DatabaseUrl, StoreError> {
        DatabaseUrl::parse(&self.database)
    }
}
