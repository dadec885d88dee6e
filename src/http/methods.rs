//! The methods that are served, by their paths, with the descriptors by which their messages are read from JSON and
//! written to it.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use prost::Message as _;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

/// All methods.
#[derive(Default)]
pub(super) struct Methods {
    pool: DescriptorPool,
    by_name: HashMap<String, Arc<Method>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Method {
    /// As `tollgate.v1.TeamService/GetTeam`.
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Whether it changes nothing, so that it may be called by GET.
    pub(super) is_safe: bool,
    pub(super) input: MessageDescriptor,
    pub(super) output: MessageDescriptor,
}

/// How many messages go each way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// One and one.
    Unary,
    /// One, and a stream back.
    ServerStream,
    /// A stream each way.
    BothStream,
}

impl Methods {
    /// Of the services in encoded descriptor sets.
    ///
    /// # Errors
    ///
    /// A set does not decode, or contradicts another.
    pub(super) fn new(sets: &[&[u8]]) -> Result<Self, Box<dyn Error>> {
        let mut pool = DescriptorPool::new();
        for set in sets {
            let mut set = FileDescriptorSet::decode(*set)?;
            for file in &mut set.file {
                // Comments, which are most of it.
                file.source_code_info = None;
            }
            pool.add_file_descriptor_set(set)?;
        }
        let services: Vec<_> = pool.services().collect();
        let methods = services.iter().flat_map(prost_reflect::ServiceDescriptor::methods).map(|method| {
            let name = format!("{}/{}", method.parent_service().full_name(), method.name());
            let shape = match (method.is_client_streaming(), method.is_server_streaming()) {
                (false, false) => Shape::Unary,
                (false, true) => Shape::ServerStream,
                (true, _) => Shape::BothStream,
            };
            let options = method.method_descriptor_proto().options.as_ref();
            let is_safe = options.is_some_and(|it| it.idempotency_level() == IdempotencyLevel::NoSideEffects);
            let (input, output) = (method.input(), method.output());
            (name.clone(), Arc::new(Method { name, shape, is_safe, input, output }))
        });
        let by_name = methods.collect();
        Ok(Self { pool, by_name })
    }

    /// Whether a path could name a method: one name with dots, and one without.
    pub(super) fn may_have(path: &str) -> bool {
        let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        names.is_some_and(|(service, method)| {
            service.contains('.') && !method.is_empty() && !method.contains(['/', '.'])
        })
    }

    /// The method that a path names.
    pub(super) fn of_path(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_name.get(path.strip_prefix('/')?)
    }

    /// The descriptor of a message by its name.
    pub(super) fn message(&self, name: &str) -> Option<MessageDescriptor> {
        self.pool.get_message_by_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_served_is_known_and_looks_like_a_method() {
        let methods = Methods::new(&crate::server::DESCRIPTOR_SETS).unwrap();
        assert!(methods.by_name.contains_key("grpc.health.v1.Health/Check"));
        assert!(methods.message("google.rpc.BadRequest").is_some());
        assert!(methods.by_name.keys().all(|name| Methods::may_have(&format!("/{name}"))));
        for path in ["/", "/metrics", "/favicon.ico", "/tollgate.v1.TeamService", "/tollgate.v1.TeamService/", "/a/b"] {
            assert!(!Methods::may_have(path), "{path}");
        }
    }

    #[test]
    fn what_changes_nothing_and_carries_no_secret_may_be_called_by_get() {
        let methods = Methods::new(&[crate::proto::FILE_DESCRIPTOR_SET]).unwrap();
        let reads = ["Get", "List", "ResolvePrice", "WaitForRevision"];
        for method in methods.by_name.values().filter(|it| it.name.starts_with("tollgate.v1.")) {
            let (_, name) = method.name.split_once('/').unwrap();
            let reads = method.shape == Shape::Unary && reads.iter().any(|it| name.starts_with(it));
            assert_eq!(method.is_safe, reads, "{}", method.name);
        }
    }
}
