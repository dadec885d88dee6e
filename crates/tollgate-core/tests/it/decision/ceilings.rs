//! Ceilings: the restrictions that a team and a customer put on the keys below them.

use super::*;

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn ceiling(providers: &[&str], allowed: &[&str], blocked: &[&str]) -> Option<v1::ModelCeiling> {
    let (allowed_providers, allowed_models, blocked_models) = (listed(providers), listed(allowed), listed(blocked));
    Some(v1::ModelCeiling { allowed_providers, allowed_models, blocked_models })
}

/// A key of a team of a customer, which allows everything of three providers.
fn below(
    world: &mut World,
    customer: Option<v1::ModelCeiling>,
    team: Option<v1::ModelCeiling>,
) -> Arc<Stored<VirtualKey>> {
    let name = || "above".to_owned();
    let customer = v1::Customer { name: name(), model_ceiling: customer, ..Default::default() };
    let customer_id = world.add::<Customer>(customer).id.to_string();
    let team = v1::Team { name: name(), customer_id, model_ceiling: team, ..Default::default() };
    let team_id = world.add::<Team>(team).id.to_string();
    let configs = ["openai", "anthropic", "groq"].map(|provider| config(provider, Some(1.0)));
    world.add::<VirtualKey>(v1::VirtualKey { team_id, ..key(configs.into()) })
}

#[test]
fn a_ceiling_holds_whatever_the_key_allows_and_says_whose_it_is() {
    use Verdict::{Allow, ModelBlocked, ProviderBlocked};
    for (ceiling, provider, model, verdict) in [
        (None, "openai", "gpt-4o", Allow),
        (ceiling(&["openai"], &[], &[]), "openai", "gpt-4o", Allow),
        (ceiling(&["openai"], &[], &[]), "groq", "gpt-4o", ProviderBlocked),
        (ceiling(&[], &["gpt-4*"], &[]), "openai", "openai/gpt-4o", Allow),
        (ceiling(&[], &["gpt-4*"], &[]), "groq", "gpt-4o", Allow),
        (ceiling(&[], &["gpt-4*"], &[]), "openai", "o3", ModelBlocked),
        (ceiling(&[], &["openai/gpt-4*"], &[]), "openai", "gpt-4o", Allow),
        (ceiling(&[], &["openai/gpt-4*"], &[]), "groq", "gpt-4o", ModelBlocked),
        // A model that a provider resells is named as that provider names it.
        (ceiling(&[], &["openai/gpt-4*"], &[]), "groq", "openai/gpt-4o", Allow),
        (ceiling(&[], &[], &["claude-opus*"]), "anthropic", "claude-opus-4-8", ModelBlocked),
        (ceiling(&[], &[], &["claude-opus*"]), "anthropic", "claude-sonnet", Allow),
        (ceiling(&[], &["claude*"], &["claude-opus*"]), "anthropic", "claude-opus-4-8", ModelBlocked),
        (ceiling(&[], &["*"], &[]), "groq", "x", Allow),
        (ceiling(&[], &[], &["*"]), "groq", "x", ModelBlocked),
        (ceiling(&["groq"], &["o3"], &[]), "openai", "gpt-4o", ProviderBlocked),
    ] {
        for whose in ["customer", "team"] {
            let mut world = World::new();
            let (of_customer, of_team) = match whose {
                "customer" => (ceiling.clone(), None),
                _ => (None, ceiling.clone()),
            };
            let key = below(&mut world, of_customer, of_team);
            let explanation = world.explain(asked(&key, provider, model));
            let about = format!("{ceiling:?}, {provider} {model}: {}", explanation.reason);
            assert_eq!(explanation.verdict, verdict, "{about}");
            let says = format!("{whose} \"above\" forbids");
            assert_eq!(explanation.reason.starts_with(&says), verdict != Allow, "{about}");

            // As a fallback it is refused for the same reason, and nobody without a key is bound.
            let fallback = Fallback { provider: Id::new(provider), model: model.into() };
            let fallbacks = [fallback];
            let explanation = world.explain(Request { fallbacks: &fallbacks, ..asked(&key, "openai", "gpt-4o") });
            let rejected = explanation.rejected_fallbacks.iter().map(|it| it.verdict).collect::<Vec<_>>();
            assert_eq!(rejected, if verdict == Allow { vec![] } else { vec![verdict] }, "{about}");
            assert!(world.explain(keyless(provider, model)).is_allowed());
        }
    }
}

#[test]
fn a_request_stays_below_the_ceilings_of_both_and_below_what_the_key_allows() {
    let mut world = World::new();
    let key = below(&mut world, ceiling(&["openai", "groq"], &["gpt*"], &[]), ceiling(&[], &["gpt-4*", "o3"], &[]));
    for (provider, model, says) in [
        ("openai", "gpt-4o", ""),
        ("openai", "gpt-3.5", "team \"above\" forbids model \"gpt-3.5\""),
        ("openai", "o3", "customer \"above\" forbids model \"o3\""),
        ("anthropic", "gpt-4o", "customer \"above\" forbids provider \"anthropic\""),
        ("elsewhere", "o3", "virtual key \"key\" may not use provider \"elsewhere\""),
    ] {
        let explanation = world.explain(asked(&key, provider, model));
        assert_eq!(explanation.is_allowed(), says.is_empty(), "{provider} {model}");
        assert!(explanation.reason.contains(says), "{}", explanation.reason);
    }
}

#[test]
fn a_provider_is_drawn_and_fallbacks_are_named_below_the_ceiling_only() {
    let mut world = World::new();
    let key = below(&mut world, ceiling(&["openai", "groq"], &[], &[]), ceiling(&[], &[], &["groq/llama*"]));
    for seed in 0..20 {
        let explanation = world.explain(Request { seed, ..asked(&key, "", "gpt-4o") });
        assert!(["openai", "groq"].contains(&&*explanation.provider), "{}", explanation.provider);
        let fallbacks: Vec<_> = explanation.fallbacks.iter().map(|it| it.provider.as_str()).collect();
        assert_eq!(fallbacks, if &*explanation.provider == "groq" { ["openai"] } else { ["groq"] });
        let why = &explanation.candidates[1].why;
        assert!(why.contains("customer \"above\" forbids provider \"anthropic\""), "{why}");
        assert_eq!(&*world.explain(Request { seed, ..asked(&key, "", "llama-4") }).provider, "openai");
    }
}

#[test]
fn where_nothing_is_left_to_draw_the_reason_is_the_nearest_to_an_answer() {
    use Verdict::{ModelBlocked, ProviderBlocked};
    for (ceiling, allowed, verdict, says) in [
        (ceiling(&["bare"], &[], &[]), "*", ProviderBlocked, "customer \"above\" forbids provider \"openai\""),
        (ceiling(&["groq"], &[], &["m"]), "*", ModelBlocked, "customer \"above\" forbids model \"m\" of \"groq\""),
        (ceiling(&["groq"], &[], &["m"]), "n", ModelBlocked, "no provider config of virtual key \"key\" allows model"),
        (ceiling(&["bare"], &[], &[]), "n", ProviderBlocked, "customer \"above\" forbids provider \"openai\""),
    ] {
        let mut world = World::new();
        let customer = v1::Customer { name: "above".to_owned(), model_ceiling: ceiling, ..Default::default() };
        let customer_id = world.add::<Customer>(customer).id.to_string();
        let configs = ["openai", "groq"].map(|provider| v1::VirtualKeyProviderConfig {
            allowed_models: listed(&[allowed]),
            ..config(provider, Some(1.0))
        });
        let key = world.add::<VirtualKey>(v1::VirtualKey { customer_id, ..key(configs.into()) });
        let explanation = world.explain(asked(&key, "", "m"));
        assert_eq!(explanation.verdict, verdict, "{}", explanation.reason);
        assert!(explanation.reason.contains(says), "{}", explanation.reason);
    }
}

#[test]
fn keys_of_an_inactive_customer_or_team_do_not_work_and_are_not_routed() {
    for (customer_active, team_active, key_active, verdict) in [
        (true, true, true, Verdict::Allow),
        (true, false, true, Verdict::TeamInactive),
        (false, true, true, Verdict::CustomerInactive),
        (false, false, true, Verdict::CustomerInactive),
        (false, false, false, Verdict::KeyInactive),
    ] {
        let mut world = World::new();
        world.add::<RoutingRule>(rule(1, "", Some("groq"), None));
        let customer = v1::Customer { name: "Acme".to_owned(), is_active: Some(customer_active), ..Default::default() };
        let customer_id = world.add::<Customer>(customer).id.to_string();
        let team =
            v1::Team { name: "Search".to_owned(), customer_id, is_active: Some(team_active), ..Default::default() };
        let team_id = world.add::<Team>(team).id.to_string();
        let configs = vec![config("openai", Some(1.0)), config("groq", None)];
        let key = v1::VirtualKey { team_id, is_active: Some(key_active), ..key(configs) };
        let key = world.add::<VirtualKey>(key);
        let explanation = world.explain(asked(&key, "openai", "m"));
        assert_eq!(explanation.verdict, verdict, "{}", explanation.reason);
        assert_eq!(explanation.rules.is_empty(), verdict != Verdict::Allow, "it is not routed");
        let caller = Caller::of(&world.config, &key);
        assert_eq!(caller.works_at(Timestamp::from_micros(NOW)), verdict == Verdict::Allow);
        let says = match verdict {
            Verdict::CustomerInactive => "customer \"Acme\" is not active",
            Verdict::TeamInactive => "team \"Search\" is not active",
            _ => "",
        };
        assert!(explanation.reason.contains(says), "{}", explanation.reason);
    }
}
