//! Opening a database that a running server may have, to read it and nothing else.

use std::sync::{Arc, Mutex};

use super::Store;
use super::connect::{self, DatabaseUrl, Role};
use super::error::StoreError;

impl Store {
    /// Opens the database for reading, beside whoever has it: takes no lock and changes nothing. Every write fails.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; also if there is no such database.
    pub async fn open_beside(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let path = url.path();
        if !path.exists() {
            let what = format!("there is no database {}", path.display());
            return Err(StoreError::Open { what, detail: String::new() });
        }
        let readers = connect::connect(path, Role::Reader).await.map_err(|error| connect::cannot_open(path, &error))?;
        connect::examine(&readers, path).await?;
        Ok(Self { writer: readers.clone(), readers, lock: Arc::new(Mutex::new(None)) })
    }
}
