//! Explorations of the protocol.

mod broken;
mod product;
