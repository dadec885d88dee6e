//! The owner of a limit. The messages that name one have a `oneof owner` of the same fields each, so that clients find the
//! owner beside the limit; all of them are made of one type here, and give it back.

use crate::domain::{Id, LimitOwner};
use crate::proto::v1;

/// A conversion in each direction for every `oneof owner`.
macro_rules! owners {
    ($($message:ident),* $(,)?) => {$(
        impl From<&LimitOwner> for v1::$message::Owner {
            fn from(owner: &LimitOwner) -> Self {
                match owner {
                    LimitOwner::Customer(id) => Self::CustomerId(id.to_string()),
                    LimitOwner::Team(id) => Self::TeamId(id.to_string()),
                    LimitOwner::VirtualKey(id) => Self::VirtualKeyId(id.to_string()),
                    LimitOwner::ProviderConfig(id) => Self::ProviderConfigId(*id),
                    LimitOwner::ModelConfig(id) => Self::ModelConfigId(id.to_string()),
                    LimitOwner::Provider(id) => Self::Provider(id.to_string()),
                    LimitOwner::ProviderKey(id) => Self::ProviderKeyId(id.to_string()),
                }
            }
        }

        impl From<v1::$message::Owner> for LimitOwner {
            fn from(owner: v1::$message::Owner) -> Self {
                use v1::$message::Owner;
                match owner {
                    Owner::CustomerId(id) => Self::Customer(Id::new(id)),
                    Owner::TeamId(id) => Self::Team(Id::new(id)),
                    Owner::VirtualKeyId(id) => Self::VirtualKey(Id::new(id)),
                    Owner::ProviderConfigId(id) => Self::ProviderConfig(id),
                    Owner::ModelConfigId(id) => Self::ModelConfig(Id::new(id)),
                    Owner::Provider(id) => Self::Provider(Id::new(id)),
                    Owner::ProviderKeyId(id) => Self::ProviderKey(id.into()),
                }
            }
        }
    )*};
}

owners!(budget, rate_limit, threshold_event, explained_limit, limit_credit);
