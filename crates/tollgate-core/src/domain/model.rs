//! Names of models, and patterns of them (`docs/design/semantics.md §1`).

/// The name by which a model of `provider` is compared: without the provider's prefix, as often as it stands there.
/// Requests, limits, conditions, prices and counts all compare this name, so that they agree on what a model is.
pub fn bare_model<'a>(model: &'a str, provider: &str) -> &'a str {
    let mut rest = model;
    if !provider.is_empty() {
        while let Some(shorter) = rest.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')) {
            rest = shorter;
        }
    }
    rest
}

/// A model, or all models whose names begin alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ModelPattern<'a> {
    /// The model of this name.
    Exact(&'a str),
    /// The models whose names begin with this; all, if it is empty.
    Prefix(&'a str),
}

impl<'a> ModelPattern<'a> {
    /// All models.
    pub const ALL: Self = Self::Prefix("");

    /// The pattern that `text` is under `provider`: `gpt-4o`, `gpt-4*`, `*`.
    pub fn of(text: &'a str, provider: &str) -> Self {
        let bare = bare_model(text, provider);
        bare.strip_suffix('*').map_or(Self::Exact(bare), Self::Prefix)
    }

    /// Whether it matches a model, given by [`bare_model`].
    pub fn matches(self, model: &str) -> bool {
        match self {
            Self::Exact(name) => model == name,
            Self::Prefix(prefix) => model.starts_with(prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_stripped_under_its_own_provider_as_often_as_it_stands_there() {
        for (model, provider, bare) in [
            ("openrouter/auto", "openrouter", "auto"),
            ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
            ("openrouter/meta-llama/x", "openrouter", "meta-llama/x"),
            ("openai/openai/x", "openai", "x"),
            ("openai/gpt-4o", "openrouter", "openai/gpt-4o"),
            ("openai/gpt-4o", "", "openai/gpt-4o"),
            ("/x", "", "/x"),
            ("OpenAI/gpt-4o", "openai", "OpenAI/gpt-4o"),
            ("openai", "openai", "openai"),
        ] {
            assert_eq!(bare_model(model, provider), bare, "{model} of {provider:?}");
        }
    }

    #[test]
    fn a_pattern_matches_by_the_same_names() {
        for (pattern, model, matches) in [
            ("gpt-4*", "gpt-4o", true),
            ("gpt-4*", "gpt-4", true),
            ("gpt-4*", "gpt-3", false),
            ("openai/gpt-4*", "gpt-4o", true),
            ("openai/*", "anything", true),
            ("openai*", "gpt-4o", false),
            ("*", "", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o", "GPT-4o", false),
        ] {
            assert_eq!(ModelPattern::of(pattern, "openai").matches(model), matches, "{pattern} and {model}");
        }
    }
}
