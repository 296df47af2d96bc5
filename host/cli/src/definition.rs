//! The command line itself: one definition that makes the parser, the help, the completions and the manual.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use hostler_domains::{CageSetting, Workers};

use crate::commands::{
    agent, attach, autostart, bandwidth, block, completions, console, define, destroy, detach, display,
    doctor, domain_xml, driver, dump, events, firmware, image, limits, link, list, man, media, migrate,
    native, net, pool, reboot, receive, reset, restore, resume, run, save, screenshot, secret, send_key,
    serve, show, shutdown, sizing, snapshot, start, stats, suspend, tenant, undefine, vol,
};
use crate::exit::Exit;
use crate::failure::Stop;
use crate::output::colour::When;
use crate::output::{Format, Reply};
use crate::session::Session;

/// Runs virtual machines through sandboxed hypervisor drivers
///
/// hostler takes the same domain XML as libvirt and runs the guests it describes. Everything that
/// knows a hypervisor is a driver: a WebAssembly component that can reach no more of this machine
/// than it was granted. No daemon is needed: each command does its work and ends; guests go on.
///
/// Data is written to standard output, everything else to standard error. With '-o json' data and errors
/// are JSON documents: objects with the member "schema", now 1. Members may be added; a member that
/// changed its meaning would make schema 2. Sizes are in bytes, times in milliseconds since 1970.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, after_help = Exit::help(), arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Keep definitions and running state in DIR
    ///
    /// Default: $HOSTLER_STATE_DIR, or /var/lib/hostler for root and $XDG_STATE_HOME/hostler for others.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Take the settings of this host from FILE
    ///
    /// Default: $HOSTLER_SETTINGS, or /etc/hostler/hostler.toml for root and $XDG_CONFIG_HOME/hostler/hostler.toml for others
    /// if it is there. Options and environment come before it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Work for the tenant NAME, in its own state directory
    ///
    /// Default: $HOSTLER_TENANT, or the operator's own state directory.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Look for driver components in DIR; may be given several times
    ///
    /// The first directory that has a driver wins. Default: $HOSTLER_DRIVER_DIR (separated by colons), or
    /// the directories that come with the program.
    #[arg(long = "driver-dir", global = true, value_name = "DIR")]
    pub(crate) driver_dirs: Vec<PathBuf>,
    /// Let images below DIR be named by other images; may be given several times
    ///
    /// Images that a domain XML names itself need no such leave. Default: $HOSTLER_IMAGE_ROOTS (separated by
    /// colons).
    #[arg(long = "image-root", global = true, value_name = "DIR")]
    pub(crate) image_roots: Vec<PathBuf>,
    /// Take the policy for drivers from FILE
    ///
    /// Default: $HOSTLER_POLICY, or the built-in policy.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Confine hypervisors as HOW says: require, without-landlock or off
    ///
    /// What is asked for is built, or nothing is started. With 'off', a guest that takes its hypervisor over
    /// has all the rights of the user who started it. Default: $HOSTLER_CAGE, or 'require', which is every wall.
    #[arg(long, global = true, value_name = "HOW")]
    pub(crate) cage: Option<CageSetting>,
    /// Run drivers in processes of their own, which can open and start nothing: on or off
    ///
    /// A driver that breaks out of its sandbox is then in an empty room, and not in this command. An operation takes
    /// some milliseconds longer. Default: $HOSTLER_WORKERS, or 'off'.
    #[arg(long, global = true, value_name = "HOW")]
    pub(crate) workers: Option<Workers>,
    /// Write data as a table or as JSON
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: Format,
    /// Write no progress, no remarks and no confirmations
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Use colour
    ///
    /// 'auto' means on a terminal, unless NO_COLOR is set or TERM is 'dumb'; CLICOLOR_FORCE turns it on.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: When,
    /// Wait SECS seconds at most for another command that holds the state directory
    #[arg(long, global = true, value_name = "SECS", value_parser = seconds, default_value = "30")]
    pub(crate) lock_timeout: Seconds,
    /// Tell on standard error what goes on inside; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The environment variables that matter, for the manual: name and meaning.
pub(crate) const ENVIRONMENT: [(&str, &str); 14] = [
    ("HOSTLER_SETTINGS", "the settings of this host, as with --settings"),
    ("HOSTLER_STATE_DIR", "the state directory, as with --state-dir"),
    ("HOSTLER_TENANT", "the tenant to work for, as with --tenant"),
    ("HOSTLER_DRIVER_DIR", "directories with drivers, separated by colons, as with --driver-dir"),
    ("HOSTLER_IMAGE_ROOTS", "directories separated by colons, as with --image-root"),
    ("HOSTLER_POLICY", "the policy for drivers, as with --policy"),
    ("HOSTLER_TEMPLATE_DIR", "launch templates that replace built-in ones or are added to them"),
    (
        "HOSTLER_FIRMWARE_DIR",
        "directories with firmware descriptors, separated by colons, in place of the system's",
    ),
    ("HOSTLER_SHIM", "the program hostler-shim, if it is not beside hostler"),
    ("HOSTLER_CAGE", "how strictly hypervisors are confined, as with --cage"),
    ("HOSTLER_WORKERS", "whether drivers run in processes of their own, as with --workers"),
    ("NO_COLOR", "if set and not empty: no colour"),
    ("CLICOLOR_FORCE", "if set and not 0: colour even into a pipe"),
    ("COLUMNS", "the width that tables are made for on a terminal"),
];

/// A span of time given in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Duration);

/// Longest span that an option takes: a year. Deadlines are added to clocks and must not overflow.
const LONGEST_SECONDS: f64 = 366.0 * 86_400.0;

/// Reads a span of seconds, fractions allowed.
pub(crate) fn seconds(text: &str) -> Result<Seconds, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=LONGEST_SECONDS).contains(&value) => Ok(Seconds(Duration::from_secs_f64(value))),
        Ok(_) => Err(format!("must be between 0 and {LONGEST_SECONDS}")),
        Err(_) => Err("expected a number of seconds, such as 30 or 0.5".to_owned()),
    }
}

/// Every command. The order is that of the help. Aliases are what users of virsh have in their fingers.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Define(define::Define),
    Undefine(undefine::Undefine),
    Start(start::Start),
    #[command(visible_alias = "create")]
    Run(run::Run),
    Autostart(autostart::Autostart),
    List(list::List),
    #[command(visible_alias = "dominfo")]
    Show(show::Show),
    #[command(visible_alias = "dumpxml")]
    Xml(domain_xml::Xml),
    Console(console::Console),
    Shutdown(shutdown::Shutdown),
    Destroy(destroy::Destroy),
    Suspend(suspend::Suspend),
    Resume(resume::Resume),
    Reboot(reboot::Reboot),
    Reset(reset::Reset),
    Agent(agent::Agent),
    #[command(visible_alias = "domstats")]
    Stats(stats::Stats),
    Dump(dump::Dump),
    #[command(visible_alias = "managedsave")]
    Save(save::Save),
    Restore(restore::Restore),
    Migrate(migrate::Migrate),
    Receive(receive::Receive),
    Snapshot(snapshot::Snapshot),
    #[command(visible_alias = "attach-device")]
    Attach(attach::Attach),
    Detach(detach::Detach),
    Media(media::Media),
    #[command(visible_alias = "setmem")]
    SetMemory(sizing::SetMemory),
    #[command(visible_alias = "setvcpus")]
    SetVcpus(sizing::SetVcpus),
    Limits(limits::Limits),
    #[command(name = "bandwidth", visible_alias = "domiftune")]
    Bandwidth(bandwidth::BandwidthOf),
    #[command(visible_alias = "domdisplay")]
    Display(display::Display),
    Link(link::Link),
    Screenshot(screenshot::Screenshot),
    SendKey(send_key::SendKey),
    Events(events::Events),
    Native(native::Native),
    Driver(driver::Driver),
    Firmware(firmware::Firmware),
    Block(block::Blocks),
    Image(image::Image),
    Pool(pool::Pool),
    Vol(vol::Vol),
    Net(net::Net),
    Secret(secret::Secret),
    Tenant(tenant::Tenant),
    Serve(serve::Serve),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        match self {
            Self::Define(command) => command.run(session),
            Self::Undefine(command) => command.run(session),
            Self::Start(command) => command.run(session),
            Self::Run(command) => command.run(session),
            Self::Autostart(command) => command.run(session),
            Self::List(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Xml(command) => command.run(session),
            Self::Console(command) => command.run(session),
            Self::Shutdown(command) => command.run(session),
            Self::Destroy(command) => command.run(session),
            Self::Suspend(command) => command.run(session),
            Self::Resume(command) => command.run(session),
            Self::Reboot(command) => command.run(session),
            Self::Reset(command) => command.run(session),
            Self::Agent(command) => command.run(session),
            Self::Stats(command) => command.run(session),
            Self::Dump(command) => command.run(session),
            Self::Save(command) => command.run(session),
            Self::Restore(command) => command.run(session),
            Self::Migrate(command) => command.run(session),
            Self::Receive(command) => command.run(session),
            Self::Snapshot(command) => command.run(session),
            Self::Attach(command) => command.run(session),
            Self::Detach(command) => command.run(session),
            Self::Media(command) => command.run(session),
            Self::SetMemory(command) => command.run(session),
            Self::SetVcpus(command) => command.run(session),
            Self::Limits(command) => command.run(session),
            Self::Bandwidth(command) => command.run(session),
            Self::Display(command) => command.run(session),
            Self::Link(command) => command.run(session),
            Self::Screenshot(command) => command.run(session),
            Self::SendKey(command) => command.run(session),
            Self::Events(command) => command.run(session),
            Self::Native(command) => command.run(session),
            Self::Driver(command) => command.run(session),
            Self::Firmware(command) => command.run(session),
            Self::Block(command) => command.run(session),
            Self::Image(command) => command.run(session),
            Self::Pool(command) => command.run(session),
            Self::Vol(command) => command.run(session),
            Self::Net(command) => command.run(session),
            Self::Secret(command) => command.run(session),
            Self::Tenant(command) => command.run(session),
            Self::Serve(command) => command.run(session),
            Self::Doctor(command) => command.run(session),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
        }
    }
}

impl Command {
    /// Whether it changes what a state directory holds, so that a daemon that owns it has to carry it out. The others work
    /// beside one, or have nothing to do with a state directory.
    pub(crate) fn is_for_the_owner(&self) -> bool {
        !matches!(
            self,
            Self::Console(_)
                | Self::Events(_)
                | Self::Serve(_)
                | Self::Doctor(_)
                | Self::Completions(_)
                | Self::Man(_)
        )
    }
}

/// The definition for clap, completions and manual.
pub(crate) fn definition() -> clap::Command {
    CommandLine::command()
}

/// A command line that was understood.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What it says.
    pub(crate) line: CommandLine,
    /// What can be said.
    pub(crate) definition: clap::Command,
    /// What was said of that, word for word.
    pub(crate) matches: ArgMatches,
}

/// Reads the command line. What the parser refuses, or answers itself (help, version), is an error of clap.
pub(crate) fn parse(words: &[OsString], colour: When) -> Result<Parsed, clap::Error> {
    let choice = match colour {
        When::Auto => clap::ColorChoice::Auto,
        When::Always => clap::ColorChoice::Always,
        When::Never => clap::ColorChoice::Never,
    };
    let mut definition = definition().color(choice);
    let matches = definition.try_get_matches_from_mut(words)?;
    let line = CommandLine::from_arg_matches(&matches).map_err(|error| error.format(&mut definition))?;
    Ok(Parsed { line, definition, matches })
}

/// The domain that a command is about, if it is about one.
pub(crate) fn domain(matches: &ArgMatches) -> Option<String> {
    let mut deepest = matches;
    while let Some((_, below)) = deepest.subcommand() {
        deepest = below;
    }
    deepest.try_get_one::<String>("domain").ok().flatten().cloned()
}

/// The output format and colour that a command line asks for, even if the rest of it is wrong: they
/// decide how the parser's own words are written.
pub(crate) fn appearance(words: &[OsString]) -> (Format, When) {
    let words: Vec<&str> =
        words.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--").collect();
    let value = |names: &[&str]| {
        words.iter().enumerate().find_map(|(index, word)| {
            names.iter().find_map(|name| {
                let rest = word.strip_prefix(name)?;
                match rest.strip_prefix('=') {
                    Some(value) => Some(value),
                    None if rest.is_empty() => words.get(index + 1).copied(),
                    None if !name.starts_with("--") => Some(rest),
                    None => None,
                }
            })
        })
    };
    let format = if value(&["--output", "-o"]) == Some("json") { Format::Json } else { Format::Table };
    let colour = match value(&["--color"]) {
        Some("always") => When::Always,
        Some("never") => When::Never,
        _ => When::Auto,
    };
    (format, colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &clap::Command, path: &str, check: &mut dyn FnMut(&clap::Command, &str)) {
        let path = format!("{path} {}", command.get_name());
        check(command, &path);
        command.get_subcommands().for_each(|sub| each(sub, &path, check));
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_and_argument_has_help() {
        each(&definition(), "", &mut |command, path| {
            assert!(command.get_about().is_some(), "{path} has no help");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
            }
        });
    }

    #[test]
    fn help_is_one_sentence_without_a_final_stop() {
        each(&definition(), "", &mut |command, path| {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.starts_with(char::is_uppercase) && !about.ends_with('.'), "{path}: {about}");
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with(char::is_uppercase) && !help.ends_with('.'), "{path}: {help}");
            }
        });
    }

    #[test]
    fn global_options_follow_the_command_too() {
        let parsed = parse(
            &words("hostler list --state-dir /x --driver-dir /a --driver-dir /b -o json -q"),
            When::Never,
        )
        .unwrap()
        .line;
        assert_eq!(parsed.globals.state_dir, Some(PathBuf::from("/x")));
        assert_eq!(parsed.globals.driver_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(parsed.globals.output, Format::Json);
        assert!(parsed.globals.quiet);
    }

    #[test]
    fn appearance_is_read_from_wrong_command_lines_too() {
        assert_eq!(appearance(&words("hostler -o json bogus")).0, Format::Json);
        assert_eq!(appearance(&words("hostler bogus -ojson")).0, Format::Json);
        assert_eq!(appearance(&words("hostler --output=json --what")).0, Format::Json);
        assert_eq!(appearance(&words("hostler console -- -o json")).0, Format::Table);
        assert_eq!(appearance(&words("hostler --color never x")).1, When::Never);
        assert_eq!(appearance(&words("hostler -o")).0, Format::Table);
    }

    #[test]
    fn domain_is_found_where_there_is_one() {
        let of = |line: &str| domain(&parse(&words(line), When::Never).unwrap().matches);
        assert_eq!(of("hostler start web"), Some("web".to_owned()));
        assert_eq!(of("hostler snapshot create web a"), Some("web".to_owned()));
        assert_eq!(of("hostler pool start p"), None);
    }

    #[test]
    fn seconds_takes_fractions_and_refuses_nonsense() {
        assert_eq!(seconds("0.5"), Ok(Seconds(Duration::from_millis(500))));
        for wrong in ["", "-1", "NaN", "inf", "1e300", "ten"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
