//! Values of keys, which are told once: into a file, or on the terminal; never in both, and never nowhere.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use prost_reflect::DynamicMessage;

use super::api::text;
use super::shown::Output;
use crate::cli::Failure;
use crate::cli::remote::print;

#[derive(Args, Debug)]
pub(in crate::cli) struct SecretArgs {
    /// Write the values of new keys into this file, which only its owner may read, instead of showing them. It must not exist
    #[arg(long, env = "TOLLGATE_SECRETS_OUT", value_name = "PATH")]
    secrets_out: Option<PathBuf>,
}

impl SecretArgs {
    pub(in crate::cli) const fn is_set(&self) -> bool {
        self.secrets_out.is_some()
    }

    /// Makes the file, before anything is done whose values would be lost without it.
    pub(in crate::cli) fn open(&self) -> Result<Option<SecretFile>, Failure> {
        let Some(path) = &self.secrets_out else { return Ok(None) };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => Ok(Some(SecretFile { file, path: path.clone(), is_written: false })),
            Err(error) => {
                let remedy = match error.kind() {
                    io::ErrorKind::AlreadyExists => "name a new file: what others hold is not written over",
                    _ => "name a file that can be made",
                };
                Err(Failure::Usage(format!("--secrets-out {}: {error}; {remedy}", path.display()).into()))
            }
        }
    }
}

/// The file for the values of new keys. It goes away again if nothing comes to stand in it, so that a second attempt finds its
/// place free.
#[derive(Debug)]
pub(in crate::cli) struct SecretFile {
    file: File,
    path: PathBuf,
    is_written: bool,
}

impl SecretFile {
    /// Writes values by name, behind those that are there, and has them on the disk.
    fn write(&mut self, values: &[(String, String)]) -> Result<(), Failure> {
        let lines = values.iter().map(|(name, value)| format!("{name}\t{value}\n")).collect::<String>();
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_all());
        let path = self.path.display();
        written.map_err(|error| Failure::Failed(format!("--secrets-out {path} cannot be written: {error}").into()))?;
        if !self.is_written {
            eprintln!("tollgate: the values of new keys are in {path}");
        }
        self.is_written = true;
        Ok(())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.is_written {
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// Tells the value of a key that was made: into the file, whereupon the answer has it no more; else on the terminal, unless the
/// answer is printed with it.
///
/// # Errors
///
/// The file cannot be written. The answer has the value then, or it was shown: made and unknown would be the worst.
pub(super) fn reveal(
    file: Option<SecretFile>,
    named: &str,
    key: &mut DynamicMessage,
    output: Output,
) -> Result<(), Failure> {
    let value = text(key, "value");
    // A value that the caller brought is answered as a mask.
    if value.is_empty() || value.contains('…') {
        return Ok(());
    }
    let values = [(named.to_owned(), value)];
    let kept = match file {
        Some(mut file) => match file.write(&values) {
            Ok(()) => {
                key.clear_field_by_name("value");
                return Ok(());
            }
            Err(why) => Err(why),
        },
        None => Ok(()),
    };
    let [(_, value)] = &values;
    match output {
        Output::Json => {}
        // Standard output is a document, or a name, that something else goes on with.
        Output::Yaml | Output::Name => eprintln!("tollgate: the value, shown this once: {value}"),
        Output::Table | Output::Wide => show(&values)?,
    }
    kept
}

/// Tells the values of new keys, by name.
pub(in crate::cli) fn tell(file: Option<&mut SecretFile>, values: &[(String, String)]) -> Result<(), Failure> {
    let Some(file) = file else { return show(values) };
    file.write(values).or_else(|why| {
        // Made and unknown would be the worst: better on the terminal than nowhere.
        show(values)?;
        Err(why)
    })
}

fn show(values: &[(String, String)]) -> Result<(), Failure> {
    eprintln!("tollgate: {} shown this once", if values.len() == 1 { "the value is" } else { "the values are" });
    values.iter().try_for_each(|(name, value)| match values.len() {
        1 => print(value),
        _ => print(&format!("{name}\t{value}")),
    })
}
