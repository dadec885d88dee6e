//! MCP clients.

/// An MCP client; its name is its id.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct McpClient {
    /// Tools known to exist, in the client's order.
    pub tools: Vec<Box<str>>,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}
