//! The printer: the only writer to the terminal.
//!
//! Standard output is data, standard error is everything else, so that `dagwood models | head` and `dagwood run … > out` do what
//! one expects. A closed pipe is no error of ours: what is written to it afterwards is dropped, and the command goes on, since a
//! run must not stop because nobody reads its log any more. Nor must it for a full disk; that a result is cut is told at the end.

use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use super::{
    args::{Color, Format, Global},
    failure::is_full,
};
use crate::world::World;

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The only writer to the terminal; clones write to the same streams.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    /// The form of output, settled.
    pub(crate) format: Format,
    /// Whether only what went wrong is said.
    pub(crate) quiet: bool,
    /// Whether more is said.
    pub(crate) verbose: bool,
    /// Whether the locale is UTF-8, so that symbols can be shown.
    pub(crate) unicode: bool,
    out: Channel,
    err: Channel,
    columns: Option<usize>,
}

#[derive(Clone, Debug)]
struct Channel {
    terminal: bool,
    color: ColorChoice,
    gone: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

impl Printer {
    /// Looks at the terminal and the environment, and settles how output looks.
    pub(crate) fn new(global: &Global, world: &World) -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let format = global.format.unwrap_or_else(|| default_format(err, world.env("GITHUB_ACTIONS").is_some()));
        let channel = |terminal| Channel {
            terminal,
            color: color_choice(global.color.unwrap_or_default(), terminal, world),
            gone: Arc::new(AtomicBool::new(false)),
            full: Arc::new(AtomicBool::new(false)),
        };
        Self {
            format,
            quiet: global.quiet,
            verbose: global.verbose,
            unicode: is_unicode(world),
            out: channel(out),
            err: channel(err),
            columns: world.env("COLUMNS").and_then(|columns| columns.parse().ok()),
        }
    }

    fn channel(&self, stream: Stream) -> &Channel {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    /// Says whether a stream is a terminal.
    pub(crate) fn is_terminal(&self, stream: Stream) -> bool {
        self.channel(stream).terminal
    }

    /// Says whether nobody reads a stream any more, as far as the last writing to it has shown.
    pub(crate) fn is_gone(&self, stream: Stream) -> bool {
        self.channel(stream).gone.load(Ordering::Relaxed)
    }

    /// Says whether a part of what was written to a stream is missing because there was no room for it: unlike a reader who has seen
    /// enough, whoever reads such a file later does not know that.
    pub(crate) fn is_cut(&self, stream: Stream) -> bool {
        self.channel(stream).full.load(Ordering::Relaxed)
    }

    /// Says whether what is written to a stream may hold colours.
    pub(crate) fn has_color(&self, stream: Stream) -> bool {
        self.channel(stream).color != ColorChoice::Never
    }

    /// Returns how many columns there are, where somebody looks at them.
    pub(crate) fn width(&self) -> Option<usize> {
        let seen = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        self.columns.or_else(seen).filter(|&columns| columns > 0)
    }

    /// Returns the columns and lines of the terminal, as they are at this moment.
    pub(crate) fn size(&self) -> (usize, usize) {
        let seen = terminal_size::terminal_size().map(|(width, height)| (width.0.into(), height.0.into()));
        let (columns, lines) = seen.unwrap_or((80, 24));
        (self.columns.unwrap_or(columns), lines)
    }

    /// Writes a result.
    pub(crate) fn result(&self, text: &str) {
        self.write(Stream::Out, text);
    }

    /// Writes a result as one JSON document, indented where a person looks at it.
    pub(crate) fn json(&self, value: &impl Serialize) {
        let text = if self.out.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.result(&text.expect("what is printed has string keys"));
    }

    /// Writes what went wrong.
    pub(crate) fn problem(&self, text: &str) {
        self.write(Stream::Err, text);
    }

    /// Writes what is good to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.write(Stream::Err, text);
        }
    }

    /// Writes what only `-v` asks for.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.write(Stream::Err, text);
        }
    }

    fn write(&self, stream: Stream, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut pen = self.pen(stream);
        let end = if text.ends_with('\n') { "" } else { "\n" };
        // A pen drops what cannot be written: there is nobody left to tell.
        let _ = write!(pen, "{text}{end}").and_then(|()| pen.flush());
    }

    /// Returns a writer to a stream, for those that write piece by piece.
    pub(crate) fn pen(&self, stream: Stream) -> Pen {
        let channel = self.channel(stream);
        let inner: Box<dyn Write + Send> = match stream {
            Stream::Out => Box::new(AutoStream::new(io::stdout(), channel.color)),
            Stream::Err => Box::new(AutoStream::new(io::stderr(), channel.color)),
        };
        Pen { inner, gone: Arc::clone(&channel.gone), full: Arc::clone(&channel.full) }
    }
}

/// A writer to one of the streams: never fails, and drops everything once the reader is gone.
pub(crate) struct Pen {
    inner: Box<dyn Write + Send>,
    gone: Arc<AtomicBool>,
    full: Arc<AtomicBool>,
}

impl Pen {
    fn settle<T>(&self, done: io::Result<T>, otherwise: T) -> io::Result<T> {
        match done {
            Ok(done) => Ok(done),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.gone.store(true, Ordering::Relaxed);
                self.full.store(is_full(&error), Ordering::Relaxed);
                Ok(otherwise)
            }
        }
    }
}

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gone.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let done = self.inner.write(bytes);
        self.settle(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gone.load(Ordering::Relaxed) {
            return Ok(());
        }
        let done = self.inner.flush();
        self.settle(done, ())
    }
}

fn default_format(terminal: bool, github: bool) -> Format {
    match (terminal, github) {
        (_, true) => Format::Github,
        (true, false) => Format::Human,
        (false, false) => Format::Plain,
    }
}

fn color_choice(wish: Color, terminal: bool, world: &World) -> ColorChoice {
    let dumb = world.env("TERM") == Some("dumb");
    match wish {
        Color::Always => ColorChoice::AlwaysAnsi,
        Color::Auto if terminal && !dumb && world.env("NO_COLOR").is_none() => ColorChoice::Always,
        Color::Auto | Color::Never => ColorChoice::Never,
    }
}

/// Says whether the locale is UTF-8: the first of the three variables that is set decides, as POSIX has it. Elsewhere than on
/// Unix, terminals are.
fn is_unicode(world: &World) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| world.env(name));
    match locale {
        Some(locale) => {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        }
        None => cfg!(any(windows, target_os = "macos")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn world(variables: &[(&str, &str)]) -> World {
        let environment: BTreeMap<_, _> =
            variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        World::real().with_environment(environment)
    }

    #[test]
    fn colours_follow_the_flag_then_the_environment_then_the_terminal() {
        for (wish, terminal, variables, colored) in [
            (Color::Auto, true, &[][..], true),
            (Color::Auto, false, &[], false),
            (Color::Auto, true, &[("NO_COLOR", "1")], false),
            (Color::Auto, true, &[("TERM", "dumb")], false),
            (Color::Always, false, &[("NO_COLOR", "1")], true),
            (Color::Never, true, &[], false),
        ] {
            let choice = color_choice(wish, terminal, &world(variables));
            assert_eq!(choice != ColorChoice::Never, colored, "{wish:?} {terminal} {variables:?}");
        }
    }

    #[test]
    fn symbols_need_a_locale_that_has_them() {
        assert!(is_unicode(&world(&[("LANG", "en_GB.UTF-8")])));
        assert!(is_unicode(&world(&[("LC_ALL", "C.utf8")])));
        assert!(!is_unicode(&world(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")])));
    }

    #[test]
    fn a_terminal_gets_human_and_a_ci_its_own_form() {
        assert_eq!(default_format(true, false), Format::Human);
        assert_eq!(default_format(false, false), Format::Plain);
        assert_eq!(default_format(false, true), Format::Github);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut pen = Pen { inner: Box::new(Closed), gone: Arc::default(), full: Arc::default() };
        assert!(write!(pen, "one").is_ok() && pen.flush().is_ok());
        assert!(pen.gone.load(Ordering::Relaxed));
        assert!(write!(pen, "two").is_ok());
    }
}
