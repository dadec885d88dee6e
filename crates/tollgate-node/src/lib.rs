//! The node of Tollgate, which governs LLM gateways: it follows a control plane, holds a proven copy of the configuration,
//! and decides on requests from memory, exactly as the control plane's `Explain` says.
//!
//! ```no_run
//! use tollgate_node::{Credential, Node, Request};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::builder("http://127.0.0.1:50051").access_token("tg_…").node_id("gateway-1").start().await?;
//! let request = Request { credential: Credential::Value("sk-…"), model: "gpt-4o", ..Request::default() };
//! let decision = node.decide(&request);
//! if decision.is_allowed() {
//!     println!("goes to {} of {}", decision.model, decision.provider);
//! } else {
//!     println!("is refused: {}", decision.reason);
//! }
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Node`]: connects, follows, and decides. [`Status`]: how its copy stands.
//! - [`follow`]: the connection below it, for those who show what comes.
//! - [`proto`]: messages and clients of the API.

mod decide;
pub mod follow;
mod node;
pub mod proto;
mod server;

pub use decide::{Credential, Request};
pub use node::{Builder, Node, StartError, Status};
pub use server::{Bearer, NoAccessToken, Server};
pub use tollgate_core as core;
