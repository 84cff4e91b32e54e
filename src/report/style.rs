//! How text may look: colour, symbols, width.
//!
//! Colour never carries meaning alone: every state has its own symbol, and every symbol a plain fallback for terminals whose
//! locale is not UTF-8.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::text;
use crate::{id::RunId, journal::state::Phase, result::StepStatus, world::World};

/// How text may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences for colour are written.
    pub color: bool,
    /// Whether characters beyond ASCII are understood.
    pub unicode: bool,
    /// The columns there are.
    pub width: usize,
}

impl Style {
    /// No colour, 80 columns, as for a log that takes UTF-8.
    pub const PLAIN: Self = Self { color: false, unicode: true, width: 80 };

    /// Says whether the locale is UTF-8, as the C library would decide it.
    #[must_use]
    pub fn unicode_of(world: &World) -> bool {
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| world.env(name)).is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
    }

    /// Returns the first text where UTF-8 is understood, else the second.
    pub(super) fn or<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }

    /// Returns what stands between two facts of a line.
    pub(super) fn dot(&self) -> &'static str {
        if self.unicode { " · " } else { ", " }
    }

    /// Returns what stands for "nothing" in a table.
    pub(super) fn none(&self) -> &'static str {
        if self.unicode { "–" } else { "-" }
    }

    /// Returns the short form of a run's id.
    pub(super) fn run(&self, run: RunId) -> String {
        let short = run.short();
        if self.unicode { short } else { short.replace('…', "..") }
    }

    /// Shortens a line to some columns, with an ellipsis where something is left out.
    pub(super) fn cut(&self, text: &str, columns: usize) -> String {
        text::cut(text, columns, self.or("…", ".."))
    }

    /// Returns the symbol of a phase and its tone.
    pub(super) fn symbol(&self, phase: Phase) -> (&'static str, Tone) {
        let (unicode, ascii, tone) = match phase {
            Phase::Waiting => ("·", ".", Tone::Dim),
            Phase::Ready => ("○", "o", Tone::Dim),
            Phase::Retrying => ("↻", "~", Tone::Odd),
            Phase::Submitting | Phase::Running | Phase::Ended | Phase::Expanded | Phase::Nested => {
                ("●", "*", Tone::Busy)
            }
            Phase::Over(StepStatus::Succeeded) => ("✔", "+", Tone::Good),
            Phase::Over(StepStatus::Failed) => ("✖", "x", Tone::Bad),
            Phase::Over(StepStatus::Skipped) => ("–", "-", Tone::Dim),
            Phase::Over(StepStatus::Cancelled) => ("■", "!", Tone::Odd),
        };
        (if self.unicode { unicode } else { ascii }, tone)
    }
}

/// What a piece of text means, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Dim,
    Good,
    Bad,
    Odd,
    Busy,
}

impl Tone {
    fn style(self) -> anstyle::Style {
        use anstyle::AnsiColor::{Cyan, Green, Red, Yellow};
        let plain = anstyle::Style::new();
        match self {
            Self::Plain => plain,
            Self::Strong => plain.bold(),
            Self::Dim => plain.dimmed(),
            Self::Good => plain.fg_color(Some(Green.into())),
            Self::Bad => plain.fg_color(Some(Red.into())),
            Self::Odd => plain.fg_color(Some(Yellow.into())),
            Self::Busy => plain.fg_color(Some(Cyan.into())),
        }
    }
}

/// One line in the making: pieces of text with their tones, so that it can be cut and measured before it is painted.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<(Tone, String)>);

impl Line {
    /// Adds a piece.
    pub(super) fn push(&mut self, tone: Tone, piece: impl Into<String>) -> &mut Self {
        self.0.push((tone, piece.into()));
        self
    }

    /// Adds a piece, filled up to some columns on its right.
    pub(super) fn left(&mut self, tone: Tone, piece: &str, columns: usize) -> &mut Self {
        let fill = columns.saturating_sub(piece.width());
        self.push(tone, piece).push(Tone::Plain, " ".repeat(fill))
    }

    /// Adds a piece, filled up to some columns on its left.
    pub(super) fn right(&mut self, tone: Tone, piece: &str, columns: usize) -> &mut Self {
        let fill = columns.saturating_sub(piece.width());
        self.push(Tone::Plain, " ".repeat(fill)).push(tone, piece)
    }

    /// Returns the columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, piece)| piece.width()).sum()
    }

    /// Cuts it to some columns.
    pub(super) fn fit(mut self, style: &Style, columns: usize) -> Self {
        if self.width() <= columns {
            return self;
        }
        let mut left = columns;
        let mut kept = Vec::new();
        for (tone, piece) in std::mem::take(&mut self.0) {
            let width = piece.width();
            if width < left || (width == left && kept.is_empty()) {
                left -= width;
                kept.push((tone, piece));
            } else {
                // One column more than there is asks `cut` for its ellipsis, also where the piece itself would just fit.
                kept.push((tone, text::cut(&format!("{piece}  "), left, style.or("…", ".."))));
                break;
            }
        }
        Self(kept)
    }

    /// Paints it, without spaces at its end.
    pub(super) fn paint(&self, style: &Style) -> String {
        let mut text = String::new();
        let last = self.0.iter().rposition(|(_, piece)| !piece.trim_end().is_empty());
        for (ix, (tone, piece)) in self.0.iter().enumerate() {
            let Some(last) = last else { break };
            let piece = match ix.cmp(&last) {
                std::cmp::Ordering::Less => piece.as_str(),
                std::cmp::Ordering::Equal => piece.trim_end(),
                std::cmp::Ordering::Greater => break,
            };
            if style.color && *tone != Tone::Plain && !piece.trim().is_empty() {
                let paint = tone.style();
                let _ = write!(text, "{paint}{piece}{paint:#}");
            } else {
                text.push_str(piece);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_about_symbols() {
        let world = |pairs: &[(&str, &str)]| {
            World::real().with_environment(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert!(Style::unicode_of(&world(&[("LANG", "de_DE.UTF-8")])));
        assert!(Style::unicode_of(&world(&[("LC_ALL", ""), ("LANG", "C.utf8")])));
        assert!(!Style::unicode_of(&world(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")])));
        assert!(!Style::unicode_of(&world(&[])));
    }

    #[test]
    fn a_line_is_cut_by_columns_and_painted_after_it() {
        let mut line = Line::default();
        line.push(Tone::Good, "✔").push(Tone::Plain, " 絵を描く").push(Tone::Dim, " done");
        assert_eq!(line.width(), 15);
        assert_eq!(line.clone().fit(&Style::PLAIN, 15).paint(&Style::PLAIN), "✔ 絵を描く done");
        for columns in 0..15 {
            let cut = line.clone().fit(&Style::PLAIN, columns);
            assert!(cut.width() <= columns, "{cut:?} in {columns}");
        }
        assert_eq!(line.clone().fit(&Style::PLAIN, 8).paint(&Style::PLAIN), "✔ 絵を…");
        let colored = Style { color: true, ..Style::PLAIN };
        assert_eq!(line.paint(&colored), "\u{1b}[32m✔\u{1b}[0m 絵を描く\u{1b}[2m done\u{1b}[0m");
    }
}
