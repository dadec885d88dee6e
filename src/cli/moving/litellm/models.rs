//! LiteLLM's models: names of groups of deployments, of access groups, and patterns. Tollgate knows a model by its provider.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::moving::record::Record;
use crate::domain::BUILT_IN;
use crate::proto::v1;

/// Providers that have another name in Tollgate.
const PROVIDERS: [(&str, &str); 9] = [
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai", "fireworks"),
    ("hosted_vllm", "vllm"),
    ("runwayml", "runway"),
    ("text-completion-codestral", "mistral"),
    ("text-completion-openai", "openai"),
    ("vertex_ai", "vertex"),
];

/// The providers of names that LiteLLM knows without one, by how they begin.
const BARE: [(&str, &[&str]); 4] = [
    (
        "openai",
        &[
            "gpt-",
            "chatgpt-",
            "o1",
            "o3",
            "o4",
            "text-embedding-3",
            "text-embedding-ada",
            "dall-e-",
            "whisper-",
            "tts-",
        ],
    ),
    ("anthropic", &["claude-"]),
    ("vertex", &["gemini-"]),
    ("cohere", &["command-"]),
];

/// A provider, and the model that it is asked for; the model may end in `*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Target {
    pub(super) provider: String,
    pub(super) model: String,
}

/// The models that may be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Allowed {
    /// Everything that the gateway serves.
    All,
    /// These models, by their providers.
    Some(BTreeMap<String, BTreeSet<String>>),
}

/// The models that the gateway serves.
#[derive(Default, Debug)]
pub(super) struct Models {
    groups: BTreeMap<String, Vec<Target>>,
    /// Other names of groups.
    pub(super) aliases: BTreeMap<String, String>,
    /// Access groups of deployments, with the groups in them.
    access: BTreeMap<String, BTreeSet<String>>,
    /// Access groups of the database by their ids, with the names of models in them.
    pub(super) access_ids: BTreeMap<String, Vec<String>>,
}

impl Target {
    /// Where requests for a model go, as a deployment writes it; `None` if the provider cannot be known.
    pub(super) fn of(model: &str, provider: Option<&str>) -> Option<Self> {
        let ours = |theirs: &str| {
            PROVIDERS
                .iter()
                .find(|(name, _)| *name == theirs)
                .map_or_else(|| theirs.to_owned(), |(_, ours)| (*ours).to_owned())
        };
        let made = |provider: &str, model: &str| Self { provider: ours(provider), model: model.to_owned() };
        if let Some(provider) = provider {
            return Some(made(provider, model.strip_prefix(&format!("{provider}/")).unwrap_or(model)));
        }
        if let Some((provider, rest)) = model.split_once('/') {
            let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            return (!provider.is_empty() && !rest.is_empty() && provider.chars().all(is_name))
                .then(|| made(provider, rest));
        }
        let of = |(_, starts): &&(&str, &[&str])| starts.iter().any(|start| model.starts_with(start));
        BARE.iter().find(of).map(|(provider, _)| made(provider, model))
    }
}

impl Models {
    /// Adds a deployment: an entry of `model_list`, or a row with the same.
    pub(super) fn deployment(&mut self, name: &str, record: &Record) {
        let params = Record::new(String::new(), &record.object("litellm_params").into());
        let info = Record::new(String::new(), &record.object("model_info").into());
        let model = params.text("model").filter(|model| !model.starts_with("os.environ/"));
        let target = model.and_then(|model| Target::of(&model, params.text("custom_llm_provider").as_deref()));
        for group in info.list("access_groups") {
            self.access.entry(group).or_default().insert(name.to_owned());
        }
        let targets = self.groups.entry(name.to_owned()).or_default();
        targets.extend(target.filter(|target| !targets.contains(target)));
    }

    /// Says where a group goes.
    pub(super) fn set(&mut self, name: &str, target: Target) {
        self.groups.insert(name.to_owned(), vec![target]);
    }

    /// The providers of all groups.
    pub(super) fn providers(&self) -> BTreeSet<String> {
        self.groups.values().flatten().map(|target| target.provider.clone()).filter(|it| it != "*").collect()
    }

    /// Groups of which nobody knows where they go.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &str> {
        let none = self.groups.iter().filter(|(_, targets)| targets.is_empty());
        none.map(|(name, _)| name.as_str()).filter(|name| *name != "*")
    }

    /// Where requests for the model `name` go.
    pub(super) fn targets(&self, name: &str) -> Vec<Target> {
        let name = self.aliases.get(name).filter(|_| !self.groups.contains_key(name)).map_or(name, String::as_str);
        let mut found = match (self.groups.get(name), self.access.get(name)) {
            (Some(targets), _) => targets.clone(),
            (None, Some(groups)) => {
                groups.iter().filter_map(|group| self.groups.get(group)).flatten().cloned().collect()
            }
            (None, None) => Target::of(name, None).into_iter().collect(),
        };
        found.retain(|target| !target.model.trim_end_matches('*').contains('*') && !target.model.ends_with("**"));
        found
    }

    /// The models that a list of models and access groups allows. Entries of which nobody knows where they go are returned beside it.
    pub(super) fn allowed(&self, models: &[String], access_ids: &[String]) -> (Allowed, Vec<String>) {
        if models.is_empty() && access_ids.is_empty() {
            return (Allowed::All, Vec::new());
        }
        let of_groups = access_ids.iter().flat_map(|id| self.access_ids.get(id).into_iter().flatten());
        let (mut some, mut unknown): (BTreeMap<String, BTreeSet<String>>, _) = (BTreeMap::new(), Vec::new());
        unknown.extend(access_ids.iter().filter(|id| !self.access_ids.contains_key(*id)).cloned());
        for entry in models.iter().chain(of_groups) {
            if ["*", "all-proxy-models"].contains(&entry.as_str()) {
                return (Allowed::All, unknown);
            }
            let targets = self.targets(entry);
            if targets.is_empty() && entry != "no-default-models" {
                unknown.push(entry.clone());
            }
            for Target { provider, model } in targets {
                some.entry(provider).or_default().insert(model);
            }
        }
        for models in some.values_mut().filter(|models| models.contains("*")) {
            *models = BTreeSet::from(["*".to_owned()]);
        }
        (Allowed::Some(some), unknown)
    }

    /// The rights of a key to what is allowed.
    pub(super) fn configs(&self, allowed: &Allowed) -> Vec<v1::VirtualKeyProviderConfig> {
        let config = |provider: &str, models: Vec<String>| v1::VirtualKeyProviderConfig {
            provider: provider.to_owned(),
            weight: Some(1.0),
            allowed_models: models,
            key_ids: vec!["*".to_owned()],
            ..Default::default()
        };
        match allowed {
            Allowed::All => {
                let mut providers = self.providers();
                // A group `*` takes each model of each provider.
                if providers.is_empty() || self.groups.contains_key("*") {
                    providers.extend(BUILT_IN.map(str::to_owned));
                }
                providers.iter().map(|provider| config(provider, vec!["*".to_owned()])).collect()
            }
            Allowed::Some(some) => {
                some.iter().map(|(provider, models)| config(provider, models.iter().cloned().collect())).collect()
            }
        }
    }
}

impl Allowed {
    /// The models of a key that leaves them to the ceiling above it.
    pub(super) fn of_ceiling(&self) -> Self {
        match self {
            Self::All => Self::All,
            Self::Some(some) => {
                Self::Some(some.keys().map(|it| (it.clone(), BTreeSet::from(["*".to_owned()]))).collect())
            }
        }
    }

    /// The ceiling that says the same; `None` if all is allowed.
    pub(super) fn ceiling(&self) -> Option<v1::ModelCeiling> {
        let Self::Some(some) = self else { return None };
        if some.is_empty() {
            // A list without entries would restrict nothing.
            return Some(v1::ModelCeiling { blocked_models: vec!["*".to_owned()], ..Default::default() });
        }
        let of = |(provider, models): (&String, &BTreeSet<String>)| {
            models.iter().map(|model| format!("{provider}/{model}")).collect::<Vec<_>>()
        };
        Some(v1::ModelCeiling { allowed_models: some.iter().flat_map(of).collect(), ..Default::default() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn models() -> Models {
        let mut models = Models::default();
        for (name, model, group) in [
            ("gpt-4o", "openai/gpt-4o", "beta"),
            ("gpt-4o", "azure/east", "beta"),
            ("claude", "claude-opus-4-8", "none"),
            ("anthropic/*", "anthropic/*", "none"),
            ("own", "hosted_vllm/llama/3", "none"),
        ] {
            let entry = json!({"litellm_params": {"model": model}, "model_info": {"access_groups": [group]}});
            models.deployment(name, &Record::new(String::new(), &entry));
        }
        models.access_ids.insert("g-1".to_owned(), vec!["own".to_owned()]);
        models.aliases.insert("gpt-best".to_owned(), "claude".to_owned());
        models
    }

    #[test]
    fn lists_of_models_become_providers_and_their_models() {
        let models = models();
        let list = |entries: &[&str]| entries.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let allowed = |entries: &[&str], groups: &[&str]| {
            let (allowed, unknown) = models.allowed(&list(entries), &list(groups));
            let configs = models.configs(&allowed).into_iter();
            let told = configs.map(|it| format!("{}:{}", it.provider, it.allowed_models.join(","))).collect::<Vec<_>>();
            (told.join(" "), unknown)
        };
        let cases: [(&[&str], &[&str], &str); 10] = [
            (&["gpt-4o"], &[], "azure:east openai:gpt-4o"),
            (&["beta", "claude"], &[], "anthropic:claude-opus-4-8 azure:east openai:gpt-4o"),
            (&["openai/*", "gpt-4o"], &[], "azure:east openai:*"),
            (&["anthropic/claude-3"], &[], "anthropic:claude-3"),
            (&["bedrock/anthropic.claude*"], &[], "bedrock:anthropic.claude*"),
            (&["own"], &[], "vllm:llama/3"),
            (&["gpt-best"], &[], "anthropic:claude-opus-4-8"),
            (&["gemini-3-pro"], &["g-1"], "vertex:gemini-3-pro vllm:llama/3"),
            (&[], &[], "anthropic:* azure:* openai:* vllm:*"),
            (&["all-proxy-models"], &[], "anthropic:* azure:* openai:* vllm:*"),
        ];
        for (entries, groups, expected) in cases {
            assert_eq!(allowed(entries, groups), (expected.to_owned(), Vec::new()), "{entries:?}");
        }
        assert_eq!(allowed(&["no-default-models"], &[]), (String::new(), Vec::new()));
        assert_eq!(
            allowed(&["llama", "openai/*-mini"], &["g-2"]),
            (String::new(), list(&["g-2", "llama", "openai/*-mini"]))
        );
        let (some, _) = models.allowed(&list(&["own", "openai/*"]), &[]);
        assert_eq!(some.ceiling().unwrap().allowed_models, ["openai/*", "vllm/llama/3"]);
        assert_eq!(Allowed::All.ceiling(), None);
        let (none, _) = models.allowed(&list(&["no-default-models"]), &[]);
        assert_eq!(none.ceiling().unwrap().blocked_models, ["*"]);
    }
}
