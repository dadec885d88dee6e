//! Reads the command line, with the environment and the present context.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error};
use clap::{ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use super::{Cli, Failure, context};

/// The command line, read with the present context; an end of its own if it is wrong, or asks for help.
pub(super) fn parsed() -> Result<Cli, Failure> {
    let command = without_empty(Cli::command());
    // A first look tells which command it is and which context it names; what is wrong shows at the second.
    let first = command.clone().ignore_errors(true).try_get_matches();
    let command = match first {
        Ok(matches) => context::defaults(command, &matches)?,
        Err(_) => command,
    };
    let read = command.clone().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    read.map_err(|error| {
        let variable = of_environment(&error, &command, &|name| std::env::var_os(name));
        // A message that cannot be shown is not worth another failure.
        drop(error.print());
        if let Some(said) = variable {
            eprintln!("tollgate: {said}");
        }
        std::process::exit(error.exit_code())
    })
}

/// The command line, where variables of the environment that are empty count as unset.
fn without_empty(command: Command) -> Command {
    let unset = |arg: clap::Arg| match arg.get_env().and_then(std::env::var_os) {
        Some(value) if value.is_empty() => arg.env(None::<&str>),
        Some(_) | None => arg,
    };
    command.mut_args(unset).mut_subcommands(without_empty)
}

/// Where a wrong value comes from, if it is from the environment: the message names a flag that nobody wrote.
fn of_environment(error: &Error, command: &Command, variable: &dyn Fn(&str) -> Option<OsString>) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let long = text(ContextKind::InvalidArg)?.split([' ', '=']).next()?.strip_prefix("--")?;
    let wrong = text(ContextKind::InvalidValue)?;
    let is_it = |arg: &&clap::Arg| arg.get_long() == Some(long);
    for arg in command.get_arguments().filter(is_it) {
        let name = arg.get_env()?.to_str()?;
        if variable(name).is_some_and(|value| value.to_string_lossy().contains(wrong)) {
            let remedy = match arg.get_action() {
                ArgAction::SetTrue => "write true or false there, or leave it empty",
                _ => "mend it there, or leave it empty",
            };
            return Some(format!("the value is that of {name} in the environment; {remedy}"));
        }
    }
    command.get_subcommands().find_map(|inner| of_environment(error, inner, variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_of_the_environment_is_told_with_its_variable() {
        let wrong = |args: &[&str]| without_empty(Cli::command()).try_get_matches_from(args).unwrap_err();
        let error = wrong(&["tollgate", "get", "keys", "--timeout", "abc"]);
        let told = |value: &'static str| {
            of_environment(&error, &Cli::command(), &|name| (name == "TOLLGATE_TIMEOUT").then(|| value.into()))
        };
        let expected = "the value is that of TOLLGATE_TIMEOUT in the environment; mend it there, or leave it empty";
        assert_eq!(told("abc").as_deref(), Some(expected));
        assert_eq!(told("15s"), None, "the wrong value is on the command line");
        assert_eq!(of_environment(&error, &Cli::command(), &|_| None), None);
    }
}
