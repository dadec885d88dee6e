//! Filling an empty store with what another one held. Its history begins anew: each resource is created by a revision of its
//! own, with the id and the times that it had; usage and requests go on from where they were. All of it is decided on
//! before it is written, as commands are, and is visible at once or never.

use std::collections::HashSet;
use std::sync::Arc;

use super::group::CommitBatchBuilder;
use super::{Call, Command};
use crate::counters::CounterKey;
use crate::credit::{Change, RowKey};
use crate::domain::{AnyResource, Error, Resource as _, Sha256Hash, Timestamp, Token, Violations};
use crate::state::{Context, State, take_over};
use crate::store::{Numbering, Record, Restore, Store, StoreError};
use crate::usage::{SpendCalendar, SpendCell, hour};

/// Records that are written at a time.
const PART: usize = 1_000;

/// A store that is being filled. It holds the state of the store in memory, as a server does.
pub struct Import {
    restore: Restore,
    numbering: Numbering,
    call: Call,
    /// With all resources that are written.
    state: State,
    /// Those that are not.
    gathering: Option<CommitBatchBuilder>,
    others: Vec<Record>,
    waiting: usize,
    seen: HashSet<Identity>,
    spend_calendar: Option<SpendCalendar>,
    /// The place of the spend that was added last, and the id of its series.
    last_spend: Option<(Timestamp, [u8; 16])>,
}

/// What no two records may have in common, beside what the state knows of.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Config(i64),
    TokenId(Arc<str>),
    TokenName(Arc<str>),
    TokenHash([u8; 32]),
    UsageNode(i64),
    Counter(CounterKey),
    FormerKey(Box<str>),
    Crossing(CounterKey, i32),
    Request(String, String, String),
    Credit(RowKey),
}

/// Why a store cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The record is not one of such a store.
    #[error("{0}")]
    Record(Error),
    /// It cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Import {
    /// Begins to fill the store; `None` if it holds anything.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn begin(
        store: &Store,
        numbering: Numbering,
        spend_calendar: Option<SpendCalendar>,
    ) -> Result<Option<Self>, StoreError> {
        let begun = store.begin_restore(numbering, spend_calendar.as_ref(), store.time().await?).await?;
        let Some((restore, head)) = begun else { return Ok(None) };
        Ok(Some(Self {
            restore,
            numbering,
            call: Call { actor: "tollgate".to_owned(), ..Call::of("import") },
            state: State::restore(head, [], [], []),
            gathering: None,
            others: Vec::new(),
            waiting: 0,
            seen: HashSet::new(),
            spend_calendar,
            last_spend: None,
        }))
    }

    /// Adds a record. What it names must have been added before it.
    ///
    /// # Errors
    /// `Invalid`, `AlreadyExists` or `MissingReferences` if it is not one of such a store. After an error nothing can be
    /// added.
    pub async fn add(&mut self, record: Record) -> Result<(), ImportError> {
        self.check(&record).map_err(ImportError::Record)?;
        match record {
            Record::Resource(any) => self.create(any).map_err(ImportError::Record)?,
            Record::Token(token, used) => {
                self.create(Token::wrap(Arc::clone(&token))).map_err(ImportError::Record)?;
                self.others.push(Record::Token(token, used));
            }
            other => self.others.push(other),
        }
        self.waiting += 1;
        if self.waiting >= PART { Ok(self.write().await?) } else { Ok(()) }
    }

    /// Makes it all visible; the revision that the store is at then.
    ///
    /// # Errors
    /// If it cannot be written; [`StoreError::Unknown`] if it is visible or not.
    pub async fn commit(mut self) -> Result<i64, StoreError> {
        match self.write().await {
            Ok(()) => self.restore.commit().await?,
            Err(error) => {
                self.restore.rollback().await;
                return Err(error);
            }
        }
        Ok(self.state.revision())
    }

    /// Leaves the store as it was.
    pub async fn rollback(self) {
        self.restore.rollback().await;
    }

    fn create(&mut self, any: AnyResource) -> Result<(), Error> {
        let state = &self.state;
        let gathering = self
            .gathering
            .get_or_insert_with(|| CommitBatchBuilder::new(state.clone(), Vec::new(), state.head().committed_at));
        let decide = Box::new(move |state: &State, cx: &mut Context<'_>| take_over(state, cx, &any));
        let command = Command { decide, answer: Box::new(|_, _, _| Vec::new()) };
        gathering.decide(&self.call, &command).map(drop)
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        if let Some((group, state)) = self.gathering.take().and_then(CommitBatchBuilder::close) {
            self.restore.create(&group).await?;
            self.state = state;
        }
        self.waiting = 0;
        self.restore.add(std::mem::take(&mut self.others)).await
    }

    /// Whether the record is like those of a store that numbers on from `numbering`, and not there already.
    fn check(&mut self, record: &Record) -> Result<(), Error> {
        let mut violations = Violations::new();
        let Numbering { last_config_id, last_incarnation, usage_version } = self.numbering;
        let mut first = |identity, field: &str| {
            if !self.seen.insert(identity) {
                violations.add(field, "is a duplicate: a line before has the same");
            }
        };
        let mut above = Vec::new();
        match record {
            Record::Resource(AnyResource::VirtualKey(stored)) => {
                let configs = stored.resource.provider_configs.iter().map(|config| config.id);
                for id in configs.chain(stored.resource.mcp_configs.iter().map(|config| config.id)) {
                    first(Identity::Config(id), "virtual_key: the id of a config");
                    above.push(("virtual_key: the id of a config", id, last_config_id));
                }
            }
            Record::Resource(_) => {}
            Record::Token(stored, _) => {
                let token = &stored.resource;
                let Sha256Hash(hash) = token.sha256;
                first(Identity::TokenId(stored.id.shared()), "token.id");
                if token.revoked.is_none() {
                    first(Identity::TokenName(Arc::clone(&token.name)), "token.name");
                }
                first(Identity::TokenHash(hash), "value_sha256");
            }
            Record::UsageNode(node) => {
                first(Identity::UsageNode(node.incarnation), "incarnation");
                above.push(("incarnation", node.incarnation, last_incarnation));
            }
            Record::Counter(key, counter) => {
                first(Identity::Counter(key.clone()), "limit_id, kind and window_start");
                above.push(("version", counter.version, usage_version));
            }
            Record::FormerKey(id, _) => first(Identity::FormerKey(id.clone()), "virtual_key_id"),
            Record::Crossing(crossing) => {
                let identity = Identity::Crossing(crossing.key.clone(), crossing.percent);
                first(identity, "event.limit_id, kind, window_start and percent");
                above.push(("version", crossing.version, usage_version));
            }
            Record::Request(request) => {
                let (caller, method) = (request.caller.clone(), request.method.clone());
                first(Identity::Request(caller, method, request.request_id.clone()), "caller, method and request_id");
            }
            Record::Credit(row) => {
                first(Identity::Credit(row.row()), "credit");
                match row {
                    Change::Node(incarnation, _) => above.push(("incarnation", *incarnation, last_incarnation)),
                    Change::Account(key, incarnation, _) => {
                        above.push(("incarnation", *incarnation, last_incarnation));
                        if !self.seen.contains(&Identity::Credit(RowKey::Pool(key.clone()))) {
                            violations
                                .add("key", "names a limit and window of which no line before it has a credit_pool");
                        }
                    }
                    Change::Pool(..) | Change::Forgotten(_) => {}
                }
            }
            Record::Spend(SpendCell { start, series }, _) => {
                let place = (*start, series.digest());
                if self.last_spend.replace(place).is_some_and(|last| last >= place) {
                    violations
                        .add("start", "is a duplicate, or out of order: lines of spend are in the order of the export");
                }
                match &self.spend_calendar {
                    None => violations.add("spend", "needs spend_time_zone in the header"),
                    Some(calendar) if calendar.place(*start) != *start || hour(*start) != *start => {
                        violations.add(
                            "start",
                            "is not on a whole hour, or before spend_joined_until not the start of a day",
                        );
                    }
                    Some(_) => {}
                }
            }
        }
        for (field, number, last) in above {
            if !(1..=last).contains(&number) {
                violations
                    .add(field, format!("is {number}; must be from 1 to {last}, the greatest that the header has"));
            }
        }
        Ok(violations.or(())?)
    }
}
