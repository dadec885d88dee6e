//! Where a database is.

use std::fmt;
use std::path::PathBuf;

use sea_orm::sqlx::postgres::PgConnectOptions;

use super::super::error::StoreError;

/// What the query of a URL of PostgreSQL may say. The driver would log the others, and a misspelled password with them.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
];

const ACCEPTED: &str = "expected sqlite://PATH, such as sqlite://tollgate.db or sqlite:///var/lib/tollgate/tollgate.db, \
                        or postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full&sslrootcert=PATH";

/// Where a database is.
#[derive(Clone, Debug)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A database of a server.
    Postgres(PostgresUrl),
}

/// A database of a PostgreSQL server, and how to connect to it. Shows itself without the password.
#[derive(Clone)]
pub struct PostgresUrl(pub(super) Box<PgConnectOptions>);

impl DatabaseUrl {
    /// Reads `sqlite://PATH`, where everything after the slashes is the path, relative or absolute; or
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters `sslmode` (`disable`, `allow`, `prefer`,
    /// `require`, `verify-ca`, `verify-full`; default `prefer`), `sslrootcert`, `sslcert`, `sslkey` (paths), `host`,
    /// `hostaddr`, `port`, `dbname`, `user`, `password` and `application_name`. A host that begins with `/` is the
    /// directory of a socket. A password that is not given is looked for in `PGPASSWORD` and `~/.pgpass`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], which says what is accepted and repeats nothing of `url` but names of parameters: there might
    /// be a password in it.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = |why: &str| Err(StoreError::Url(format!("the database URL {why}; {ACCEPTED}")));
        match url.split_once("://") {
            Some(("sqlite", "")) => wrong("has no path"),
            Some(("sqlite", path)) if path.starts_with(":memory:") => wrong("is of a database that keeps nothing"),
            Some(("sqlite", path)) if path.contains(['?', '\0']) => wrong("has parameters, of which there are none"),
            Some(("sqlite", path)) => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", rest)) => {
                if let Some((_, query)) = rest.split_once('?') {
                    let mut names = query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name));
                    if let Some(unknown) = names.find(|name| !PARAMETERS.contains(name)) {
                        let known = PARAMETERS.join(", ");
                        return wrong(&format!("has the unknown parameter {unknown:?} (known are {known})"));
                    }
                }
                match url.parse::<PgConnectOptions>() {
                    Ok(options) => Ok(Self::Postgres(PostgresUrl(Box::new(options)))),
                    // What the driver says may repeat a part of the URL.
                    Err(_) => wrong(
                        "cannot be read: a character of the user, password or database may have to be written as %XX, or \
                         the port or the sslmode is none",
                    ),
                }
            }
            _ => wrong("is of an unknown kind"),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => write!(f, "{url}"),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.0;
        let host = options.get_socket().map_or(options.get_host().into(), |socket| socket.to_string_lossy());
        let database = options.get_database().unwrap_or(options.get_username());
        write!(f, "postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
