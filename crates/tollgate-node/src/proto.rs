//! The API: messages and clients, generated from `proto/`.

/// The messages and clients of `tollgate.v1`.
#[expect(clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    pub use tollgate_core::proto::v1::*;

    tonic::include_proto!("tollgate.v1");
}
