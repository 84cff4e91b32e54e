//! Tables for the terminal: columns as wide as their widest cell, two spaces between them, and the last one cut to the width there
//! is, unless the table is to be whole. Nothing is ever wrapped: a row is a line, so that `grep` finds whole rows.

use unicode_width::UnicodeWidthStr as _;

use super::{
    style::{Line, Style, Tone},
    text,
};

/// The side that a column's cells keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// Rows in the making.
#[derive(Debug)]
pub(super) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<(Tone, String)>>,
    indent: usize,
    whole: bool,
}

impl Table {
    /// Begins a table with these columns.
    pub(super) fn new(sides: &[Side]) -> Self {
        Self { sides: sides.to_vec(), rows: Vec::new(), indent: 0, whole: false }
    }

    /// Sets the columns that stand free before each row.
    pub(super) fn indented(mut self, columns: usize) -> Self {
        self.indent = columns;
        self
    }

    /// Lets rows be longer than the terminal is wide: nothing in them may be lost.
    pub(super) fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Adds a row of headings.
    pub(super) fn head(&mut self, names: &[&str]) {
        self.rows.push(names.iter().map(|&name| (Tone::Dim, name.to_owned())).collect());
    }

    /// Adds a row; text from outside is made safe to show.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = (Tone, String)>) {
        self.rows.push(cells.into_iter().map(|(tone, cell)| (tone, text::one_line(&cell))).collect());
    }

    /// Returns the lines.
    pub(super) fn paint(&self, style: &Style) -> String {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, cell)| cell.width()).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..self.sides.len()).map(width_of).collect();
        let mut lines = String::new();
        for row in &self.rows {
            let mut line = Line::default();
            line.push(Tone::Plain, " ".repeat(self.indent));
            let mut first = true;
            // Nothing is filled up behind the last word, so that blanks are never cut with an ellipsis.
            let cells = row.iter().rposition(|(_, cell)| !cell.is_empty()).map_or(0, |last| last + 1);
            for ((&side, &width), (column, (tone, cell))) in
                self.sides.iter().zip(&widths).zip(row.iter().enumerate()).take(cells)
            {
                // A column without a word in it takes no room.
                if width == 0 {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    line.push(Tone::Plain, "  ");
                }
                match side {
                    Side::Left if column + 1 == cells => line.push(*tone, cell.as_str()),
                    Side::Left => line.left(*tone, cell, width),
                    Side::Right => line.right(*tone, cell, width),
                };
            }
            let line = if self.whole { line } else { line.fit(style, style.width) };
            lines.push_str(&line.paint(style));
            lines.push('\n');
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_empty_ones_take_no_room() {
        let mut table = Table::new(&[Side::Left, Side::Left, Side::Right, Side::Left]);
        table.head(&["id", "", "cost", "gives"]);
        table.row(
            [(Tone::Plain, "a/b"), (Tone::Plain, ""), (Tone::Plain, "7"), (Tone::Plain, "image\u{1b}[2J")]
                .map(|(tone, cell)| (tone, cell.to_owned())),
        );
        table.row(
            [(Tone::Plain, "絵"), (Tone::Plain, ""), (Tone::Plain, "1,200"), (Tone::Plain, "text")]
                .map(|(tone, cell)| (tone, cell.to_owned())),
        );
        assert_eq!(table.paint(&Style::PLAIN), "id    cost  gives\na/b      7  image?[2J\n絵   1,200  text\n");
    }
}
