//! Updates at random, of every kind: whatever is sent with whatever mask, an update leads only to what a client could
//! have created.

use proptest::prelude::*;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::mask::Patch;
use crate::domain::{
    AnyResource, Customer, Error, Id, McpClient, ModelConfig, ModelPrice, Path, PricingOverride, Provider,
    ProviderGovernance, RoutingRule, Stored, Team, Timestamp, Violations, VirtualKey,
};
use crate::proto::v1;
use crate::state::{self, Chain, Children, Context, Decision, Head, Reset, Rules, State};
use crate::wire::{Form, Wire};
use tollgate_testkit::anything::{Tape, choices, dynamic, edited, wild};
use tollgate_testkit::valid::{self, Sample};

const NOW: Timestamp = Timestamp::from_micros(valid::NOW_SECONDS * 1_000_000);

/// A kind and how it is written.
trait Written: Sample + Rules {
    fn create(state: &State, cx: &mut Context<'_>, message: Self::Message) -> Result<Decision, Error> {
        let name = Self::NAMED_BY_ID.then(|| Self::identity(&message).0.to_owned());
        state::create(state, cx, name.as_deref(), &parsed::<Self>(message)?)
    }

    fn update(state: &State, cx: &mut Context<'_>, id: &str, patch: &Patch<Self>) -> Result<Decision, Error> {
        state::update(state, cx, id, 0, Reset::default(), |stored| patch.merge(stored))
    }

    fn delete(state: &State, cx: &mut Context<'_>, id: &str) -> Result<Decision, Error> {
        state::delete::<Self>(state, cx, id, 0, Children::Detach)
    }
}

impl Written for Customer {}
impl Written for Team {}
impl Written for VirtualKey {}
impl Written for RoutingRule {}
impl Written for ModelConfig {}
impl Written for PricingOverride {}
impl Written for ModelPrice {}
impl Written for Provider {}
impl Written for McpClient {}

impl Written for ProviderGovernance {
    fn create(state: &State, cx: &mut Context<'_>, message: v1::ProviderGovernance) -> Result<Decision, Error> {
        let id = message.provider.clone();
        Self::update(state, cx, &id, &Patch::new(message, mask(&["*"]))?)
    }

    fn update(state: &State, cx: &mut Context<'_>, id: &str, patch: &Patch<Self>) -> Result<Decision, Error> {
        state::govern(state, cx, id, 0, Reset::default(), |stored| patch.merge(stored))
    }

    fn delete(state: &State, _: &mut Context<'_>, id: &str) -> Result<Decision, Error> {
        state::ungovern(state, id, 0)
    }
}

fn parsed<R: Wire>(message: R::Message) -> Result<R, Violations> {
    let mut violations = Violations::new();
    match R::accept(message, &Path::root(R::KIND.name()), &mut violations) {
        Some(parsed) => violations.or(parsed),
        None => Err(violations),
    }
}

fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    Some(prost_types::FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

fn head(revision: i64) -> Head {
    Head {
        store_id: "test".into(),
        revision,
        chain: Chain::ORIGIN,
        committed_at: NOW,
        compacted_revision: 0,
        compacted_chain: Chain::ORIGIN,
        last_config_id: revision * 100,
    }
}

/// What valid messages name.
fn world() -> State {
    fn stored<R: Wire>(id: &str, message: R::Message) -> AnyResource {
        let resource = parsed::<R>(message).unwrap();
        R::wrap(Stored { id: Id::new(id), revision: 1, created_at: NOW, updated_at: NOW, resource }.into())
    }
    let name = "another".to_owned();
    let provider = |name: &str| {
        let keys = vec![v1::ProviderKey { id: format!("{name}-key"), ..Default::default() }];
        stored::<Provider>(name, v1::Provider { name: name.to_owned(), keys, ..Default::default() })
    };
    let mut key = parsed::<VirtualKey>(v1::VirtualKey { name: name.clone(), ..Default::default() }).unwrap();
    key.secret = crate::domain::Secret::imported("a-secret-of-another-key");
    let id = Id::new(valid::KEY);
    let key = Stored { id, revision: 1, created_at: NOW, updated_at: NOW, resource: key };
    let others = [
        stored::<Customer>(valid::CUSTOMER, v1::Customer { name: name.clone(), ..Default::default() }),
        stored::<Team>(valid::TEAM, v1::Team { name: name.clone(), ..Default::default() }),
        stored::<McpClient>(valid::MCP_CLIENT, v1::McpClient { name, ..Default::default() }),
        AnyResource::VirtualKey(key.into()),
    ];
    State::restore(head(1), valid::PROVIDERS.map(provider).into_iter().chain(others), [], [])
}

/// Applies what `decide` decides; what it was about.
fn write(
    state: &mut State,
    decide: impl FnOnce(&State, &mut Context<'_>) -> Result<Decision, Error>,
) -> Result<Decision, Error> {
    let revision = state.revision() + 1;
    let mut random = StdRng::seed_from_u64(revision.unsigned_abs());
    let last_config_id = state.head().last_config_id;
    let decision = decide(
        state,
        &mut Context {
            now: NOW,
            committed_at: NOW,
            revision,
            random: &mut random,
            last_config_id,
            last_random: None,
            checks_later: false,
        },
    )?;
    if !decision.changes.is_empty() {
        state.apply(&decision.changes, head(revision));
        state.assert_as_restored();
    }
    Ok(decision)
}

fn answered<R: Written>(state: &State, id: &str) -> Option<R::Message> {
    state.config().get::<R>(id).map(|stored| R::render(stored, Form::Answer(NOW)))
}

/// `message` without the ids that the server made for its parts, as one would write it anew.
fn without_ids<R: Written>(message: &R::Message) -> R::Message {
    fn clear(message: &mut DynamicMessage) {
        message.clear_field_by_name("id");
        for field in message.descriptor().fields() {
            if message.has_field(&field)
                && let Value::List(items) = message.get_field_mut(&field)
            {
                items.iter_mut().filter_map(Value::as_message_mut).for_each(clear);
            }
        }
    }
    let mut message = dynamic(message);
    clear(&mut message);
    message.transcode_to().unwrap()
}

/// An absent mask, `*`, or some fields.
fn any_mask<R: Written>(tape: &mut Tape<'_>) -> Option<prost_types::FieldMask> {
    match tape.below(4) {
        0 => None,
        1 => mask(&["*"]),
        _ => {
            let descriptor = dynamic(&R::Message::default()).descriptor();
            let names: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
            let writable = names.iter().map(String::as_str).filter(|name| !R::OUTPUT_ONLY.contains(name));
            mask(&writable.filter(|_| tape.below(3) == 0).collect::<Vec<_>>())
        }
    }
}

fn an_update_leads_to_what_could_be_created<R: Written>(
    first: &R::Message,
    second: &R::Message,
    choices: &[u16],
) -> Result<(), TestCaseError> {
    let tape = &mut Tape::new(choices);
    let mut state = world();
    let id = write(&mut state, |state, cx| R::create(state, cx, first.clone())).unwrap().subject.id;

    let current = answered::<R>(&state, &id).unwrap_or_else(|| second.clone());
    let sent: R::Message = match tape.below(3) {
        0 => edited(&current, tape),
        1 => edited(second, tape),
        _ => wild(tape),
    };
    let Ok(patch) = Patch::<R>::new(sent, any_mask::<R>(tape)) else { return Ok(()) };
    // Of a resource that is not there, the violations are told all the same.
    let nobody = write(&mut state, |state, cx| R::update(state, cx, "nobody", &patch));
    prop_assert!(matches!(nobody, Err(Error::NotFound { .. } | Error::Invalid(_))), "{:?}", nobody);
    let updated = write(&mut state, |state, cx| R::update(state, cx, &id, &patch));
    prop_assert!(!matches!(updated, Err(Error::Internal(_))), "{:?}", updated);

    let Some(answer) = answered::<R>(&state, &id) else { return Ok(()) };
    prop_assert_eq!(parsed::<R>(answer.clone()).err(), None);
    for mask in [None, mask(&["*"])] {
        let patch = Patch::<R>::new(answer.clone(), mask).unwrap();
        let again = write(&mut state, |state, cx| R::update(state, cx, &id, &patch)).unwrap();
        prop_assert_eq!(again.changes, Vec::new(), "what was answered is sent back");
    }
    write(&mut state, |state, cx| R::delete(state, cx, &id)).unwrap();
    let anew = write(&mut state, |state, cx| R::create(state, cx, without_ids::<R>(&answer)));
    prop_assert!(anew.is_ok(), "{:?}", anew);
    Ok(())
}

macro_rules! updates {
    ($($name:ident: $kind:ident;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $name(first in $kind::valid(), second in $kind::valid(), choices in choices()) {
                    an_update_leads_to_what_could_be_created::<$kind>(&first, &second, &choices)?;
                }
            )*
        }
    };
}

updates! {
    an_update_leads_to_a_customer_that_could_be_created: Customer;
    an_update_leads_to_a_team_that_could_be_created: Team;
    an_update_leads_to_a_virtual_key_that_could_be_created: VirtualKey;
    an_update_leads_to_a_routing_rule_that_could_be_created: RoutingRule;
    an_update_leads_to_a_model_config_that_could_be_created: ModelConfig;
    an_update_leads_to_provider_governance_that_could_be_created: ProviderGovernance;
    an_update_leads_to_a_pricing_override_that_could_be_created: PricingOverride;
    an_update_leads_to_a_model_price_that_could_be_created: ModelPrice;
    an_update_leads_to_a_provider_that_could_be_created: Provider;
    an_update_leads_to_an_mcp_client_that_could_be_created: McpClient;
}
