//! A command that is still under way: what it says is read while it runs, and it can be ended from outside.
//!
//! Nothing here waits for time: a test reads a line, or looks at what an emulator has got, and acts then. A child that a test leaves behind is
//! killed with it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStderr, ChildStdout},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::cli::{Ran, Scene, signal, wait_for};

/// How long is waited between two looks at an emulator.
const BETWEEN: Duration = Duration::from_millis(1);

/// How many looks are made before a test gives up: a minute of them.
const LOOKS: usize = 60_000;

/// A command under way.
pub(crate) struct Going {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Going {
    /// Starts a command.
    pub(crate) fn start(scene: &Scene, arguments: &[&str]) -> Self {
        let mut child = scene.command(arguments).spawn().expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let err = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    /// Reads standard output until a line holds a text, and returns what was read.
    pub(crate) fn until(&mut self, text: &str) -> String {
        wait_for(&mut self.out, text)
    }

    /// Reads standard error until a line holds a text, and returns what was read.
    pub(crate) fn until_told(&mut self, text: &str) -> String {
        wait_for(&mut self.err, text)
    }

    /// Reads the next event of a run, or none where the output has ended.
    pub(crate) fn event(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("UTF-8");
        // A kill may cut a line in two: half an event is none.
        line.ends_with('\n').then(|| serde_json::from_str(&line).expect("JSON"))
    }

    /// Says whether it is over.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Sends a signal, by its short name.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Ends it by SIGKILL, which it cannot see coming.
    ///
    /// # Errors
    ///
    /// Where it was over before: how it ended, and what it told.
    pub(crate) fn kill(mut self) -> Result<(), String> {
        self.child.kill().expect("the signal is sent");
        let Some(code) = self.child.wait().expect("it ends").code() else { return Ok(()) };
        let mut told = String::new();
        self.err.read_to_string(&mut told).expect("UTF-8");
        self.out.read_to_string(&mut told).expect("UTF-8");
        Err(format!("exit {code}: {told}"))
    }

    /// Lets it come to its end, and returns what it said that was not read before.
    pub(crate) fn end(mut self, scene: &Scene) -> Ran {
        let (mut raw, mut told) = (String::new(), String::new());
        thread::scope(|scope| {
            let (out, err) = (&mut self.out, &mut self.err);
            scope.spawn(|| err.read_to_string(&mut told).expect("UTF-8"));
            out.read_to_string(&mut raw).expect("UTF-8");
        });
        let code = self.child.wait().expect("it ends").code();
        Ran { code, out: scene.tidy(&raw), raw, err: scene.tidy(&told) }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until something holds.
///
/// # Panics
///
/// Where it never does.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        thread::park_timeout(BETWEEN);
    }
    panic!("never came to be: {what}");
}
