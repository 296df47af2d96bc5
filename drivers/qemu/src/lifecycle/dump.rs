//! What is in a guest's memory, written down.

use hostler_sdk::{
    Command, Domain, Error, Fact, Monitor, MonitorExt, ProblemExt, Resources, Symbol, problem,
};
use serde_json::Value as Json;

/// Formats of QEMU's (`DumpGuestMemoryFormat`).
const FORMATS: &[&str] = &["elf", "kdump-zlib", "kdump-lzo", "kdump-snappy", "win-dmp"];

/// How long one wait for the end is. The state is looked at anyway when no event came.
const NEWS_MS: u64 = 30_000;

/// Writes it to the operation's output. The guest stands still meanwhile.
///
/// # Errors
/// `unsupported` for a format that this QEMU does not write; `invalid` for a part of memory that is none; what the host or the monitor answers.
pub(crate) fn dump(domain: &Domain, format: &str, options: &[Fact]) -> Result<(), Error> {
    if !FORMATS.contains(&format) {
        let message = format!("QEMU writes no dump in the format '{}'", format.escape_debug());
        return Err(problem("qemu.dump-format", message)
            .hint(format!("formats there are: {}", FORMATS.join(", ")))
            .unsupported());
    }
    let monitor = domain.monitor()?;
    let cursor = monitor.cursor();
    let part = part(options)?;
    let mut command = Command::new("dump-guest-memory")
        .with("protocol", Symbol::Output)
        .with("paging", false)
        .with("detach", true)
        .with("format", format);
    if let Some((begin, length)) = part {
        command = command.with("begin", begin).with("length", length);
    }
    monitor
        .run_with(&command, domain, &mut Resources::default())
        .map_err(|error| explained(error, format))?;
    wait(&monitor, cursor)?;
    domain.emit("dumped", &[]);
    Ok(())
}

/// The part of memory that is wanted, where it begins and how long it is; nothing for all of it.
fn part(options: &[Fact]) -> Result<Option<(u64, u64)>, Error> {
    let number = |key: &str| {
        let option = options.iter().find(|option| option.key == key)?;
        Some(option.value.parse().map_err(|_| wrong_part()))
    };
    match (number("begin").transpose()?, number("length").transpose()?) {
        (None, None) => Ok(None),
        (Some(begin), Some(length)) if length > 0 => Ok(Some((begin, length))),
        _ => Err(wrong_part()),
    }
}

fn wrong_part() -> Error {
    problem("qemu.dump-part", "a part of memory has a beginning and a length, in bytes").invalid()
}

/// A QEMU that was built without a compressor, or a guest without what a format needs, says so here.
fn explained(error: Error, format: &str) -> Error {
    match error {
        Error::Hypervisor(told) if format != "elf" => {
            problem("qemu.dump-format", format!("the format '{format}' cannot be written: {}", told.message))
                .hint("'elf' can always be written; 'win-dmp' needs Windows with the driver vmcoreinfo")
                .unsupported()
        }
        error => error,
    }
}

fn wait(monitor: &Monitor, mut cursor: u64) -> Result<(), Error> {
    loop {
        let answer: Json = serde_json::from_str(&monitor.run("query-dump")?).unwrap_or_default();
        match answer.get("status").and_then(Json::as_str) {
            Some("completed") => return Ok(()),
            Some("active") => {}
            _ => return Err(failure(monitor, cursor)?),
        }
        if let Some(event) = monitor.wait_event(&["DUMP_COMPLETED".to_owned()], cursor, NEWS_MS)? {
            if let Some(why) = why(&event.data) {
                return Err(failed(&why));
            }
            cursor = event.cursor;
        }
    }
}

/// Why it failed: the event of its end says it, and has come by now or comes at once.
fn failure(monitor: &Monitor, cursor: u64) -> Result<Error, Error> {
    let event = monitor.wait_event(&["DUMP_COMPLETED".to_owned()], cursor, NEWS_MS)?;
    Ok(failed(
        &event.and_then(|event| why(&event.data)).unwrap_or_else(|| "QEMU does not say why".to_owned()),
    ))
}

fn failed(why: &str) -> Error {
    let told = problem("qemu.dump-failed", format!("writing the dump failed: {why}"));
    match why.contains("win-dump") {
        true => told
            .hint("'win-dmp' needs Windows with a driver for vmcoreinfo in the guest; 'elf' needs nothing"),
        false => told,
    }
    .hypervisor()
}

fn why(data: &str) -> Option<String> {
    let data: Json = serde_json::from_str(data).ok()?;
    data.get("error").and_then(Json::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_with_an_error_is_a_failure() {
        assert_eq!(why(r#"{"result":{"status":"completed"}}"#), None);
        assert_eq!(why(r#"{"result":{"status":"failed"},"error":"no space"}"#).as_deref(), Some("no space"));
    }

    #[test]
    fn part_has_a_beginning_and_a_length() {
        let options = |pairs: &[(&str, &str)]| -> Vec<Fact> {
            let fact = |(key, value): &(&str, &str)| Fact { key: (*key).into(), value: (*value).into() };
            pairs.iter().map(fact).collect()
        };
        assert_eq!(part(&options(&[("other", "1")])).unwrap(), None);
        assert_eq!(part(&options(&[("begin", "4096"), ("length", "16")])).unwrap(), Some((4096, 16)));
        for wrong in [
            &[("begin", "4096")][..],
            &[("begin", "0"), ("length", "0")],
            &[("begin", "-1"), ("length", "1")],
        ] {
            assert!(matches!(part(&options(wrong)), Err(Error::Invalid(_))), "{wrong:?}");
        }
    }

    #[test]
    fn refused_format_is_explained_and_elf_is_passed_on() {
        let told = || problem("qmp.generic-error", "kdump-lzo is not available now").hypervisor();
        assert!(matches!(explained(told(), "kdump-lzo"), Error::Unsupported(_)));
        assert!(matches!(explained(told(), "elf"), Error::Hypervisor(_)));
    }
}
