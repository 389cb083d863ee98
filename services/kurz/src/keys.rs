//! The keys with which programs open the bus: an nkey's seed is secret, its public half names the
//! user in the configuration of nats-server.

use std::path::Path;

use anyhow::Context as _;
use nkeys::KeyPair;

use crate::private_file;

/// The name of the file of a seed, in a folder of the program that reads it.
pub const FILE: &str = "nats.nk";

/// Makes the file with a seed if it is not there; its public half.
pub fn keep_or_make(path: &Path) -> anyhow::Result<String> {
    let seed = private_file::keep_or_make(path, || {
        KeyPair::new_user().seed().context("can't make a key")
    })?;
    public_half(path, &seed)
}

/// The public halves of all seeds (`*.nk`) in the folder, sorted by file; none if it is not there.
/// More than one while a key is being replaced: both open the bus.
pub fn all(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut seeds = private_file::names(folder)?;
    seeds.retain(|name| name.strip_suffix(".nk").is_some());
    let public = |name: &String| {
        let path = folder.join(name);
        public_half(&path, &private_file::read(&path)?)
    };
    seeds.iter().map(public).collect()
}

fn public_half(path: &Path, seed: &str) -> anyhow::Result<String> {
    let pair = KeyPair::from_seed(seed.trim())
        .map_err(|error| anyhow::anyhow!("{} holds no seed: {error}", path.display()))?;
    Ok(pair.public_key())
}
