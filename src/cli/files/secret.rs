//! Values of keys, which files name the place of and do not hold.

use std::path::{Path, PathBuf};

use super::node::{Node, Value};
use super::shape::Faults;

/// Where the value of a key is.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::cli) enum ValueFrom {
    /// In a variable of the environment.
    Env(String),
    /// In a file.
    File(PathBuf),
}

impl ValueFrom {
    /// Reads the value.
    ///
    /// # Errors
    ///
    /// A sentence for people, without the value.
    pub(in crate::cli) fn read(&self) -> Result<String, String> {
        let value = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| format!("names {name}, which is not in the environment"))?
            }
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("names {}, which cannot be read: {error}", path.display()))?,
        };
        match value.trim() {
            "" => Err("names a place where the value is empty".to_owned()),
            value => Ok(value.to_owned()),
        }
    }
}

/// Reads `{env: NAME}` or `{file: PATH}`. Paths begin where the document is.
pub(super) fn read(file: &Path, node: &Node, faults: &mut Faults) -> Option<ValueFrom> {
    if let Value::Map(entries) = &node.value
        && let [entry] = entries.as_slice()
        && let Value::Text(text) = &entry.node.value
    {
        match entry.name.as_str() {
            "env" => return Some(ValueFrom::Env(text.clone())),
            "file" => return Some(ValueFrom::File(file.parent().unwrap_or(Path::new("")).join(text))),
            _ => {}
        }
    }
    faults.add(node.line, "value_from", "must be {env: NAME} or {file: PATH}");
    None
}
