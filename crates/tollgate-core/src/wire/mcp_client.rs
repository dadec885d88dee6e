//! MCP clients.

use super::provider::named;
use super::text::{id_name, managed_by, names, timestamp};
use super::{Form, Wire};
use crate::domain::{McpClient, Path, Stored, Violations};
use crate::proto::v1;

impl Wire for McpClient {
    type Message = v1::McpClient;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at"];
    const IMMUTABLE: &'static [&'static str] = &["name"];
    const NAMED_BY_ID: bool = true;

    fn parse(message: v1::McpClient, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::McpClient { name, tools, managed_by: manager, .. } = message;
        id_name(&name, &path.field("name"), violations);
        Some(Self {
            tools: names(&tools, &path.field("tools"), violations),
            managed_by: managed_by(&manager, path, violations),
        })
    }

    fn render(stored: &Stored<Self>, _form: Form) -> v1::McpClient {
        let Self { tools, managed_by } = &stored.resource;
        v1::McpClient {
            id: stored.id.to_string(),
            name: stored.id.to_string(),
            tools: tools.iter().map(ToString::to_string).collect(),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, _message: &v1::McpClient, _form: Form, _path: &Path<'_>, _violations: &mut Violations) {}

    fn times(message: &v1::McpClient) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::McpClient) -> (&str, i64) {
        (named(&message.name, &message.id), message.revision)
    }

    fn config_resource(message: v1::McpClient) -> v1::config_resource::Resource {
        v1::config_resource::Resource::McpClient(message)
    }
}
