//! MCP clients.

/// An MCP client; its name is its id.
#[derive(Clone, PartialEq, Debug)]
pub struct McpClient {
    /// Tools known to exist, in the client's order.
    pub tools: Vec<Box<str>>,
}
