//! The integration tests, in one binary.

mod architecture;
mod armox;
mod artifact;
mod cli;
mod http;
mod openapi;
mod raw;
mod sandbox;
mod wire;
