//! What each service may do on the bus: no more than it needs.

use events::{StreamSpec, streams, subjects};

use crate::authorization::Permissions;

/// Somebody on the bus.
#[derive(Debug)]
pub(super) struct Identity {
    /// Its name: of the service, and of its folder.
    pub(super) name: &'static str,
    /// The subjects that it publishes.
    publishes: &'static [&'static str],
    /// The streams that it declares, and reads.
    owns: &'static [&'static StreamSpec],
    /// The streams of others that it reads from end to end.
    follows: &'static [&'static StreamSpec],
    /// The streams of which it reads single messages, from the leader.
    looks_into: &'static [&'static StreamSpec],
    /// The streams that it purges.
    purges: &'static [&'static StreamSpec],
    /// The streams of which it deletes single messages.
    deletes_from: &'static [&'static StreamSpec],
}

const NOTHING: Identity = Identity {
    name: "",
    publishes: &[],
    owns: &[],
    follows: &[],
    looks_into: &[],
    purges: &[],
    deletes_from: &[],
};

/// Everybody who has a key.
pub(super) const IDENTITIES: &[Identity] = &[
    Identity {
        name: "auth",
        publishes: &[subjects::ACCOUNTS_CLOSED],
        owns: &[&streams::ACCOUNTS],
        ..NOTHING
    },
    Identity {
        name: "shortener",
        publishes: &[subjects::LINKS_ALL],
        owns: &[&streams::LINKS],
        follows: &[&streams::ACCOUNTS],
        ..NOTHING
    },
    Identity {
        name: "redirector",
        publishes: &[subjects::CLICKS_ALL, subjects::SPOOLS_ALL],
        follows: &[&streams::LINKS],
        looks_into: &[&streams::CLICKS, &streams::SPOOLS],
        ..NOTHING
    },
    Identity {
        name: "analytics",
        publishes: &[subjects::FEED_ALL, subjects::DEAD_ALL],
        owns: &[
            &streams::CLICKS,
            &streams::FEED,
            &streams::DEAD,
            &streams::SPOOLS,
        ],
        follows: &[&streams::ACCOUNTS, &streams::LINKS],
        looks_into: &[&streams::CLICKS, &streams::FEED, &streams::DEAD],
        purges: &[&streams::CLICKS, &streams::FEED],
        deletes_from: &[&streams::DEAD],
    },
    OPERATOR,
];

/// Who repairs the bus, and may do everything.
pub(super) const OPERATOR: Identity = Identity {
    name: "operator",
    ..NOTHING
};

impl Identity {
    /// What it may do when there are so many partitions; none for everything.
    pub(super) fn permissions(&self, partitions: u32) -> Option<Permissions> {
        (self.name != OPERATOR.name).then(|| Permissions {
            publish: self.may_publish(partitions),
            // The chassis gives each service its own inbox.
            subscribe: vec![format!("_INBOX_{}.>", self.name)],
        })
    }

    /// The subjects that it may publish on, those of requests among them.
    fn may_publish(&self, partitions: u32) -> Vec<String> {
        let mut subjects: Vec<String> = Vec::new();
        subjects.extend(self.publishes.iter().map(|&subject| subject.to_owned()));
        let mut api = |verbs: &[&str], streams: &[&StreamSpec]| {
            for name in streams.iter().flat_map(|stream| stream.names(partitions)) {
                for verb in verbs {
                    subjects.push(format!("$JS.API.{}", verb.replace("{}", &name)));
                }
            }
        };
        let read = [
            "STREAM.INFO.{}",
            // One without a name, which the server gives and forgets.
            "CONSUMER.CREATE.{}",
            "CONSUMER.INFO.{}.*",
            "CONSUMER.MSG.NEXT.{}.*",
        ];
        api(&["STREAM.CREATE.{}", "STREAM.UPDATE.{}"], self.owns);
        api(&read, self.owns);
        api(&read, self.follows);
        api(&["STREAM.MSG.GET.{}"], self.looks_into);
        api(&["STREAM.PURGE.{}"], self.purges);
        api(&["STREAM.MSG.DELETE.{}"], self.deletes_from);
        // Before it makes its own stream it looks for those of another division.
        if partitions > 1 && self.owns.iter().any(|stream| stream.partitioned) {
            subjects.push("$JS.API.STREAM.NAMES".to_owned());
        }
        subjects
    }
}
