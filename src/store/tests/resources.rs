//! What is committed is what is read, for all kinds and all they can hold.

use sea_orm::ConnectionTrait as _;

use super::*;

const STRANGE: &str = "ünï \"quoted\" 'x'; -- \\ \n\t\u{1f600} %_*";

fn labels() -> crate::domain::Labels {
    [("", ""), ("a", "1"), (STRANGE, STRANGE), ("z", "")].into_iter().map(|(k, v)| (k.into(), v.into())).collect()
}

fn structure() -> Struct {
    let numbers = [
        0.0,
        -0.0,
        0.1 + 0.2,
        1e21,
        -1.5e-300,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        9_007_199_254_740_993.0,
        // Read wrongly by one bit by parsers that are fast and not exact.
        1.734_529_884_837_401_3e-8,
        8.988_465_674_311_582e307,
        123_456_789.123_456_79,
    ];
    let mut nested = StructValue::Struct(Struct::new());
    for _ in 0..45 {
        nested = StructValue::List(vec![StructValue::Struct([("n".to_owned(), nested)].into())]);
    }
    [
        ("null".to_owned(), StructValue::Null),
        ("bools".to_owned(), StructValue::List(vec![StructValue::Bool(true), StructValue::Bool(false)])),
        ("numbers".to_owned(), StructValue::List(numbers.into_iter().map(StructValue::Number).collect())),
        (STRANGE.to_owned(), StructValue::String(STRANGE.to_owned())),
        (String::new(), StructValue::List(Vec::new())),
        ("nested".to_owned(), nested),
    ]
    .into()
}

fn ceiling() -> ModelCeiling {
    ModelCeiling {
        allowed_providers: [STRANGE, "openai"].map(Id::new).into(),
        allowed_models: strings(&["z", STRANGE, "a*"]).into(),
        blocked_models: strings(&["*"]).into(),
    }
}

fn rich_key() -> VirtualKey {
    VirtualKey {
        previous_secret: Some(Box::new(PreviousSecret {
            sha256: Sha256Hash::of("before"),
            expires_at: Timestamp::MAX,
        })),
        description: STRANGE.into(),
        is_active: false,
        owner: Some(KeyOwner::Team(Id::new("t1"))),
        expires_at: Some(Timestamp::MIN),
        provider_configs: [
            ProviderConfig {
                weight: Some(0.1 + 0.2),
                allowed_models: AllowList::All,
                blocked_models: AllowList::Only(strings(&[STRANGE, "b", "a"]).into()),
                key_ids: AllowList::Only(strings(&["pk2"]).into()),
                limits: limits("c9"),
                ..provider_config(9, "openai")
            },
            ProviderConfig { weight: Some(0.0), key_ids: AllowList::All, ..provider_config(7, "openai") },
            ProviderConfig { limits: limits("c8"), ..provider_config(8, STRANGE) },
        ]
        .into(),
        mcp_configs: [
            McpConfig { id: 6, mcp_client: Id::new("tools"), tools_to_execute: AllowList::All },
            McpConfig {
                id: 5,
                mcp_client: Id::new("more"),
                tools_to_execute: AllowList::Only(strings(&["z", "a"]).into()),
            },
            McpConfig { id: 4, mcp_client: Id::new("none"), tools_to_execute: AllowList::none() },
        ]
        .into(),
        calendar_aligned: true,
        limits: Limits {
            rate_limits: [
                rate_limit("k-r", Some(dimension(1, "1s")), Some(dimension(2, "1Y"))),
                rate_limit("k-r2", None, Some(dimension(0, "1m"))),
                RateLimit { concurrent: Some(7), ..rate_limit("k-r3", None, None) },
            ]
            .into(),
            ..limits("k")
        },
        labels: labels(),
        created_by: STRANGE.into(),
        ..virtual_key(STRANGE)
    }
}

fn everything() -> Vec<Vec<Change>> {
    vec![
        vec![
            put("c1", 1, customer("plain")),
            put(
                "c2",
                1,
                Customer {
                    is_active: false,
                    model_ceiling: ceiling(),
                    calendar_aligned: true,
                    limits: limits("cu"),
                    labels: labels(),
                    ..customer(STRANGE)
                },
            ),
        ],
        vec![
            put("t1", 2, team("plain")),
            put(
                "t2",
                2,
                Team {
                    customer_id: Some(Id::new("c1")),
                    is_active: false,
                    model_ceiling: ceiling(),
                    calendar_aligned: true,
                    limits: limits("te"),
                    labels: labels(),
                    profile: Some(structure()),
                    config: Some(Struct::new()),
                    claims: Some(structure()),
                    ..team(STRANGE)
                },
            ),
        ],
        vec![
            put("openai", 3, provider(&[])),
            put(STRANGE, 3, provider(&[("pk2", "", &[]), ("pk1", STRANGE, &["m", STRANGE, "a"])])),
            put("tools", 3, McpClient::default()),
            put("more", 3, McpClient { tools: strings(&["z", "a", STRANGE]), ..McpClient::default() }),
        ],
        vec![
            put("k1", 4, virtual_key("plain")),
            put("k2", 4, rich_key()),
            put(
                "k3",
                4,
                VirtualKey {
                    owner: Some(KeyOwner::Customer(Id::new("c2"))),
                    provider_configs: [provider_config(1, "openai")].into(),
                    ..virtual_key("k3")
                },
            ),
        ],
    ]
}

#[tokio::test]
async fn what_is_committed_is_what_is_read() {
    let mut bench = Bench::new().await;
    bench.check().await;
    bench.commit(&everything()).await;
    bench.check().await;
    // And again by a new process.
    bench.store.close().await;
    bench.store = open(&bench.url).await.unwrap();
    bench.check().await;
}

#[tokio::test]
async fn an_update_leaves_nothing_behind() {
    let mut bench = Bench::new().await;
    bench.commit(&everything()).await;
    let mut key = rich_key();
    key.provider_configs.reverse();
    key.provider_configs[0].limits.rate_limits = [].into();
    key.provider_configs[1].allowed_models = AllowList::none();
    key.provider_configs[1].limits = limits("c7");
    let mut configs = key.provider_configs.into_vec();
    configs.insert(1, provider_config(20, "openai"));
    key.provider_configs = configs.into();
    key.mcp_configs = [key.mcp_configs[0].clone(), key.mcp_configs[2].clone()].into();
    key.limits.budgets.swap(0, 1);
    key.limits.budgets[2].max_limit = NanoUsd::from_nanos(99);
    key.limits.rate_limits = [rate_limit("another", None, Some(dimension(3, "1d")))].into();
    key.labels.remove("a");
    key.labels.insert("z".into(), "new".into());
    key.previous_secret = None;
    key.owner = None;
    bench.commit(&[vec![put("k2", 5, key)], vec![put("t2", 6, team("empty"))]]).await;
    bench.check().await;
    // All rows go with their owner, else these would be reported as nobody's.
    let all = [vec![
        remove::<VirtualKey>("k1"),
        remove::<VirtualKey>("k2"),
        remove::<VirtualKey>("k3"),
        remove::<Team>("t1"),
        remove::<Team>("t2"),
        remove::<Customer>("c1"),
        remove::<Customer>("c2"),
        remove::<Provider>(STRANGE),
        remove::<McpClient>("more"),
    ]];
    bench.commit(&all).await;
    bench.check().await;
    bench.commit(&[vec![put("more", 8, McpClient::default())]]).await;
    bench.check().await;
}

#[tokio::test]
async fn a_group_may_create_change_and_delete_the_same_thing() {
    let mut bench = Bench::new().await;
    bench
        .commit(&[
            vec![put("a", 1, customer("a"))],
            vec![put("a", 2, customer("b")), put("x", 2, McpClient::default())],
            vec![put("c", 3, customer("a"))],
            vec![remove::<McpClient>("x")],
            vec![put("x", 5, McpClient { tools: strings(&["again"]), ..McpClient::default() })],
            vec![put("gone", 6, team("gone"))],
            vec![remove::<Team>("gone")],
        ])
        .await;
    bench.check().await;
}

#[tokio::test]
async fn unique_values_may_be_swapped_within_a_group() {
    let mut bench = Bench::new().await;
    let key = |name: &str, secret: &str, previous: Option<&str>| VirtualKey {
        secret: Secret { sha256: Sha256Hash::of(secret), mask: "…".into() },
        previous_secret: previous.map(|it| Box::new(PreviousSecret { sha256: Sha256Hash::of(it), expires_at: at(9) })),
        provider_configs: [ProviderConfig { limits: limits(name), ..provider_config(name.len() as i64, "p") }].into(),
        ..virtual_key(name)
    };
    let swap = |(a, b): (&str, &str)| {
        [
            put("ca", 1, Customer { limits: limits("ca"), ..customer(a) }),
            put("cb", 1, customer(b)),
            put("ta", 1, team(a)),
            put("tb", 1, team(b)),
        ]
    };
    bench
        .commit(&[
            swap(("a", "b")).into(),
            vec![put("ka", 2, key("1", "s1", Some("p1"))), put("kb", 2, key("22", "s2", Some("p2")))],
        ])
        .await;
    bench.commit(&[swap(("b", "a")).into()]).await;
    bench.check().await;
    let take = |name: &str, config: i64, secret: &str, previous: &str| {
        let mut taken = key(name, secret, Some(previous));
        taken.provider_configs[0].id = config;
        taken
    };
    bench.commit(&[vec![put("ka", 4, take("22", 1, "s2", "p2")), put("kb", 4, take("1", 2, "s1", "p1"))]]).await;
    bench.check().await;
    // The id of a provider key moves on to another provider.
    bench.commit(&[vec![put("p", 5, provider(&[("k", "", &[]), ("l", "", &[])])), put("q", 5, provider(&[]))]]).await;
    bench.commit(&[vec![put("p", 6, provider(&[("l", "", &[])])), put("q", 6, provider(&[("k", "", &[])]))]]).await;
    bench.check().await;
}

#[tokio::test]
async fn many_rows_fit_although_parameters_are_limited() {
    let mut bench = Bench::new().await;
    let key = |i: i64| VirtualKey {
        provider_configs: [provider_config(i, "openai")].into(),
        limits: Limits { budgets: [budget(&format!("b{i}"), 1, "1d")].into(), rate_limits: [].into() },
        labels: [("n".into(), i.to_string().into())].into(),
        ..virtual_key(&i.to_string())
    };
    let all: Vec<Change> = (0..6000).map(|i| put(&format!("k{i}"), 1, key(i))).collect();
    bench.commit(&[all]).await;
    let loaded = bench.store.load().await.unwrap();
    assert_eq!(loaded.resources.len(), 6000);
    let ids: Vec<Id<VirtualKey>> = (0..10_000).rev().map(|i| Id::new(format!("k{i}"))).collect();
    let (_, read) = bench.store.read(&ids).await.unwrap();
    let expected: Vec<_> = (0..6000).rev().map(|i| (format!("k{i}"), key(i))).collect();
    assert_eq!(read.into_iter().map(|it| (it.id.to_string(), it.resource)).collect::<Vec<_>>(), expected);
    let renamed = (0..6000).map(|i| put(&format!("k{i}"), 2, VirtualKey { name: format!("n{i}").into(), ..key(i) }));
    bench.commit(&[renamed.collect()]).await;
    bench.commit(&[(0..6000).map(|i| remove::<VirtualKey>(&format!("k{i}"))).collect()]).await;
    bench.check().await;
}

#[tokio::test]
async fn many_rows_that_get_the_same_values_are_set_together_and_must_be_there() {
    let mut bench = Bench::new().await;
    let owned = |number: i64, owner: Option<KeyOwner>| VirtualKey {
        owner,
        provider_configs: [provider_config(number, "p")].into(),
        ..virtual_key(&format!("key {number}"))
    };
    let team = || Some(KeyOwner::Team(Id::new("t")));
    let all = |revision: i64, owner: fn() -> Option<KeyOwner>| {
        (0..1_100).map(|number| put(&format!("k{number}"), revision, owned(number, owner()))).collect::<Vec<_>>()
    };
    bench.commit(&[all(1, || Some(KeyOwner::Team(Id::new("t"))))]).await;
    bench.commit(&[all(2, || None)]).await;
    bench.check().await;
    // Each gets values of its own.
    let differing = (0..3).map(|number| {
        let owner = if number == 1 { team() } else { None };
        put(&format!("k{number}"), 3, VirtualKey { description: format!("{number}").into(), ..owned(number, owner) })
    });
    bench.commit(&[differing.collect()]).await;
    bench.check().await;
    bench.store.writer.get().execute_unprepared("DELETE FROM virtual_key WHERE id = 'k1050'").await.unwrap();
    let error = bench.try_commit(&[all(4, || Some(KeyOwner::Team(Id::new("u"))))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
}
