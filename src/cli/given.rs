//! The local files that went into the steps of a run, as they are now: a step whose file has other content has other data, and `resume --update`
//! runs it anew.
//!
//! Only what the run wrote down of a step can be compared. Runs of releases that wrote no files down keep what they have.

use std::{collections::HashMap, path::Path};

use super::{failure::Failure, open::Backend};
use crate::{
    artifact::local::{self, LocalProblem},
    id::{Digest, StepPath},
    journal::state::RunState,
};

/// What is in files now, each read once.
pub(crate) struct GivenNow<'a> {
    backend: &'a Backend,
    seen: HashMap<String, Digest>,
}

impl<'a> GivenNow<'a> {
    /// Begins with no file read.
    pub(crate) fn new(backend: &'a Backend) -> Self {
        Self { backend, seen: HashMap::new() }
    }

    /// Says whether a file that went into a step, or into a part of it, has other content now.
    ///
    /// # Errors
    ///
    /// Where it cannot be read: the step could not run anew.
    pub(crate) fn has_changed(&mut self, state: &RunState, path: &StepPath) -> Result<bool, Failure> {
        let Some(ix) = state.position(path) else { return Ok(false) };
        for step in state.leaves_of(ix) {
            for file in &step.given {
                if self.now(&file.path, &step.path)? != file.digest {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn now(&mut self, path: &str, step: &StepPath) -> Result<Digest, Failure> {
        if let Some(digest) = self.seen.get(path) {
            return Ok(*digest);
        }
        let read = self.backend.block_on(async {
            let file = local::look(Path::new(path)).await?;
            local::digest(&file).await
        });
        let digest = read.map_err(|problem: LocalProblem| {
            Failure::usage(format!("whether a file of step `{step}` has changed cannot be told: {problem}"))
                .help("put the file back, or go on without `--update`")
        })?;
        self.seen.insert(path.to_owned(), digest);
        Ok(digest)
    }
}
