//! `cargo xtask rpc-tables DIR`: writes the tables of `host/rpc` from facts about the protocol, kept as JSON elsewhere.
//!
//! What is written are numbers, shapes and rules in our own layout; a newer protocol costs one more run.

mod corpus;
mod procedures;
mod shapes;

use crate::args::Args;
use crate::workspace;
use anyhow::{Context, Result};
use corpus::Corpus;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Where the tables are.
const TABLES: &str = "host/rpc/src/tables";

/// Runs the verb.
pub(crate) fn run(args: Args) -> Result<()> {
    let [directory] = args.positional()?;
    let directory = directory.context("say where the facts are: cargo xtask rpc-tables DIR")?;
    let corpus = Corpus::load(&PathBuf::from(directory))?;
    let tables = workspace::root()?.join(TABLES);
    fs::create_dir_all(&tables)?;
    let mut files = vec![
        ("records", records(&corpus)?),
        ("events", events(&corpus)?),
        ("codes", codes(&corpus)),
        ("permissions", procedures::permissions(&corpus)),
        ("procedures_high", procedures::table(&corpus, "high")?),
        ("procedures_low", procedures::table(&corpus, "low")?),
    ];
    for (file, about, prefixes) in CALLS {
        files.push((file, calls(&corpus, about, prefixes)?));
    }
    let mut root =
        "//! Tables of the protocol, written by `cargo xtask rpc-tables`: numbers, shapes and rules.\n\n"
            .to_owned();
    files.sort_by_key(|(name, _)| *name);
    for (name, text) in files {
        fs::write(tables.join(format!("{name}.rs")), text)?;
        writeln!(root, "pub(crate) mod {name};")?;
    }
    fs::write(tables.with_extension("rs"), root)?;
    println!("written: {TABLES}");
    Ok(())
}

/// The files of calls: name, what they are, and how the names of their calls begin; the last one has the rest.
const CALLS: [(&str, &str, &[&str]); 3] = [
    ("calls_connect", "Calls about a connection and its host", &["connect_", "node_", "auth_"]),
    ("calls_domain", "Calls about domains", &["domain_"]),
    ("calls_other", "Calls about storage, networks and the rest", &[]),
];

fn file(about: &str, with: &str, macro_name: &str, lines: &str) -> String {
    format!(
        "//! {about}. Written by `cargo xtask rpc-tables`.\n\nuse crate::macros::*;\n{with}\n{macro_name}! {{\n{lines}}}\n"
    )
}

const USES: &str = "#[allow(unused_imports, reason = \"written by a program\")]\nuse crate::{tables::records::*, typed::TypedValue, xdr::*};\n";

fn records(corpus: &Corpus) -> Result<String> {
    let mut names = BTreeSet::new();
    for procedure in corpus.served() {
        for fields in [&procedure.args, &procedure.ret, &procedure.msg].into_iter().flatten() {
            for (_, shape) in fields {
                corpus.referenced(shape, &mut names)?;
            }
        }
    }
    let mut lines = String::new();
    for name in names {
        if let Some(fields) = corpus.record(&name)? {
            writeln!(lines, "    /// {}.", shapes::sentence(&name))?;
            writeln!(lines, "    {} {{ {} }}", shapes::record_name(&name), corpus.fields(&fields)?)?;
        }
    }
    let with = "use crate::typed::TypedValue;\nuse crate::xdr::*;\n";
    Ok(file("What calls and events are made of", with, "records", &lines))
}

fn calls(corpus: &Corpus, about: &str, prefixes: &[&str]) -> Result<String> {
    let others: Vec<&str> = CALLS.iter().flat_map(|(_, _, prefixes)| *prefixes).copied().collect();
    let begins = |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut lines = String::new();
    for call in corpus.served().filter(|procedure| procedure.kind == "call") {
        // Snapshots and checkpoints are many, and the table of domains is long enough.
        let own = begins(&call.name, prefixes) && !(call.name.starts_with("domain_") && apart(&call.name));
        let rest = prefixes.is_empty() && (!begins(&call.name, &others) || apart(&call.name));
        if !own && !rest {
            continue;
        }
        let name = call.type_name();
        let args = corpus.fields(call.args.as_deref().unwrap_or_default())?;
        let answer = match call.ret.as_deref() {
            None | Some([]) => "()".to_owned(),
            Some(fields) => format!("{name}Answer {{ {} }}", corpus.fields(fields)?),
        };
        writeln!(lines, "    {} {} {name} {{ {args} }} => {answer};", call.program_name(), call.number)?;
    }
    Ok(file(about, USES, "calls", &lines))
}

fn apart(name: &str) -> bool {
    name.starts_with("domain_snapshot_")
        || name.starts_with("domain_checkpoint_")
        || name.starts_with("domain_migrate_")
}

fn events(corpus: &Corpus) -> Result<String> {
    let mut lines = String::new();
    for event in corpus.served().filter(|procedure| procedure.kind == "event") {
        let fields = corpus.fields(event.msg.as_deref().unwrap_or_default())?;
        writeln!(
            lines,
            "    {} {} {} {{ {fields} }}",
            event.program_name(),
            event.number,
            event.type_name()
        )?;
    }
    Ok(file("What is told without being asked for", USES, "events", &lines))
}

fn codes(corpus: &Corpus) -> String {
    let mut text = "//! Numbers of errors, and of the parts of a host that they come from. Written by `cargo xtask rpc-tables`.\n\n\
                    #![allow(missing_docs, reason = \"a table: the names are all that is known\")]\n\n"
        .to_owned();
    for (name, number) in corpus.codes() {
        text.push_str(&format!("pub const {name}: i32 = {number};\n"));
    }
    text
}
