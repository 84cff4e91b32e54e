//! SIGINT and SIGTERM: the first one goes into the run, the second ends the process at once.
//!
//! CI systems send the second within seconds, and the journal is whole at any moment: so nothing is waited for then.

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
}

impl Caught {
    /// Returns the code that a process ends with that it ends.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// Listens for both signals.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to listen; from now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Caught {
        #[cfg(unix)]
        {
            tokio::select! {
                _ = self.interrupt.recv() => Caught::Interrupt,
                _ = self.terminate.recv() => Caught::Terminate,
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
        let signal = match first {
            Caught::Interrupt => Signal::Interrupt,
            Caught::Terminate => Signal::Terminate,
        };
        // A run that is over does not listen any more, and needs no signal.
        let _ = run.send(Notice::Signal(signal)).await;
        self.next().await
    }
}
