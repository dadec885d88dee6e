//! Values of new keys: told once, in one place, and never lost.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

/// The value in a file of secrets, whose one line is about `named`.
fn kept(path: &Path, named: &str) -> String {
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(path).unwrap();
    text.strip_prefix(&format!("{named}\t")).unwrap().trim_end().to_owned()
}

/// Whether the value is that of the key.
async fn opens(rig: &Rig, value: &str, named: &str) -> bool {
    use sha2::{Digest as _, Sha256};
    let hash = hex::encode(Sha256::digest(value));
    let found = run(rig, &["lookup", "key", &hash, "-o", "name"]).await;
    found.code == 0 && found.out.trim() == named
}

#[tokio::test]
async fn a_value_goes_into_the_file_or_is_shown_and_never_both() {
    let (mut rig, api) = Rig::started().await;
    let path = |name: &str| rig.database.directory().join(name);
    for (number, format) in ["table", "wide", "json", "yaml", "name"].into_iter().enumerate() {
        let name = format!("key-{number}");
        let [first, second] = ["first", "second"].map(|which| path(&format!("{which}-{number}")));
        let create = ["create", "key", &name, "-o", format, "--secrets-out", first.to_str().unwrap()];
        let ran = run(&rig, &create).await;
        let value = kept(&first, &name);
        assert!(!ran.out.contains("sk-tg-") && !ran.err.contains("sk-tg-"), "{format}: {} {}", ran.out, ran.err);
        assert!(ran.out.contains(&name), "{format}: {}", ran.out);
        assert_eq!(ran.code, 0);
        assert!(opens(&rig, &value, &name).await, "{format}");

        let rotate = ["rotate", "key", &name, "-o", format, "--secrets-out", second.to_str().unwrap()];
        let ran = run(&rig, &rotate).await;
        let other = kept(&second, &name);
        assert!(!ran.out.contains("sk-tg-") && !ran.err.contains("sk-tg-"), "{format}: {} {}", ran.out, ran.err);
        assert!(other != value && opens(&rig, &other, &name).await, "{format}");

        // Without a file the value is shown, once: in JSON as a field, else alone, and away from what a program reads on.
        for command in
            [&["create", "key", &format!("shown-{number}"), "-o", format][..], &["rotate", "key", &name, "-o", format]]
        {
            let ran = run(&rig, command).await;
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert_eq!(
                format!("{}{}", ran.out, ran.err).matches("sk-tg-").count(),
                1,
                "{command:?}: {} {}",
                ran.out,
                ran.err
            );
            assert_eq!(ran.out.contains("sk-tg-"), !["yaml", "name"].contains(&format), "{command:?}");
        }
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_costs_nothing() {
    let (mut rig, api) = Rig::started().await;
    run(&rig, &["create", "key", "old"]).await.good();
    let before = run(&rig, &["status", "--json"]).await.json().remove(0)["revision"].clone();
    let there = file(&rig, "there", "somebody's");
    let nowhere = rig.database.directory().join("nowhere/secrets");
    for (out, why) in [(&there, "name a new file"), (&nowhere, "name a file that can be made")] {
        let out = out.to_str().unwrap();
        for command in [&["create", "key", "new"][..], &["rotate", "key", "old"]] {
            for format in ["table", "json"] {
                let said = run(&rig, &[command, &["-o", format, "--secrets-out", out]].concat()).await.bad(2);
                assert!(said.contains(out) && said.contains(why), "{said}");
            }
        }
    }
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "somebody's");
    assert_eq!(run(&rig, &["status", "--json"]).await.json().remove(0)["revision"], before, "nothing was changed");

    // What is refused, or only tried, leaves no file behind: a second attempt finds its place free.
    let out = rig.database.directory().join("secrets");
    let secrets = ["--secrets-out", out.to_str().unwrap()];
    run(&rig, &[&["create", "key", "old"][..], &secrets].concat()).await.bad(1);
    assert!(!out.exists());
    run(&rig, &[&["create", "key", "new", "--dry-run"][..], &secrets].concat()).await.good();
    run(&rig, &[&["rotate", "key", "old", "--dry-run"][..], &secrets].concat()).await.good();
    assert!(!out.exists());
    run(&rig, &[&["create", "key", "new"][..], &secrets].concat()).await.good();
    kept(&out, "new");
    let said = run(&rig, &["create", "customer", "Acme", "--secrets-out", "x"]).await.bad(2);
    assert!(said.contains("--secrets-out is for keys"), "{said}");

    // A value that is to be brought and is not there is no wish for a new one.
    let said = run(&rig, &["create", "key", "brought", "--value-from", "-"]).await.bad(2);
    assert!(said.contains("--value-from has nothing"), "{said}");
    drop(api);
    rig.stop().await;
}
