//! The integration tests, in one binary.
mod plan_schema;
