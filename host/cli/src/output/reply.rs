//! What a command answers: one value with two renderings, text for people and JSON for programs.

use serde_json::{Map, Value};

use super::colour::Tone;
use super::escape;
use super::table::{Facts, Table};
use crate::exit::Exit;

/// Version of the JSON that commands write, in each document as `"schema"`. Fields may be added
/// within a version; a field that changes its meaning or goes away makes a new one.
const SCHEMA: u64 = 1;

/// A part of the text rendering.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// One line.
    Line(String),
    /// A heading over the next part, with an empty line before it.
    Heading(String),
    /// Named facts.
    Facts(Facts),
    /// Rows under headings.
    Table(Table),
    /// A text that is passed on as it is (XML, a script, a manual page).
    Document(String),
}

/// The JSON rendering.
#[derive(Clone, Debug)]
enum Json {
    /// One document.
    Document(Value),
    /// Documents of one kind, each on a line of its own.
    Lines(Vec<Value>),
}

/// The answer of a command.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    json: Json,
    blocks: Vec<Block>,
    exit: Exit,
    confirms: bool,
}

impl Reply {
    /// An answer with data: the JSON document and its text.
    pub(crate) fn data(json: Value, blocks: Vec<Block>) -> Self {
        Self { json: Json::Document(with_schema(json)), blocks, exit: Exit::Success, confirms: false }
    }

    /// An answer with any number of documents of one kind.
    pub(crate) fn lines(documents: Vec<Value>, blocks: Vec<Block>) -> Self {
        let documents = documents.into_iter().map(with_schema).collect();
        Self { json: Json::Lines(documents), blocks, exit: Exit::Success, confirms: false }
    }

    /// An answer that says no more than that the command has worked; `--quiet` drops its text.
    pub(crate) fn confirmation(json: Value, blocks: Vec<Block>) -> Self {
        Self { confirms: true, ..Self::data(json, blocks) }
    }

    /// An answer already given: a stream that has been written while it ran.
    pub(crate) fn streamed() -> Self {
        Self::lines(Vec::new(), Vec::new())
    }

    /// The same answer with another exit status.
    pub(crate) fn exit_with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// How the process ends after this answer.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether the text may be left out with `--quiet`.
    pub(crate) fn only_confirms(&self) -> bool {
        self.confirms
    }

    /// The text for people. `terminal` escapes documents too, which otherwise pass unchanged.
    pub(crate) fn text(&self, width: Option<usize>, colour: bool, terminal: bool) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            match block {
                Block::Line(line) => text.extend([escape::line(line).as_str(), "\n"]),
                Block::Heading(heading) => {
                    let heading = Tone::Strong.paint(&escape::line(heading), colour);
                    let gap = if text.is_empty() { "" } else { "\n" };
                    text.extend([gap, &heading, "\n"]);
                }
                Block::Facts(facts) => text.push_str(&facts.render(colour)),
                Block::Table(table) => text.push_str(&table.render(width, colour)),
                Block::Document(document) if terminal => text.push_str(&escape::document(document)),
                Block::Document(document) => text.push_str(document),
            }
        }
        text
    }

    /// The JSON, each line ended; nothing for an answer that was streamed.
    pub(crate) fn json_text(&self) -> String {
        match &self.json {
            Json::Document(document) => format!("{document:#}\n"),
            Json::Lines(documents) => documents.iter().map(|document| format!("{document}\n")).collect(),
        }
    }
}

/// Puts the version in front of the members of a JSON object.
pub(crate) fn with_schema(json: Value) -> Value {
    let mut document = Map::new();
    document.insert("schema".to_owned(), SCHEMA.into());
    match json {
        Value::Object(members) => document.extend(members),
        other => {
            document.insert("value".to_owned(), other);
        }
    }
    Value::Object(document)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_text_is_one_versioned_document() {
        let reply = Reply::data(json!({"domains": []}), vec![]);
        let parsed: Value = serde_json::from_str(&reply.json_text()).unwrap();
        assert_eq!(parsed, json!({"schema": 1, "domains": []}));
        assert!(reply.json_text().starts_with("{\n  \"schema\": 1"), "{}", reply.json_text());
    }

    #[test]
    fn text_puts_an_empty_line_between_parts_only() {
        let mut facts = Facts::new();
        facts.add("name", "web");
        let blocks =
            vec![Block::Heading("domain".into()), Block::Facts(facts), Block::Heading("disks".into())];
        let reply = Reply::data(json!({}), blocks);
        assert_eq!(reply.text(None, false, false), "domain\nname:  web\n\ndisks\n");
    }

    #[test]
    fn documents_pass_unchanged_except_on_a_terminal() {
        let reply = Reply::data(json!({}), vec![Block::Document("<a>\x1b</a>\n".into())]);
        assert_eq!(reply.text(None, false, false), "<a>\x1b</a>\n");
        assert_eq!(reply.text(None, false, true), "<a>\\u{1b}</a>\n");
    }

    #[test]
    fn lines_are_one_document_each() {
        let reply = Reply::lines(vec![json!({"a": 1}), json!({"b": "x\ny"})], vec![]);
        assert_eq!(reply.json_text(), "{\"schema\":1,\"a\":1}\n{\"schema\":1,\"b\":\"x\\ny\"}\n");
    }

    #[test]
    fn streamed_adds_nothing() {
        assert_eq!(Reply::streamed().json_text(), "");
        assert_eq!(Reply::streamed().text(None, true, true), "");
    }
}
