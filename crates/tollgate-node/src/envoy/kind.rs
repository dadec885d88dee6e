//! The kinds of request that are understood, by the path that they are sent to.

/// The API whose form a request and its answer have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
}

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    ChatCompletion,
    TextCompletion,
    Responses,
    Embeddings,
    Messages,
}

/// The paths of all kinds. Nothing else is let through: who knows what a provider does there, and with whose key.
const PATHS: [(&str, Kind); 5] = [
    ("/v1/chat/completions", Kind::ChatCompletion),
    ("/v1/completions", Kind::TextCompletion),
    ("/v1/responses", Kind::Responses),
    ("/v1/embeddings", Kind::Embeddings),
    ("/v1/messages", Kind::Messages),
];

impl Kind {
    /// The kind of request that is sent to a path, with or without a query.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        PATHS.into_iter().find(|(known, _)| path == *known).map(|(_, kind)| kind)
    }

    /// The API that it belongs to.
    pub(super) const fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletion | Self::TextCompletion | Self::Responses | Self::Embeddings => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
        }
    }

    /// Its name in conditions of routing rules and in prices.
    pub(super) const fn request_type(self) -> &'static str {
        match self {
            Self::ChatCompletion | Self::Messages => "chat_completion",
            Self::TextCompletion => "text_completion",
            Self::Responses => "responses",
            Self::Embeddings => "embedding",
        }
    }

    /// Whether a streamed answer tells its usage only if `stream_options.include_usage` asks for it.
    pub(super) const fn asks_for_usage(self) -> bool {
        matches!(self, Self::ChatCompletion | Self::TextCompletion)
    }

    /// Whether an answer has LLM tokens of its own.
    pub(super) const fn has_output(self) -> bool {
        !matches!(self, Self::Embeddings)
    }

    /// The key under which the events of a streamed answer have its text, and nothing twice.
    pub(super) const fn text_key(self) -> &'static str {
        match self {
            Self::TextCompletion => "text",
            Self::ChatCompletion | Self::Responses | Self::Embeddings | Self::Messages => "delta",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_kind() {
        for (path, expected) in [
            ("/v1/chat/completions", Some(Kind::ChatCompletion)),
            ("/v1/chat/completions?api-version=1", Some(Kind::ChatCompletion)),
            ("/v1/completions", Some(Kind::TextCompletion)),
            ("/v1/responses", Some(Kind::Responses)),
            ("/v1/embeddings", Some(Kind::Embeddings)),
            ("/v1/messages?beta=true", Some(Kind::Messages)),
            ("/v1/messages/count_tokens", None),
            ("/v1/threads/1/messages", None),
            ("/v1/messages/", None),
            ("//v1/messages", None),
            ("/v1/models", None),
            ("/v1/files?path=/v1/messages", None),
            ("", None),
        ] {
            assert_eq!(Kind::of_path(path), expected, "{path}");
        }
    }
}
