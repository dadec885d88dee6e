//! `tollgate spend` and `tollgate prices unpriced`, the program, against a server.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::adjust::{adjust, refund};
use super::spend::{instant, timestamp};
use super::*;
use crate::watch::rig::{clock, soon};

/// The exit code of the program, and all that it prints.
async fn run(rig: &Rig, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).args(["--server", &format!("http://{}", rig.address())]).stdin(Stdio::null());
    let output = soon(tokio::task::spawn_blocking(move || command.output().unwrap())).await.unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test]
async fn the_program_lists_spend_for_people_spreadsheets_and_programs() {
    let now = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(instant("2026-11-29T10:20:00Z")));
    let mut rig = Rig::new();
    rig.clock = clock(&now);
    rig.settings.spend.time_zone = Some("Europe/Berlin".to_owned());
    rig.start().await;
    let api = rig.api().await;
    let (team, key) = hierarchy(&api).await;
    api.update_team(v1::Team { name: "=team, \"one\"".to_owned(), revision: 0, ..team.clone() }, &["name"])
        .await
        .unwrap();
    let incarnation = register(&api).await;
    let at = |time: &str, entry: v1::UsageEntry| v1::UsageEntry { occurred_at: timestamp(instant(time)), ..entry };
    let entries = vec![
        at("2026-11-29T10:00:00Z", entry(&key.id, 1_234_567_890)),
        at("2026-11-01T00:00:00Z", v1::UsageEntry { unpriced_requests: 1, ..entry("", 0) }),
        at("2026-10-31T22:59:59Z", entry(&key.id, 7)),
    ];
    report(&api, vec![batch(incarnation, 1, entries)]).await;

    let (code, table) = run(&rig, &["spend", "--by", "team", "--month", "2026-11"]).await;
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split("  ").filter(|it| !it.is_empty()).map(str::trim).collect()).collect();
    let from = "2026-10-31T23:00:00Z";
    let expected: [&[&str]; 4] = [
        &["FROM", "TEAM", "COST", "REQUESTS", "INPUT TOKENS", "OUTPUT TOKENS"],
        &[from, "=team, \"one\"", "1.23 USD", "1", "70", "30"],
        &[from, "(none)", "0.00 USD", "1", "70", "30"],
        &["total", "1.23 USD", "2", "140", "60"],
    ];
    assert_eq!((code, lines), (Some(0), expected.map(<[_]>::to_vec).to_vec()), "{table}");

    adjust(&api, refund(&team.budgets[0].id, 1_500_000_000)).await.unwrap();
    let (code, table) = run(&rig, &["spend"]).await;
    let (_, corrections) = table.split_once("\n\n").unwrap_or_else(|| panic!("{code:?}: {table}"));
    let corrections: Vec<_> = corrections.lines().collect();
    assert_eq!((code, corrections.len()), (Some(0), 3), "{table}");
    assert_eq!(corrections[0], "Corrections of limits, which are no part of spend:");
    let cells: Vec<_> = corrections[2].split("  ").filter(|it| !it.is_empty()).map(str::trim).collect();
    assert_eq!(cells[1..3], [format!("team {}", team.id).as_str(), "1.50 USD"], "{table}");
    assert_eq!(cells[5..], ["anonymous", "a refund"], "{table}");

    let args =
        ["spend", "--by", "team,model", "--granularity", "day", "--from", "2026-10-31", "--to", "2026-11-01", "--csv"];
    let csv = format!(
        "start,team_id,team_name,model,requests,unpriced_requests,input_tokens,cached_input_tokens,cache_write_tokens,\
         output_tokens,reasoning_tokens,audio_tokens,cost_nano_usd\n\
         2026-10-30T23:00:00Z,{},\"'=team, \"\"one\"\"\",gpt-4o,1,0,70,0,0,30,0,0,7\n",
        team.id
    );
    assert_eq!(run(&rig, &args).await, (Some(0), csv));

    let (code, json) = run(&rig, &["spend", "--json", "--virtual-key-id", &key.id]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json["total"]["costNanoUsd"], &json["timeZone"]),
        (Some(0), &"1234567890".into(), &"Europe/Berlin".into())
    );

    for (args, code, says) in [
        (&["spend", "--month", "November"][..], 2, "--month November: must be a month, as 2026-11"),
        (&["spend", "--from", "noon"], 2, "--from noon: must be a day"),
        (&["spend", "--by", "colour"], 1, "group_by[0]: is no property"),
    ] {
        let (found, said) = run(&rig, args).await;
        assert!(found == Some(code) && said.contains(says), "{args:?}: {said}");
    }

    let (code, table) = run(&rig, &["prices", "unpriced"]).await;
    assert!(
        code == Some(0)
            && table.lines().count() == 2
            && table.contains("openai    gpt-4o  1         2         NO PRICE"),
        "{table}"
    );
    let (_, none) = run(&rig, &["prices", "unpriced", "--from", "2026-11-29T00:00:00Z"]).await;
    assert_eq!(none, "no model was used without a price\n");
    drop(api);
    rig.stop().await;
}
