//! Files that no import takes, and stores that take none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::watch::rig::Rig;

/// The lines of a file, to be changed.
pub(super) struct File(pub(super) Vec<String>);

impl File {
    fn line(&mut self, place: usize, change: impl FnOnce(&mut Value)) {
        let mut line: Value = serde_json::from_str(&self.0[place]).unwrap();
        change(&mut line);
        self.0[place] = line.to_string();
    }

    /// Where the first line is that has such a record.
    fn place(&self, kind: &str) -> usize {
        let within = |line: &String| {
            let line: Value = serde_json::from_str(line).unwrap();
            line.get(kind).or_else(|| line.get("resource")?.get(kind)).is_some()
        };
        self.0.iter().position(within).unwrap_or_else(|| panic!("no {kind}"))
    }

    fn change(&mut self, kind: &str, change: impl FnOnce(&mut Value)) {
        let place = self.place(kind);
        self.line(place, |line| {
            let holder = if line.get(kind).is_some() { line } else { &mut line["resource"] };
            change(&mut holder[kind]);
        });
    }

    fn repeat(&mut self, kind: &str, change: impl FnOnce(&mut Value)) {
        let place = self.place(kind);
        self.0.insert(place, self.0[place].clone());
        self.change(kind, change);
    }

    /// With the trailer that it should have: whoever edits a file may do that too.
    pub(super) fn signed(mut self) -> String {
        self.0.pop();
        let records = self.0.len() - 1;
        let text: String = self.0.iter().map(|line| format!("{line}\n")).collect();
        let blake3 = STANDARD.encode(blake3::hash(text.as_bytes()).as_bytes());
        text + &json!({"trailer": {"records": records.to_string(), "blake3": blake3}}).to_string() + "\n"
    }

    fn unsigned(self) -> String {
        self.0.iter().map(|line| format!("{line}\n")).collect()
    }
}

#[tokio::test]
async fn a_bad_file_is_refused_with_its_fault_and_leaves_the_store_as_it_was() {
    let (mut rig, api) = Rig::started().await;
    fill(&api).await;
    drop(api);
    rig.stop().await;
    let good = export(&rig.database).await;
    let file = || File(good.lines().map(str::to_owned).collect());
    let edited = |edit: &dyn Fn(&mut File)| {
        let mut file = file();
        edit(&mut file);
        file.signed()
    };
    let changed = |kind: &str, change: fn(&mut Value)| edited(&|file| file.change(kind, change));
    let repeated = |kind: &str, change: fn(&mut Value)| edited(&|file| file.repeat(kind, change));
    let cut = |bytes: usize| good[..good.len() - bytes].to_owned();
    let (header_end, trailer) = (good.find('\n').unwrap() + 1, good.lines().last().unwrap().len() + 1);
    let is_far = |hash: &mut Value| *hash = json!(STANDARD.encode([7; 32]));

    let cases: Vec<(String, &str)> = vec![
        // What is cut, changed or no such file at all.
        (String::new(), "line 1: is no header; is this a file that `tollgate export` wrote?"),
        ("This is a letter.\n".to_owned(), "line 1: is no header"),
        (good[header_end..].to_owned(), "line 1: is no header"),
        (cut(1), "has no end: the file was cut off, export again"),
        (cut(trailer), "is missing: the file ends before its trailer"),
        (good[..header_end + 40].to_owned(), "line 2: has no end"),
        (good.clone() + "{}\n", "stands after the trailer"),
        (good.replacen("Ünit", "Unit", 1), "trailer.blake3: is not that of the lines before"),
        (good.replacen("exportedAt\":\"20", "exportedAt\":\"19", 1), "trailer.blake3"),
        (
            {
                let mut file = file();
                file.0.remove(2);
                file.unsigned()
            },
            "trailer.records: is ",
        ),
        (edited(&|file| file.0[1] = "not JSON".to_owned()), "line 2: column 2: expected ident"),
        (edited(&|file| file.0.insert(1, String::new())), "line 2: "),
        (edited(&|file| file.0.insert(1, "{}".to_owned())), "line 2: is empty, or of a kind that this version"),
        (edited(&|file| file.0.insert(1, file.0[0].clone())), "line 2: line: is a header or a trailer"),
        (
            edited(&|file| file.0.insert(1, r#"{"gadget":{}}"#.to_owned())),
            "line 2: column 9: unrecognized field name 'gadget'; use the file as",
        ),
        (
            edited(&|file| file.0.insert(1, r#"{"resource":{"gadget":{}}}"#.to_owned())),
            "unrecognized field name 'gadget'",
        ),
        (
            edited(&|file| file.line(0, |it| it["header"]["formatVersion"] = json!(4))),
            "line 1: header.format_version: is 4, and this version of tollgate knows 1 to 3 only",
        ),
        (
            edited(&|file| {
                file.line(0, |it| {
                    it["header"]["formatVersion"] = json!(5);
                    it["header"]["more"] = json!([]);
                });
            }),
            "line 1: header.format_version: is 5",
        ),
        (
            edited(&|file| file.line(0, |it| it["header"]["usageVersion"] = json!("-1"))),
            "line 1: header: has a negative",
        ),
        // Values that no resource has.
        (changed("team", |it| it["name"] = json!("")), "team.name: is empty; must have 1 to 1024 bytes"),
        (changed("team", |it| it["name"] = json!(7)), "resource.team.name (column "),
        (changed("team", |it| it["name"] = json!(" spaced ")), "resource.team.name: is not as an export has it"),
        (
            changed("team", |it| it["colour"] = json!("red")),
            "unrecognized field name 'colour'; use the file as `tollgate export` wrote it",
        ),
        (changed("team", |it| it["revision"] = json!("5")), "team.revision: is 5; must be left out"),
        (changed("team", |it| it["id"] = json!("")), "team.id: is empty"),
        (changed("team", |it| it["createdAt"] = Value::Null), "team.created_at: is absent; must be a time"),
        (changed("team", |it| it["createdAt"] = json!("yesterday")), "resource.team.createdAt"),
        (changed("team", |it| it["updatedAt"] = json!("2026-01-01T00:00:00.000000001Z")), "updated_at"),
        (changed("team", |it| it["budgets"][0]["anchor"] = Value::Null), "team.budgets[0].anchor: is absent"),
        (changed("team", |it| it["budgets"][0]["id"] = json!("")), "team.budgets[0].id: is empty"),
        (
            changed("team", |it| it["budgets"][0]["resetDuration"] = json!("1 day")),
            "team.budgets[0].reset_duration: is \"",
        ),
        (changed("team", |it| it["budgets"][0]["maxLimitNanoUsd"] = json!("-1")), "team.budgets[0].max_limit_nano_usd"),
        (
            changed("team", |it| it["budgets"][0]["maxLimit"] = json!(77)),
            "resource.team.budgets[0].max_limit: is not as",
        ),
        (
            changed("team", |it| it["rateLimits"][0]["tokenAnchor"] = Value::Null),
            "team.rate_limits[0].token_anchor: is absent",
        ),
        (
            changed("virtualKey", |it| it["valueSha256"] = json!("AAAA")),
            "virtual_key.value_sha256: has 3 bytes; must have 32",
        ),
        (changed("virtualKey", |it| it["value"] = json!("sk-tg-open")), "virtual_key.value: is no mask"),
        (changed("virtualKey", |it| it["providerConfigs"][0]["id"] = json!("0")), "provider_configs[0].id: is 0"),
        (
            changed("virtualKey", |it| {
                it["providerConfigs"][0]["id"] = json!("999");
                it["providerConfigs"][0]["budgets"][0]["providerConfigId"] = json!("999");
            }),
            "id of a config: is 999; must be from 1 to",
        ),
        (changed("routingRule", |it| it["celExpression"] = json!("model >")), "routing_rule.cel_expression: "),
        (changed("pricingOverride", |it| it["requestTypes"] = json!([])), "pricing_override.request_types: is empty"),
        (changed("token", |it| it["token"]["role"] = json!("ROLE_UNSPECIFIED")), "token.role: is no role"),
        (changed("token", |it| it["valueSha256"] = json!("")), "value_sha256: has 0 bytes"),
        (
            changed("token", |it| it["token"]["value"] = json!("tg_secret")),
            "token.token.value: is not as an export has it",
        ),
        (changed("usageNode", |it| it["metadata"] = json!("[]")), "metadata: is no JSON object of strings"),
        (changed("usageNode", |it| it["incarnation"] = json!("99")), "incarnation: is 99; must be from 1 to 3"),
        (changed("usageNode", |it| it["lastFingerprint"] = json!("")), "last_fingerprint: has 0 bytes"),
        (changed("usageCounter", |it| it["kind"] = json!(9)), "kind: is missing or unknown"),
        (changed("usageCounter", |it| it["used"] = json!("-5")), "used: is -5; must be at least 0"),
        (changed("usageCounter", |it| it["version"] = json!("9999")), "version: is 9999; must be from 1 to"),
        (changed("thresholdEvent", |it| it["event"]["percent"] = json!(1_001)), "event.percent: is 1001; must be from"),
        (changed("formerKey", |it| it["deletedAt"] = Value::Null), "deleted_at: is absent"),
        (changed("spend", |it| it["amounts"]["requests"] = json!("-1")), "amounts: is -1; must be at least 0"),
        (changed("spend", |it| it["amounts"] = Value::Null), "amounts: is absent"),
        (changed("spend", |it| it["start"] = json!("2026-01-01T00:30:00Z")), "start: is not on a whole hour"),
        (repeated("spend", |_| {}), "start: is a duplicate, or out of order"),
        (changed("request", |it| it["fingerprint"] = json!("AA==")), "fingerprint: has 1 bytes; must have 32"),
        // What names nothing, or is there twice.
        (changed("team", |it| it["customerId"] = json!("nobody")), "team.customer_id: there is no customer \"nobody\""),
        (
            changed("virtualKey", |it| it["providerConfigs"][0]["provider"] = json!("none")),
            "virtual_key.provider_configs[0].provider: there is no provider \"none\" on the lines before",
        ),
        (
            changed("providerGovernance", |it| {
                it["id"] = json!("none");
                it["provider"] = json!("none");
                it["budgets"][0]["provider"] = json!("none");
                it["rateLimits"][0]["provider"] = json!("none");
            }),
            "provider_governance.provider: there is no provider \"none\"",
        ),
        (repeated("team", |_| {}), "team.id: is a duplicate: team "),
        (
            repeated("team", |it| {
                it["id"] = json!("another");
                it["budgets"] = json!([]);
                it["rateLimits"] = Value::Null;
            }),
            "team.name: is a duplicate: team another, on a line before, has the same",
        ),
        (repeated("mcpClient", |_| {}), "mcp_client.id: is a duplicate"),
        (repeated("token", |_| {}), "token.id: is a duplicate: a line before has the same; token.name: "),
        (repeated("usageNode", |_| {}), "incarnation: is a duplicate"),
        (repeated("usageCounter", |_| {}), "limit_id, kind and window_start: is a duplicate"),
        (repeated("formerKey", |_| {}), "virtual_key_id: is a duplicate"),
        (repeated("thresholdEvent", |_| {}), "event.limit_id, kind, window_start and percent: is a duplicate"),
        (repeated("request", |_| {}), "caller, method and request_id: is a duplicate"),
        (
            edited(&|file| {
                // A key whose value is that of another, of before its rotation.
                let hash = |it: &mut Value| std::mem::take(&mut it["valueSha256"]);
                let mut first = Value::Null;
                file.change("virtualKey", |it| {
                    first = hash(it);
                    is_far(&mut it["valueSha256"]);
                    it["previousValueSha256"] = first.clone();
                    it["previousValueExpiresAt"] = json!("2126-01-01T00:00:00Z");
                });
                let place = file.place("virtualKey") + 1;
                file.line(place, |it| {
                    it["resource"]["virtualKey"]["valueSha256"] = first;
                });
            }),
            "virtual_key.value: is a duplicate",
        ),
        (
            edited(&|file| {
                let mut budget = Value::Null;
                file.change("customer", |it| budget = it["budgets"][0]["id"].clone());
                file.change("team", |it| it["budgets"][0]["id"] = budget);
            }),
            "team: has a limit with the id ",
        ),
    ];

    let database = Database::new();
    let store = database.store().await;
    let before = store.read_head().await.unwrap();
    let mut faults = Vec::new();
    for (text, fault) in cases {
        match archive::import(&store, text.as_bytes(), |_| {}).await {
            Err(error @ ImportError::Line { .. }) if error.to_string().contains(fault) => {}
            other => faults.push(format!("{other:?}\nshould have been: {fault}")),
        }
        assert_eq!(store.read_head().await.unwrap(), before, "{fault}");
        assert_eq!(store.snapshot().await.unwrap().count().await.unwrap(), 0, "{fault}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let imported = archive::import(&store, good.as_bytes(), |_| {}).await.unwrap();
    assert_eq!(imported.records, records(&good).len() as u64);
    let again = archive::import(&store, good.as_bytes(), |_| {}).await.unwrap_err();
    assert!(matches!(again, ImportError::NotEmpty), "{again}");
    store.close().await;
}

#[tokio::test]
async fn what_was_written_before_a_fault_is_gone_and_without_one_is_all_there() {
    let (mut rig, api) = Rig::started().await;
    api.team("the first").await;
    drop(api);
    rig.stop().await;
    let mut file = File(export(&rig.database).await.lines().map(str::to_owned).collect());
    let place = file.place("team");
    let team = file.0[place].clone();
    // More than are written at a time.
    for n in 0..2_500 {
        file.0.insert(place + 1 + n, team.clone());
        file.line(place + 1 + n, |line| {
            line["resource"]["team"]["id"] = json!(format!("2{n:05}"));
            line["resource"]["team"]["name"] = json!(format!("team {n}"));
        });
    }
    let mut faulty = File(file.0.clone());
    faulty.line(place + 2_500, |line| line["resource"]["team"]["id"] = json!("200000"));

    let database = Database::new();
    let store = database.store().await;
    let before = store.read_head().await.unwrap();
    let error = archive::import(&store, faulty.signed().as_bytes(), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains(&format!("line {}: team.id: is a duplicate", place + 2_501)), "{error}");
    assert_eq!(store.read_head().await.unwrap(), before);
    assert_eq!(store.snapshot().await.unwrap().count().await.unwrap(), 0);
    store.close().await;

    let good = file.signed();
    import(&database, &good).await.unwrap();
    let again = export(&database).await;
    let parsed =
        |file: &str| records(file).iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    assert_eq!(parsed(&again), parsed(&good));
}
