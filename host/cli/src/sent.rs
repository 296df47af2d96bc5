//! This program as the daemon sees it: it carries out commands that were sent there as it does its own, and reads its
//! settings again when asked to.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use hostler_serve::{Command, Program, SentLine};

use crate::definition::Globals;
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::line;
use crate::log::{self, Log};
use crate::output::{Given, Streams, problem_line};
use crate::settings::Settings;

/// What is around a daemon.
pub(crate) struct Around {
    own: Globals,
    settings: Mutex<Settings>,
    log: Log,
}

impl Around {
    /// For a daemon that was started with these options and settings.
    pub(crate) fn new(mut own: Globals, settings: Settings) -> Self {
        // As they come: a path that cannot be made absolute fits none.
        let absolute = |path: &mut PathBuf| {
            if let Ok(whole) = std::path::absolute(&*path) {
                *path = whole;
            }
        };
        own.driver_dirs.iter_mut().chain(&mut own.image_roots).chain(&mut own.policy).for_each(absolute);
        let log = log::start_of_daemon(verbosity(&own, &settings), settings.log.format);
        Self { own, settings: Mutex::new(settings), log }
    }
}

/// Options come before settings.
fn verbosity(own: &Globals, settings: &Settings) -> u8 {
    match (own.verbose, settings.log.level) {
        (0, Some(level)) => level.verbosity(),
        (verbosity, _) => verbosity,
    }
}

impl Program for Around {
    fn run(&self, sent: SentLine, command: Command) -> i32 {
        let SentLine { words, environment, said, input, output, errors } = sent;
        let streams = Streams::given(Given { input, output, errors, environment });
        let words: Vec<OsString> =
            std::iter::once("hostler".to_owned()).chain(words).map(OsString::from).collect();
        line::run_sent(&words, (&streams, said), &self.own, command).status().into()
    }

    fn reload(&self) {
        let settings = match Settings::read(self.own.settings.as_deref()) {
            Ok(settings) => settings,
            Err(Stop::Failed(failure)) => {
                let problem = problem_line(&failure);
                return tracing::error!("the settings of before hold on: {problem}");
            }
            Err(_) => return,
        };
        self.log.set_verbosity(verbosity(&self.own, &settings));
        let mut before = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        for section in settings.fixed_differences(&before) {
            tracing::warn!("[{section}] has changed; that holds when the daemon is started again");
        }
        tracing::info!("the settings were read again");
        *before = settings;
    }
}

/// Refuses options that say something else than what the daemon was started with.
pub(crate) fn fits(own: &Globals, asked: &Globals) -> Result<(), Box<Failure>> {
    let differences = [
        ("driver-dir", !asked.driver_dirs.is_empty() && asked.driver_dirs != own.driver_dirs),
        ("image-root", !asked.image_roots.is_empty() && asked.image_roots != own.image_roots),
        ("policy", asked.policy.is_some() && asked.policy != own.policy),
        ("cage", asked.cage.is_some() && asked.cage != own.cage),
        ("workers", asked.workers.is_some() && asked.workers != own.workers),
    ];
    let Some((option, _)) = differences.iter().find(|(_, differs)| *differs) else { return Ok(()) };
    let message = format!("a daemon owns the state directory and was not started with this '--{option}'");
    let failure = Failure::new("cli.daemon-decides", Exit::Usage, message).about("option", option);
    Err(failure.hint(format!("leave '--{option}' out, or give it to 'hostler serve'"), None).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_place_are_those_of_the_daemon() {
        let own = Globals { driver_dirs: vec!["/d".into()], ..Globals::default() };
        assert_eq!(fits(&own, &Globals::default()), Ok(()));
        assert_eq!(fits(&own, &Globals { driver_dirs: vec!["/d".into()], ..Globals::default() }), Ok(()));
        let other = Globals { driver_dirs: vec!["/e".into()], ..Globals::default() };
        assert_eq!(fits(&own, &other).unwrap_err().code, "cli.daemon-decides");
        let policy = Globals { policy: Some("/p".into()), ..Globals::default() };
        assert!(fits(&own, &policy).unwrap_err().message.contains("'--policy'"));
    }
}
