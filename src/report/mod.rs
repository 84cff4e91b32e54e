//! What a person or a program sees of a run, and pictures of DAGs.
//!
//! ```text
//! Record ──▶ ndjson · lines · live            while it runs (observers)
//! RunState ─▶ closing · show · run (JSON)     when it is over, or looked at later
//! Preview ─▶ preview                          what a plan would do
//! Credits ─▶ funds                            what an account lacks for it
//! Contract, RunRow ─▶ catalog · runs          what there is
//! Plan, RunState ─▶ Picture ─▶ ascii · mermaid · dot · svg
//! ```
//!
//! Everything here reads the same fold, so a run looks the same live, afterwards and after a crash. Nothing here opens the
//! terminal or a file: an observer is given what it writes to, and the rest returns text. Text that comes from an API or a
//! workflow is stripped of control characters before it is shown, so that no payload can move somebody's cursor.

pub mod cache;
pub mod catalog;
pub mod closing;
mod funds;
pub mod lines;
pub mod live;
mod media;
pub mod ndjson;
pub mod picture;
pub mod preview;
pub mod run;
pub mod runs;
pub mod schema;
pub mod show;
mod sink;
mod steps;
pub mod style;
mod table;
#[cfg(test)]
mod testing;
mod text;

pub use closing::{closing, closing_in};
pub use funds::too_few_credits;
pub use lines::{Flavour, Lines};
pub use live::Live;
pub use ndjson::Ndjson;
pub use picture::Picture;
pub use run::RunReport;
pub use show::{show, show_in};
pub use style::Style;
