//! The integration tests, in one binary.
mod armox;
mod artifact;
mod http;
mod wire;
