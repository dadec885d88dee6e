//! What may be used of a set of names: nothing, some, or everything.

use internment::ArcIntern;

/// The names permitted. Deny by default: the empty list permits nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AllowList {
    /// Everything; `["*"]` in the API.
    All,
    /// These and nothing else, in the client's order. Few lists occur on many keys, so that memory holds each once.
    Only(ArcIntern<Vec<Box<str>>>),
}

impl AllowList {
    /// Permits nothing.
    pub fn none() -> Self {
        Self::Only(ArcIntern::new(Vec::new()))
    }

    /// From a list as the API has it, valid already.
    pub fn from_list<S: AsRef<str>>(list: &[S]) -> Self {
        match list {
            [only] if only.as_ref() == "*" => Self::All,
            names => Self::Only(ArcIntern::new(names.iter().map(|name| name.as_ref().into()).collect())),
        }
    }

    /// The list as the API has it.
    pub fn to_list(&self) -> Vec<String> {
        match self {
            Self::All => vec!["*".to_owned()],
            Self::Only(names) => names.iter().map(|name| name.to_string()).collect(),
        }
    }

    /// The names, if not everything is permitted.
    pub fn names(&self) -> &[Box<str>] {
        match self {
            Self::All => &[],
            Self::Only(names) => names,
        }
    }
}
