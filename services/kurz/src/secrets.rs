//! `kurz secrets <folder>`: what the services need to trust each other when each runs for itself.

mod permissions;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use events::Partition;

use crate::authorization::{self, User};
use crate::subscribers::Subscriber;
use crate::{keys, private_file};

use permissions::{IDENTITIES, Identity, OPERATOR};

/// Writes into `folder`, a subfolder for each reader:
///
/// - `<service>/nats.nk`: the seed with which the service opens the bus (`KURZ_NATS_CREDENTIALS`);
/// - `operator/nats.nk`: the seed of whoever repairs the bus with the `nats` command: all rights;
/// - `redirector/visitor-salt`: the secret of the visitor hash (`KURZ_VISITOR_SALT_FILE`);
/// - `nats/authorization.conf`: for nats-server to include: who may do what.
///
/// Secrets that are there stay as they are, those of subscribers too. Every seed (`*.nk`) in the
/// folder of a service opens the bus, so that a key can be replaced while the old one is in use.
/// `authorization.conf` is written anew, since another version may need other permissions. Folders
/// and files are for their owner only.
///
/// `partitions` says into how many parts the accounts are divided; none: as it was, at first one. It
/// is kept in `nats/partitions`.
pub fn write(folder: &Path, partitions: Option<u32>) -> anyhow::Result<()> {
    if let Some(partitions) = partitions {
        ensure!(
            (1..=Partition::MOST).contains(&partitions),
            "there can be 1 to {} partitions",
            Partition::MOST
        );
        private_file::write(&kept_partitions(folder), partitions.to_string().as_bytes())?;
    }
    for identity in IDENTITIES {
        keys::keep_or_make(&folder.join(identity.name).join(keys::FILE))?;
    }
    let salt = folder.join("redirector").join("visitor-salt");
    private_file::keep_or_make(&salt, || Ok(private_file::random_hex()))?;
    write_authorization(folder)
}

/// Whether the folder is one of [`write`].
pub(crate) fn are_in(folder: &Path) -> bool {
    operator_seed(folder).exists()
}

/// Into how many parts the accounts are divided.
pub(crate) fn partitions(folder: &Path) -> anyhow::Result<u32> {
    let kept = kept_partitions(folder);
    if !kept.exists() {
        return Ok(1);
    }
    let partitions = private_file::read(&kept)?.trim().parse();
    partitions.with_context(|| format!("{} holds no number", kept.display()))
}

fn kept_partitions(folder: &Path) -> PathBuf {
    folder.join("nats").join("partitions")
}

/// The seed of who may do everything.
pub(crate) fn operator_seed(folder: &Path) -> PathBuf {
    folder.join(OPERATOR.name).join(keys::FILE)
}

/// Writes who may do what, subscribers among them.
pub(crate) fn write_authorization(folder: &Path) -> anyhow::Result<()> {
    let partitions = partitions(folder)?;
    let user = |identity: &Identity| {
        Ok(User {
            name: identity.name.to_owned(),
            keys: keys::all(&folder.join(identity.name))?,
            permissions: identity.permissions(partitions),
        })
    };
    let users = IDENTITIES
        .iter()
        .map(user)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let accounts = authorization::accounts(&users, &Subscriber::all(folder)?);
    private_file::write(
        &folder.join("nats").join("authorization.conf"),
        format!("# Written by `kurz secrets`.\n{accounts}").as_bytes(),
    )
}
