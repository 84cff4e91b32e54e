//! The `dagwood` command.

fn main() {}
