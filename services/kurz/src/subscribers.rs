//! Programs that read the feed of one owner, and nothing else of the bus.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use chassis::backoff::Backoff;
use chassis::bus::{Bus, BusConfig};
use chassis::env::Env;
use chassis::shutdown::Shutdown;
use events::{Partition, streams, subjects};
use uuid::Uuid;

use crate::{keys, private_file, secrets};

/// The name of a subscriber whose owner has but one.
pub const USUAL_NAME: &str = "feed";

/// The longest name; with the owner's id behind it, it stays below the 255 bytes of a NATS name.
const MAX_NAME: usize = 64;

/// nats-server 2.15 lets an account that is new use what it imports only after a second reload.
const RELOAD: &str = "Reload nats-server twice: a new account needs it.";

/// How long the bus may take to make a consumer.
const LIMIT: Duration = Duration::from_secs(10);

/// A program with a key of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subscriber {
    /// Whose clicks it reads.
    pub owner: Uuid,
    /// Its name among the owner's subscribers.
    pub name: String,
    /// The public halves of its keys.
    pub keys: Vec<String>,
    /// The one that its owner is in.
    pub partition: Partition,
}

impl Subscriber {
    /// All subscribers made in this folder, sorted.
    pub fn all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let partitions = secrets::partitions(folder)?;
        let mut all = Vec::new();
        let subscribers = folder.join("subscribers");
        for owner in private_file::names(&subscribers)? {
            // What kurz has not made is not its business.
            let Ok(owner_id) = owner.parse::<Uuid>() else {
                continue;
            };
            for name in private_file::names(&subscribers.join(owner))? {
                let keys = keys::all(&own_folder(folder, owner_id, &name))?;
                if check(&name).is_ok() && !keys.is_empty() {
                    all.push(Self {
                        owner: owner_id,
                        name,
                        keys,
                        partition: Partition::of_account(owner_id, partitions),
                    });
                }
            }
        }
        all.sort();
        Ok(all)
    }

    /// Its name on the bus, of its NATS account and of its consumer. The owner's id is in it: a
    /// consumer that a removed subscriber left behind is never another owner's.
    pub fn id(&self) -> String {
        format!("{}-{}", self.name, self.owner)
    }

    /// The messages that it may read.
    pub fn subject(&self) -> String {
        subjects::feed(self.partition, self.owner, ">")
    }

    /// On what it is asked for its consumer's state and for its next messages, under a prefix of
    /// JetStream's API.
    pub fn requests(&self, prefix: &str) -> [String; 2] {
        ["INFO", "MSG.NEXT"]
            .map(|verb| format!("{prefix}.CONSUMER.{verb}.{}.{}", self.stream(), self.id()))
    }

    /// The stream that they are in.
    pub fn stream(&self) -> Cow<'static, str> {
        streams::FEED.name_in(self.partition)
    }

    /// On what it acknowledges.
    pub fn acknowledgements(&self) -> String {
        format!("$JS.ACK.{}.{}.>", self.stream(), self.id())
    }
}

/// `kurz subscriber <folder> <owner-id> [<name>]`: makes a key for the subscriber in a folder of
/// [`secrets::write`] or in the data folder of kurz. Safe to repeat. With `KURZ_NATS_URL` its
/// consumer is made, too. What to do next, for people.
pub async fn add(folder: &Path, owner: &str, name: &str) -> anyhow::Result<String> {
    let owner = parse(folder, owner, name)?;
    let seed = own_folder(folder, owner, name).join(keys::FILE);
    let key = keys::keep_or_make(&seed)?;
    let subscriber = Subscriber {
        owner,
        name: name.to_owned(),
        keys: vec![key],
        partition: Partition::of_account(owner, secrets::partitions(folder)?),
    };
    let id = subscriber.id();
    let done = format!("The seed is in {}; the consumer is {id}.", seed.display());
    if !secrets::are_in(folder) {
        return Ok(format!("{done}\nRestart kurz, which makes the consumer.\n"));
    }
    secrets::write_authorization(folder)?;
    let next = match bus(folder).await? {
        Some(bus) => {
            tokio::time::timeout(LIMIT, make_consumers(&bus, &[subscriber]))
                .await
                .with_context(|| format!("no answer within {LIMIT:?}"))
                .flatten()
                .context("the key is made, its consumer is not: try again")?;
            RELOAD.to_owned()
        }
        None => format!(
            "{RELOAD}\nThe consumer is not made: set KURZ_NATS_URL and run this again, or\n  nats --nkey {} consumer add {} {id} --pull --ack explicit --deliver all \
             --filter '{}' --defaults",
            secrets::operator_seed(folder).display(),
            subscriber.stream(),
            subscriber.subject()
        ),
    };
    Ok(format!("{done}\n{next}\n"))
}

/// `kurz subscriber <folder> <owner-id> [<name>] --remove`: deletes the folder with its keys. What to do next, for
/// people.
pub fn remove(folder: &Path, owner: &str, name: &str) -> anyhow::Result<String> {
    let owner = parse(folder, owner, name)?;
    let own = own_folder(folder, owner, name);
    ensure!(
        own.exists(),
        "{owner} has no subscriber {name} in {}",
        folder.display()
    );
    let partition = Partition::of_account(owner, secrets::partitions(folder)?);
    let stream = streams::FEED.name_in(partition);
    fs::remove_dir_all(&own).with_context(|| format!("can't delete {}", own.display()))?;
    let server = if secrets::are_in(folder) {
        secrets::write_authorization(folder)?;
        "Reload nats-server"
    } else {
        "Restart kurz"
    };
    Ok(format!(
        "{server}: until then the key is good. The consumer stays; whoever may, deletes it with\n  \
         nats consumer rm {stream} {name}-{owner}\n"
    ))
}

/// Makes the consumers that are not there yet; needs all rights.
async fn make_consumers(bus: &Bus, subscribers: &[Subscriber]) -> anyhow::Result<()> {
    for subscriber in subscribers {
        let feed = bus.jetstream().get_stream(&*subscriber.stream()).await?;
        let id = subscriber.id();
        let config = pull::Config {
            durable_name: Some(id.clone()),
            filter_subject: subscriber.subject(),
            ack_policy: AckPolicy::Explicit,
            ..pull::Config::default()
        };
        feed.get_or_create_consumer(&id, config)
            .await
            .with_context(|| format!("can't make the consumer {id}"))?;
    }
    Ok(())
}

/// Makes the consumers of all subscribers once the feed is there; ends then, or with the shutdown.
pub(crate) async fn keep_making_consumers(
    bus: Bus,
    subscribers: Vec<Subscriber>,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let mut backoff = Backoff::default();
    while !shutdown.is_cancelled() {
        let made = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            made = make_consumers(&bus, &subscribers) => made,
        };
        let Err(error) = made else {
            return Ok(());
        };
        let error = format!("{error:#}");
        tracing::info!(error, "the consumers of the subscribers are not made yet");
        backoff.wait(&shutdown).await;
    }
    Ok(())
}

/// The bus at `KURZ_NATS_URL`, with all rights; none without that variable.
async fn bus(folder: &Path) -> anyhow::Result<Option<Bus>> {
    let mut env = Env::from_process(crate::NAME);
    let url = env.optional::<String>("KURZ_NATS_URL");
    let Some(url) = env.finish(Some(url))? else {
        return Ok(None);
    };
    let config = BusConfig {
        url,
        credentials: Some(secrets::operator_seed(folder)),
        replicas: 1,
    };
    let bus = Bus::connect(&config, crate::NAME, &Shutdown::new()).await?;
    Ok(Some(bus))
}

fn parse(folder: &Path, owner: &str, name: &str) -> anyhow::Result<Uuid> {
    let owner = owner
        .parse()
        .with_context(|| format!("{owner:?} is not the id of an account (GET /auth/users/me)"))?;
    check(name)?;
    if !secrets::are_in(folder) && !folder.join(keys::FILE).exists() {
        bail!(
            "{} is neither a folder of `kurz secrets` nor the data folder of a kurz that has run",
            folder.display()
        );
    }
    Ok(owner)
}

/// A name is one token of a NATS subject, and one name of a file.
fn check(name: &str) -> anyhow::Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    ensure!(
        (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-'),
        "{name:?} is not a name: 1 to {MAX_NAME} of A-Z a-z 0-9 _ -, the first no -"
    );
    Ok(())
}

/// The folder of a subscriber's keys.
fn own_folder(folder: &Path, owner: Uuid, name: &str) -> PathBuf {
    folder
        .join("subscribers")
        .join(owner.to_string())
        .join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_token_and_no_option() {
        for name in ["a", "_", "Shop-1_x", &"x".repeat(MAX_NAME)] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-x",
            "a.b",
            "a*",
            ">",
            "a b",
            "a/b",
            "..",
            "\u{e4}",
            "a\"",
            "a\n",
            &"x".repeat(MAX_NAME + 1),
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
