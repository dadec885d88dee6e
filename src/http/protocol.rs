//! The protocols by which calls come.

/// The protocol of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Protocol {
    /// gRPC itself.
    #[default]
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// Connect, as JSON or as protobuf.
    Connect,
    /// The mirrored API, its description included.
    Rest,
}

impl Protocol {
    /// Its name in metrics, traces and the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc_web",
            Self::Connect => "connect",
            Self::Rest => "rest",
        }
    }
}
