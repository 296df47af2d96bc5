//! The words of a command as another process can carry them out: what they mean here, they mean there.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use hostler_domains::MigrationAddress;

use crate::exit::Exit;
use crate::failure::Failure;

/// Global options that say which daemon is meant.
const OF_THE_PLACE: [&str; 3] = ["settings", "state_dir", "tenant"];

/// The words to send, without the name of the program.
///
/// # Errors
/// Words that are no text.
pub(super) fn to_send(definition: &Command, matches: &ArgMatches) -> Result<Vec<String>, Box<Failure>> {
    let directory =
        std::env::current_dir().map_err(|error| Failure::io("find the current directory", &error))?;
    let texts = sent(definition, matches, &directory).into_iter().map(OsString::into_string);
    texts.collect::<Result<_, _>>().map_err(|word| {
        let message = format!("'{}' is not UTF-8; a daemon takes text only", word.display());
        Failure::new("cli.word-encoding", Exit::Usage, message).into()
    })
}

fn sent(definition: &Command, matches: &ArgMatches, directory: &Path) -> Vec<OsString> {
    let mut sent = Vec::new();
    globals(definition, matches, directory, &mut sent);
    rewrite(definition, matches, directory, &mut sent);
    sent
}

/// Those that say which daemon is meant have done so. Of the others the daemon sees whether they fit.
fn globals(definition: &Command, matches: &ArgMatches, directory: &Path, sent: &mut Vec<OsString>) {
    let globals = definition.get_arguments().filter(|argument| argument.is_global_set());
    for argument in globals.filter(|argument| is_given(matches, argument)) {
        if !OF_THE_PLACE.contains(&argument.get_id().as_str()) {
            option(argument, matches, directory, sent);
        }
    }
}

fn is_given(matches: &ArgMatches, argument: &Arg) -> bool {
    matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// Writes a command down again: its options, its positions, and what is below it.
fn rewrite(definition: &Command, matches: &ArgMatches, directory: &Path, sent: &mut Vec<OsString>) {
    let own = definition.get_arguments().filter(|argument| !argument.is_global_set());
    let (positions, options): (Vec<&Arg>, Vec<&Arg>) = own.partition(|argument| argument.is_positional());
    for argument in options.into_iter().filter(|argument| is_given(matches, argument)) {
        option(argument, matches, directory, sent);
    }
    let below = matches.subcommand();
    let mut places: Vec<OsString> = Vec::new();
    for argument in positions.into_iter().filter(|argument| is_given(matches, argument)) {
        let values = matches.get_raw(argument.get_id().as_str()).into_iter().flatten();
        places.extend(values.map(|value| absolute(argument, value, directory)));
    }
    if !places.is_empty() {
        // What begins with a hyphen is a value all the same.
        sent.extend(below.is_none().then(|| "--".into()));
        sent.append(&mut places);
    }
    if let Some((name, matches)) = below
        && let Some(definition) = definition.find_subcommand(name)
    {
        sent.push(name.into());
        rewrite(definition, matches, directory, sent);
    }
}

fn option(argument: &Arg, matches: &ArgMatches, directory: &Path, sent: &mut Vec<OsString>) {
    let id = argument.get_id().as_str();
    let name = match (argument.get_long(), argument.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => return,
    };
    match argument.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => sent.push(name.into()),
        ArgAction::Count => {
            (0..matches.get_count(id)).for_each(|_| sent.push(name.clone().into()));
        }
        _ => {
            for values in matches.get_raw_occurrences(id).into_iter().flatten() {
                let mut values = values.map(|value| absolute(argument, value, directory)).peekable();
                if values.peek().is_none() {
                    sent.push(name.clone().into());
                }
                for value in values {
                    let joint = if argument.get_long().is_some() { "=" } else { "" };
                    let mut word = OsString::from(format!("{name}{joint}"));
                    word.push(value);
                    sent.push(word);
                }
            }
        }
    }
}

/// A value that does not hang on the current directory.
fn absolute(argument: &Arg, value: &OsStr, directory: &Path) -> OsString {
    let kind = argument.get_value_parser().type_id();
    if kind == TypeId::of::<PathBuf>() && value != "-" {
        return directory.join(value).into();
    }
    match value.to_str().and_then(|value| value.strip_prefix("unix:")) {
        Some(path) if kind == TypeId::of::<MigrationAddress>() => {
            let mut address = OsString::from("unix:");
            address.push(directory.join(path));
            address
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Parsed, parse};
    use crate::output::colour::When;

    fn rewritten(line: &str) -> Vec<String> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let Parsed { definition, matches, .. } = parse(&words, When::Never).unwrap();
        let sent = sent(&definition, &matches, Path::new("/here"));
        let again: Vec<OsString> = std::iter::once("hostler".into()).chain(sent.iter().cloned()).collect();
        parse(&again, When::Never).unwrap();
        sent.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn words_mean_the_same_elsewhere() {
        assert_eq!(rewritten("hostler list --all -o json"), ["--output=json", "list", "--all"]);
        assert_eq!(rewritten("hostler define web.xml -q"), ["--quiet", "define", "--", "/here/web.xml"]);
        assert_eq!(rewritten("hostler define -"), ["define", "--", "-"]);
        assert_eq!(rewritten("hostler --state-dir x save web /a/b"), ["save", "--", "web", "/a/b"]);
        assert_eq!(
            rewritten("hostler -vv undefine web --nvram"),
            ["--verbose", "--verbose", "undefine", "--nvram=delete", "--", "web"]
        );
        assert_eq!(
            rewritten("hostler migrate web --to unix:s --max-downtime 3"),
            ["migrate", "--to=unix:/here/s", "--max-downtime=3", "--", "web"]
        );
        assert_eq!(rewritten("hostler send-key web F1 A"), ["send-key", "--", "web", "F1", "A"]);
        assert_eq!(
            rewritten("hostler list --driver-dir d --cage off"),
            ["--driver-dir=/here/d", "--cage=off", "list"]
        );
        assert_eq!(rewritten("hostler pool define p.xml"), ["pool", "define", "--", "/here/p.xml"]);
    }
}
