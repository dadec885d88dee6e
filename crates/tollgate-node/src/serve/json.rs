//! Messages as protobuf JSON, read and written by their descriptors.

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::proto::NODE_DESCRIPTOR_SET;

/// The descriptors.
#[derive(Clone)]
pub(super) struct Messages(DescriptorPool);

impl Messages {
    pub(super) fn new() -> Result<Self, String> {
        DescriptorPool::decode(NODE_DESCRIPTOR_SET).map(Self).map_err(|error| error.to_string())
    }

    fn descriptor<M: Name>(&self) -> Result<MessageDescriptor, String> {
        let name = M::full_name();
        self.0.get_message_by_name(&name).ok_or_else(|| format!("no descriptor of {name}"))
    }

    /// Reads a message. Fields that it does not have are refused, so that no misspelt one is dropped silently.
    pub(super) fn read<M: Message + Name + Default>(&self, body: &[u8]) -> Result<M, String> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let message = DynamicMessage::deserialize(self.descriptor::<M>()?, &mut json).map_err(|it| it.to_string())?;
        json.end().map_err(|error| error.to_string())?;
        message.transcode_to().map_err(|error| error.to_string())
    }

    /// Writes a message as protobuf's JSON: names in lowerCamelCase, nothing that has its default.
    pub(super) fn write<M: Message + Name>(&self, message: &M) -> Result<Vec<u8>, String> {
        let mut dynamic = DynamicMessage::new(self.descriptor::<M>()?);
        dynamic.transcode_from(message).map_err(|error| error.to_string())?;
        let mut body = serde_json::to_vec(&dynamic).map_err(|error| error.to_string())?;
        body.push(b'\n');
        Ok(body)
    }
}
