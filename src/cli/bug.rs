//! A panic is a bug of ours: it ends with exit code 70 and a report in the temporary folder that a person can send in.
//!
//! The report holds the message, the place, a backtrace, the version and the platform. It holds no arguments and no environment,
//! and every secret that the command has met is redacted from it.

use std::{
    any::Any,
    backtrace::Backtrace,
    fmt::Write as _,
    io::Write as _,
    panic::{AssertUnwindSafe, PanicHookInfo},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::printer::Printer;
use crate::{
    secret::{Redactor, Secret},
    world::World,
};

/// Watches for panics, in all threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    seen: Arc<AtomicBool>,
    secrets: Arc<Mutex<Vec<Secret>>>,
}

impl Watch {
    /// Takes the panic hook over.
    pub(crate) fn install(printer: &Printer, world: &World) -> Self {
        let watch = Self::default();
        let (hook, printer, world) = (watch.clone(), printer.clone(), world.clone());
        std::panic::set_hook(Box::new(move |panic| hook.report(panic, &printer, &world)));
        watch
    }

    /// Notes a value that no report may show.
    pub(crate) fn hide(&self, secret: &Secret) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.clone());
    }

    /// Runs something; a panic in it comes back as an error, after the report.
    pub(crate) fn guard<T>(run: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
        // What the panic left half done is not looked at again: the process ends.
        std::panic::catch_unwind(AssertUnwindSafe(run))
    }

    /// Says whether there was a panic in any thread.
    pub(crate) fn has_seen_panic(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }

    fn report(&self, panic: &PanicHookInfo<'_>, printer: &Printer, world: &World) {
        // One report a process: what panics after the first panic mostly follows from it.
        if self.seen.swap(true, Ordering::Relaxed) {
            return;
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let (mut said, text) = self.told(message(panic), &place, &Backtrace::force_capture().to_string());
        match save(&text, world) {
            Ok(path) => {
                let _ = write!(said, "  = help: please send the report in `{}`", path.display());
            }
            Err(error) => {
                let _ = write!(said, "  = note: its report could not be written ({error}); it is:\n{text}");
            }
        }
        printer.problem(&said);
    }

    /// Returns what is said of a panic, and the text of its report; neither shows a secret.
    pub(crate) fn told(&self, message: String, place: &str, backtrace: &str) -> (String, String) {
        let redactor = Redactor::new(self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let message = redactor.text(message);
        let text = redactor.text(text(&message, place, backtrace));
        (format!("error: this is a bug in Dagwood: {message} ({place})\n"), text)
    }
}

fn message(panic: &PanicHookInfo<'_>) -> String {
    panic.payload_as_str().unwrap_or("a panic without a message").to_owned()
}

fn text(message: &str, place: &str, backtrace: &str) -> String {
    format!(
        "dagwood {} on {} {}\n{message}\nat {place}\n\n{backtrace}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}

/// Writes the report under a name that nobody can foresee, and never through a link that lies there already.
fn save(text: &str, world: &World) -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("dagwood-bug-{:016x}.txt", world.random()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_and_where_and_shows_no_secret() {
        let watch = Watch::default();
        watch.hide(&Secret::new("sk_live_secret"));
        watch.hide(&Secret::new("other/secret+1"));
        let message = "an invariant: sk_live_secret at ?key=other%2Fsecret%2B1".to_owned();
        let (said, text) = watch.told(message, "src/a.rs:1:2", "frames of sk_live_secret");
        assert_eq!(said, "error: this is a bug in Dagwood: an invariant: **** at ?key=**** (src/a.rs:1:2)\n");
        assert!(text.starts_with("dagwood 0."), "{text}");
        assert!(text.contains("an invariant: **** at ?key=****\nat src/a.rs:1:2\n\nframes of ****"), "{text}");
        // The control: what nobody called a secret is shown.
        let (said, text) = Watch::default().told("sk_live_secret".to_owned(), "", "");
        assert!(said.contains("sk_live_secret") && text.contains("sk_live_secret"), "{said}{text}");
    }

    #[test]
    fn a_report_is_a_new_file() {
        let path = save("x", &World::real()).expect("a report");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "x");
        std::fs::remove_file(path).expect("it is removed");
    }
}
