//! What k8s/ and compose.yaml deploy, without a cluster: rendered, held against schemas and rules, and
//! started on this machine as far as that goes.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod program;
mod rendering;
mod rule;

mod availability;
mod bus;
mod certificates;
mod compose;
mod network;
mod pods;
mod references;
mod schemas;
mod scripts;
mod settings;
