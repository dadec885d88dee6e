//! `tollgate completion` and `tollgate man`: what shells and readers of manuals want.

use std::io;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::remote::print;
use super::{Cli, Failure};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(tollgate completion bash)
  tollgate completion zsh > \"${fpath[1]}/_tollgate\"
  tollgate completion fish > ~/.config/fish/completions/tollgate.fish")]
pub(super) struct CompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn completion(args: &CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tollgate", &mut script);
    written(&script)
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tollgate man | man -l -
  tollgate man --dir /usr/local/share/man/man1
      A page for each command.")]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder, instead of the first one to standard output
    #[arg(long, env = "TOLLGATE_MAN_DIR", value_name = "PATH")]
    dir: Option<PathBuf>,
}

pub(super) fn man(args: ManArgs) -> Result<(), Failure> {
    match args.dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            written(&page)
        }
        Some(dir) => {
            let failed = |error: io::Error| Failure::Failed(format!("--dir {}: {error}", dir.display()).into());
            std::fs::create_dir_all(&dir).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), &dir).map_err(failed)?;
            print(&format!("the pages are in {}", dir.display()))
        }
    }
}

/// Writes to standard output. A reader that has gone away is no failure.
fn written(bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
