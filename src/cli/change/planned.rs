//! The plan of the changes that files ask for, and the calls that carry it out.

use std::collections::HashSet;

use prost::Message as _;

use super::apply::{SetArgs, label};
use super::call::{apply, explained, upserts};
use super::owned::{Gone, gone};
use super::parts::{MAX_CHANGES, fits, in_calls};
use super::told::{Item, others};
use crate::cli::Failure;
use crate::cli::files::Document;
use crate::cli::remote::refused;
use crate::cli::resource::api::Api;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;

/// Of so many changed resources at most it is looked up who changed them.
const MAX_DRIFT: usize = 50;

/// The documents, the deletions, and the server's answer about all of them.
pub(super) struct Planned {
    documents: Vec<Document>,
    gone: Vec<Gone>,
    pub(super) response: v1::ApplyResponse,
}

/// A call that was made.
pub(super) struct Made {
    pub(super) answer: v1::ApplyResponse,
    /// How people know the resources, in the order of the outcomes. Deleted ones, which have no values, are left out.
    pub(super) names: Vec<String>,
}

impl Planned {
    /// Asks the server what it would do.
    pub(super) async fn make(api: &Api, documents: Vec<Document>, set: &SetArgs) -> Result<Self, Failure> {
        let ask = async |changes: Vec<v1::ApplyChange>| {
            let options = v1::ApplyOptions {
                validate_only: true,
                managed_by: set.set.clone(),
                create_only: set.create_only,
                take_over: set.take_over,
                return_resources: changes.len() <= MAX_CHANGES,
                ..v1::ApplyOptions::default()
            };
            apply(&api.server, options, changes).await.map_err(|status| explained(&status, documents.iter()))
        };
        let mut changes = upserts(documents.iter());
        let mut response = ask(changes.clone()).await?;
        let mut goes = Vec::new();
        if set.prune {
            let kept: HashSet<_> = response.outcomes.iter().filter_map(|outcome| outcome.key.clone()).collect();
            goes = gone(api, &set.set, &kept).await?;
            if !goes.is_empty() {
                changes.extend(goes.iter().map(|gone| gone.change.clone()));
                response = ask(changes).await?;
                spare_others(&response, &goes)?;
            }
        }
        Ok(Self { documents, gone: goes, response })
    }

    /// Makes the changes, and tells of each call that was made. The revision of the last one.
    pub(super) async fn carry_out(
        &self,
        api: &Api,
        set: &SetArgs,
        return_resources: bool,
        made: &mut dyn FnMut(Made) -> Result<(), Failure>,
    ) -> Result<i64, Failure> {
        let calls = self.calls();
        let (count, mut revision) = (calls.len(), self.response.revision);
        for (place, call) in calls.into_iter().enumerate() {
            let options = v1::ApplyOptions {
                request_id: uuid::Uuid::now_v7().to_string(),
                managed_by: set.set.clone(),
                create_only: set.create_only,
                take_over: set.take_over,
                return_resources,
                ..v1::ApplyOptions::default()
            };
            let documents = || call.iter().filter_map(|(place, _)| self.documents.get(*place));
            let names = documents().map(|document| label(&document.resource)).collect();
            let changes = call.iter().map(|(_, change)| change.clone()).collect();
            let answer = match apply(&api.server, options, changes).await {
                Ok(answer) => answer,
                Err(status) if place == 0 => return Err(explained(&status, documents())),
                Err(status) => {
                    let Failure::Failed(why) = explained(&status, documents()) else { return Err(refused(&status)) };
                    let why = why.to_string();
                    let text = format!(
                        "{place} of {count} calls are made, the last one at revision {revision}. The next one was not: {}. Run the \
                         same command again to go on from there",
                        why.trim_end_matches("; nothing was done")
                    );
                    return Err(Failure::Failed(text.into()));
                }
            };
            revision = answer.revision;
            made(Made { answer, names })?;
        }
        Ok(revision)
    }

    pub(super) fn items(&self) -> Result<Vec<Item>, Failure> {
        let names = self
            .documents
            .iter()
            .map(|document| label(&document.resource))
            .chain(self.gone.iter().map(|gone| gone.name.clone()));
        self.response.outcomes.iter().zip(names).map(|(outcome, name)| Item::new(outcome, Some(name))).collect()
    }

    /// The changes, each with its place, on condition that its resource is still what the plan was made of: those of each
    /// call. One call makes them in one revision. Of more than it takes, those that change nothing are left out, parents
    /// come before what names them, and deletions last.
    fn calls(&self) -> Vec<Vec<(usize, v1::ApplyChange)>> {
        let mut changes = upserts(self.documents.iter());
        for (change, outcome) in changes.iter_mut().zip(&self.response.outcomes) {
            change.revision = outcome.before_revision;
        }
        changes.extend(self.gone.iter().map(|gone| gone.change.clone()));
        let mut changes: Vec<_> = changes.into_iter().enumerate().collect();
        if fits(changes.len(), changes.iter().map(|(_, change)| change.encoded_len()).sum()) {
            return vec![changes];
        }
        let outcomes = &self.response.outcomes;
        changes.retain(|(place, _)| {
            outcomes.get(*place).is_none_or(|outcome| outcome.operation() != v1::ApplyOperation::Unchanged)
        });
        in_calls(changes)
    }

    /// Says of resources that the set manages who changed them elsewhere.
    pub(super) async fn tell_drift(&self, api: &Api, items: &mut [Item], set: &str) -> Result<(), Failure> {
        if set.is_empty() {
            return Ok(());
        }
        let mut client = ConfigServiceClient::new(api.server.clone());
        let changed = items.iter_mut().zip(&self.response.outcomes);
        let changed = changed.filter(|(item, _)| item.operation == v1::ApplyOperation::Updated).take(MAX_DRIFT);
        for (item, outcome) in changed {
            let key = outcome.key.clone().unwrap_or_default();
            let request = v1::ListChangesRequest { page_size: 1, kind: key.kind, id: key.id, ..Default::default() };
            let page = client.list_changes(request).await.map_err(|status| refused(&status))?.into_inner();
            let elsewhere = page.changes.into_iter().next().filter(|change| !change.method.contains("ChangeService/"));
            item.drift = elsewhere.map(|change| {
                let actor = change.actor.split('/').next().unwrap_or_default().to_owned();
                format!("elsewhere at revision {} by {actor}", change.revision)
            });
        }
        Ok(())
    }
}

/// Refuses deletions that would change what others manage.
fn spare_others(response: &v1::ApplyResponse, gone: &[Gone]) -> Result<(), Failure> {
    let own: HashSet<_> = gone.iter().map(|gone| &gone.key).collect();
    let foreign: Vec<_> = response.also_changed.iter().filter(|key| !own.contains(key)).cloned().collect();
    let hidden = usize::try_from(response.total_changed_count).unwrap_or_default() > response.also_changed.len();
    if foreign.is_empty() && !hidden {
        return Ok(());
    }
    let count = i32::try_from(foreign.len()).unwrap_or(i32::MAX).max(1);
    let with = others(&foreign, count).unwrap_or_default();
    let text = format!(
        "--prune would change what is not managed by this set, {with}; change or delete that first, or keep what it hangs on"
    );
    Err(Failure::Failed(text.into()))
}
