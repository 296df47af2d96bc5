//! `hostler native`: the command line of the hypervisor, shown and not run.

use std::path::PathBuf;

use clap::Args;
use hostler_domains::{CommandLine, DomainRef, NativeLaunch, NativeSource};
use serde_json::{Map, Value};

use crate::failure::Stop;
use crate::input;
use crate::output::{Block, Reply};
use crate::session::Session;
use hostler_image::shell_quote as quoted;

/// Show the command line of the hypervisor that would be run, without running it
///
/// Companions that would be started beside it (swtpm, virtiofsd) come first, one on each line.
///
/// The command line is for reading and for comparison, not for pasting: where it shows the path of
/// an image or a socket, the hypervisor is given an open descriptor instead.
#[derive(Debug, Args)]
#[command(override_usage = "hostler native [OPTIONS] <DOMAIN>\n       hostler native [OPTIONS] --xml <FILE>")]
pub(crate) struct Native {
    /// Name or UUID of the domain
    #[arg(value_name = "DOMAIN", required_unless_present = "xml", conflicts_with = "xml")]
    domain: Option<String>,
    /// Take the domain XML from FILE instead; '-' reads standard input
    #[arg(long, value_name = "FILE")]
    xml: Option<PathBuf>,
    /// Write it as libvirt would write it, one option on each line, to be held against libvirt's own
    #[arg(long)]
    for_comparison: bool,
}

impl Native {
    /// Shows it.
    pub(crate) fn run(self, session: &Session) -> Result<Reply, Stop> {
        let source = match (&self.xml, self.domain) {
            (Some(file), _) => NativeSource::Xml(input::document(file, session)?),
            (None, domain) => NativeSource::Domain(DomainRef::new(domain.unwrap_or_default())),
        };
        let NativeLaunch { program, companions } = session
            .block_on(async { Ok(session.reader().await?.native(source, self.for_comparison).await?) })
            .map_err(|stop| match &self.xml {
                Some(file) => stop.in_file(file),
                None => stop,
            })?;
        if self.for_comparison {
            return Ok(Reply::data(
                members(&program).into(),
                vec![Block::Document(one_option_a_line(&program))],
            ));
        }
        let mut json = members(&program);
        let beside = companions.iter().map(|(name, line)| named(name, line)).collect();
        json.insert("companions".to_owned(), Value::Array(beside));
        let lines = companions.iter().map(|(_, line)| line).chain([&program]).map(one_line);
        Ok(Reply::data(json.into(), vec![Block::Document(lines.collect())]))
    }
}

fn members(line: &CommandLine) -> Map<String, Value> {
    let env: Map<String, Value> =
        line.env.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let argv = line.argv.iter().map(|word| word.as_str().into()).collect();
    Map::from_iter([("env".to_owned(), env.into()), ("argv".to_owned(), Value::Array(argv))])
}

/// What would be started beside the program.
fn named(name: &str, line: &CommandLine) -> Value {
    let mut json = members(line);
    json.insert("name".to_owned(), name.into());
    json.into()
}

/// Every word in shell syntax on one line.
fn one_line(line: &CommandLine) -> String {
    format!("{}\n", words(line).join(" "))
}

/// The environment and the program on lines of their own, then each option with its value.
fn one_option_a_line(line: &CommandLine) -> String {
    let mut text = String::new();
    let environment = line.env.len();
    for (index, word) in words(line).iter().enumerate() {
        // A word that is no option belongs to the option before it.
        let begins = index <= environment || word.starts_with('-');
        text.push_str(match (index, begins) {
            (0, _) => "",
            (_, true) => " \\\n",
            (_, false) => " ",
        });
        text.push_str(word);
    }
    text.push('\n');
    text
}

fn words(line: &CommandLine) -> Vec<String> {
    let environment = line.env.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
    environment.chain(line.argv.iter().map(|word| quoted(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> CommandLine {
        CommandLine {
            env: vec![("LC_ALL".into(), "C".into())],
            argv: ["/usr/bin/qemu", "-name", "it's", "-S", "-device", "{\"a\":1}"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    #[test]
    fn one_line_is_shell_syntax() {
        let expected = "LC_ALL=C /usr/bin/qemu -name 'it'\\''s' -S -device '{\"a\":1}'\n";
        assert_eq!(one_line(&sample()), expected);
    }

    #[test]
    fn comparison_has_one_option_on_each_line() {
        let expected = "LC_ALL=C \\\n/usr/bin/qemu \\\n-name 'it'\\''s' \\\n-S \\\n-device '{\"a\":1}'\n";
        assert_eq!(one_option_a_line(&sample()), expected);
    }

    #[test]
    fn json_has_the_members_that_comparison_tools_read() {
        let json = members(&sample());
        assert_eq!(json["env"]["LC_ALL"], "C");
        assert_eq!(json["argv"][2], "it's");
    }
}
