//! The registry by itself.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::{NewToken, Role, Sha256Hash, Timestamp, Token};
use crate::ledger::{Call, Clock};
use crate::settings::AccessSettings;
use crate::store::{DatabaseUrl, Store, TokenTable};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const LATER: Timestamp = Timestamp::from_micros(2_000_000);

fn insecurely(insecure: bool) -> Registry {
    Registry::new(&AccessSettings { insecure, ..AccessSettings::default() }, false)
}

fn token(value: &str, role: Role) -> Token {
    Token {
        id: value.into(),
        name: value.into(),
        role,
        node_id: None,
        sha256: Sha256Hash::of(value),
        created_at: NOW,
        created_by: "tests".into(),
        expires_at: None,
        revoked: None,
        last_used_at: None,
    }
}

fn table(version: i64, tokens: &[Token]) -> TokenTable {
    TokenTable { version, tokens: tokens.to_vec() }
}

#[test]
fn authentication_is_on_from_the_first_token_for_ever() {
    let registry = insecurely(false);
    let anonymous = registry.anonymous().unwrap();
    assert!(registry.has_never_had_tokens() && !registry.is_enforced() && !anonymous.lapse().is_cancelled());
    registry.replace(table(1, &[token("a", Role::Admin)]));
    assert!(registry.is_enforced() && !registry.has_never_had_tokens() && registry.anonymous().is_none());
    assert!(anonymous.lapse().is_cancelled());
    registry.replace(table(2, &[]));
    assert!(registry.is_enforced());

    assert!(Registry::new(&AccessSettings::default(), true).is_enforced(), "certificates are credentials too");

    let insecure = insecurely(true);
    insecure.replace(table(1, &[token("a", Role::Admin)]));
    assert!(!insecure.anonymous().unwrap().lapse().is_cancelled() && !insecure.has_never_had_tokens());
}

#[test]
fn a_token_is_good_until_it_is_revoked_or_expires() {
    let registry = insecurely(false);
    let short = Token { expires_at: Some(LATER), ..token("short", Role::Viewer) };
    registry.replace(table(1, &[token("a", Role::Admin), short.clone()]));
    let a = registry.authenticate("a", NOW).unwrap();
    assert_eq!((a.actor().as_ref(), a.role()), ("a/a", Role::Admin));
    assert!(registry.authenticate("b", NOW).is_none() && registry.authenticate("", NOW).is_none());

    let held = registry.authenticate("short", NOW).unwrap();
    registry.expire(NOW);
    assert!(!held.lapse().is_cancelled());
    assert!(registry.authenticate("short", LATER).is_none());
    registry.expire(LATER);
    assert!(held.lapse().is_cancelled());

    let revoked = Token { revoked: Some((NOW, "ops".into())), ..token("a", Role::Admin) };
    registry.replace(table(2, &[revoked, short]));
    assert!(a.lapse().is_cancelled() && registry.authenticate("a", NOW).is_none());
}

#[test]
fn older_news_are_no_news() {
    let registry = insecurely(false);
    registry.replace(table(2, &[]));
    registry.replace(table(1, &[token("a", Role::Admin)]));
    assert!(registry.authenticate("a", NOW).is_none() && registry.version() == 2);
}

#[test]
fn a_change_of_one_token_leaves_the_streams_and_uses_of_others() {
    let registry = insecurely(false);
    registry.replace(table(1, &[token("a", Role::Admin)]));
    let a = registry.authenticate("a", NOW).unwrap();
    registry.replace(table(2, &[token("a", Role::Admin), token("b", Role::Node)]));
    assert!(!a.lapse().is_cancelled());
    let used: Vec<(Arc<str>, Timestamp)> = registry.used();
    assert_eq!(used, [("a".into(), NOW)]);
    registry.note(&used);
    assert_eq!((registry.used(), registry.last_used("a"), registry.last_used("b")), (vec![], Some(NOW), None));
}

#[tokio::test]
async fn every_replica_learns_of_what_another_one_did() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("t.db").display());
    let store = Arc::new(Store::open(&DatabaseUrl::parse(&url).unwrap(), Store::MIN_CONNECTIONS).await.unwrap());
    let replica = || async {
        let registry = Arc::new(insecurely(false));
        let tokens = Tokens::open(Arc::clone(&store), Arc::clone(&registry), Clock::system()).await.unwrap();
        let tokens = Arc::new(tokens);
        (registry, tokens)
    };
    let ((here, ours), (there, theirs)) = (replica().await, replica().await);
    let stop = CancellationToken::new();
    let keeping = tokio::spawn({
        let stop = stop.clone();
        async move { theirs.keep(stop).await }
    });
    assert!(ours.bootstrap("tg_root").await.unwrap());
    assert!(!ours.bootstrap("tg_toor").await.unwrap(), "there was a first token already");
    let new = NewToken { name: "n".into(), role: Role::Node, node_id: None, expires_at: None };
    let call = Call { actor: "tests".to_owned(), ..Call::of("test") };
    let mut id: Arc<str> = "".into();
    let (_, value) = ours
        .create(call.clone(), new, |token| {
            id = Arc::clone(&token.id);
            Vec::new()
        })
        .await
        .unwrap();
    let value = value.unwrap();
    assert!(here.authenticate(&value, Timestamp::now()).is_some(), "at once where it was made");
    let principal = loop {
        match there.authenticate(&value, Timestamp::now()) {
            Some(principal) => break principal,
            None => tokio::task::yield_now().await,
        }
    };
    ours.revoke(call, &id, |_| Vec::new()).await.unwrap();
    assert!(here.authenticate(&value, Timestamp::now()).is_none(), "at once where it was revoked");
    principal.lapse().cancelled().await;
    assert!(there.authenticate(&value, Timestamp::now()).is_none());
    stop.cancel();
    keeping.await.unwrap();
    let used = ours.list().await.unwrap();
    assert!(used.iter().any(|token| token.id == id && token.revoked.is_some()));
    store.close().await;
}
