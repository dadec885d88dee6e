//! The files that are named, and those of folders.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::Failure;

/// The most bytes that all files together may have, as one call of the API checks.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// The endings of the files that are read in folders.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// A text and where it is from.
pub(super) struct Source {
    pub(super) file: Arc<Path>,
    pub(super) text: String,
}

/// Reads what the paths name, folders in the order of their paths.
pub(super) fn all(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let (mut sources, mut left) = (Vec::new(), MAX_BYTES);
    for path in paths {
        let files = if path.is_dir() { within(path)? } else { vec![path.clone()] };
        for file in files {
            let text = read(&file, left)?;
            left -= text.len() as u64;
            let file = if file.as_os_str() == "-" { PathBuf::from("standard input") } else { file };
            sources.push(Source { file: file.into(), text });
        }
    }
    Ok(sources)
}

/// The files of a folder and of the folders below it.
fn within(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|error| unreadable(&folder, &error))?);
            // Names that begin with a dot are of tools: `.git`, `.github`.
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            // A link to a folder could lead back here.
            if kind.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        let text = format!("{} has no files named *.yaml, *.yml or *.json", folder.display());
        return Err(Failure::Failed(text.into()));
    }
    found.sort();
    Ok(found)
}

fn read(file: &Path, left: u64) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(left + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(left + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(file, &error))?;
    if bytes.len() as u64 > left {
        let text = format!("{}: the files have more than 256 MiB; apply them in parts, parents first", file.display());
        return Err(Failure::Failed(text.into()));
    }
    String::from_utf8(bytes).map_err(|_| Failure::Failed(format!("{} is no UTF-8 text", file.display()).into()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be read: {error}", path.display()).into())
}
