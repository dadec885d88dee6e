//! What is particular to PostgreSQL.

use super::*;

#[test]
fn the_store_on_postgresql() {
    cluster::run_again_on_postgres(&["store::tests::"]);
}

#[test]
fn urls_of_postgresql_are_shown_without_their_passwords() {
    let url = DatabaseUrl::parse("postgres://u:secret@h:5433/d?sslmode=verify-full&password=secret").unwrap();
    assert_eq!(url.to_string(), "postgres://u@h:5433/d");
    assert!(!format!("{url:?}").contains("secret"));
    let url = DatabaseUrl::parse("postgresql:///d?host=/run/postgresql&user=u").unwrap();
    assert_eq!(url.to_string(), "postgres://u@/run/postgresql:5432/d");
    for (url, why) in [
        ("postgres://u:secret@h/d?pasword=secret", "has the unknown parameter \"pasword\""),
        ("postgres://u:secret@h/d?sslmode=secret", "cannot be read"),
        ("postgres://u:secret@h:secret/d", "cannot be read"),
        ("postgres://u:secret@[h/d", "cannot be read"),
    ] {
        let error = DatabaseUrl::parse(url).err().unwrap().to_string();
        assert!(error.contains(why), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
