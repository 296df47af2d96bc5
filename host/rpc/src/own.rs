//! Calls of our own, for what libvirt's protocol has no words for: one, that takes the words of a command.
//!
//! Whoever may call it has everything that the command `hostler` has, with its output as text or as JSON, in the state
//! directory that the daemon owns: drivers, tenants, the explanation of images, plans, jobs.

use crate::macros::{calls, records};
use crate::procedure::{Priority, Procedure, ReadOnly, needs, procedure};
use crate::xdr::List;

/// Most words of a command line.
pub const WORDS_MAX: usize = 4_096;
/// Most variables of an environment. A command needs four.
pub const VARIABLES_MAX: usize = 16;
/// Most remarks that were made before a command was sent.
pub const SAID_MAX: usize = 64;
/// How many descriptors come with a command: its standard input, output and error.
pub const COMMAND_DESCRIPTORS: usize = 3;

records! {
    /// A variable of a command's environment.
    EnvironmentVariable { name: String, value: String }
}

calls! {
    HOSTLER 1 CommandRun { words: List<String, WORDS_MAX>, environment: List<EnvironmentVariable, VARIABLES_MAX>, said: List<String, SAID_MAX> } => CommandRunAnswer { status: i32 };
}

/// What is known of each. A command has a thread of its own and takes no turn from those who wait for a hypervisor.
pub(crate) const PROCEDURES: &[Procedure] = &[procedure(
    CommandRun::NUMBER,
    "command_run",
    Priority::High,
    ReadOnly::Refused,
    &[needs("connect.write")],
)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdr::{decode, encode};

    #[test]
    fn command_travels_whole() {
        let variable = EnvironmentVariable { name: "TERM".to_owned(), value: "dumb".to_owned() };
        let call = CommandRun {
            words: List(vec!["list".to_owned()]),
            environment: List(vec![variable]),
            said: List(vec!["starting 'web'".to_owned()]),
        };
        assert_eq!(decode::<CommandRun>(&encode(&call).unwrap()).unwrap(), call);
    }
}
