//! `hostler.toml`: what holds on this host unless a command line or the environment says otherwise.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hostler_domains::{CageSetting, Overrides, Workers};
use hostler_serve::{Auth, TlsSettings, nearest_key};
use serde::{Deserialize, Deserializer};

use crate::exit::Exit;
use crate::failure::{Failure, Stop};

/// The variable with the place of the file.
const VARIABLE: &str = "HOSTLER_SETTINGS";
/// Where root's commands and daemons look.
const SYSTEM: &str = "/etc/hostler/hostler.toml";
/// Where those of others look, below their configuration.
const USER: &str = "hostler/hostler.toml";
/// Largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The file. A key that there is not is an error: it would be a setting that does nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    host: Host,
    /// What the daemon alone is told.
    pub(crate) serve: Serve,
    /// The daemon's way in from other machines.
    pub(crate) tls: Tls,
    /// What is told of what goes on inside.
    pub(crate) log: Log,
}

/// Where things are, and how drivers and hypervisors are confined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Host {
    state_dir: Option<PathBuf>,
    driver_dirs: Vec<PathBuf>,
    image_roots: Vec<PathBuf>,
    policy: Option<PathBuf>,
    #[serde(deserialize_with = "word")]
    cage: Option<CageSetting>,
    #[serde(deserialize_with = "word")]
    workers: Option<Workers>,
}

/// How the daemon is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Serve {
    /// The socket for everything.
    pub(crate) socket: Option<PathBuf>,
    /// The socket for reading.
    pub(crate) read_only_socket: Option<PathBuf>,
    /// Who may connect to them, as the mode of a file in octal digits.
    #[serde(deserialize_with = "mode")]
    pub(crate) socket_mode: Option<u32>,
    /// What clients are asked for.
    #[serde(deserialize_with = "word")]
    pub(crate) auth: Option<Auth>,
    /// Who may do what.
    pub(crate) access: Option<PathBuf>,
    /// Where figures are fetched.
    pub(crate) metrics: Option<SocketAddr>,
}

/// The way in from other machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Tls {
    /// Where to listen.
    #[serde(deserialize_with = "address")]
    pub(crate) listen: Option<SocketAddr>,
    /// The certificates of who signs those of clients.
    pub(crate) ca: Option<PathBuf>,
    /// The list of certificates that are withdrawn.
    pub(crate) crl: Option<PathBuf>,
    /// This host's certificate.
    pub(crate) cert: Option<PathBuf>,
    /// The key of this host's certificate.
    pub(crate) key: Option<PathBuf>,
    /// The names that are let in, as patterns.
    pub(crate) allow: Vec<String>,
}

/// The log of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Log {
    /// How much is told.
    pub(crate) level: Option<Level>,
    /// How it is written.
    pub(crate) format: LogFormat,
}

/// How much a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// What has to be looked at.
    Warn,
    /// What is done.
    Info,
    /// How it is done.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// As often as `-v` would be given for it.
    pub(crate) fn verbosity(self) -> u8 {
        match self {
            Self::Warn => 0,
            Self::Info => 1,
            Self::Debug => 2,
            Self::Trace => 3,
        }
    }
}

/// How a log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object in each line, for programs.
    Json,
}

fn word<'de, D: Deserializer<'de>, T: std::str::FromStr<Err = String>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let word = String::deserialize(from)?;
    word.parse().map(Some).map_err(serde::de::Error::custom)
}

fn mode<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    parse_mode(&String::deserialize(from)?).map(Some).map_err(serde::de::Error::custom)
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    TlsSettings::parse_address(&String::deserialize(from)?).map(Some).map_err(serde::de::Error::custom)
}

/// The mode of a file, in octal digits.
pub(crate) fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| format!("'{}' is no mode of a file such as 0660", text.escape_debug()))
}

impl Settings {
    /// Reads the file that is named by an option or the environment, or the one at its usual place if there is one.
    ///
    /// # Errors
    /// A file that is named and not there, cannot be read, or has what does not belong there, with the place in it.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self, Stop> {
        let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        match named.map(Path::to_owned).or(variable) {
            Some(path) => Self::of_file(&path),
            None => match usual_place() {
                Some(path) if path.exists() => Self::of_file(&path),
                _ => Ok(Self::default()),
            },
        }
    }

    fn of_file(path: &Path) -> Result<Self, Stop> {
        let about = |failure: Failure| failure.about("path", path.display());
        let shown = path.display();
        let size = std::fs::metadata(path)
            .map_err(|error| about(Failure::io(format!("read the settings '{shown}'"), &error)))?
            .len();
        if size > LARGEST {
            let message = format!("'{shown}' has more than {LARGEST} bytes: those are no settings");
            return Err(about(Failure::new("config.settings", Exit::Failed, message).users()).into());
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| about(Failure::io(format!("read the settings '{shown}'"), &error)))?;
        Self::parse(&text).map_err(|(line, column, why)| {
            let message = format!("the settings '{shown}' have what does not belong there: {why}");
            let failure =
                Failure { fault: "config", ..Failure::new("config.settings", Exit::Failed, message) };
            let failure = about(failure).about("line", line).about("column", column);
            let failure = match nearest_key(&why) {
                Some(near) => failure.hint(format!("did you mean '{near}'?"), None),
                None => failure,
            };
            failure.hint("every setting is in the example that comes with hostler, hostler.toml", None).into()
        })
    }

    /// Line and column, counted from 1, and what is wrong there.
    fn parse(text: &str) -> Result<Self, (usize, usize, String)> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
            (line, column, error.message().replace('\n', " "))
        })
    }

    /// What of it the library wants to know.
    pub(crate) fn overrides(&self) -> Overrides {
        let Host { state_dir, driver_dirs, image_roots, policy, cage, workers } = self.host.clone();
        Overrides { state_dir, driver_dirs, image_roots, policy, cage, workers, tenant: None }
    }

    /// What of it a daemon that runs cannot change, if these differ from others.
    pub(crate) fn fixed_differences(&self, other: &Self) -> Vec<&'static str> {
        let differences = [
            ("host", self.host != other.host),
            ("serve", self.serve != other.serve),
            ("tls", self.tls != other.tls),
        ];
        differences.into_iter().filter_map(|(section, differs)| differs.then_some(section)).collect()
    }
}

fn usual_place() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from(SYSTEM));
    }
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join(USER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_read() {
        let settings = Settings::parse(
            "[host]\nstate-dir = '/s'\ndriver-dirs = ['/d']\nimage-roots = ['/i']\npolicy = '/p'\ncage = 'require'\n\
             workers = 'on'\n[serve]\nsocket = '/a'\nread-only-socket = '/b'\nmetrics = '127.0.0.1:9177'\n\
             socket-mode = '0660'\nauth = 'polkit'\naccess = '/c'\n[tls]\nlisten = '[::1]'\nca = '/1'\ncrl = '/2'\ncert = '/3'\n\
             key = '/4'\nallow = ['CN=*']\n[log]\nlevel = 'debug'\nformat = 'json'\n",
        )
        .unwrap();
        let overrides = settings.overrides();
        assert_eq!(overrides.state_dir, Some("/s".into()));
        assert_eq!(overrides.workers, Some(Workers::On));
        assert_eq!(overrides.cage, Some(CageSetting::Require));
        assert_eq!((settings.serve.socket_mode, settings.serve.auth), (Some(0o660), Some(Auth::Polkit)));
        assert_eq!(settings.tls.listen, Some("[::1]:16514".parse().unwrap()));
        assert_eq!(settings.serve.metrics, Some("127.0.0.1:9177".parse().unwrap()));
        assert_eq!((settings.log.level.unwrap().verbosity(), settings.log.format), (2, LogFormat::Json));
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
    }

    #[test]
    fn example_has_every_setting_and_is_one() {
        let example = include_str!("../package/hostler.toml");
        let whole: String = example
            .lines()
            .map(|line| {
                format!(
                    "{}\n",
                    line.strip_prefix('#')
                        .filter(|line| {
                            line.split_once(" = ").is_some_and(|(key, _)| {
                                key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
                            })
                        })
                        .unwrap_or(line)
                )
            })
            .collect();
        let settings = Settings::parse(&whole).unwrap();
        let Host { state_dir, driver_dirs, image_roots, policy, cage, workers } = settings.host;
        assert!(state_dir.is_some() && policy.is_some() && cage.is_some() && workers.is_some());
        assert!(!driver_dirs.is_empty() && !image_roots.is_empty());
        let Serve { socket, read_only_socket, socket_mode, auth, access, metrics } = settings.serve;
        assert!(socket.is_some() && read_only_socket.is_some() && metrics.is_some());
        assert!(socket_mode.is_some() && auth.is_some() && access.is_some() && settings.log.level.is_some());
        let Tls { listen, ca, crl, cert, key, allow } = settings.tls;
        assert!(listen.is_some() && ca.is_some() && crl.is_some() && cert.is_some() && key.is_some());
        assert!(!allow.is_empty());
        assert_eq!(Settings::parse(example).unwrap(), Settings::default(), "it changes nothing as it is");
    }

    #[test]
    fn what_does_not_belong_there_is_refused_with_its_place() {
        for (text, line, column, words, near) in [
            ("[serve]\nsoket = 'x'\n", 2, 1, "unknown field `soket`", Some("socket")),
            ("[tls]\ncrt = 'x'\n", 2, 1, "unknown field `crt`", Some("cert")),
            ("[sevre]\n", 1, 2, "unknown field `sevre`", Some("serve")),
            ("[log]\nlevel = 'inof'\n", 2, 9, "unknown variant `inof`", Some("info")),
            ("[log]\nanything = 1\n", 2, 1, "unknown field `anything`", None),
            ("[host]\n\ncage = 'perhaps'\n", 3, 8, "perhaps", None),
            ("[log]\nlevel = 3\n", 2, 9, "wanted string", None),
            ("[host\n", 1, 6, "", None),
        ] {
            let (at_line, at_column, why) = Settings::parse(text).unwrap_err();
            assert_eq!((at_line, at_column), (line, column), "{text}: {why}");
            assert!(why.contains(words), "{why}");
            assert_eq!(nearest_key(&why), near, "{why}");
        }
    }

    #[test]
    fn reload_tells_what_has_to_wait_for_a_restart() {
        let one = Settings::parse("[log]\nlevel = 'info'\n").unwrap();
        let two = Settings::parse("[host]\nworkers = 'on'\n").unwrap();
        assert_eq!(one.fixed_differences(&Settings::default()), [""; 0]);
        assert_eq!(two.fixed_differences(&one), ["host"]);
    }
}
