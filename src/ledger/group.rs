//! One group of commands on its way from the queue to the transaction.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message as _;

use super::{Answer, Call, Command};
use crate::counters::{Counter, CounterKey};
use crate::domain::{AnyResource, Error, ResourceKey, Timestamp, Violations};
use crate::state::{Change, Context, Crossing, Decision, Head, Moved, Op, State, heirs, settle_usage};
use crate::store::{ChainVersion, Group, LogBody, LogRow, Net, Remembered, RevisionRecord, UsageGroup};
use crate::usage::FormerKey;
use crate::wire::{self, Form, MAX_RESOURCE_BYTES};

/// Resources that a group may have changed before it takes no further command, so that nobody waits for many large ones.
const FULL: usize = 10_000;

/// Changes of one command whose encodings are kept until they are written: to keep them costs memory, to make them anew time.
pub(super) const KEPT_BODIES: usize = 1_000;

/// Identifies a remembered request: caller, method, request id.
pub(super) type RequestKey = (String, String, String);

/// A working copy of the state, and what has been decided on it so far.
pub(super) struct CommitBatchBuilder {
    state: State,
    txns: Vec<RevisionRecord>,
    net: HashMap<ResourceKey, Net>,
    remembered: HashMap<RequestKey, Remembered>,
    requests: Vec<Remembered>,
    now: Timestamp,
    /// The usage version before the group, and its mark.
    usage_before: (i64, i64),
    /// Usage that the changes move.
    counters: HashMap<CounterKey, Counter>,
    /// Thresholds that it crosses thereby.
    crossings: Vec<Crossing>,
    /// Whether that is to be told at once.
    urgent: bool,
    /// Keys that the changes delete.
    former_keys: Vec<(Box<str>, FormerKey)>,
}

pub(super) fn request_key(call: &Call) -> RequestKey {
    (call.actor.clone(), call.method.to_owned(), call.request_id.clone())
}

impl CommitBatchBuilder {
    /// Starts on `state`. `remembered` are the earlier answers that commands of this group may repeat.
    pub(super) fn new(state: State, remembered: Vec<Remembered>, now: Timestamp) -> Self {
        let remembered = remembered
            .into_iter()
            .map(|request| ((request.caller.clone(), request.method.clone(), request.request_id.clone()), request))
            .collect();
        Self {
            usage_before: (state.usage().version(), state.usage().mark()),
            state,
            txns: Vec::new(),
            net: HashMap::new(),
            remembered,
            requests: Vec::new(),
            now,
            counters: HashMap::new(),
            crossings: Vec::new(),
            urgent: false,
            former_keys: Vec::new(),
        }
    }

    /// Whether what was decided is enough for one group.
    pub(super) fn is_full(&self) -> bool {
        self.net.len() >= FULL
    }

    /// Decides one command on what those before it left.
    pub(super) fn decide(&mut self, call: &Call, command: &Command) -> Result<Answer, Error> {
        // Each command has a time of its own, so that what was created in order lists in order.
        self.now = self.now.plus_micros(1);
        let key = request_key(call);
        if !call.request_id.is_empty()
            && let Some(earlier) = self.remembered.get(&key)
        {
            if earlier.fingerprint != call.fingerprint {
                return Err(Error::RequestIdReused);
            }
            return Ok(Answer { response: earlier.response.clone(), replayed: true });
        }

        // By what was committed last, if that is later: the clock was set back since.
        let committed_at = self.now.max(self.state.head().committed_at.plus_micros(1));
        let mut random = rand::rng();
        let mut cx = Context {
            now: self.now,
            committed_at,
            revision: self.state.revision() + 1,
            random: &mut random,
            last_config_id: self.state.head().last_config_id,
            last_random: None,
            checks_later: false,
        };
        let decision = (command.decide)(&self.state, &mut cx)?;
        let (revision, last_config_id) = (cx.revision, cx.last_config_id);
        let rows = log_rows(&decision)?;
        let before = self.state.head().chain;
        let head = Head { revision, committed_at, last_config_id, ..self.state.head().clone() };

        if call.validate_only {
            let mut trial = self.state.clone();
            if !decision.changes.is_empty() {
                let (before, heirs) = (trial.config().clone(), heirs(&trial, &decision));
                trial.apply(&decision.changes, head);
                let moved = settle_usage(&before, &trial, &heirs, &decision, self.now);
                trial.usage_mut().set(moved.counters);
            }
            let response = (command.answer)(&trial, &decision, self.now).into();
            return Ok(Answer { response, replayed: false });
        }

        if !decision.changes.is_empty() {
            self.apply(&decision, head);
        }
        let response: Bytes = (command.answer)(&self.state, &decision, self.now).into();
        let request = (!call.request_id.is_empty()).then(|| Remembered {
            caller: call.actor.clone(),
            method: call.method.to_owned(),
            request_id: call.request_id.clone(),
            fingerprint: call.fingerprint,
            response: response.clone(),
            accepted_at: committed_at,
        });
        if !decision.changes.is_empty() {
            let adjustment = decision.adjustment.as_ref();
            let mut txn = RevisionRecord {
                revision,
                chain: before,
                chain_version: ChainVersion::CURRENT,
                committed_at,
                actor: call.actor.clone(),
                peer: call.peer.clone(),
                method: call.method.to_owned(),
                request_id: call.request_id.clone(),
                request_digest: request.as_ref().map(Remembered::digest),
                adjustment: adjustment.map(|it| wire::render_adjustment(it).encode_to_vec().into()),
                rows,
            };
            txn.chain = txn.chain_after(before);
            self.state.seal(txn.chain);
            self.txns.push(txn);
        }
        if let Some(request) = request {
            self.remembered.insert(key, request.clone());
            self.requests.push(request);
        }
        Ok(Answer { response, replayed: false })
    }

    /// Applies what was decided to the working copy, and notes what is to be written of it. `head` has no chain yet.
    fn apply(&mut self, decision: &Decision, head: Head) {
        let (before, heirs) = (self.state.config().clone(), heirs(&self.state, decision));
        self.state.apply(&decision.changes, head);
        let Moved { counters, crossings, urgent } = settle_usage(&before, &self.state, &heirs, decision, self.now);
        self.state.usage_mut().set(counters.iter().cloned());
        self.counters.extend(counters);
        self.crossings.extend(crossings);
        self.urgent |= urgent;
        for change in &decision.changes {
            if let (Some(AnyResource::VirtualKey(key)), None) = (&change.before, &change.after) {
                let former = FormerKey { owner: key.resource.owner.clone(), deleted_at: self.now };
                self.former_keys.push((key.id.as_str().into(), former));
            }
            self.add_net(change);
        }
    }

    fn add_net(&mut self, change: &Change) {
        let net = self.net.entry(change.key()).or_insert_with(|| Net { before: change.before.clone(), after: None });
        net.after = change.after.clone();
    }

    /// What is to be written, and the state that is to be published once it is. `None` if nothing is to be written.
    pub(super) fn close(mut self) -> Option<(Group, State)> {
        if self.txns.is_empty() && self.requests.is_empty() {
            return None;
        }
        let net = self.net.into_values().filter(|net| net.before.is_some() || net.after.is_some()).collect();
        let ((from_version, from_mark), version) = (self.usage_before, self.state.usage().version());
        let mark = if version == from_version { from_mark } else { rand::random() };
        self.state.usage_mut().reach(version, mark);
        let group = Group {
            head: self.state.head().clone(),
            txns: self.txns,
            net,
            requests: self.requests,
            usage: UsageGroup {
                from_version,
                from_mark,
                version,
                mark,
                moved: Moved {
                    counters: self.counters.into_iter().collect(),
                    crossings: self.crossings,
                    urgent: self.urgent,
                },
                ..UsageGroup::default()
            },
            former_keys: self.former_keys,
        };
        Some((group, self.state))
    }
}

/// The changes as they are logged. The bytes of few are kept until they are written, those of many are made anew then.
fn log_rows(decision: &Decision) -> Result<Vec<LogRow>, Error> {
    let many = decision.changes.len() > KEPT_BODIES;
    let body = |any: &AnyResource| match many {
        true => LogBody::Resource(any.clone(), encode),
        false => LogBody::Encoded(encode(any)),
    };
    decision
        .changes
        .iter()
        .map(|change| {
            let key = change.key();
            let (before, after) = (change.before.as_ref().map(body), change.after.as_ref().map(body));
            let len = after.as_ref().map_or(0, |after| after.bytes().len());
            if len > MAX_RESOURCE_BYTES {
                let mut violations = Violations::new();
                let text = format!(
                    "has {len} bytes when encoded; must have at most {MAX_RESOURCE_BYTES}, so that every watcher can take it"
                );
                violations.add(key.kind.name(), text);
                return Err(Error::Invalid(violations));
            }
            let op = match (&before, &after) {
                (None, _) => Op::Create,
                (Some(_), Some(_)) => Op::Update,
                (Some(_), None) => Op::Delete,
            };
            Ok(LogRow { kind: key.kind, id: key.id, op, before, after })
        })
        .collect()
}

fn encode(any: &AnyResource) -> Bytes {
    wire::render_any(any, Form::Log).encode_to_vec().into()
}
