//! The command line as a whole.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_flag_has_an_environment_variable_and_help() {
    let mut cli = Cli::command();
    cli.build();
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        let is_flag = |arg: &&clap::Arg| !arg.is_positional() && !["help", "version"].contains(&arg.get_id().as_str());
        for flag in command.get_arguments().filter(is_flag) {
            let (command, flag_name) = (command.get_name(), flag.get_id());
            assert!(flag.get_help().is_some(), "{command} {flag_name} has no help");
            let env = flag.get_env().unwrap_or_else(|| panic!("{command} {flag_name} has no variable"));
            assert!(env.to_str().unwrap().starts_with("TOLLGATE_"), "{command} {flag_name}");
        }
    }
}

#[test]
fn no_help_text_is_broken_by_hand() {
    let mut cli = Cli::command();
    cli.build();
    let (mut commands, mut texts) = (vec![&cli], 0);
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands());
        let of_command = [command.get_about(), command.get_long_about(), command.get_after_help()];
        let of_args = command.get_arguments().flat_map(|arg| [arg.get_help(), arg.get_long_help()]);
        for text in of_command.into_iter().chain(of_args).flatten().map(ToString::to_string) {
            texts += 1;
            let lines: Vec<_> = text.lines().collect();
            // Headings and examples have lines of their own; a paragraph is one, which the terminal's width breaks.
            let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
            let broken = lines.windows(2).find(|pair| is_prose(pair[0]) && !pair[1].is_empty());
            assert!(broken.is_none(), "{}: {broken:?}", command.get_name());
        }
    }
    assert!(texts > 100, "only {texts} texts were looked at");
}

#[test]
fn help_does_not_show_what_may_hold_a_secret() {
    let mut cli = Cli::command();
    cli.build();
    let mut commands: Vec<_> = cli.get_subcommands().collect();
    let mut secrets = 0;
    while let Some(command) = commands.pop() {
        commands.extend(command.get_subcommands());
        for flag in command.get_arguments() {
            if ["database", "token", "bootstrap_token", "virtual_key"].contains(&flag.get_id().as_str()) {
                secrets += 1;
                assert!(flag.is_hide_env_values_set(), "{} {}", command.get_name(), flag.get_id());
            }
        }
    }
    assert!(secrets > 3, "only {secrets} flags were looked at");
}
