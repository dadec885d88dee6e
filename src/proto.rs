//! The API: messages, clients and servers, generated from `proto/`.

/// The messages, clients and servers of `tollgate.v1`.
#[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    pub use tollgate_node::proto::v1::*;

    tonic::include_proto!("tollgate.v1");
}

pub use tollgate_core::proto::{FILE_DESCRIPTOR_SET, export};
pub use tollgate_node::proto::NODE_DESCRIPTOR_SET;
