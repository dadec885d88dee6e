//! The files that a migration writes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::draft::{Drafts, ORDER};
use super::{Migrated, OutputArgs};
use crate::cli::Failure;
use crate::cli::files::MAX_DOCUMENTS;
use crate::cli::remote::print;

impl OutputArgs {
    /// Refuses a folder that has files already, before anything is read.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let entries = match fs::read_dir(&self.out) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| failed(&self.out, &error))?.count(),
        };
        if entries == 0 {
            return Ok(());
        }
        Err(Failure::Failed(
            format!("--out {} is not empty; name another folder, or empty it", self.out.display()).into(),
        ))
    }

    /// Writes the documents and the report; applies the documents, if that is wished.
    pub(super) async fn write(&self, migrated: Migrated) -> Result<(), Failure> {
        let Migrated { gateway, drafts, mut report } = migrated;
        let files = self.documents(&drafts)?;
        let carried = match self.carry.apply {
            true => self.carry.carry(gateway, &files, self.json, &drafts, &mut report).await,
            false => Ok(()),
        };
        let file = self.report.clone().unwrap_or_else(|| self.out.join("report.md"));
        new(&file, &report.markdown())?;
        carried?;
        if self.json {
            return print(&report.json().to_string());
        }
        print(&format!("{}; documents in {}, the report in {}", report.summary(), self.out.display(), file.display()))?;
        if drafts.all.len() > MAX_DOCUMENTS && !self.carry.apply {
            print("one call takes 10,000 documents: apply the files one after another, in the order of their names")?;
        }
        Ok(())
    }

    /// Writes the documents, a file for each kind and for each 10,000, and returns the files.
    fn documents(&self, drafts: &Drafts) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        fs::create_dir_all(&self.out).map_err(|error| failed(&self.out, &error))?;
        for (place, (kind, name)) in ORDER.iter().enumerate() {
            let texts: Vec<_> =
                drafts.all.iter().filter(|draft| draft.kind == *kind).map(|draft| draft.text.as_str()).collect();
            let several = texts.len() > MAX_DOCUMENTS;
            for (part, texts) in texts.chunks(MAX_DOCUMENTS).enumerate() {
                let part = if several { format!("-{:03}", part + 1) } else { String::new() };
                let file = self.out.join(format!("{:02}-{name}{part}.yaml", place + 1));
                new(&file, &texts.join("---\n"))?;
                files.push(file);
            }
        }
        Ok(files)
    }
}

/// Writes a file that is not there yet.
fn new(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // Names and limits of others are nobody's business, and hashes of keys belong to the database.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be written: {error}", path.display()).into())
}
