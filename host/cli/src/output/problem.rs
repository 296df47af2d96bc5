//! How a failure is shown: code, message, chain of causes, hints; the same facts in JSON.

use serde_json::json;

use super::colour::Tone;
use super::{escape, with_schema};
use crate::failure::Failure;

/// Columns by which the further lines of a message are moved in.
const INDENT: usize = 4;

/// The text form, each line ended.
pub(super) fn text(failure: &Failure, colour: bool) -> String {
    let label = Tone::Bad.paint(&format!("error[{}]:", escape::line(&failure.code)), colour);
    let mut text = format!("{label} {}\n", escape::block(&failure.message, INDENT));
    if let Some(place) = place(failure) {
        text.push_str(&format!("  {} {place}\n", Tone::Faint.paint("where:", colour)));
    }
    for cause in &failure.causes {
        let label = Tone::Faint.paint("caused by:", colour);
        text.push_str(&format!("  {label} {}\n", escape::block(cause, INDENT)));
    }
    for hint in &failure.hints {
        let label = Tone::Strong.paint("hint:", colour);
        text.push_str(&format!("{label} {}\n", escape::block(&hint.text, INDENT)));
        if let Some(command) = &hint.command {
            text.push_str(&format!("        {}\n", Tone::Strong.paint(&escape::line(command), colour)));
        }
    }
    text
}

/// The same in one line, for a log: what, where, and what to do about it.
pub(crate) fn line(failure: &Failure) -> String {
    let place = place(failure).map(|place| format!(" ({place})")).unwrap_or_default();
    let hints: String = failure.hints.iter().map(|hint| format!("; {}", hint.text)).collect();
    escape::line(&format!("{}{place}{hints}", failure.message))
}

/// What it is about, as far as the message does not say it already: `line 4, column 10, element vcpu`.
fn place(failure: &Failure) -> Option<String> {
    let mut said: Vec<&str> = Vec::new();
    let mut parts = Vec::new();
    for (name, value) in &failure.subject {
        let is_quoted = |quote: char| failure.message.contains(&format!("{quote}{value}{quote}"));
        // The same number twice is two facts (line and column); the same name or path twice is one.
        let is_repeated = said.contains(&value.as_str()) && value.parse::<u64>().is_err();
        if !is_quoted('\'') && !is_quoted('"') && !is_repeated {
            said.push(value);
            parts.push(format!("{} {}", escape::line(name), escape::line(value)));
        }
    }
    if parts.is_empty() { None } else { Some(parts.join(", ")) }
}

/// The JSON form: one document, its line ended.
pub(super) fn json(failure: &Failure) -> String {
    format!("{:#}\n", with_schema(json!({"error": failure.to_json()})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_a_log_says_what_where_and_what_to_do() {
        let mut failure = sample();
        failure.message.push_str("\nforged");
        let said = line(&failure);
        assert!(
            said.contains("\\nforged (disk vda); write the format into the header; or name it"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1);
    }
    use crate::exit::Exit;
    use crate::failure::Hint;

    fn sample() -> Failure {
        Failure {
            code: "image.format-missing".into(),
            message: "'/srv/web.qcow2' does not say the format of its backing file".into(),
            fault: "user",
            retryable: false,
            exit: Exit::Failed,
            subject: vec![("disk".into(), "vda".into())],
            causes: vec!["header extension 0xe2792aca is absent".into()],
            hints: vec![
                Hint {
                    text: "write the format into the header".into(),
                    command: Some("qemu-img rebase -u -F raw -b base.img /srv/web.qcow2".into()),
                },
                Hint { text: "or name it in the domain XML".into(), command: None },
            ],
        }
    }

    #[test]
    fn text_shows_code_causes_hints_and_commands() {
        let expected = "\
error[image.format-missing]: '/srv/web.qcow2' does not say the format of its backing file
  where: disk vda
  caused by: header extension 0xe2792aca is absent
hint: write the format into the header
        qemu-img rebase -u -F raw -b base.img /srv/web.qcow2
hint: or name it in the domain XML
";
        assert_eq!(text(&sample(), false), expected);
    }

    #[test]
    fn text_does_not_repeat_what_the_message_says() {
        let mut failure = sample();
        failure.subject.push(("path".into(), "/srv/web.qcow2".into()));
        failure.subject.push(("target".into(), "vda".into()));
        failure.subject.extend(["line", "column"].map(|name| (name.to_owned(), "4".to_owned())));
        let shown = text(&failure, false);
        assert!(shown.contains("  where: disk vda, line 4, column 4\n"), "{shown}");
        failure.subject.retain(|(name, _)| name == "path");
        assert!(!text(&failure, false).contains("where:"));
    }

    #[test]
    fn text_cannot_be_steered_by_what_a_driver_wrote() {
        let mut failure = sample();
        failure.message = "boom\x1b[2J\nhint: rm -rf /".into();
        failure.causes = vec!["x\rerror: y".into()];
        let shown = text(&failure, false);
        assert!(shown.starts_with("error[image.format-missing]: boom\\u{1b}[2J\n    hint: rm"), "{shown}");
        assert!(shown.contains("caused by: x\\rerror: y"), "{shown}");
    }

    #[test]
    fn text_colours_labels_only_when_asked() {
        assert!(!text(&sample(), false).contains('\x1b'));
        assert!(text(&sample(), true).starts_with("\x1b[1;31merror[image.format-missing]:\x1b[0m '/srv"));
    }

    #[test]
    fn json_carries_the_same_facts() {
        let document: serde_json::Value = serde_json::from_str(&json(&sample())).unwrap();
        let error = &document["error"];
        assert_eq!(document["schema"], 1);
        assert_eq!(error["code"], "image.format-missing");
        assert_eq!(error["exit"], 1);
        assert_eq!(error["retryable"], false);
        assert_eq!(error["subject"]["disk"], "vda");
        assert_eq!(error["causes"][0], "header extension 0xe2792aca is absent");
        assert_eq!(error["hints"][0]["command"], "qemu-img rebase -u -F raw -b base.img /srv/web.qcow2");
        assert!(error["hints"][1]["command"].is_null());
    }
}
