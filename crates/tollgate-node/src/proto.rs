//! The API: messages and clients, generated from `proto/`.

/// The messages and clients of `tollgate.v1`.
#[expect(clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    pub use tollgate_core::proto::v1::*;

    tonic::include_proto!("tollgate.v1");
}

/// The messages, clients and services of `tollgate.node.v1`.
#[cfg(feature = "serve")]
pub mod node {
    /// The messages, clients and services of `tollgate.node.v1`.
    #[expect(clippy::allow_attributes, clippy::allow_attributes_without_reason, reason = "generated code")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/node/tollgate.node.v1.rs"));
    }
}

/// The encoded file descriptors of `tollgate.node.v1` and what it imports, comments included.
#[cfg(feature = "serve")]
pub const NODE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/node/descriptor.bin"));
