//! `tollgate validate`: whether files are right, as far as this can be known without a server.

use clap::Args;

use super::Failure;
use super::files::{FilesArgs, load, plural};
use super::remote::print;

#[derive(Args, Debug)]
#[command(after_help = "\
No server is asked: shape, names, lengths, limits, CEL expressions and duplicates are checked; that what is referred to \
exists is checked by `tollgate plan`.

Examples:
  tollgate validate -f config/
      All files of a folder, for a hook before a commit.
  tollgate get all -o yaml | tollgate validate -f -
      The configuration of a server.")]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    files: FilesArgs,
}

pub(super) fn run(args: &ValidateArgs) -> Result<(), Failure> {
    let documents = load(&args.files.files)?;
    let mut files: Vec<_> = documents.iter().map(|document| &document.file).collect();
    files.dedup();
    let (documents, files) = (documents.len(), files.len());
    print(&format!("{documents} document{} in {files} file{}: no fault found", plural(documents), plural(files)))
}
