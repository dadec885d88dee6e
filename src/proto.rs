//! Code generated from `proto/`.

/// The messages, clients and servers of `tollgate.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("tollgate.v1");
}

/// The messages of `tollgate.export.v1`.
pub mod export {
    /// The messages of `tollgate.export.v1`.
    #[expect(clippy::large_enum_variant, reason = "generated code")]
    pub mod v1 {
        tonic::include_proto!("tollgate.export.v1");
    }
}

/// The encoded file descriptors of `tollgate.v1`, `tollgate.export.v1` and what they import, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
