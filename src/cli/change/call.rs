//! The call under all of these commands.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::cli::Failure;
use crate::cli::files::{Document, Fault, failed};
use crate::cli::progress::Progress;
use crate::cli::remote::refused;
use crate::cli::target::Server;
use crate::proto::v1;
use crate::proto::v1::apply_change::Change;
use crate::proto::v1::apply_request::Part;
use crate::proto::v1::change_service_client::ChangeServiceClient;

/// How long the server may take for so many changes, at least.
pub(in crate::cli) const PATIENCE: Duration = Duration::from_secs(120);
/// Below this, no bar is shown.
const MANY: usize = 500;

/// Asks for changes.
pub(in crate::cli) async fn apply(
    server: &Server,
    options: v1::ApplyOptions,
    changes: Vec<v1::ApplyChange>,
) -> Result<v1::ApplyResponse, Status> {
    let (count, template) = (changes.len(), "{msg} {bar:30} {pos} of {len}");
    let mut progress = (count >= MANY).then(|| Progress::new("sending", count as u64, template));
    let first = std::iter::once(Part::Options(options));
    let parts = first.chain(changes.into_iter().map(Part::Change)).enumerate();
    let requests = parts.map(move |(sent, part)| {
        if let Some(progress) = &mut progress {
            progress.reach(sent as u64);
        }
        v1::ApplyRequest { part: Some(part) }
    });
    let mut client = ChangeServiceClient::new(server.clone()).max_decoding_message_size(usize::MAX);
    Ok(client.apply(tokio_stream::iter(requests)).await?.into_inner())
}

/// The changes that make resources as the documents say.
pub(super) fn upserts<'a>(documents: impl Iterator<Item = &'a Document>) -> Vec<v1::ApplyChange> {
    let change = |document: &Document| v1::ApplyChange {
        change: Some(Change::Upsert(document.resource.clone())),
        ..v1::ApplyChange::default()
    };
    documents.map(change).collect()
}

/// Resources as they are, found by the same names as in `resources`; `None` for one that there is not.
pub(in crate::cli) async fn as_they_are(
    server: &Server,
    resources: Vec<v1::ConfigResource>,
    managed_by: &str,
) -> Result<Vec<Option<v1::ConfigResource>>, Failure> {
    let options = v1::ApplyOptions {
        validate_only: true,
        return_resources: true,
        managed_by: managed_by.to_owned(),
        // It is only read.
        take_over: true,
        ..v1::ApplyOptions::default()
    };
    let change = |resource| v1::ApplyChange { change: Some(Change::Upsert(resource)), ..v1::ApplyChange::default() };
    let changes = resources.into_iter().map(change).collect();
    let answer = apply(server, options, changes).await.map_err(|status| refused(&status))?;
    Ok(answer.outcomes.into_iter().map(|outcome| outcome.before).collect())
}

/// A refusal, where it is about documents with file and line.
pub(super) fn explained<'a>(status: &Status, documents: impl Iterator<Item = &'a Document>) -> Failure {
    let documents: Vec<&Document> = documents.collect();
    let details = status.get_error_details();
    let violations = details.bad_request().map(|request| request.field_violations.as_slice()).unwrap_or_default();
    let faults: Vec<_> = violations.iter().filter_map(|it| fault(&it.field, &it.description, &documents)).collect();
    if !faults.is_empty() && status.code() == Code::InvalidArgument {
        return failed(&faults);
    }
    let unmet = details.precondition_failure().map(|failure| failure.violations.as_slice()).unwrap_or_default();
    let missing = unmet.iter().filter(|it| it.r#type == "REFERENCE");
    let faults: Vec<_> = missing.filter_map(|it| fault(&it.subject, &it.description, &documents)).collect();
    if !faults.is_empty() {
        return failed(&faults);
    }
    // Other refusals name the change in their sentence.
    let text = format!("is refused: {:?}: {}", status.code(), status.message());
    match fault(status.message(), &text, &documents) {
        Some(fault) => Failure::Failed(format!("{fault}; nothing was done").into()),
        None => refused(status),
    }
}

/// A fault of the document that `changes[3].upsert.team.name`, or a sentence that begins with `changes[3]: team.name: `, is
/// about.
fn fault(path: &str, text: &str, documents: &[&Document]) -> Option<Fault> {
    let (_, rest) = path.split_once("changes[")?;
    let (index, rest) = rest.split_once(']')?;
    let document = documents.get(index.parse::<usize>().ok()?)?;
    let rest = rest.trim_start_matches([':', '.', ' ']).trim_start_matches("upsert.");
    let field = rest.strip_prefix(document.kind.name()).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
    Some(document.fault(field.split([' ', '/', ':', ';', ',']).next().unwrap_or_default(), text))
}
