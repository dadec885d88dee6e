//! Laws of parsing and rendering, for every kind.

mod cases;
mod credit;

use proptest::prelude::*;
use tollgate_core::config::Config;
use tollgate_core::domain::*;
use tollgate_core::proto::v1;
use tollgate_core::wire::*;
use tollgate_testkit::anything::{Tape, choices, edited, overwritten, wild};
use tollgate_testkit::valid::{self, Sample};

const NOW: Timestamp = Timestamp::from_micros(valid::NOW_SECONDS * 1_000_000);

fn parsed<R: Wire>(message: R::Message) -> Result<R, Violations> {
    let mut violations = Violations::new();
    match R::parse(message, &Path::root(R::KIND.name()), &mut violations) {
        Some(parsed) => violations.or(parsed),
        None => {
            assert!(!violations.is_empty(), "what cannot be parsed has a violation");
            Err(violations)
        }
    }
}

/// What is rendered of the value of `message`, to answer or to be kept, is valid and has the same value.
fn comes_back<R: Wire>(message: &R::Message, resource: &R) -> Result<(), TestCaseError> {
    let id = if R::NAMED_BY_ID { R::identity(message).0 } else { "id" };
    let stored = Stored { id: Id::new(id), revision: 1, created_at: NOW, updated_at: NOW, resource: resource.clone() };
    for form in [Form::Answer(NOW), Form::Log] {
        prop_assert_eq!(&parsed::<R>(R::render(&stored, form)), &Ok(resource.clone()), "{:?}", form);
    }
    // Where nothing is missing that a client cannot say, all that is stored comes back.
    let stored = R::wrap(stored.into());
    let mut config = Config::default();
    config.put(&stored);
    prop_assert_eq!(config.resources().collect::<Vec<_>>(), [stored.clone()]);
    // What a node reads from the stream says the same when it is rendered again.
    let streamed = render_any(&stored, Form::Stream);
    if let Ok(read) = read_streamed(streamed.clone()) {
        prop_assert_eq!(render_any(&read, Form::Stream), streamed);
    }
    if let Some(restored) = restore_any(render_any(&stored, Form::Log), &mut Violations::new()) {
        prop_assert_eq!(restored, stored);
    }
    Ok(())
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() }
}

macro_rules! laws {
    ($($module:ident: $kind:ident;)*) => {$(
        mod $module {
            use super::*;

            proptest! {
                #![proptest_config(config())]

                #[test]
                fn what_is_valid_comes_back(message in $kind::valid()) {
                    let resource = parsed::<$kind>(message.clone());
                    prop_assert!(resource.is_ok(), "{:?}", resource);
                    comes_back(&message, &resource.unwrap())?;
                }

                #[test]
                fn anything_is_refused_or_comes_back(message in $kind::valid(), choices in choices()) {
                    let tape = &mut Tape::new(&choices);
                    for message in [edited(&message, tape), wild(tape)] {
                        if let Ok(resource) = parsed::<$kind>(message.clone()) {
                            comes_back(&message, &resource)?;
                        }
                    }
                }

                #[test]
                fn what_only_the_server_sets_is_ignored(message in $kind::valid(), choices in choices()) {
                    let output_only = overwritten(&message, $kind::OUTPUT_ONLY, &mut Tape::new(&choices));
                    prop_assert_eq!(parsed::<$kind>(output_only), parsed::<$kind>(message));
                }
            }
        }
    )*};
}

laws! {
    customer: Customer;
    team: Team;
    virtual_key: VirtualKey;
    routing_rule: RoutingRule;
    model_config: ModelConfig;
    provider_governance: ProviderGovernance;
    pricing_override: PricingOverride;
    model_price: ModelPrice;
    provider: Provider;
    mcp_client: McpClient;
}
