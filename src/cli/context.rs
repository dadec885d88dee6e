//! Contexts: servers by name, in a file of the user, so that commands need no flags and no variables.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, Subcommand};
use toml::{Table, Value};

use super::Failure;
use super::remote::{print, table};

/// Names that a context may have in the file, which are also those of the flags that they stand for.
const FLAGS: [&str; 4] = ["server", "tls_ca", "tls_client_cert", "tls_client_key"];

#[derive(Args, Debug)]
#[command(after_help = "\
Contexts are kept in ~/.config/tollgate/config.toml (or in the file that TOLLGATE_CONFIG names). A command uses the present one, \
or that of --context, unless --server or TOLLGATE_SERVER is given: an access token is sent to the server of its context alone. \
--context on the command line goes before what the environment says of a server.

Examples:
  tollgate context add prod --server https://tollgate.example.com:50051 --token-file - --use < token.txt
      The access token is kept in a file that only you may read.
  tollgate context add prod --server https://tollgate.example.com:50051 --token-command 'pass show tollgate/prod'
      The access token is asked for each time.")]
pub(super) struct ContextArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Subcommand, Debug)]
enum ContextCommand {
    /// Add a context, or replace it
    Add(Box<AddArgs>),
    /// Make a context the present one
    Use(UseArgs),
    /// List the contexts
    List(ListArgs),
}

#[derive(Args, Debug)]
struct AddArgs {
    /// Name of the context
    #[arg(value_name = "NAME")]
    name: String,

    /// The server; https:// for one with TLS
    #[arg(long, env = "TOLLGATE_SERVER", value_name = "URL", value_parser = super::target::server)]
    server: http::Uri,

    /// File with the access token, which only you may read; `-` reads the token from standard input and keeps it in such a file
    #[arg(long, env = "TOLLGATE_TOKEN_FILE", value_name = "PATH", conflicts_with = "token_command")]
    token_file: Option<PathBuf>,

    /// Program that prints the access token, with its arguments
    #[arg(long, env = "TOLLGATE_TOKEN_COMMAND", value_name = "COMMAND")]
    token_command: Option<String>,

    /// PEM file of the CA that signed the server's certificate
    #[arg(long, env = "TOLLGATE_TLS_CA", value_name = "PATH")]
    tls_ca: Option<PathBuf>,

    /// PEM file of the certificate to present to the server
    #[arg(long, env = "TOLLGATE_TLS_CLIENT_CERT", value_name = "PATH", requires = "tls_client_key")]
    tls_client_cert: Option<PathBuf>,

    /// PEM file of the private key of --tls-client-cert
    #[arg(long, env = "TOLLGATE_TLS_CLIENT_KEY", value_name = "PATH", requires = "tls_client_cert")]
    tls_client_key: Option<PathBuf>,

    /// Make it the present one, as the first context is anyway
    #[arg(long = "use", env = "TOLLGATE_USE", value_parser = clap::builder::BoolishValueParser::new())]
    make_present: bool,
}

#[derive(Args, Debug)]
struct UseArgs {
    /// Name of the context
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Args, Debug)]
struct ListArgs {}

pub(super) fn run(args: ContextArgs) -> Result<(), Failure> {
    let file = File::read()?;
    match args.command {
        ContextCommand::Add(args) => add(file, *args),
        ContextCommand::Use(UseArgs { name }) => {
            file.context(&name)?;
            file.with("current", Value::String(name.clone())).write()?;
            print(&format!("the present context is {name}"))
        }
        ContextCommand::List(ListArgs {}) => {
            let current = file.current();
            let rows = file.contexts().map(|(name, context)| {
                let text = |field: &str| context.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
                let token = match (context.get("token_file"), context.get("token_command")) {
                    (Some(_), _) => text("token_file"),
                    (None, Some(_)) => "by a command".to_owned(),
                    (None, None) => "none".to_owned(),
                };
                let mark = if current == Some(name.as_str()) { "*" } else { "" };
                vec![mark.to_owned(), name.clone(), text("server"), token]
            });
            table(&["", "NAME", "SERVER", "ACCESS TOKEN"], &rows.collect::<Vec<_>>())
        }
    }
}

fn add(mut file: File, args: AddArgs) -> Result<(), Failure> {
    let AddArgs { name, server, token_file, token_command, tls_ca, tls_client_cert, tls_client_key, make_present } =
        args;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) || name.starts_with('.')
    {
        return Err(usage(format!("{name:?} is no name of a context: letters, digits, `-`, `_` and `.`")));
    }
    let token_file = match token_file {
        Some(path) if path.as_os_str() == "-" => Some(file.keep_token(&name, io::read_to_string(io::stdin())?.trim())?),
        Some(path) => {
            let path = std::path::absolute(path)?;
            read_token(&path)?;
            Some(path)
        }
        None => None,
    };
    let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
    let mut context = Table::new();
    context.insert("server".to_owned(), Value::String(server.to_string()));
    let paths =
        [("token_file", token_file), ("tls_ca", absolute(tls_ca)?), ("tls_client_cert", absolute(tls_client_cert)?)];
    for (field, path) in paths.into_iter().chain([("tls_client_key", absolute(tls_client_key)?)]) {
        if let Some(path) = path {
            context.insert(field.to_owned(), Value::String(path.to_string_lossy().into_owned()));
        }
    }
    if let Some(command) = token_command {
        let words = command.split_whitespace().map(|word| Value::String(word.to_owned()));
        context.insert("token_command".to_owned(), Value::Array(words.collect()));
    }
    let is_first = file.contexts().next().is_none();
    let contexts = file.table.entry("contexts").or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(contexts) = contexts {
        contexts.insert(name.clone(), Value::Table(context));
    }
    let file = if make_present || is_first { file.with("current", Value::String(name.clone())) } else { file };
    file.write()?;
    print(&format!("context {name} is in {}", file.path.display()))
}

fn usage(text: String) -> Failure {
    Failure::Usage(text.into())
}

/// The file with the contexts.
struct File {
    path: PathBuf,
    table: Table,
}

impl File {
    /// Reads it; it need not exist.
    fn read() -> Result<Self, Failure> {
        let path =
            place().ok_or_else(|| usage("neither TOLLGATE_CONFIG nor HOME says where contexts are".to_owned()))?;
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| usage(format!("{}: {error}", path.display())))?,
        };
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| usage(format!("{}: {}", path.display(), error.message())))?;
        Ok(Self { path, table })
    }

    fn current(&self) -> Option<&str> {
        self.table.get("current").and_then(Value::as_str)
    }

    fn contexts(&self) -> impl Iterator<Item = (&String, &Table)> {
        let contexts = self.table.get("contexts").and_then(Value::as_table);
        contexts.into_iter().flatten().filter_map(|(name, context)| Some((name, context.as_table()?)))
    }

    fn context(&self, name: &str) -> Result<&Table, Failure> {
        let found = self.contexts().find(|(known, _)| *known == name);
        found.map(|(_, context)| context).ok_or_else(|| {
            let names: Vec<_> = self.contexts().map(|(name, _)| name.as_str()).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            usage(format!("{} has no context {name:?}; there is {there}", self.path.display()))
        })
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.table.insert(field.to_owned(), value);
        self
    }

    /// Writes it as a whole, so that a reader never sees a part.
    fn write(&self) -> Result<(), Failure> {
        private(&self.path, self.table.to_string().as_bytes())
    }

    /// Keeps an access token beside the file.
    fn keep_token(&self, name: &str, token: &str) -> Result<PathBuf, Failure> {
        if token.is_empty() {
            return Err(usage("standard input has no access token".to_owned()));
        }
        let path = self.path.with_file_name("tokens").join(name);
        private(&path, token.as_bytes())?;
        Ok(path)
    }
}

/// Where contexts are kept.
fn place() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = || variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    variable("TOLLGATE_CONFIG").or_else(|| config().map(|config| config.join("tollgate").join("config.toml")))
}

/// Writes a file that only its owner may read, and the folder for it.
fn private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", path.display()).into());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    // Temporary files are their owner's alone.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// An access token from a file that only its owner may read.
fn read_token(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| usage(format!("the access token's file {}: {error}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(usage(format!(
                "the access token's file {path} is open to others; make it yours: chmod 600 {path}"
            )));
        }
    }
    Ok(std::fs::read_to_string(path).map_err(failed)?.trim().to_owned())
}

/// An access token from a program.
fn ask_token(words: &[Value]) -> Result<String, Failure> {
    let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
    let Some((name, arguments)) = words.split_first() else {
        return Err(usage("token_command names no program".to_owned()));
    };
    let output = Program::new(name).args(arguments).stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| usage(format!("token_command {name}: {error}")))?;
    if !output.status.success() {
        return Err(usage(format!("token_command {name} failed: {}", output.status)));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| usage(format!("token_command {name} printed no text")))?;
    Ok(text.trim().to_owned())
}

/// The command line with what a context says as defaults, if the command is one for a server and names none itself.
///
/// # Errors
///
/// The context is asked for and does not exist, or cannot be read.
pub(super) fn defaults(command: Command, matches: &ArgMatches) -> Result<Command, Failure> {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    // Only commands for a server have the flag.
    let Ok(named) = matches.try_get_one::<String>("context") else { return Ok(command) };
    let given = |flag: &str| matches.value_source(flag).filter(|source| *source != ValueSource::DefaultValue);
    let overrides = match (given("server"), given("context")) {
        (Some(ValueSource::CommandLine), Some(ValueSource::CommandLine)) => {
            return Err(usage("--server and --context both say where the server is; give one of them".to_owned()));
        }
        (Some(ValueSource::EnvVariable), Some(ValueSource::EnvVariable)) => {
            let text = "TOLLGATE_SERVER and TOLLGATE_CONTEXT both say where the server is; unset one of them";
            return Err(usage(text.to_owned()));
        }
        // Somebody named a context just now: a server that the environment had before must not take what is meant for that one,
        // nor that one the access token of the server.
        (Some(_), Some(ValueSource::CommandLine)) => true,
        (Some(_), _) => return Ok(command),
        (None, _) => false,
    };
    let is_given = |flag: &str| match given(flag) {
        Some(ValueSource::EnvVariable) => !overrides,
        source => source.is_some(),
    };
    if named.is_none() && place().is_none() {
        return Ok(command);
    }
    let file = File::read()?;
    let Some(name) = named.map(String::as_str).or(file.current()) else { return Ok(command) };
    let context = file.context(name)?;
    let mut defaults = Vec::new();
    for (field, value) in context {
        match (field.as_str(), value) {
            (flag, Value::String(text)) if FLAGS.contains(&flag) => defaults.push((flag.to_owned(), text.clone())),
            ("token_file" | "token_command", _) if is_given("token") => {}
            ("token_file", Value::String(path)) => defaults.push(("token".to_owned(), read_token(Path::new(path))?)),
            ("token_command", Value::Array(words)) => defaults.push(("token".to_owned(), ask_token(words)?)),
            _ => {
                let text = "is none of server, token_file, token_command, tls_ca, tls_client_cert, tls_client_key, or is no text";
                return Err(usage(format!("{}: contexts.{name}.{field} {text}", file.path.display())));
            }
        }
    }
    // The command line keeps its defaults for as long as the program runs.
    let defaults: Vec<(String, &'static str)> =
        defaults.into_iter().map(|(flag, value)| (flag, &*Box::leak(value.into_boxed_str()))).collect();
    Ok(with_defaults(command, &defaults, overrides))
}

/// `overrides`: what the environment says of a server does not count.
fn with_defaults(command: Command, defaults: &[(String, &'static str)], overrides: bool) -> Command {
    let is_of_server = |arg: &clap::Arg| arg.get_id() == "token" || FLAGS.contains(&arg.get_id().as_str());
    let unset = |arg: clap::Arg| if overrides && is_of_server(&arg) { arg.env(None::<&str>) } else { arg };
    let set = |arg: clap::Arg| match defaults.iter().find(|(flag, _)| arg.get_id().as_str() == flag) {
        // A default of a context is not shown in help: it may be a secret.
        Some((_, value)) => arg.default_value(*value).hide_default_value(true),
        None => arg,
    };
    let is_client = command.get_arguments().any(|arg| arg.get_id() == "context");
    let command = if is_client { command.mut_args(unset).mut_args(set) } else { command };
    command.mut_subcommands(|inner| with_defaults(inner, defaults, overrides))
}
