//! The store against a real database, of either engine. Groups are made by a small stand-in of the ledger.

mod log;
mod opening;
mod outbox;
mod postgres;
mod requests;
mod resources;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

#[path = "../../../tests/support/cluster.rs"]
mod cluster;

use bytes::Bytes;
use tempfile::TempDir;

use self::cluster::{Cluster, on_postgres};
use super::*;
use crate::domain::{
    AlertPercents, AllowList, AnyResource, Budget, Calendar, Customer, Enforcement, Id, KeyOwner, Limits, McpClient,
    McpConfig, ModelCeiling, NanoUsd, PreviousSecret, Provider, ProviderConfig, ProviderKey, RateDimension, RateLimit,
    Reserve, ResetDuration, Resource, ResourceKey, Secret, Sha256Hash, Stored, Struct, StructValue, Team,
    TemporaryIncrease, VirtualKey,
};
use crate::state::Op;

/// A store in a directory of its own, and a stand-in of the ledger that knows what should be in it.
struct Bench {
    directory: TempDir,
    url: DatabaseUrl,
    store: Store,
    head: Head,
    expected: BTreeMap<ResourceKey, AnyResource>,
    log: Vec<RevisionRecord>,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = match on_postgres() {
            true => DatabaseUrl::parse(&Cluster::shared().create()).unwrap(),
            false => url(&directory),
        };
        let store = open(&url).await.unwrap();
        let head = store.read_head().await.unwrap();
        Self { directory, url, store, head, expected: BTreeMap::new(), log: Vec::new() }
    }

    /// A group of one revision per entry; an entry is what one call changes.
    fn group(&self, calls: &[Vec<Change>]) -> Group {
        let mut head = self.head.clone();
        let mut txns = Vec::new();
        let mut after: BTreeMap<ResourceKey, Option<AnyResource>> = BTreeMap::new();
        for changes in calls {
            let rows: Vec<LogRow> = changes
                .iter()
                .map(|change| {
                    let key = change.key();
                    let before = after.get(&key).cloned().unwrap_or_else(|| self.expected.get(&key).cloned());
                    let op = match (&before, change) {
                        (_, Change::Remove(_)) => Op::Delete,
                        (None, Change::Put(_)) => Op::Create,
                        (Some(_), Change::Put(_)) => Op::Update,
                    };
                    let put = change.put();
                    after.insert(key.clone(), put.clone());
                    LogRow { kind: key.kind, id: key.id, op, before: before.map(body), after: put.map(body) }
                })
                .collect();
            head.revision += 1;
            head.committed_at = at(head.revision);
            let mut txn = RevisionRecord {
                revision: head.revision,
                chain: head.chain,
                chain_version: ChainVersion::CURRENT,
                committed_at: head.committed_at,
                actor: format!("actor-{}", head.revision % 2),
                peer: "[::1]:50000".to_owned(),
                method: "tollgate.v1.TestService/Test".to_owned(),
                request_id: String::new(),
                request_digest: None,
                adjustment: None,
                rows,
            };
            head.chain = txn.chain_after(head.chain);
            txn.chain = head.chain;
            txns.push(txn);
        }
        let net = after.into_iter().map(|(key, after)| Net { before: self.expected.get(&key).cloned(), after });
        Group {
            head,
            txns,
            net: net.collect(),
            requests: Vec::new(),
            usage: UsageGroup::default(),
            former_keys: Vec::new(),
        }
    }

    async fn try_commit(&mut self, calls: &[Vec<Change>]) -> Result<(), StoreError> {
        let group = self.group(calls);
        self.store.commit(&group).await?;
        for net in group.net {
            match (net.before, net.after) {
                (_, Some(after)) => drop(self.expected.insert(after.key(), after)),
                (Some(before), None) => drop(self.expected.remove(&before.key())),
                (None, None) => {}
            }
        }
        self.head = group.head;
        self.log.extend(group.txns);
        Ok(())
    }

    async fn commit(&mut self, calls: &[Vec<Change>]) {
        self.try_commit(calls).await.unwrap();
    }

    /// Everything that can be read of the store is as expected.
    async fn check(&self) {
        let Loaded { head, resources, chain_prefixes, removed } = self.store.load().await.unwrap();
        assert_eq!(head, self.head);
        assert_eq!(resources, self.expected.values().cloned().collect::<Vec<_>>());
        let since: Vec<&RevisionRecord> =
            self.log.iter().filter(|txn| txn.revision > head.compacted_revision).collect();
        assert_eq!(chain_prefixes, since.iter().map(|txn| txn.chain.prefix()).collect::<Vec<_>>());
        let mut gone = BTreeMap::new();
        for txn in since {
            for row in txn.rows.iter().filter(|row| row.op == Op::Delete) {
                gone.insert(ResourceKey { kind: row.kind, id: row.id.clone() }, txn.revision);
            }
        }
        gone.retain(|key, _| !self.expected.contains_key(key));
        let mut gone: Vec<_> = gone.into_iter().map(|(key, revision)| (revision, key)).collect();
        gone.sort();
        assert_eq!(removed, gone);
        self.check_kind::<Customer>().await;
        self.check_kind::<Team>().await;
        self.check_kind::<VirtualKey>().await;
        self.check_kind::<Provider>().await;
        self.check_kind::<McpClient>().await;
    }

    async fn check_kind<R: Persist>(&self) {
        let expected: Vec<Stored<R>> =
            self.expected.values().rev().filter_map(|any| R::unwrap(any)).map(|stored| (**stored).clone()).collect();
        let mut ids: Vec<Id<R>> = expected.iter().map(|stored| stored.id.clone()).collect();
        ids.insert(ids.len() / 2, Id::new("no-such-id"));
        assert_eq!(self.store.read::<R>(&ids).await.unwrap(), (self.head.revision, expected));
    }
}

impl Store {
    async fn commit(&self, group: &Group) -> Result<(), StoreError> {
        self.lock().await?.commit(group).await
    }

    async fn find_requests(
        &self,
        requests: &[(&str, &str, &str)],
        now: Timestamp,
    ) -> Result<Vec<Remembered>, StoreError> {
        self.lock().await?.find_requests(requests, now).await
    }
}

/// One change of a call.
enum Change {
    Put(AnyResource),
    Remove(ResourceKey),
}

impl Change {
    fn key(&self) -> ResourceKey {
        match self {
            Self::Put(any) => any.key(),
            Self::Remove(key) => key.clone(),
        }
    }

    fn put(&self) -> Option<AnyResource> {
        match self {
            Self::Put(any) => Some(any.clone()),
            Self::Remove(_) => None,
        }
    }
}

fn put<R: Resource>(id: &str, revision: i64, resource: R) -> Change {
    let stored = Stored { id: Id::new(id), revision, created_at: at(1), updated_at: at(revision), resource };
    Change::Put(R::wrap(Arc::new(stored)))
}

fn remove<R: Resource>(id: &str) -> Change {
    Change::Remove(ResourceKey::of(&Id::<R>::new(id)))
}

async fn open(url: &DatabaseUrl) -> Result<Store, StoreError> {
    Store::open(url, Store::MIN_CONNECTIONS).await
}

fn url(directory: &TempDir) -> DatabaseUrl {
    DatabaseUrl::parse(&format!("sqlite://{}", directory.path().join("store % ü.db").display())).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + second * 1_000_000)
}

/// As long as the encoding of a resource of ordinary size, and another for each version of it.
fn body(any: AnyResource) -> LogBody {
    format!("{} {} {:400}", any.key(), any.revision(), "").into_bytes().into()
}

fn strings(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|text| (*text).into()).collect()
}

fn budget(id: &str, nanos: i64, duration: &str) -> Budget {
    Budget {
        id: id.into(),
        max_limit: NanoUsd::from_nanos(nanos),
        temporary_increase: (nanos % 2 == 1)
            .then(|| Box::new(TemporaryIncrease { amount: NanoUsd::from_nanos(7), until: at(50) })),
        reset_duration: ResetDuration::parse(duration).unwrap(),
        enforcement: Enforcement::Soft,
        reserve: if nanos % 2 == 1 { Reserve::WorstCase } else { Reserve::Observed },
        usage_reset_at: (nanos % 2 == 1).then(|| Box::new(at(-2))),
        alert_percents: AlertPercents::new(vec![50, 200]).unwrap(),
        anchor: at(-5),
        created_at: at(-4),
        updated_at: at(-3),
    }
}

fn dimension(max_limit: i64, duration: &str) -> RateDimension {
    RateDimension { max_limit, reset_duration: ResetDuration::parse(duration).unwrap(), anchor: at(-9) }
}

fn rate_limit(id: &str, token: Option<RateDimension>, request: Option<RateDimension>) -> RateLimit {
    RateLimit {
        id: id.into(),
        token,
        request,
        concurrent: None,
        enforcement: Enforcement::Shadow,
        reserve: Reserve::WorstCase,
        usage_reset_at: Some(Box::new(at(-6))),
        alert_percents: AlertPercents::default(),
        created_at: at(-8),
        updated_at: at(-7),
    }
}

/// Limits whose ids begin with `prefix`, in an order that is not that of the ids.
fn limits(prefix: &str) -> Limits {
    Limits {
        budgets: [
            budget(&format!("{prefix}-b"), 9_200_000_000_000_000_000, "1M"),
            budget(&format!("{prefix}-a"), 1, "1h30m"),
            budget(&format!("{prefix}-c"), 7, "10Y"),
        ]
        .into(),
        rate_limits: [rate_limit(&format!("{prefix}-r"), Some(dimension(i64::MAX, "90s")), None)].into(),
    }
}

fn customer(name: &str) -> Customer {
    Customer {
        name: name.into(),
        is_active: true,
        model_ceiling: ModelCeiling::default(),
        calendar_aligned: false,
        calendar: None,
        limits: Limits::default(),
        labels: BTreeMap::new(),
        managed_by: if name.len().is_multiple_of(2) { "files".into() } else { "".into() },
    }
}

fn team(name: &str) -> Team {
    Team {
        name: name.into(),
        customer_id: None,
        is_active: true,
        model_ceiling: ModelCeiling::default(),
        calendar_aligned: false,
        calendar: Calendar::new("Europe/Berlin", 7, 4).map(Box::new),
        limits: Limits::default(),
        labels: BTreeMap::new(),
        profile: None,
        config: None,
        claims: None,
        managed_by: if name.len().is_multiple_of(2) { "files".into() } else { "".into() },
    }
}

fn virtual_key(name: &str) -> VirtualKey {
    VirtualKey {
        name: name.into(),
        secret: Secret { sha256: Sha256Hash::of(name), mask: "sk-tg-abcd…wxyz".into() },
        previous_secret: None,
        description: "".into(),
        is_active: true,
        owner: None,
        expires_at: None,
        provider_configs: Box::default(),
        mcp_configs: Box::default(),
        calendar_aligned: false,
        calendar: None,
        limits: Limits::default(),
        labels: BTreeMap::new(),
        created_by: "".into(),
        managed_by: if name.len().is_multiple_of(2) { "files".into() } else { "".into() },
    }
}

fn provider_config(id: i64, provider: &str) -> ProviderConfig {
    ProviderConfig {
        id,
        provider: Id::new(provider),
        weight: None,
        allowed_models: AllowList::none(),
        blocked_models: AllowList::none(),
        key_ids: AllowList::none(),
        limits: Limits::default(),
    }
}

fn provider(keys: &[(&str, &str, &[&str])]) -> Provider {
    let key = |(id, name, models): &(&str, &str, &[&str])| ProviderKey {
        id: (*id).into(),
        name: (*name).into(),
        models: strings(models),
        limits: limits(id),
    };
    Provider {
        keys: keys.iter().map(key).collect(),
        built_in: keys.is_empty(),
        calendar_aligned: keys.len() == 1,
        calendar: Calendar::new("Asia/Kolkata", 1, 2).map(Box::new),
        managed_by: "".into(),
    }
}
