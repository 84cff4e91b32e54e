//! SIGINT, SIGTERM and SIGHUP: the first one goes into the run, the second ends the process at once.
//!
//! CI systems send the second within seconds, and the journal is whole at any moment: so nothing is waited for then. A terminal that
//! is closed sends SIGHUP, which means the same as SIGTERM: jobs that nobody looks at cost as much as others.
//!
//! A signal that was ignored when the process started stays ignored. That is how `nohup` says that a closed terminal is to end
//! nothing, and how a shell without job control says that Ctrl-C is not meant for what it runs in the background. Listening would
//! undo it without a word.

use tokio::sync::mpsc;

use super::failure::Exit;
use crate::run::{Notice, Signal};

/// A signal of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caught {
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
    /// SIGHUP
    Hangup,
}

impl Caught {
    /// Returns the code that a process ends with that it ends.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate | Self::Hangup => Exit::Terminated,
        }
    }

    fn to_run(self) -> Signal {
        match self {
            Self::Interrupt => Signal::Interrupt,
            Self::Terminate | Self::Hangup => Signal::Terminate,
        }
    }
}

/// Listens for the signals; for none that is ignored.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    terminate: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Signals {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let ignored = ignored();
            let listen = |kind: SignalKind| {
                if is_in(ignored, kind.as_raw_value()) { Ok(None) } else { signal(kind).map(Some) }
            };
            Ok(Self {
                interrupt: listen(SignalKind::interrupt())?,
                terminate: listen(SignalKind::terminate())?,
                hangup: listen(SignalKind::hangup())?,
            })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Caught {
        #[cfg(unix)]
        {
            tokio::select! {
                () = heard(&mut self.interrupt) => Caught::Interrupt,
                () = heard(&mut self.terminate) => Caught::Terminate,
                () = heard(&mut self.hangup) => Caught::Hangup,
            }
        }
        #[cfg(not(unix))]
        match tokio::signal::ctrl_c().await {
            Ok(()) => Caught::Interrupt,
            // Nothing can be heard any more: whoever asks waits for ever.
            Err(_) => std::future::pending().await,
        }
    }

    /// Hands the first signal to a run, and returns with the second.
    pub(crate) async fn forward(mut self, run: mpsc::Sender<Notice>, on_first: impl Fn(Caught)) -> Caught {
        let first = self.next().await;
        on_first(first);
        // A run that is over does not listen any more, and needs no signal.
        let _ = run.send(Notice::Signal(first.to_run())).await;
        self.next().await
    }
}

/// Waits for a signal; for ever, where it is ignored.
#[cfg(unix)]
async fn heard(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Returns the signals that this process ignores, as a set of bits, where the system tells them in a file: asking for them otherwise
/// needs code that is not safe. Elsewhere none is taken for ignored.
#[cfg(unix)]
fn ignored() -> u64 {
    std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored_in(&status))
}

#[cfg(unix)]
fn ignored_in(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// Says whether a signal is in a set: the first bit is that of signal 1.
#[cfg(unix)]
fn is_in(set: u64, signal: i32) -> bool {
    u32::try_from(signal - 1).ok().and_then(|place| set.checked_shr(place)).is_some_and(|rest| rest & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_bits_of_the_system() {
        // Of a process that `nohup` started: SIGHUP, and SIGPIPE by Rust itself.
        let set = ignored_in("Name:\tdagwood\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\tffff\n");
        assert_eq!([1, 2, 13, 15].map(|signal| is_in(set, signal)), [true, false, true, false]);
        assert_eq!(ignored_in("Name:\tdagwood\n"), 0);
        assert!(!is_in(u64::MAX, 0) && !is_in(u64::MAX, 65));
    }
}
