//! The table of what is known of each procedure.

use super::corpus::{Corpus, Permission, Procedure};
use anyhow::{Result, bail};
use serde_json::Value;
use std::fmt::Write as _;

/// The table of the procedures of one priority; what has none is taken to be slow.
pub(super) fn table(corpus: &Corpus, priority: &str) -> Result<String> {
    let mut text = format!(
        "//! What is known of procedures of {priority} priority. Written by `cargo xtask rpc-tables`.\n\n\
         use crate::procedure::Priority::*;\nuse crate::procedure::ReadOnly::*;\nuse crate::procedure::*;\n"
    );
    let mut tables = vec![("remote", "REMOTE", true)];
    if priority == "high" {
        // They are few: all of them are here.
        tables.extend([("qemu", "QEMU", false), ("lxc", "LXC", false)]);
    }
    for (program, name, only_of_it) in tables {
        let mut procedures: Vec<_> = corpus
            .served()
            .filter(|procedure| procedure.program == program && procedure.kind != "control")
            .filter(|procedure| !only_of_it || priority_of(procedure) == priority)
            .collect();
        procedures.sort_by_key(|procedure| procedure.number);
        write!(
            text,
            "\n/// The procedures of the program `{program}`.\n#[rustfmt::skip]\npub(crate) const {name}: &[Procedure] = &[\n"
        )?;
        for procedure in procedures {
            writeln!(text, "    {},", line(corpus, procedure)?)?;
        }
        text.push_str("];\n");
    }
    Ok(text)
}

fn priority_of(procedure: &Procedure) -> &str {
    procedure.priority.as_deref().unwrap_or("low")
}

fn line(corpus: &Corpus, procedure: &Procedure) -> Result<String> {
    let mut needs = procedure.acl.iter().map(|need| permission(corpus, need)).collect::<Result<Vec<_>>>()?;
    if needs.is_empty() {
        needs.extend(by_analogy(&procedure.name).iter().map(|need| format!("needs(\"{need}\")")));
    }
    let priority = if priority_of(procedure) == "high" { "High" } else { "Low" };
    let mut line = format!(
        "procedure({}, \"{}\", {priority}, {}, &[{}])",
        procedure.number,
        procedure.name,
        read_only(corpus, procedure.readonly_conn.as_ref())?,
        needs.join(", "),
    );
    if !procedure.acl_result_filter.is_empty() {
        let shown: Vec<_> =
            procedure.acl_result_filter.iter().map(|need| format!("\"{}\"", need.name())).collect();
        write!(line, ".shows(&[{}])", shown.join(", "))?;
    }
    if procedure.stream.is_some() {
        line.push_str(".opens_stream()");
    }
    if procedure.pre_auth {
        line.push_str(".before_login()");
    }
    Ok(line)
}

/// What procedures need that are newer than what the facts say of permissions: as their like.
fn by_analogy(name: &str) -> &'static [&'static str] {
    match name {
        "domain_get_autostart_once" => &["domain.read"],
        "domain_fd_associate"
        | "domain_graphics_reload"
        | "domain_set_autostart_once"
        | "domain_set_throttle_group"
        | "domain_del_throttle_group"
        | "domain_announce_interface" => &["domain.write"],
        "network_get_metadata" => &["network.read"],
        "network_set_metadata" => &["network.write"],
        "node_device_update" => &["node_device.write"],
        _ => &[],
    }
}

/// The table of permissions.
pub(super) fn permissions(corpus: &Corpus) -> String {
    let mut text = "//! Every permission, and whether everybody has it of whom nothing else is said. Written by\n\
                    //! `cargo xtask rpc-tables`.\n\nuse crate::procedure::*;\n\n\
                    /// The permissions, by kind of object.\n#[rustfmt::skip]\npub(crate) const PERMISSIONS: &[Permission] = &[\n"
        .to_owned();
    for (name, by_default) in corpus.permissions() {
        text.push_str(&format!("    permission(\"{name}\", {by_default}),\n"));
    }
    text.push_str("];\n");
    text
}

fn permission(corpus: &Corpus, need: &Permission) -> Result<String> {
    let name = need.name();
    Ok(match need.only_if_flag.as_deref() {
        None | Some("") => format!("needs(\"{name}\")"),
        Some(flags) => match flags.strip_prefix('!') {
            Some(flags) => format!("needs(\"{name}\").without({})", corpus.flags(flags)?),
            None => format!("needs(\"{name}\").with({})", corpus.flags(flags)?),
        },
    })
}

/// What nobody has said to be safe for a reader is not.
fn read_only(corpus: &Corpus, rule: Option<&Value>) -> Result<String> {
    let Some(rule) = rule else { return Ok("Refused".to_owned()) };
    if let Some(flags) = rule.get("deny_if_flags").and_then(Value::as_array) {
        let names: Vec<_> = flags.iter().filter_map(Value::as_str).collect();
        return Ok(format!("RefusedWith({})", corpus.flags(&names.join("|"))?));
    }
    match rule.as_str() {
        Some("allow") => Ok("Allowed".to_owned()),
        Some(word) if word == "deny" || word.starts_with("unknown") => Ok("Refused".to_owned()),
        _ => bail!("a rule for readers that is not known: {rule}"),
    }
}
