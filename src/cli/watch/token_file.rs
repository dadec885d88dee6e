//! The file in which `tollgate watch` keeps its resume token: one line.

use std::io;
use std::path::PathBuf;

/// The file, or none.
pub(super) struct TokenFile {
    path: Option<PathBuf>,
    token: String,
}

impl TokenFile {
    /// Reads the file if there is one.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let token = match path.as_ref().map(std::fs::read_to_string) {
            Some(Ok(token)) => token.trim().to_owned(),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(explain(&path, &error)),
            Some(Err(_)) | None => String::new(),
        };
        Ok(Self { path, token })
    }

    /// The token, if there is one.
    pub(super) fn token(&self) -> Option<String> {
        (!self.token.is_empty()).then(|| self.token.clone())
    }

    /// Keeps a token. The file has the old one or the new one, never half of one.
    pub(super) fn keep(&mut self, token: &str) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.token == token {
            return Ok(());
        }
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        std::fs::write(&draft, format!("{token}\n"))
            .and_then(|()| std::fs::rename(&draft, path))
            .map_err(|error| explain(&self.path, &error))?;
        token.clone_into(&mut self.token);
        Ok(())
    }

    /// Throws the token away.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.keep("")
    }
}

fn explain(path: &Option<PathBuf>, error: &io::Error) -> io::Error {
    let path = path.as_deref().unwrap_or("".as_ref()).display();
    io::Error::new(error.kind(), format!("{path} (--state-file): {error}"))
}
