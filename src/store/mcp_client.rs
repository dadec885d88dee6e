//! MCP clients in their table, `mcp_client`.

use super::cell::{self, Reading};
use super::entity::mcp_client;
use super::error::StoreError;
use super::persist::{Names, Persist, Row, Rows, Which, rows};
use super::tx::ReadTx;
use crate::domain::{McpClient, Stored};

impl Row for mcp_client::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Persist for McpClient {
    fn lay(stored: &Stored<Self>, _other: Option<&Stored<Self>>, rows: &mut Rows) {
        let Stored { id, revision, created_at, updated_at, resource } = stored;
        let Self { tools, managed_by } = resource;
        rows.mcp_client.push(mcp_client::Model {
            id: id.to_string(),
            revision: *revision,
            created_at: created_at.as_micros(),
            updated_at: updated_at.as_micros(),
            tools: cell::list(tools),
            managed_by: managed_by.to_string(),
        });
    }

    async fn fetch(tx: &ReadTx, which: Which<'_>, names: &mut Names) -> Result<Vec<Stored<Self>>, StoreError> {
        let clients = rows(tx, which.select::<mcp_client::Entity>(mcp_client::Column::Id)).await?;
        let mut read = |row: mcp_client::Model| {
            let reading = Reading { table: "mcp_client", id: &row.id };
            Ok(Stored {
                id: names.share(&row.id),
                revision: row.revision,
                created_at: reading.time(row.created_at)?,
                updated_at: reading.time(row.updated_at)?,
                resource: Self { tools: reading.list(&row.tools)?, managed_by: row.managed_by.into() },
            })
        };
        clients.into_iter().map(&mut read).collect()
    }
}
