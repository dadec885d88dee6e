//! The requests that the commands make, against a server that answers by the names of resources.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{apply, rollback};
use crate::cli::scripted::beside;
use crate::cli::{Cli, Command, Failure};
use crate::proto::v1;
use crate::proto::v1::ApplyOperation;
use crate::proto::v1::apply_change::Change;
use crate::proto::v1::apply_request::Part;
use crate::proto::v1::change_service_server::{ChangeService, ChangeServiceServer};
use crate::proto::v1::config_resource::Resource;

/// The revision of the resources that exist.
const REVISION: i64 = 7;

type Asked = (v1::ApplyOptions, Vec<v1::ApplyChange>);

/// Takes a key whose name begins with `new` for one that does not exist, and one with `changed` for one that differs;
/// refuses `wrong`.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Vec<Asked>>>);

#[tonic::async_trait]
impl ChangeService for Fake {
    async fn apply(
        &self,
        request: Request<Streaming<v1::ApplyRequest>>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let mut stream = request.into_inner();
        let first = stream.message().await?.unwrap().part.unwrap();
        let Part::Options(options) = first else { panic!("the options come first") };
        let mut changes = Vec::new();
        while let Some(message) = stream.message().await? {
            let Some(Part::Change(change)) = message.part else { panic!("options twice") };
            changes.push(change);
        }
        self.0.lock().unwrap().push((options.clone(), changes.clone()));
        let outcomes = changes.iter().enumerate().map(|(at, change)| outcome(at, change, &options));
        let mut outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        if options.rollback_to_revision == 3 {
            outcomes.push(v1::ApplyOutcome { operation: ApplyOperation::Deleted.into(), ..Default::default() });
        }
        Ok(Response::new(v1::ApplyResponse { revision: REVISION + 1, outcomes, ..Default::default() }))
    }
}

fn outcome(at: usize, change: &v1::ApplyChange, options: &v1::ApplyOptions) -> Result<v1::ApplyOutcome, Status> {
    let Some(Change::Upsert(v1::ConfigResource { resource: Some(Resource::VirtualKey(key)) })) = &change.change else {
        return Err(Status::invalid_argument("no key"));
    };
    let state = |revision| v1::ConfigResource {
        resource: Some(Resource::VirtualKey(v1::VirtualKey { revision, ..key.clone() })),
    };
    let before = match key.name.get(..3) {
        Some("wro") => {
            let field = format!("changes[{at}].upsert.virtual_key.description");
            let details = ErrorDetails::with_bad_request_violation(field, "is too long");
            return Err(Status::with_error_details(Code::InvalidArgument, "a fault", details));
        }
        Some("new") => None,
        _ => Some(state(REVISION)),
    };
    let operation = match (&before, key.name.starts_with("changed")) {
        (None, _) => ApplyOperation::Created,
        (Some(_), true) => ApplyOperation::Updated,
        (Some(_), false) => ApplyOperation::Unchanged,
    };
    let is_new = before.is_none() && !options.validate_only;
    Ok(v1::ApplyOutcome {
        operation: operation.into(),
        value: if is_new { format!("sk-{}", key.name) } else { String::new() },
        before_revision: if before.is_some() { REVISION } else { 0 },
        before: before.filter(|_| options.return_resources),
        after: options.return_resources.then(|| state(REVISION)),
        ..Default::default()
    })
}

fn document(name: &str) -> String {
    format!("kind: VirtualKey\nname: {name}\nteam: Acme/Search\ndescription: d\n")
}

/// Runs the command line with a file of keys of these names. The result, and the requests that were made.
async fn ran(folder: &Path, names: &[&str], args: &[&str]) -> (Result<(), String>, Vec<Asked>) {
    let file = folder.join("keys.yaml");
    std::fs::write(&file, names.iter().map(|name| document(name)).collect::<Vec<_>>().join("---\n")).unwrap();
    let fake = Fake::default();
    let service = ChangeServiceServer::new(fake.clone());
    let done = beside(
        |routes| {
            routes.add_service(service);
        },
        async |url| {
            let mut words = vec!["tollgate"];
            words.extend(args);
            words.extend(["--server", &url]);
            let file = file.to_str().unwrap();
            if args[0] != "rollback" {
                words.extend(["-f", file]);
            }
            match Cli::try_parse_from(words).unwrap().command {
                Command::Plan(args) => apply::plan(args).await,
                Command::Apply(args) => apply::run(args).await,
                Command::Rollback(args) => rollback::run(args).await,
                other => Err(Failure::Failed(format!("{other:?}").into())),
            }
        },
    );
    let done = done.await;
    let asked = fake.0.lock().unwrap().clone();
    (done, asked)
}

#[tokio::test]
async fn a_plan_asks_once_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (done, asked) = ran(folder.path(), &["same", "new"], &["plan", "--exit-code"]).await;
    assert_eq!(done, Err("exit code 2".to_owned()));
    let [(options, changes)] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(options.validate_only && options.return_resources && options.request_id.is_empty());
    assert_eq!(changes.len(), 2);
    assert_eq!(ran(folder.path(), &["same"], &["plan", "--exit-code"]).await.0, Ok(()));
    assert_eq!(ran(folder.path(), &["new"], &["plan"]).await.0, Ok(()));
}

#[tokio::test]
async fn files_are_applied_as_they_were_planned_and_new_values_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    let args = ["apply", "--set", "acme", "--secrets-out", secrets.to_str().unwrap()];
    let (done, asked) = ran(folder.path(), &["same", "new", "changed"], &args).await;
    assert_eq!(done, Ok(()));
    let [(planned, _), (options, changes)] = asked.as_slice() else { panic!("{asked:?}") };
    assert!(planned.validate_only && !options.validate_only && !options.request_id.is_empty());
    assert_eq!((planned.managed_by.as_str(), options.managed_by.as_str()), ("acme", "acme"));
    // If somebody is faster, nothing is done.
    assert_eq!(changes.iter().map(|change| change.revision).collect::<Vec<_>>(), [REVISION, 0, REVISION]);
    assert_eq!(std::fs::read_to_string(&secrets).unwrap(), "Acme/Search/new\tsk-new\n");
    assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);

    // The values would be lost, so nothing is done while the file is in the way; and nothing is to be done of what is so.
    let (done, asked) = ran(folder.path(), &["new"], &args).await;
    assert!(done.unwrap_err().contains("--secrets-out") && asked.len() == 1);
    let (done, asked) = ran(folder.path(), &["same"], &args).await;
    assert_eq!((done, asked.len()), (Ok(()), 1));
}

#[tokio::test]
async fn a_refusal_is_of_the_document_and_nothing_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let (done, asked) = ran(folder.path(), &["new", "wrong"], &["apply"]).await;
    assert_eq!(done, Err("1 fault in the files; nothing was done".to_owned()));
    assert!(asked.iter().all(|(options, _)| options.validate_only));
}

#[tokio::test]
async fn going_back_is_planned_first() {
    let folder = tempfile::tempdir().unwrap();
    let (done, asked) = ran(folder.path(), &[], &["rollback", "--to", "3", "--kind", "keys", "--yes"]).await;
    assert_eq!(done, Ok(()));
    let keys = vec![v1::ResourceKey { kind: v1::ResourceKind::VirtualKey.into(), id: String::new() }];
    let asked: Vec<_> =
        asked.iter().map(|(it, changes)| (it.validate_only, it.rollback_to_revision, changes.len())).collect();
    assert_eq!(asked, [(true, 3, 0), (false, 3, 0)]);
    let (_, asked) = ran(folder.path(), &[], &["rollback", "--to", "4", "--kind", "keys"]).await;
    assert_eq!((asked.len(), &asked[0].0.rollback_keys), (1, &keys));
}
