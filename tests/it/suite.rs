//! The provider suite: one table of behaviours over the three systems, each through the emulator, the real adapter and the engine.
//!
//! ```text
//! rules ─▶ emulator ◀─ adapter (Armox, AIRMY, AIMP) ◀─ engine ◀─ plan ◀─ catalogue, one step
//!              └────────────── jobs, requests ──▶ outcome ◀── state ┘
//! ```
//!
//! `bench` makes one run, `behaviours` has the table, `document` compares it with `docs/systems.md`, and `variants` walks through every form
//! that the emulator's answers can have. A row says what comes out for each of the four ways to submit; a system that promises less must
//! not get a second job, and one that promises more must not end in doubt.

mod behaviours;
mod bench;
mod document;
mod variants;
