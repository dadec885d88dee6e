//! The control plane as a whole.

use std::collections::BTreeMap;

use super::Api;
use super::node::SILENT;
use crate::domain::{Error, Timestamp};
use crate::proto::v1;
use crate::store::Replica;
use crate::wire::timestamp;

impl Api {
    pub(super) async fn server_info(&self) -> Result<v1::ServerInfo, Error> {
        self.ledger.catch_up().await?;
        let (store, presence) = (self.ledger.reader(), self.ledger.presence());
        let replicas = presence.replicas(store).await.map_err(|error| error.to_domain())?;
        let mut counts = BTreeMap::new();
        for node in self.rendered_fleet().await? {
            *counts.entry(node.state).or_insert(0) += 1;
        }
        let (state, now) = (self.state(), self.now());
        let head = state.head();
        let engine = if store.is_shared() { v1::DatabaseEngine::Postgresql } else { v1::DatabaseEngine::Sqlite };
        Ok(v1::ServerInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replica_id: presence.id().to_owned(),
            database_engine: engine.into(),
            store_id: head.store_id.to_string(),
            head_revision: head.revision,
            retained_revision: head.compacted_revision,
            authentication_required: self.tokens.is_enforced(),
            replicas: replicas.into_iter().map(|replica| rendered(replica, now)).collect(),
            node_counts: counts.into_iter().map(|(state, count)| v1::NodeCount { state, count }).collect(),
            server_time: Some(timestamp(now)),
        })
    }
}

fn rendered(replica: Replica, now: Timestamp) -> v1::Replica {
    let Replica { id, name, version, started_at, last_seen, revision, is_current } = replica;
    let silence = now.as_micros().saturating_sub(last_seen.as_micros());
    let state = if silence > i64::try_from(SILENT.as_micros()).unwrap_or(i64::MAX) {
        v1::ReplicaState::Silent
    } else if is_current {
        v1::ReplicaState::Current
    } else {
        v1::ReplicaState::NotCurrent
    };
    v1::Replica {
        id: id.into(),
        name: name.into(),
        version: version.into(),
        state: state.into(),
        revision,
        started_at: Some(timestamp(started_at)),
        last_seen: Some(timestamp(last_seen)),
    }
}
