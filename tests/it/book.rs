//! The book in `docs/`: what it shows is true.
//!
//! Every block of YAML is checked as `dagwood validate` checks a file, every command exists with its flags, every recipe is run, every link
//! leads somewhere, and the pages that are made from the code are as the code makes them. `DAGWOOD_UPDATE=1` writes those anew.
//!
//! The word behind `yaml` says what a block is: nothing, a whole workflow; otherwise a part of something, which is wrapped into a whole one
//! before it is checked (`blocks.rs` has the list). `file=PATH` gives a block a place beside the other files of its section.

mod blocks;
mod commands;
mod generated;
mod links;
mod promises;
mod reading;
mod recipes;
