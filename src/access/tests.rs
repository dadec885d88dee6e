//! The registry by itself.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::{Id, Resource as _, Revocation, Role, Sha256Hash, Stored, Timestamp, Token};
use crate::ledger::{Call, Clock, Ledger};
use crate::settings::{AccessSettings, CreditSettings, RetentionSettings, SpendSettings};
use crate::state::{Chain, Head, State};
use crate::store::{DatabaseUrl, Store};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);

fn insecurely(insecure: bool) -> Registry {
    Registry::new(&AccessSettings { insecure, ..AccessSettings::default() }, false)
}

fn token(value: &str, role: Role) -> Token {
    Token {
        name: value.into(),
        role,
        node_id: None,
        sha256: Sha256Hash::of(value),
        created_by: "tests".into(),
        expires_at: None,
        revoked: None,
    }
}

/// A state at `revision` with these tokens, whose ids are their names. Those before the last are from earlier revisions.
fn state(revision: i64, tokens: &[Token]) -> Arc<State> {
    let head = Head {
        store_id: "store".into(),
        revision,
        chain: Chain::ORIGIN,
        committed_at: NOW,
        compacted_revision: 0,
        compacted_chain: Chain::ORIGIN,
        last_config_id: 0,
    };
    let stored = tokens.iter().map(|token| {
        let revision = if token.revoked.is_some() { revision } else { 1 };
        let id = Id::new(Arc::clone(&token.name));
        let stored = Stored { id, revision, created_at: NOW, updated_at: NOW, resource: token.clone() };
        Token::wrap(Arc::new(stored))
    });
    Arc::new(State::restore(head, stored, [], []))
}

#[test]
fn authentication_is_on_from_the_first_token_for_ever() {
    let registry = insecurely(false);
    let anonymous = registry.anonymous().unwrap();
    assert!(registry.has_never_had_tokens() && !registry.is_enforced() && !anonymous.lapse().is_cancelled());
    registry.follow(|| state(1, &[token("a", Role::Admin)]));
    assert!(registry.is_enforced() && !registry.has_never_had_tokens() && registry.anonymous().is_none());
    assert!(anonymous.lapse().is_cancelled());
    registry.follow(|| state(2, &[]));
    assert!(registry.is_enforced());

    assert!(Registry::new(&AccessSettings::default(), true).is_enforced(), "certificates are credentials too");

    let insecure = insecurely(true);
    insecure.follow(|| state(1, &[token("a", Role::Admin)]));
    assert!(!insecure.anonymous().unwrap().lapse().is_cancelled() && !insecure.has_never_had_tokens());
}

#[test]
fn a_token_is_good_until_it_is_revoked_or_expires() {
    let registry = insecurely(false);
    let short = Token { expires_at: Some(LATER), ..token("short", Role::Viewer) };
    registry.follow(|| state(1, &[token("a", Role::Admin), short.clone()]));
    let a = registry.authenticate("a", NOW).unwrap();
    assert_eq!((a.actor().as_ref(), a.role()), ("a/a", Role::Admin));
    assert!(registry.authenticate("b", NOW).is_none() && registry.authenticate("", NOW).is_none());

    let held = registry.authenticate("short", NOW).unwrap();
    registry.expire(NOW);
    assert!(!held.lapse().is_cancelled());
    assert!(registry.authenticate("short", LATER).is_none());
    registry.expire(LATER);
    assert!(held.lapse().is_cancelled());

    let revoked = Token { revoked: Some(Revocation { at: NOW, by: "ops".into() }), ..token("a", Role::Admin) };
    registry.follow(|| state(2, &[revoked, short]));
    assert!(a.lapse().is_cancelled() && registry.authenticate("a", NOW).is_none());
}

#[test]
fn a_change_of_one_token_leaves_the_streams_and_uses_of_others() {
    let registry = insecurely(false);
    registry.follow(|| state(1, &[token("a", Role::Admin)]));
    let a = registry.authenticate("a", NOW).unwrap();
    registry.follow(|| state(2, &[token("a", Role::Admin), token("b", Role::Node)]));
    assert!(!a.lapse().is_cancelled());
    let used: Vec<(Arc<str>, Timestamp)> = registry.used();
    assert_eq!(used, [("a".into(), NOW)]);
    registry.note(&used);
    assert_eq!((registry.used(), registry.last_used("a"), registry.last_used("b")), (vec![], Some(NOW), None));
}

#[test]
fn what_is_refused_stays_refused_whatever_later_states_say() {
    let registry = insecurely(false);
    let tokens = ["a", "b", "c"].map(|name| token(name, Role::Admin));
    registry.follow(|| state(1, &tokens[..2]));
    let [a, b] = ["a", "b"].map(|value| registry.authenticate(value, NOW).unwrap());
    registry.refuse(["a".to_owned()].into());
    assert!(a.lapse().is_cancelled() && !b.lapse().is_cancelled());
    registry.follow(|| state(2, &tokens));
    let works = ["a", "b", "c"].map(|value| registry.authenticate(value, NOW).is_some());
    assert_eq!(works, [false, true, true]);
    assert!(!b.lapse().is_cancelled());
}

#[tokio::test]
async fn a_registry_follows_what_the_ledger_decides() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("t.db").display());
    let store = Arc::new(Store::open(&DatabaseUrl::parse(&url).unwrap(), Store::MIN_CONNECTIONS).await.unwrap());
    let (retention, spend, credit) =
        (RetentionSettings::default(), SpendSettings::default(), CreditSettings::default());
    let start =
        Ledger::start(Arc::clone(&store), retention, spend, credit, "replica".into(), Clock::system(), Vec::new());
    let (ledger, tasks) = start.await.unwrap();
    let registry = || Arc::new(insecurely(false));
    let (here, there) = (registry(), registry());
    let [ours, theirs] = [&here, &there].map(|it| Tokens::new(ledger.clone(), Arc::clone(&store), Arc::clone(it)));
    let stop = CancellationToken::new();
    let keeping = tokio::spawn({
        let stop = stop.clone();
        async move { theirs.keep(stop).await }
    });
    assert!(ours.bootstrap("tg_root").await.unwrap());
    assert!(!ours.bootstrap("tg_toor").await.unwrap(), "there was a first token already");
    let call = Call { actor: "tests".to_owned(), ..Call::of("test") };
    let name = |token: &Stored<Token>| token.id.as_str().as_bytes().to_vec();
    let (answer, value) = ours.create(call.clone(), token("n", Role::Node), name).await.unwrap();
    let (id, value) = (String::from_utf8(answer.response.to_vec()).unwrap(), value.unwrap());
    assert!(here.authenticate(&value, Timestamp::now()).is_some(), "at once where it was made");
    let principal = loop {
        match there.authenticate(&value, Timestamp::now()) {
            Some(principal) => break principal,
            None => tokio::task::yield_now().await,
        }
    };
    ours.revoke(call, &id, 0, name).await.unwrap();
    assert!(here.authenticate(&value, Timestamp::now()).is_none(), "at once where it was revoked");
    principal.lapse().cancelled().await;
    assert!(there.authenticate(&value, Timestamp::now()).is_none());
    stop.cancel();
    keeping.await.unwrap();
    let uses = ours.uses().await.unwrap();
    assert!(uses(&id).is_none() && uses("nobody").is_none(), "the last use of what is revoked is noted while it works");
    drop(uses);
    tasks.finish().await;
}
