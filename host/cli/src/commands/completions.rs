//! `hostler completions`: scripts that complete the command line.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use crate::definition::definition;
use crate::failure::Stop;
use crate::output::{Block, Reply};

/// Write the completion script of a shell
///
/// For bash: hostler completions bash > /usr/share/bash-completion/completions/hostler
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    /// Writes it.
    pub(crate) fn run(self) -> Result<Reply, Stop> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut definition(), "hostler", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        Ok(Reply::data(json!({"script": script}), vec![Block::Document(script)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let text = Completions { shell }.run().unwrap().text(None, false, false);
            assert!(text.contains("undefine") && text.contains("keep-nvram"), "{shell}");
        }
    }
}
