//! The methods that are served, by their paths, with the descriptors by which their messages are read from JSON and
//! written to it.

use std::collections::HashMap;
use std::sync::Arc;

use prost_reflect::{DescriptorError, DescriptorPool, MessageDescriptor};
use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

/// All methods.
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
    /// Of the services in descriptor sets.
    ///
    /// # Errors
    ///
    /// A set contradicts another.
    pub(super) fn new(sets: impl IntoIterator<Item = FileDescriptorSet>) -> Result<Self, DescriptorError> {
        let mut pool = DescriptorPool::new();
        for mut set in sets {
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
    use prost::Message as _;

    use super::*;

    #[test]
    fn what_changes_nothing_and_carries_no_secret_may_be_called_by_get() {
        let set = FileDescriptorSet::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
        let methods = Methods::new([set]).unwrap();
        let reads = ["Get", "List", "ResolvePrice", "WaitForRevision"];
        for method in methods.by_name.values().filter(|it| it.name.starts_with("tollgate.v1.")) {
            let (_, name) = method.name.split_once('/').unwrap();
            let reads = method.shape == Shape::Unary && reads.iter().any(|it| name.starts_with(it));
            assert_eq!(method.is_safe, reads, "{}", method.name);
        }
    }
}
