//! The virtual key that a command is about, named by its id, its name or its value.

use std::io;

use clap::Args;
use tonic::Code;

use super::Failure;
use super::remote::refused;
use super::resource::api::{self, Api};
use super::resource::find::find;
use super::target::Server;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::explain_request::Key;
use crate::proto::v1::lookup_virtual_key_request::Key as Known;
use crate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;

/// Begins the values that Tollgate makes, as it does those of most gateways and providers.
const VALUE_PREFIX: &str = "sk-";

#[derive(Args, Debug)]
pub(super) struct KeyArgs {
    /// Id, name, path (as Acme/Search/notebook) or value of the virtual key; `-` reads it from standard input. Other users of the machine see what is on a
    /// command line: give a value on standard input or in the environment [default: no key]
    #[arg(long, env = "TOLLGATE_VIRTUAL_KEY", hide_env_values = true, value_name = "KEY")]
    virtual_key: Option<String>,
}

impl KeyArgs {
    /// Finds the key: a UUID is an id, `sk-…` a value, and what has slashes a path; anything else is a name, or the value of a key if no key has that name.
    ///
    /// # Errors
    ///
    /// Standard input cannot be read, or the server cannot be asked.
    pub(super) async fn find(self, server: &Server) -> Result<Option<Key>, Failure> {
        let text = match self.virtual_key {
            Some(text) if text == "-" => io::read_to_string(io::stdin())?.trim().to_owned(),
            Some(text) => text,
            None => return Ok(None),
        };
        if uuid::Uuid::try_parse(&text).is_ok() {
            return Ok(Some(Key::VirtualKeyId(text)));
        }
        if text.starts_with(VALUE_PREFIX) {
            return Ok(Some(Key::VirtualKeyValue(text)));
        }
        // A value may have slashes too.
        if text.contains('/')
            && let Ok(key) = find(&Api { server: server.clone() }, Kind::VirtualKey, &text).await
        {
            return Ok(Some(Key::VirtualKeyId(api::text(&key, "id"))));
        }
        Ok(Some(match id(server, &text).await? {
            Some(id) => Key::VirtualKeyId(id),
            None => Key::VirtualKeyValue(text),
        }))
    }

    /// Finds the id of the key, where the server takes nothing else.
    ///
    /// # Errors
    ///
    /// As [`KeyArgs::find`]; also if no key has the value.
    pub(super) async fn id(self, server: &Server) -> Result<String, Failure> {
        match self.find(server).await? {
            None => Ok(String::new()),
            Some(Key::VirtualKeyId(id)) => Ok(id),
            Some(Key::VirtualKeyValue(value)) => {
                let request = v1::LookupVirtualKeyRequest { key: Some(Known::Value(value)) };
                let answer = VirtualKeyServiceClient::new(server.clone()).lookup_virtual_key(request).await;
                let found = answer.map_err(|status| match status.code() {
                    Code::NotFound => Failure::Failed("no virtual key has this id, name or value".into()),
                    _ => refused(&status),
                })?;
                Ok(found.into_inner().virtual_key.unwrap_or_default().id)
            }
        }
    }
}

/// The id of the key with exactly this name, if there is one and the caller may list keys.
async fn id(server: &Server, name: &str) -> Result<Option<String>, Failure> {
    let mut client = VirtualKeyServiceClient::new(server.clone());
    let mut request = v1::ListVirtualKeysRequest {
        search: name.to_owned(),
        page_size: 1_000,
        from_memory: true,
        ..v1::ListVirtualKeysRequest::default()
    };
    loop {
        let page = match client.list_virtual_keys(request.clone()).await {
            Ok(page) => page.into_inner(),
            Err(status) if status.code() == Code::PermissionDenied => return Ok(None),
            Err(status) => return Err(refused(&status)),
        };
        if let Some(key) = page.virtual_keys.into_iter().find(|key| key.name == name) {
            return Ok(Some(key.id));
        }
        if page.next_page_token.is_empty() {
            return Ok(None);
        }
        request.page_token = page.next_page_token;
    }
}
