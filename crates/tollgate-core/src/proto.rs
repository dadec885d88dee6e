//! Messages, generated from `proto/`.

/// The messages of `tollgate.v1`.
#[expect(clippy::large_enum_variant, reason = "generated code")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/tollgate.v1.rs"));
}

/// The messages of `tollgate.export.v1`.
pub mod export {
    /// The messages of `tollgate.export.v1`.
    #[expect(clippy::large_enum_variant, reason = "generated code")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/tollgate.export.v1.rs"));
    }
}

/// The encoded file descriptors of `tollgate.v1`, `tollgate.export.v1` and what they import, comments included.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));
