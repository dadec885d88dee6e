//! Each change of a call as a step that can be decided.

use prost_types::FieldMask;

use crate::api::crud::{Served, check_revision, parse_children};
use crate::api::mask::Patch;
use crate::domain::{
    Customer, Error, Kind, McpClient, ModelConfig, ModelPrice, Path, PricingOverride, Provider, ProviderGovernance,
    ResourceKey, RoutingRule, Secret, Team, Violations, VirtualKey,
};
use crate::proto::v1;
use crate::state::{self, Children, DecideStep, Desired, Reset, Step};
use crate::wire::{Wire as _, parse_secrets};

/// The changes as steps; and for each the value that the key gets which it may create, if the server makes it. What is
/// wrong with a change alone is told when it is decided, together with all else that is wrong.
pub(super) fn prepare(
    changes: Vec<v1::ApplyChange>,
    options: &v1::ApplyOptions,
    actor: &str,
) -> (Vec<Step>, Vec<Option<String>>) {
    changes.into_iter().map(|change| step(change, options, actor)).unzip()
}

fn step(change: v1::ApplyChange, options: &v1::ApplyOptions, actor: &str) -> (Step, Option<String>) {
    use v1::apply_change::Change;
    let v1::ApplyChange { change, update_mask, revision, children } = change;
    let managed_by = options.managed_by.trim();
    let (kind, deletes, value, decide) = match change {
        Some(Change::Upsert(resource)) => {
            let upsert =
                Upsert { mask: mask(update_mask, managed_by), expected: revision, is_new: options.create_only };
            let (kind, value, decide) = upsert.of(resource, managed_by, actor);
            (kind, false, value, decide)
        }
        Some(Change::Delete(key)) => {
            let kind = Kind::from_number(key.kind);
            (kind, true, None, delete(kind, key, revision, children))
        }
        None => (None, false, None, Err(wrong("change", "is absent; must be an upsert or a deletion"))),
    };
    let decide = decide.unwrap_or_else(|error| Box::new(move |_, _| Err(error.clone())));
    (Step { kind: kind.unwrap_or(Kind::ModelPrice), deletes, decide }, value)
}

fn wrong(field: &str, problem: &str) -> Error {
    let mut violations = Violations::new();
    violations.add(Path::root(field), problem);
    violations.into()
}

/// The fields that an update changes: all, unless the change says which; and who manages the resource, if that is said.
fn mask(sent: Option<FieldMask>, managed_by: &str) -> FieldMask {
    let mut paths = sent.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        paths.push("*".to_owned());
    }
    if !managed_by.is_empty() && paths != ["*"] && !paths.iter().any(|path| path == "managed_by") {
        paths.push("managed_by".to_owned());
    }
    FieldMask { paths }
}

/// An access token is shown when it is made, which is not what `Apply` answers; and it is never deleted.
const NO_TOKENS: &str = "is of an access token, which Apply neither makes nor revokes; call TokenService";
/// A webhook has a secret that is shown when it is made, which is not what `Apply` answers.
const NO_WEBHOOKS: &str = "is of a webhook, which Apply neither makes nor deletes; call WebhookService";

type Decide = Result<Box<DecideStep>, Error>;

/// How a resource is created or changed.
struct Upsert {
    mask: FieldMask,
    expected: i64,
    /// Whether it may be created only.
    is_new: bool,
}

impl Upsert {
    fn of(self, resource: v1::ConfigResource, managed_by: &str, actor: &str) -> (Option<Kind>, Option<String>, Decide) {
        use v1::config_resource::Resource;
        /// Marks a message as managed.
        macro_rules! marked {
            ($message:expr) => {{
                let mut message = $message;
                if !managed_by.is_empty() {
                    managed_by.clone_into(&mut message.managed_by);
                }
                message
            }};
        }
        let Some(resource) = resource.resource else {
            let problem = "has no resource of a kind that this version knows; set one";
            return (None, None, Err(wrong("resource", problem)));
        };
        let mut value = None;
        let (kind, decide) = match resource {
            Resource::Customer(it) => (Kind::Customer, self.plain::<Customer>(marked!(it))),
            Resource::Team(it) => (Kind::Team, self.plain::<Team>(marked!(it))),
            Resource::VirtualKey(it) => {
                let (made, decide) = self.key(marked!(it), actor);
                value = made;
                (Kind::VirtualKey, decide)
            }
            Resource::RoutingRule(it) => (Kind::RoutingRule, self.plain::<RoutingRule>(marked!(it))),
            Resource::ModelConfig(it) => (Kind::ModelConfig, self.plain::<ModelConfig>(marked!(it))),
            Resource::ProviderGovernance(it) => (Kind::ProviderGovernance, self.governance(marked!(it))),
            Resource::PricingOverride(it) => (Kind::PricingOverride, self.plain::<PricingOverride>(marked!(it))),
            Resource::Provider(it) => (Kind::Provider, self.plain::<Provider>(marked!(it))),
            Resource::McpClient(it) => (Kind::McpClient, self.plain::<McpClient>(marked!(it))),
            Resource::ModelPrice(it) => (Kind::ModelPrice, self.plain::<ModelPrice>(marked!(it))),
            Resource::Webhook(_) => (Kind::Webhook, Err(wrong("resource", NO_WEBHOOKS))),
            Resource::Token(_) => (Kind::Token, Err(wrong("resource", NO_TOKENS))),
        };
        (Some(kind), value, decide)
    }

    /// A virtual key, which gets its secret when it is created; the value, if the server makes it.
    fn key(self, message: v1::VirtualKey, actor: &str) -> (Option<String>, Decide) {
        let mut violations = Violations::new();
        let root = Path::root("virtual_key");
        let (given, previous) = parse_secrets(&message, &root, &mut violations);
        let (value, secret) = match given {
            Some(secret) => (None, secret),
            None => {
                let (value, secret) = Secret::generate();
                (Some(value), secret)
            }
        };
        let complete = |key: &mut VirtualKey| {
            key.secret = secret;
            key.previous_secret = previous.map(Box::new);
            key.created_by = actor.into();
        };
        (value, self.resource::<VirtualKey>(message, violations, complete))
    }

    fn plain<R: Served>(self, message: R::Message) -> Decide {
        self.resource::<R>(message, Violations::new(), |_| {})
    }

    /// `violations` are those that count only if the resource is created; `complete` says of that what the message does not.
    fn resource<R: Served>(
        self,
        message: R::Message,
        mut violations: Violations,
        complete: impl FnOnce(&mut R),
    ) -> Decide {
        let (id, revision) = R::identity(&message);
        let id = Some(id.trim().to_owned()).filter(|id| !id.is_empty());
        let expected = if self.expected == 0 { revision } else { self.expected };
        check_expected(expected)?;
        let root = Path::root(R::KIND.name());
        if let Some(id) = &id {
            state::check_path(R::KIND, id, &root.field("id").to_string())?;
        }
        let parsed = R::accept(message.clone(), &root, &mut violations);
        let known_as = parsed.clone();
        let created = match parsed {
            Some(mut resource) => {
                complete(&mut resource);
                violations.or(resource)
            }
            None => Err(violations),
        };
        let patch = Patch::<R>::new(message, Some(self.mask))?;
        Ok(Box::new(move |state, cx| {
            let desired = Desired {
                id: id.as_deref(),
                named_by_id: R::NAMED_BY_ID,
                expected,
                is_new: self.is_new,
                known_as: known_as.as_ref(),
                created: &|| created.clone(),
            };
            state::upsert(state, cx, &desired, |stored| patch.merge(stored))
        }))
    }

    /// The governance of a provider, which is there while it has limits.
    fn governance(self, message: v1::ProviderGovernance) -> Decide {
        let (name, revision) = ProviderGovernance::identity(&message);
        let name = name.to_owned();
        if name.is_empty() {
            return Err(wrong("provider_governance.provider", "is empty; must say which provider is meant"));
        }
        let expected = if self.expected == 0 { revision } else { self.expected };
        check_expected(expected)?;
        let patch = Patch::<ProviderGovernance>::new(message, Some(self.mask))?;
        let is_new = self.is_new;
        Ok(Box::new(move |state, cx| {
            if let Some(there) = state.config().get::<ProviderGovernance>(&name).filter(|_| is_new) {
                return Err(state::there_already(Kind::ProviderGovernance, "provider", ResourceKey::of(&there.id)));
            }
            state::govern(state, cx, &name, expected, Reset::default(), |stored| patch.merge(stored))
        }))
    }
}

fn check_expected(expected: i64) -> Result<(), Error> {
    let mut violations = Violations::new();
    check_revision(expected, &Path::root("revision"), &mut violations);
    Ok(violations.or(())?)
}

fn delete(kind: Option<Kind>, key: v1::ResourceKey, expected: i64, children: i32) -> Decide {
    fn of<R: Served>(id: String, expected: i64, children: Children) -> Box<DecideStep> {
        Box::new(move |state, cx| state::delete::<R>(state, cx, &id, expected, children))
    }
    let mut violations = Violations::new();
    check_revision(expected, &Path::root("revision"), &mut violations);
    let children = parse_children(children, &mut violations);
    let v1::ResourceKey { kind: number, id } = key;
    let Some(kind) = kind else {
        violations.add(Path::root("kind"), format!("is {number}, which is no kind of resource; name one"));
        return Err(violations.into());
    };
    if id.is_empty() {
        violations.add(Path::root("id"), "is empty; must say which resource is meant");
    }
    violations.or(())?;
    state::check_path(kind, &id, "id")?;
    Ok(match kind {
        Kind::Customer => of::<Customer>(id, expected, children),
        Kind::Team => of::<Team>(id, expected, children),
        Kind::VirtualKey => of::<VirtualKey>(id, expected, children),
        Kind::RoutingRule => of::<RoutingRule>(id, expected, children),
        Kind::ModelConfig => of::<ModelConfig>(id, expected, children),
        Kind::ProviderGovernance => Box::new(move |state, _| state::ungovern(state, &id, expected)),
        Kind::PricingOverride => of::<PricingOverride>(id, expected, children),
        Kind::Provider => of::<Provider>(id, expected, children),
        Kind::McpClient => of::<McpClient>(id, expected, children),
        Kind::ModelPrice => of::<ModelPrice>(id, expected, children),
        Kind::Webhook => return Err(wrong("kind", NO_WEBHOOKS)),
        Kind::Token => return Err(wrong("kind", NO_TOKENS)),
    })
}
