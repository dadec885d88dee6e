//! Targets that call a parser itself.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost::Message as _;
use tollgate::access::Registry;
use tollgate::api::ClientCertificate;
use tollgate::archive;
use tollgate::cel::{Expression, Inputs};
use tollgate::domain::{ResetDuration, Timestamp, Token, Violations};
use tollgate::proto::export::v1::Line;
use tollgate::proto::v1::WatchConfigResponse;
use tollgate::reducer::Reducer;
use tollgate::settings::AccessSettings;

/// An expression, however hostile, is refused with its position or evaluated within its bounds, twice alike.
pub(crate) fn cel(input: &[u8]) {
    let Ok(source) = std::str::from_utf8(input) else { return };
    let Ok(expression) = Expression::compile(source) else { return };
    assert_eq!(expression.source(), source);
    let headers = BTreeMap::from([("x-tier".to_owned(), "gold".to_owned()), ("n".to_owned(), "-7".to_owned())]);
    for budget_used in [0.0, 80.5, f64::MAX] {
        let inputs = Inputs {
            model: "gpt-4o",
            provider: "openai",
            request_type: "chat_completion",
            headers: &headers,
            params: &headers,
            budget_used,
            ..Inputs::default()
        };
        assert_eq!(expression.matches(&inputs), expression.matches(&inputs), "the same again");
    }
}

/// A duration that is taken is of a positive length, and is itself again when it is read back.
pub(crate) fn duration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some(parsed) = ResetDuration::parse(text) else { return };
    assert!(parsed.count() > 0 && parsed.millis() > 0, "{text:?}");
    let again = ResetDuration::parse(&parsed.to_string()).expect("what is shown can be read");
    assert_eq!((again.unit(), again.count(), again.millis()), (parsed.unit(), parsed.count(), parsed.millis()));
}

/// A URI of a certificate names a holder with a sound name, or nobody; never anybody else.
pub(crate) fn certificate_uri(input: &[u8]) {
    let Ok(uri) = std::str::from_utf8(input) else { return };
    if let ClientCertificate::Of(holder) = ClientCertificate::of_names([uri]) {
        assert!(!holder.name.is_empty() && holder.name.len() <= 128 && !holder.name.chars().any(char::is_control));
        assert!(uri.to_ascii_lowercase().starts_with("tollgate://"), "{uri:?}");
        let two = ClientCertificate::of_names([uri, uri]);
        assert!(matches!(two, ClientCertificate::Unclear(_)), "two names are nobody's");
    }
}

/// A made-up token is nobody's, and one that an operator may choose is one that a header can carry.
pub(crate) fn token(input: &[u8]) {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(&AccessSettings::default(), true));
    let Ok(value) = std::str::from_utf8(input) else { return };
    assert!(REGISTRY.authenticate(value, Timestamp::now()).is_none(), "{value:?}");
    if Token::is_chosen_value(value) {
        assert!(
            value.starts_with("tg_") && value.is_ascii() && http::HeaderValue::from_str(value).is_ok(),
            "{value:?}"
        );
    }
}

/// A line of an export is refused with its faults, or is a record that is written as it was read.
pub(crate) fn export_line(input: &[u8]) {
    let Ok(Line { line: Some(content) }) = archive::decode(input, archive::FORMAT) else { return };
    let mut violations = Violations::new();
    let Some(record) = archive::parse(content, &mut violations) else {
        assert!(!violations.is_empty());
        return;
    };
    let line = archive::render(&record);
    let json = archive::encode(&line).expect("a record is a line");
    let again = archive::decode(json.as_bytes(), archive::FORMAT).expect("what is written can be read");
    assert_eq!(again, line);
    assert_eq!(archive::parse(again.line.expect("it has a record"), &mut violations).as_ref(), Some(&record));
}

/// A node that is sent nonsense says so, and goes on with what it held.
pub(crate) fn watch_message(input: &[u8]) {
    let mut reducer = Reducer::new();
    reducer.connect();
    let before = reducer.state().revision();
    let mut rest = input;
    while !rest.is_empty() {
        let Ok(message) = WatchConfigResponse::decode_length_delimited(&mut rest) else { return };
        if reducer.apply(message).is_err() {
            reducer.connect();
        }
        assert!(reducer.state().revision() >= before);
    }
}
