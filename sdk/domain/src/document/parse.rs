//! From text to nodes; quick-xml finds the tokens, everything else is kept as it stands.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::tag::parse_start_tag;
use super::text::{BadText, decode_text, decode_verbatim};
use super::{Content, Document, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES, Node, NodeId, Tag};
use crate::error::{Position, XmlError, XmlErrorKind};

pub(super) fn parse(text: &str) -> Result<Document, XmlError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        let message = format!("the document has {} bytes, more than {MAX_DOCUMENT_BYTES}", text.len());
        return Err(XmlError::new(XmlErrorKind::Limit, Position::START, message));
    }
    let body = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut parser = Parser::new(body.len() != text.len());
    let mut reader = Reader::from_str(body);
    let config = reader.config_mut();
    config.check_comments = true;
    config.allow_dangling_amp = true; // reported by decode_text, with its position
    let mut begin = 0;
    loop {
        let event = reader.read_event();
        let end = usize::try_from(reader.buffer_position()).unwrap_or(body.len());
        let raw = body.get(begin..end).unwrap_or("");
        match event {
            Ok(Event::Eof) => return parser.finish(),
            Ok(event) => parser.token(&event, raw)?,
            Err(error) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(begin);
                return Err(parser.reader_error(&error, body, at));
            }
        }
        begin = end;
    }
}

struct Parser {
    document: Document,
    /// The elements that are open, the top node first.
    open: Vec<NodeId>,
    /// Text collected since the last markup, and where it began.
    text: String,
    text_begin: Position,
    at: Position,
}

impl Parser {
    fn new(byte_order_mark: bool) -> Self {
        let top = Tag {
            name: String::new(),
            attributes: Vec::new(),
            space: String::new(),
            children: Vec::new(),
            end: None,
        };
        let node = Node { parent: NodeId::TOP, position: Position::START, content: Content::Element(top) };
        Self {
            document: Document { nodes: vec![node], root: NodeId::TOP, byte_order_mark },
            open: vec![NodeId::TOP],
            text: String::new(),
            text_begin: Position::START,
            at: Position::START,
        }
    }

    fn token(&mut self, event: &Event<'_>, raw: &str) -> Result<(), XmlError> {
        if matches!(event, Event::Text(_) | Event::GeneralRef(_)) {
            if self.text.is_empty() {
                self.text_begin = self.at;
            }
            self.text.push_str(raw);
            self.at = self.at.after(raw);
            return Ok(());
        }
        self.flush_text()?;
        match event {
            Event::Start(_) => self.start(raw, ">")?,
            Event::Empty(_) => {
                self.start(raw, "/>")?;
                self.open.pop();
            }
            Event::End(_) => self.end(raw),
            Event::CData(_) => self.cdata(raw)?,
            Event::Decl(_) => self.declaration(raw)?,
            Event::DocType(_) => {
                let message = "a document type declaration is not accepted";
                return Err(XmlError::new(XmlErrorKind::Doctype, self.at, message)
                    .hint("remove the <!DOCTYPE ...> line; domain XML needs none"));
            }
            _ => self.other(raw)?,
        }
        self.at = self.at.after(raw);
        Ok(())
    }

    fn start(&mut self, raw: &str, close: &str) -> Result<(), XmlError> {
        let inner = raw.strip_prefix('<').and_then(|raw| raw.strip_suffix(close)).unwrap_or(raw);
        let tag = parse_start_tag(inner, self.at.after("<")).map_err(|error| self.inside(error))?;
        if self.open.len() > MAX_DEPTH {
            return Err(
                self.error(XmlErrorKind::Limit, format!("elements are nested deeper than {MAX_DEPTH}"))
            );
        }
        let is_root = self.open.len() == 1;
        if is_root && self.document.root != NodeId::TOP {
            return Err(self.error(XmlErrorKind::Syntax, format!("a second root element '{}'", tag.name)));
        }
        let content = Tag {
            name: tag.name,
            attributes: tag.attributes,
            space: tag.space,
            children: Vec::new(),
            end: None,
        };
        let id = self.add(Content::Element(content), self.at)?;
        if is_root {
            self.document.root = id;
        }
        self.open.push(id);
        Ok(())
    }

    fn end(&mut self, raw: &str) {
        let closed = self.open.pop().filter(|id| *id != NodeId::TOP);
        if let Some(tag) = closed.and_then(|id| self.document.tag_mut(id)) {
            tag.end = Some(raw.to_owned());
        }
    }

    fn cdata(&mut self, raw: &str) -> Result<(), XmlError> {
        if self.open.len() == 1 {
            return Err(self.error(XmlErrorKind::Syntax, "text outside the root element".to_owned()));
        }
        let inner = raw.strip_prefix("<![CDATA[").and_then(|raw| raw.strip_suffix("]]>")).unwrap_or("");
        let value = decode_verbatim(inner).map_err(|bad| self.bad_text(raw, bad, self.at))?;
        self.add(Content::Text { verbatim: raw.to_owned(), value }, self.at)?;
        Ok(())
    }

    fn declaration(&mut self, raw: &str) -> Result<(), XmlError> {
        if self.document.nodes.len() > 1 {
            return Err(
                self.error(XmlErrorKind::Syntax, "the XML declaration is not at the beginning".to_owned())
            );
        }
        let inner = raw.strip_prefix("<?").and_then(|raw| raw.strip_suffix("?>")).unwrap_or(raw);
        let tag = parse_start_tag(inner, self.at.after("<?"))?;
        let encoding = tag.attributes.iter().find(|attribute| attribute.name == "encoding");
        if let Some(other) = encoding.filter(|attribute| !attribute.value.eq_ignore_ascii_case("utf-8")) {
            let message = format!("the document says it is in '{}'; only UTF-8 is accepted", other.value);
            return Err(XmlError::new(XmlErrorKind::Syntax, other.position, message));
        }
        self.other(raw)
    }

    fn other(&mut self, raw: &str) -> Result<(), XmlError> {
        decode_verbatim(raw).map_err(|bad| self.bad_text(raw, bad, self.at))?;
        self.add(Content::Other(raw.to_owned()), self.at)?;
        Ok(())
    }

    fn flush_text(&mut self) -> Result<(), XmlError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let verbatim = std::mem::take(&mut self.text);
        let begin = self.text_begin;
        let value = decode_text(&verbatim).map_err(|bad| self.bad_text(&verbatim, bad, begin))?;
        let blank = verbatim.bytes().all(|byte| byte.is_ascii_whitespace());
        if self.open.len() == 1 && !blank {
            let lead = verbatim.len() - verbatim.trim_start().len();
            let place = begin.after(verbatim.get(..lead).unwrap_or(""));
            return Err(XmlError::new(XmlErrorKind::Syntax, place, "text outside the root element"));
        }
        self.add(Content::Text { verbatim, value }, begin)?;
        Ok(())
    }

    fn add(&mut self, content: Content, position: Position) -> Result<NodeId, XmlError> {
        let parent = self.open.last().copied().unwrap_or(NodeId::TOP);
        let id = self.document.allocate(Node { parent, position, content });
        let Some(id) = id else {
            return Err(
                self.error(XmlErrorKind::Limit, format!("the document has more than {MAX_NODES} nodes"))
            );
        };
        if let Some(tag) = self.document.tag_mut(parent) {
            tag.children.push(id);
        }
        Ok(id)
    }

    fn finish(mut self) -> Result<Document, XmlError> {
        self.flush_text()?;
        if let Some(unclosed) = self.open.last().filter(|id| **id != NodeId::TOP) {
            let name = self.document.name(*unclosed);
            let begun = self.document.position(*unclosed);
            let message = format!("element '{name}', begun at {begun}, is not closed");
            return Err(self.error(XmlErrorKind::Syntax, message));
        }
        if self.document.root == NodeId::TOP {
            return Err(self.error(XmlErrorKind::Syntax, "the document has no root element".to_owned()));
        }
        Ok(self.document)
    }

    fn error(&self, kind: XmlErrorKind, message: String) -> XmlError {
        self.inside(XmlError::new(kind, self.at, message))
    }

    fn inside(&self, error: XmlError) -> XmlError {
        match self.open.last().filter(|id| **id != NodeId::TOP) {
            Some(id) => error.at_path(self.document.path(*id)),
            None => error,
        }
    }

    fn bad_text(&self, raw: &str, bad: BadText, begin: Position) -> XmlError {
        let position = begin.after(raw.get(..bad.offset).unwrap_or(raw));
        self.inside(XmlError::new(XmlErrorKind::Syntax, position, bad.message))
    }

    fn reader_error(&self, error: &quick_xml::Error, body: &str, at: usize) -> XmlError {
        let position = Position::START.after(body.get(..at).unwrap_or(body));
        self.inside(XmlError::new(XmlErrorKind::Syntax, position, error.to_string()))
    }
}
