//! Providers of models.

use super::{Calendar, Limits};

/// The providers present from the first start (`docs/design/semantics.md §6`).
pub const BUILT_IN: [&str; 23] = [
    "openai",
    "anthropic",
    "azure",
    "bedrock",
    "vertex",
    "gemini",
    "cohere",
    "mistral",
    "groq",
    "ollama",
    "perplexity",
    "cerebras",
    "openrouter",
    "elevenlabs",
    "huggingface",
    "nebius",
    "xai",
    "parasail",
    "sgl",
    "replicate",
    "vllm",
    "runway",
    "fireworks",
];

/// A provider; its name is its id.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Provider {
    /// Its keys, in the client's order.
    pub keys: Vec<ProviderKey>,
    /// Whether it is one of [`BUILT_IN`].
    pub built_in: bool,
    /// Whether windows of the limits of its keys follow the calendar.
    pub calendar_aligned: bool,
    /// The calendar that these follow, if it is not the standard one.
    pub calendar: Option<Box<Calendar>>,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

/// A key of a provider, by name only.
#[derive(Clone, PartialEq, Debug)]
pub struct ProviderKey {
    /// Id at the data plane, unique over all providers; empty in a desired state if the server is to make it.
    pub id: Box<str>,
    /// Name for people; may be empty.
    pub name: Box<str>,
    /// Models it serves; empty for all.
    pub models: Vec<Box<str>>,
    /// The limits of its use, whoever uses it.
    pub limits: Limits,
}
