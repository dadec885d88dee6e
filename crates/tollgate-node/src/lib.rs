//! The node of Tollgate, which governs LLM gateways: it follows a control plane, holds a proven copy of the configuration,
//! and decides on requests from memory, exactly as the control plane's `Explain` says.
//!
//! ```no_run
//! use tollgate_node::{Credential, Estimate, Node, Request, Used};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let node = Node::builder("http://127.0.0.1:50051").access_token("tg_…").node_id("gateway-1").data_dir("gateway-1").start().await?;
//! let estimate = Estimate::of(1_200, Some(400));
//! let request = Request { credential: Credential::Value("sk-…"), model: "gpt-4o", estimate, ..Request::default() };
//! match node.admit(&request).await {
//!     Ok(granted) => {
//!         println!("goes to {} of {}", granted.model(), granted.provider());
//!         let used = Used { input_tokens: 1_180, output_tokens: 312, cost_nano_usd: Some(6_070_000), ..Used::default() };
//!         granted.settle(used).await?;
//!     }
//!     Err(refused) => println!("is refused with {}: {}", refused.http_status(), refused.reason),
//! }
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Node`]: connects, follows, decides, admits requests and delivers what they used. [`Status`]: how its copy stands.
//! - [`Granted`] and [`Refused`]: what becomes of a request. An admission ends once: by [`Granted::settle`], by
//!   [`Granted::abandon`], by being dropped, or when its time is up. Its estimate is held until then, and what was
//!   settled is kept on disk until the control plane has counted it.
//! - [`follow`]: the connection below it, for those who show what comes.
//! - [`proto`]: messages and clients of the API.
//! - `serve` (with the feature of that name): the local service that `tollgate node` is, for gateways that do not link this.

mod admission;
mod answers;
mod backlog;
mod book;
mod builder;
mod clock;
mod contact;
mod credit;
mod decide;
mod deliver;
mod dimensions;
mod engine;
#[cfg(feature = "serve")]
mod envoy;
mod events;
pub mod follow;
mod follower;
mod headers;
mod judge;
mod kept;
mod node;
mod outbox;
mod pricing;
pub mod proto;
mod refused;
#[cfg(feature = "serve")]
pub mod serve;
mod server;
mod session;
mod start;
#[cfg(test)]
mod tests;

pub use admission::{AdmissionId, Granted, NoAdmissionId, RetargetError, SettleError, Settled, Target, Used};
pub use backlog::{Backlog, Counts, CreditCounts, CreditStatus, Standing};
pub use builder::Builder;
pub use decide::{Credential, Estimate, Request};
pub use engine::{OnFull, OnOutage};
pub use events::{Events, NodeEvent};
pub use node::{Node, Status};
pub use outbox::{DirectoryError, OutboxError};
pub use refused::{Refusal, Refused};
pub use server::{Bearer, NoAccessToken, Server, Servers};
pub use start::StartError;
pub use tollgate_core as core;
pub use tollgate_core::domain::SpendDimensions;
