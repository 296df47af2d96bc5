//! A template as it stands in its file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::shape::Shape;
use crate::cage::rule::CageRule;

/// One program's policy, as an operator writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TemplateData {
    /// The name that plans and grants use.
    pub(crate) name: String,
    /// Where the program may be; the first that exists is started. Absolute paths.
    pub(crate) programs: Vec<PathBuf>,
    /// The Debian package that brings it, for whoever lacks it.
    pub(crate) package: Option<String>,
    pub(crate) environment: EnvironmentRule,
    pub(crate) writing: Writing,
    /// How each kind of endpoint is written.
    #[serde(default)]
    pub(crate) endpoints: BTreeMap<String, EndpointRule>,
    pub(crate) options: BTreeMap<String, OptionRule>,
    /// What the program finds in its cage; without it the program is only started uncaged.
    pub(crate) cage: Option<CageRule>,
    #[serde(default)]
    pub(crate) shapes: BTreeMap<String, Shape>,
    #[serde(default)]
    pub(crate) commands: CommandRules,
}

/// The program's environment: nothing is inherited.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentRule {
    #[serde(default)]
    pub(crate) fixed: BTreeMap<String, String>,
    /// Names that a plan may give, and what they may be.
    #[serde(default)]
    pub(crate) allowed: BTreeMap<String, Shape>,
}

/// How descriptors and options are written. `{fd}`, `{set}`, `{name}` are put in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Writing {
    pub(crate) option_prefix: String,
    /// What stands before all options: the program's word for what it is to do.
    #[serde(default)]
    pub(crate) first_arguments: Vec<String>,
    /// How a value names a descriptor itself: the path by which the program opens its file, in a cage too.
    pub(crate) fd_path: String,
    /// As a companion it is given a listening socket for its link, and accepts one connection.
    #[serde(default)]
    pub(crate) link_listens: bool,
    /// How descriptors are put together to sets. A program without them opens each by its number, and takes none while
    /// it runs.
    pub(crate) sets: Option<SetWriting>,
    /// How the monitor's commands take descriptors that are for one use.
    pub(crate) named: Option<NamedWriting>,
    /// The monitor's commands in which a running program is told a secret, and the member that says it: the host puts it in
    /// place of the handle.
    #[serde(default)]
    pub(crate) told: BTreeMap<String, String>,
}

/// Sets of descriptors for one file each, of which a program takes the one that is opened as it wants.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SetWriting {
    /// The option that makes a set.
    pub(crate) option: String,
    /// Its value.
    pub(crate) value: String,
    /// How a value names a member of a set.
    pub(crate) path: String,
    /// The monitor's command that adds a descriptor to a set.
    pub(crate) add_command: String,
    /// The monitor's command that takes a set away again.
    pub(crate) remove_command: String,
    /// The monitor's commands after which a set belongs to a thing of the program, and the argument that names it.
    #[serde(default)]
    pub(crate) given_with: BTreeMap<String, String>,
    /// Those that do away with such a thing, and with its sets; and the argument that names it.
    #[serde(default)]
    pub(crate) taken_with: BTreeMap<String, String>,
    /// The commands whose handles stand for files that the program has already: they are written by the sets it has.
    #[serde(default)]
    pub(crate) known: Vec<String>,
}

/// Descriptors that the monitor's commands take by a name, for once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NamedWriting {
    /// The command that gives a descriptor its name, and its argument for the name.
    pub(crate) command: String,
    pub(crate) argument: String,
    /// The command that takes a descriptor back by its name, with the same argument.
    pub(crate) close: String,
    /// How a value names it; `{name}` is put in. Tap devices are named by the names alone, with `:` between them.
    pub(crate) path: String,
    /// The commands whose handles are written so.
    pub(crate) commands: Vec<String>,
    /// The commands whose handles are written by the name alone.
    #[serde(default)]
    pub(crate) bare: Vec<String>,
    /// The commands that hand a connection over, by the name alone: the shim sends them anew for each one that comes. What
    /// else they are told of a connection that need not prove to the program who it is.
    #[serde(default)]
    pub(crate) each: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// The commands that add the back end of a character device, whose handle is an endpoint.
    #[serde(default)]
    pub(crate) endpoints: Vec<String>,
}

impl NamedWriting {
    /// The name of the far end that a command adds: the same each time, so that the next one takes the place of one that was
    /// not used.
    pub(crate) fn far_end(command: &str) -> String {
        format!("hostler-{command}-0")
    }

    /// The arguments that say a name.
    pub(crate) fn naming(&self, name: &str) -> serde_json::Value {
        serde_json::json!({self.argument.as_str(): name})
    }
}

/// One kind of endpoint: pairs in order; a pair whose place-holder has no value is left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointRule {
    /// For a start.
    pub(crate) launch: Vec<(String, String)>,
    /// For people.
    pub(crate) show: Vec<(String, String)>,
    /// For a program that runs: what a command of its monitor has in place of the handle. `{name}` is the name of the
    /// descriptor. Without it the endpoint is there from the start or not at all.
    #[serde(default)]
    pub(crate) running: Option<serde_json::Value>,
}

/// How an option's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Syntax {
    /// Compact JSON.
    Json,
    /// `value,key=value`, commas in values doubled.
    Keyed,
    /// As it is.
    Text,
    /// No value.
    Flag,
}

/// How a descriptor is named in an option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Descriptors {
    /// Through a set, which the program can be given more members of. By its number where the program has no sets.
    #[default]
    Set,
    /// By its number.
    Fd,
}

/// One option.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct OptionRule {
    pub(crate) syntax: Syntax,
    /// What stands before its name, where that is not what stands before the others'.
    pub(crate) prefix: Option<String>,
    /// Its value is a part of the same argument, behind a `=`.
    #[serde(default)]
    pub(crate) joined: bool,
    /// The key that a keyed option's first value has without saying so.
    pub(crate) implied: Option<String>,
    /// What the value must be; an option without it takes none.
    pub(crate) shape: Option<Shape>,
    /// Why the option is refused; it can still be shown.
    pub(crate) refused: Option<String>,
    /// A plan must have it.
    #[serde(default)]
    pub(crate) required: bool,
    /// A plan may have it once.
    #[serde(default)]
    pub(crate) single: bool,
    #[serde(default)]
    pub(crate) descriptors: Descriptors,
    /// A link is written by its descriptor's number alone, and not as the back end of a character device.
    #[serde(default)]
    pub(crate) link_number: bool,
    /// What stands before a socket's path.
    #[serde(default)]
    pub(crate) socket_prefix: String,
}

/// How a command of the monitor writes a file of the host.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRule {
    /// The argument that names the file, as descriptors for one use are named.
    pub(crate) argument: String,
    /// What else it is told.
    #[serde(default)]
    pub(crate) arguments: serde_json::Map<String, serde_json::Value>,
}

/// The monitor's commands; one that is not named is refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandRules {
    /// Any arguments, no handles.
    #[serde(default)]
    pub(crate) pass: Vec<String>,
    /// Arguments of this shape.
    #[serde(default)]
    pub(crate) typed: BTreeMap<String, Shape>,
    /// Those that a reaction may have beside those that pass: each writes a file that the shim opens.
    #[serde(default)]
    pub(crate) kept: BTreeMap<String, KeptRule>,
    /// Only the host sends these; why.
    #[serde(default)]
    pub(crate) host: BTreeMap<String, String>,
    /// Refused, with a reason to tell.
    #[serde(default)]
    pub(crate) denied: BTreeMap<String, String>,
}
