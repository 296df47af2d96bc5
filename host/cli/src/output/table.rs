//! Aligned columns without borders, and lists of named facts.

use super::colour::Tone;
use super::escape;

/// Space between two columns.
const GAP: usize = 2;
/// A column that gives way to the width of the terminal never gets narrower than this.
const NARROWEST: usize = 8;

/// One value in a table: safe text and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell in ordinary tone. The text is escaped here, once, so no cell can carry control characters.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: escape::line(text.as_ref()), tone: Tone::Plain }
    }

    /// The same cell in another tone.
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// The value, or `-` when there is none.
    pub(crate) fn optional(value: Option<impl AsRef<str>>) -> Self {
        value.map_or_else(|| Self::new("-").tone(Tone::Faint), Self::new)
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

#[derive(Clone, Debug)]
struct Column {
    heading: &'static str,
    align: Align,
    gives_way: bool,
}

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without columns or rows.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a column of words.
    pub(crate) fn words(self, heading: &'static str) -> Self {
        self.column(heading, Align::Left, false)
    }

    /// Adds a column of numbers: aligned to the right.
    pub(crate) fn numbers(self, heading: &'static str) -> Self {
        self.column(heading, Align::Right, false)
    }

    /// Adds a column of long text: shortened when the table is wider than the terminal.
    pub(crate) fn prose(self, heading: &'static str) -> Self {
        self.column(heading, Align::Left, true)
    }

    fn column(mut self, heading: &'static str, align: Align, gives_way: bool) -> Self {
        self.columns.push(Column { heading, align, gives_way });
        self
    }

    /// Adds a row; it has one cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has one cell for each column");
        self.rows.push(cells);
    }

    /// The table as text, each line ended. `width` is that of the terminal in columns; `None`
    /// (a pipe or a file) never shortens anything.
    pub(crate) fn render(&self, width: Option<usize>, colour: bool) -> String {
        let widths = self.fit(width);
        let mut text = String::new();
        let headings: Vec<Cell> =
            self.columns.iter().map(|column| Cell::new(column.heading).tone(Tone::Strong)).collect();
        for cells in std::iter::once(&headings).chain(&self.rows) {
            text.push_str(self.line(cells, &widths, colour).trim_end());
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[Cell], widths: &[usize], colour: bool) -> String {
        let mut line = String::new();
        let last = self.columns.len().saturating_sub(1);
        for (index, ((cell, column), &width)) in cells.iter().zip(&self.columns).zip(widths).enumerate() {
            let shown = shorten(&cell.text, width);
            let padding = " ".repeat(width.saturating_sub(shown.chars().count()));
            let painted = cell.tone.paint(&shown, colour);
            match (column.align, index == last) {
                (Align::Right, _) => line.extend([padding.as_str(), &painted]),
                (Align::Left, true) => line.push_str(&painted),
                (Align::Left, false) => line.extend([painted.as_str(), &padding]),
            }
            if index != last {
                line.push_str(&" ".repeat(GAP));
            }
        }
        line
    }

    /// The width of each column: what its cells need, less what the columns of long text must give.
    fn fit(&self, width: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let cells = self.rows.iter().filter_map(|row| row.get(index)).map(Cell::width);
                cells.chain([column.heading.chars().count()]).max().unwrap_or(0)
            })
            .collect();
        let Some(available) = width else { return widths };
        let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let mut excess = total.saturating_sub(available);
        while excess > 0 {
            // The widest gives first, one column at a time, so that the burden is shared.
            let widest = widths
                .iter_mut()
                .zip(&self.columns)
                .filter(|(width, column)| column.gives_way && **width > NARROWEST)
                .max_by_key(|(width, _)| **width);
            let Some((width, _)) = widest else { break };
            *width -= 1;
            excess -= 1;
        }
        widths
    }
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Named facts, one on a line, names aligned: how one thing is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    entries: Vec<(&'static str, Cell)>,
}

impl Facts {
    /// No facts yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a fact.
    pub(crate) fn add(&mut self, name: &'static str, value: impl Into<Cell>) {
        self.entries.push((name, value.into()));
    }

    /// Adds a fact if it is known.
    pub(crate) fn add_known(&mut self, name: &'static str, value: Option<impl Into<Cell>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// The facts as text, each line ended.
    pub(crate) fn render(&self, colour: bool) -> String {
        let width = self.entries.iter().map(|(name, _)| name.chars().count() + 1).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.entries {
            let label = format!("{name}:");
            let padding = " ".repeat(width.saturating_sub(label.chars().count()) + GAP);
            text.push_str(&Tone::Strong.paint(&label, colour));
            text.push_str(&padding);
            text.push_str(&value.tone.paint(&value.text, colour));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new().numbers("ID").words("NAME").prose("REASON");
        table.row(vec!["1".into(), "web".into(), "started by the operator of this host".into()]);
        table.row(vec![Cell::optional(None::<&str>), "database".into(), "off".into()]);
        table.row(vec!["2".into(), "mail".into(), "".into()]);
        table
    }

    #[test]
    fn render_aligns_without_borders_or_trailing_space() {
        let expected = "ID  NAME      REASON\n 1  web       started by the operator of this host\n \
                        -  database  off\n 2  mail\n";
        assert_eq!(sample().render(None, false), expected);
    }

    #[test]
    fn render_shortens_long_text_on_a_narrow_terminal_only() {
        let narrow = sample().render(Some(30), false);
        assert!(narrow.lines().all(|line| line.chars().count() <= 30), "{narrow}");
        assert!(narrow.contains("started by the …"), "{narrow}");
        assert!(!sample().render(None, false).contains('…'));
    }

    #[test]
    fn render_never_shortens_names() {
        let tiny = sample().render(Some(5), false);
        assert!(tiny.contains("database"), "{tiny}");
    }

    #[test]
    fn render_colours_only_when_asked_and_keeps_alignment() {
        let mut table = Table::new().words("STATE").words("NAME");
        table.row(vec![Cell::new("running").tone(Tone::Good), "a".into()]);
        assert!(!table.render(None, false).contains('\x1b'));
        assert!(
            table.render(None, true).contains("\x1b[32mrunning\x1b[0m  a"),
            "{}",
            table.render(None, true)
        );
    }

    #[test]
    fn cells_never_carry_control_characters() {
        let mut table = Table::new().words("NAME");
        table.row(vec!["\x1b]0;owned\x07\nroot".into()]);
        let text = table.render(None, false);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn facts_align_their_values() {
        let mut facts = Facts::new();
        facts.add("name", "web");
        facts.add("memory", Cell::new("1 GiB"));
        facts.add_known("pid", None::<&str>);
        assert_eq!(facts.render(false), "name:    web\nmemory:  1 GiB\n");
    }
}
