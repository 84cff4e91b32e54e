//! The `dagwood` command: everything is in [`dagwood::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    dagwood::cli::main()
}
