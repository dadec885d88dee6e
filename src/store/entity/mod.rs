//! The tables as SeaORM sees them, one file each. They own nothing but names and types: constraints and indexes stand in
//! `migration`, meaning in the files of the resources. Used inside of `store` only.
//!
//! Instants are microseconds since the epoch, money is nano-dollars, hashes are bytes, `ord` is the place in the client's
//! list, and lists of strings and free structures are JSON.

#![expect(unreachable_pub, reason = "the derives of SeaORM make public items")]

pub mod budget;
pub mod change_row;
pub mod change_txn;
pub mod credit_account;
pub mod credit_node;
pub mod credit_pool;
pub mod customer;
pub mod former_key;
pub mod head;
pub mod label;
pub mod mcp_client;
pub mod model_config;
pub mod model_price;
pub mod node_status;
pub mod pricing_override;
pub mod provider;
pub mod provider_governance;
pub mod provider_key;
pub mod rate_limit;
pub mod replica;
pub mod request;
pub mod routing_rule;
pub mod routing_target;
pub mod spend;
pub mod spend_head;
pub mod spend_journal;
pub mod spend_series;
pub mod team;
pub mod threshold_event;
pub mod token;
pub mod token_use;
pub mod usage_counter;
pub mod usage_journal;
pub mod usage_node;
pub mod virtual_key;
pub mod virtual_key_mcp_config;
pub mod virtual_key_provider_config;
pub mod webhook;
pub mod webhook_delivery;
pub mod webhook_head;
pub mod webhook_told;
