//! `tollgate usage`, the program, against a server.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::*;
use crate::watch::rig::soon;

fn program(rig: &Rig, flags: &[&str]) -> Command {
    called(&["usage"], rig, flags)
}

fn called(words: &[&str], rig: &Rig, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(words).args(["--server", &format!("http://{}", rig.address())]).args(flags).stdin(Stdio::null());
    command
}

/// Does what blocks, while the server goes on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    soon(tokio::task::spawn_blocking(work)).await.unwrap()
}

#[tokio::test]
async fn the_program_shows_what_is_used_and_keeps_it_live_until_it_is_interrupted() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 900_000_000)])]).await;

    let mut once = program(&rig, &[]);
    let output = aside(move || once.output().unwrap()).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 7, "a head, four budgets, tokens and requests: {text}");
    assert!(lines[1..5].iter().all(|line| line.contains("0.90 USD  1.00 USD   90.0 %")), "{text}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");

    let mut live = program(&rig, &["--watch", "--json", "--owner", "team"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = Some(BufReader::new(live.stdout.take().unwrap()).lines());
    let mut next = async || {
        let mut held = lines.take().unwrap();
        let (line, held) = aside(move || (held.next(), held)).await;
        lines = Some(held);
        let mut shown: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
        shown["limits"][0].as_object_mut().unwrap().retain(|name, _| !name.ends_with("Reset"));
        shown
    };
    let shown = |used: &str, percent: f64| {
        json!({"limits": [{
            "owner": "team", "ownerId": team.id, "ownerName": "team", "limitId": team.budgets[0].id,
            "kind": "LIMIT_KIND_BUDGET", "used": used, "max": "1000000000", "percent": percent,
        }], "totalSize": 1})
    };
    assert_eq!(next().await, shown("900000000", 90.0));
    report(&api, vec![batch(incarnation, 2, vec![entry(&key.id, 123_456_789)])]).await;
    assert_eq!(next().await, shown("1023456789", 102.3));
    let interrupted = Command::new("kill").args(["-INT", &live.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(aside(move || live.wait().unwrap()).await.code(), Some(0));
    drop((next, api));
    rig.stop().await;
}

#[tokio::test]
async fn the_program_adjusts_what_was_counted_and_shows_it_in_the_audit_trail() {
    let (mut rig, api) = Rig::started().await;
    let (team, key) = hierarchy(&api).await;
    report(&api, vec![batch(register(&api).await, 1, vec![entry(&key.id, 900_000_000)])]).await;
    let id = team.budgets[0].id.as_str();
    let ran = async |words: &[&str], flags: &[&str]| {
        let mut command = called(words, &rig, flags);
        let output = aside(move || command.output().unwrap()).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let refund = [id, "--usd", "-0.25", "--reason", "a refund"];
    let tried = ran(&["usage", "adjust"], &[&refund[..], &["--dry-run"]].concat()).await;
    assert!(tried.ends_with(": 0.90 USD used → 0.65 USD; would be adjusted\n"), "{tried}");
    let made = ran(&["usage", "adjust"], &refund).await;
    assert!(made.contains(": 0.90 USD used → 0.65 USD; adjusted at revision "), "{made}");
    let trail = ran(&["changes"], &["--id", &team.id, "--limit", "1"]).await;
    let told = format!("    budget of limit {id}: 0.90 USD used → 0.65 USD, since \"a refund\"");
    assert!(trail.lines().any(|line| line == told), "{trail}");
    drop(api);
    rig.stop().await;
}
