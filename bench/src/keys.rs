//! The virtual keys that are written, read and watched.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use tollgate::proto::v1;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::transport::Channel;

/// Bytes that a change has, on the wire, beside those of etcd's values.
pub(crate) const SIZE: usize = 500;
/// Digits of a stamp.
const DIGITS: usize = 20;

/// What a key has.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A provider config and a description, [`SIZE`] bytes in all.
    Small,
    /// 3 provider configs, 2 budgets, 1 rate limit.
    Full,
}

/// Text that begins with a stamp, so that who sees it knows when it was sent.
pub(crate) fn stamped(stamp: u64, len: usize) -> String {
    format!("{stamp:0DIGITS$}{:x<1$}", "", len.saturating_sub(DIGITS))
}

/// The stamp that `text` begins with.
pub(crate) fn stamp(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text.get(..DIGITS)?).ok()?.parse().ok()
}

fn key(shape: Shape, number: usize, description: usize) -> v1::VirtualKey {
    let config = |provider: &str| v1::VirtualKeyProviderConfig {
        provider: provider.to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["gpt-4o".to_owned(), "gpt-4o-mini".to_owned()],
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    };
    let budget = |reset_duration: &str| v1::Budget {
        max_limit: 1_000_000.0,
        reset_duration: reset_duration.to_owned(),
        ..Default::default()
    };
    let name = format!("key {number:07}");
    match shape {
        Shape::Small => v1::VirtualKey {
            name,
            description: stamped(0, description),
            provider_configs: vec![config("openai")],
            ..Default::default()
        },
        Shape::Full => v1::VirtualKey {
            name,
            description: stamped(0, description),
            provider_configs: ["openai", "azure", "openrouter"].map(config).into(),
            budgets: vec![budget("1d"), budget("1M")],
            rate_limits: vec![v1::RateLimit {
                token_max_limit: Some(1_000_000_000),
                token_reset_duration: Some("1h".to_owned()),
                request_max_limit: Some(1_000_000),
                request_reset_duration: Some("1m".to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        },
    }
}

/// Keys of a server.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) ids: Arc<Vec<String>>,
    /// Bytes of their descriptions.
    description: usize,
}

impl Keys {
    /// Creates `count` keys through `channels`.
    pub(crate) async fn create(channels: &[Channel], shape: Shape, count: usize) -> Self {
        let description = match shape {
            Shape::Full => DIGITS,
            Shape::Small => {
                // What a key has beside its description is known once one is there.
                let id = create(channels[0].clone(), key(shape, count, DIGITS)).await;
                let read = v1::GetVirtualKeyRequest { id: id.clone(), ..Default::default() };
                let read = VirtualKeyServiceClient::new(channels[0].clone()).get_virtual_key(read).await;
                let key = read.expect("just created").into_inner().virtual_key.expect("the key");
                let delete = v1::DeleteVirtualKeyRequest { id, ..Default::default() };
                VirtualKeyServiceClient::new(channels[0].clone()).delete_virtual_key(delete).await.expect("accepted");
                // A description of more than 127 bytes has a length of two.
                SIZE - 1 - (key.encoded_len() - DIGITS)
            }
        };
        let created = stream::iter(0..count)
            .map(|number| create(channels[number % channels.len()].clone(), key(shape, number, description)));
        Self { ids: Arc::new(created.buffered(256).collect().await), description }
    }

    /// The request that updates the description of key `number`.
    pub(crate) fn update(&self, number: usize, stamp: u64) -> v1::UpdateVirtualKeyRequest {
        let key = v1::VirtualKey {
            id: self.ids[number % self.ids.len()].clone(),
            description: stamped(stamp, self.description),
            ..Default::default()
        };
        v1::UpdateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() }
    }
}

async fn create(channel: Channel, key: v1::VirtualKey) -> String {
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let created = VirtualKeyServiceClient::new(channel).create_virtual_key(request).await.expect("accepted");
    created.into_inner().virtual_key.expect("the key").id
}
