//! `hostler man`: the manual pages, one for each command, from the definition of the command line.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man as Page;
use serde_json::json;

use crate::definition::{ENVIRONMENT, definition};
use crate::exit::Exit;
use crate::failure::{Failure, Stop};
use crate::output::{Block, Reply};

/// Write the manual pages
///
/// Without DIR the page of hostler itself goes to standard output: hostler man | man -l -
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory for one page of each command; made if it does not exist
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Writes them.
    pub(crate) fn run(self) -> Result<Reply, Stop> {
        let pages = pages().map_err(|error| Failure::io("make the manual pages", &error))?;
        match self.dir {
            Some(dir) => save(&dir, &pages),
            None => {
                let page = pages.into_iter().next().map(|(_, text)| text).unwrap_or_default();
                Ok(Reply::data(json!({"page": page}), vec![Block::Document(page)]))
            }
        }
    }
}

fn save(dir: &Path, pages: &[(String, String)]) -> Result<Reply, Stop> {
    let shown = dir.display();
    std::fs::create_dir_all(dir).map_err(|error| Failure::io(format!("make directory '{shown}'"), &error))?;
    let mut written = Vec::new();
    for (name, text) in pages {
        let path = dir.join(name);
        std::fs::write(&path, text)
            .map_err(|error| Failure::io(format!("write '{}'", path.display()), &error))?;
        written.push(path.display().to_string());
    }
    let line = Block::Line(format!("{} manual pages written to {shown}", written.len()));
    Ok(Reply::confirmation(json!({"pages": written}), vec![line]))
}

/// File name and text of every page; the page of the program itself comes first.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut definition = definition();
    definition.build();
    let mut pages = Vec::new();
    add_page(&definition, "hostler", &mut pages)?;
    Ok(pages)
}

/// Adds the page of a command, then those of its subcommands. Subcommands are nested two deep.
fn add_page(command: &clap::Command, name: &str, pages: &mut Vec<(String, String)>) -> io::Result<()> {
    let named = command.clone().display_name(name.to_owned()).after_help("").after_long_help("");
    let page = Page::new(named).title(name).section("1").manual("hostler").date("");
    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    let mut text = String::from_utf8_lossy(&text).into_owned();
    text.push_str(&closing_sections(name == "hostler"));
    pages.push((format!("{name}.1"), text));
    for sub in command.get_subcommands() {
        add_page(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

/// EXIT STATUS on every page; ENVIRONMENT on that of the program; SEE ALSO on the others.
fn closing_sections(is_program: bool) -> String {
    let mut text = String::from(".SH \"EXIT STATUS\"\n");
    for (exit, meaning) in Exit::TABLE {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{meaning}\n", exit.status()));
    }
    if is_program {
        text.push_str(".SH ENVIRONMENT\n");
        for (name, meaning) in ENVIRONMENT {
            text.push_str(&format!(".TP\n\\fB{name}\\fR\n{meaning}\n"));
        }
    } else {
        text.push_str(".SH \"SEE ALSO\"\n\\fBhostler\\fR(1)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_page_for_every_command() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"hostler.1"));
        for name in ["hostler-define.1", "hostler-image-chain.1", "hostler-driver-list.1", "hostler-man.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        let commands = definition().get_subcommands().count();
        assert!(names.len() > commands, "{names:?}");
    }

    #[test]
    fn every_page_has_its_sections() {
        for (name, text) in pages().unwrap() {
            for section in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", ".SH \"EXIT STATUS\""] {
                assert!(text.contains(section), "{name} lacks {section}:\n{text}");
            }
            assert_eq!(text.matches("EXIT STATUS").count(), 1, "{name}");
            for (exit, _) in Exit::TABLE {
                assert!(text.contains(&format!("\\fB{}\\fR\n", exit.status())), "{name} lacks {exit:?}");
            }
        }
    }

    #[test]
    fn save_writes_every_page_and_says_where_it_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let pages = pages().unwrap();
        save(&dir.path().join("man1"), &pages).unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join("man1")).unwrap().count(), pages.len());
        let Stop::Failed(failure) = save(&dir.path().join("man1/hostler.1/below"), &pages).unwrap_err()
        else {
            panic!("a failure")
        };
        assert!(failure.message.contains("hostler.1/below"), "{}", failure.message);
    }
}
