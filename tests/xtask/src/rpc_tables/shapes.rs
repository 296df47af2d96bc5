//! Names and kinds of values, as Rust has them.

use anyhow::{Result, bail};

/// The name of a type: `remote_nonnull_domain` is `DomainHandle`, and what a call answers is an entry of its answer.
pub(super) fn type_name(name: &str) -> String {
    let name = name.trim_start_matches("remote_");
    let bare = name.trim_start_matches("nonnull_");
    let suffix = if bare == name { "" } else { "Handle" };
    let capitalised = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    bare.split('_').map(capitalised).chain([suffix.to_owned()]).collect()
}

/// The name of the type of a record. Two are called as the calls that answer with them.
pub(super) fn record_name(name: &str) -> String {
    let suffix = if name.contains("_get_") && !name.ends_with("_ret") { "Entry" } else { "" };
    type_name(name) + suffix
}

/// What a type is, from its name.
pub(super) fn sentence(name: &str) -> String {
    let words = name
        .trim_start_matches("remote_")
        .trim_start_matches("nonnull_")
        .trim_end_matches("_msg")
        .replace('_', " ");
    let article = if words.starts_with(['a', 'e', 'i', 'o']) { "An" } else { "A" };
    format!("{article} {words}")
}

/// The name of a field: `callbackID` is `callback_id`.
pub(super) fn field_name(name: &str) -> String {
    let mut written = String::new();
    let mut before = None::<char>;
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_some_and(|before| before.is_lowercase()) {
            written.push('_');
        }
        written.extend(letter.to_lowercase());
        before = Some(letter);
    }
    match written.as_str() {
        "type" | "match" | "ref" => format!("r#{written}"),
        _ => written,
    }
}

/// The kind of a number.
pub(super) fn scalar(name: &str) -> Result<String> {
    let kind = match name {
        "int" | "bool" => "i32",
        "uint" => "u32",
        "hyper" => "i64",
        "uhyper" => "u64",
        "double" => "f64",
        "ushort" => "u16",
        other => bail!("a kind of number that is not known: {other}"),
    };
    Ok(kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rust() {
        assert_eq!(type_name("remote_nonnull_domain"), "DomainHandle");
        assert_eq!(field_name("callbackID"), "callback_id");
        assert_eq!(field_name("nrVirtCpu"), "nr_virt_cpu");
        assert_eq!(field_name("type"), "r#type");
        assert_eq!(sentence("remote_domain_event_io_error_msg"), "A domain event io error");
    }
}
