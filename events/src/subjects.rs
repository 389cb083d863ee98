//! The names under which messages travel.

use uuid::Uuid;

use crate::Partition;

/// Every batch of clicks of every partition.
pub const CLICKS_ALL: &str = "clicks.v1.>";
/// Every closed account.
pub const ACCOUNTS_CLOSED: &str = "accounts.v1.closed.*";
/// Every value of the link table.
pub const LINKS_ALL: &str = "$KV.links.>";
/// Every message that could not be read.
pub const DEAD_ALL: &str = "dead.v1.>";
/// Every click for subscribers.
pub const FEED_ALL: &str = "feed.v1.>";

/// How far every spool has come.
pub const SPOOLS_ALL: &str = "spools.v1.*";

/// What stands before the code in the subject of a value of the link table.
const LINK_PREFIX: &str = "$KV.links.";

/// The batches of one spool: `clicks.v1.<partition>.<spool>`.
pub fn clicks(partition: Partition, spool: Uuid) -> String {
    format!("clicks.v1.{}.{spool}", partition.number())
}

/// The news that an account was closed: `accounts.v1.closed.<user_id>`.
pub fn account_closed(user_id: Uuid) -> String {
    format!("accounts.v1.closed.{user_id}")
}

/// One value of the link table: `$KV.links.<code>`.
pub fn link(code: &str) -> String {
    format!("{LINK_PREFIX}{code}")
}

/// The code in the subject of a value of the link table; none for any other subject.
pub fn link_code(subject: &str) -> Option<&str> {
    subject.strip_prefix(LINK_PREFIX)
}

/// Where unreadable messages of `stream` go: `dead.v1.<stream>`.
pub fn dead(stream: &str) -> String {
    format!("dead.v1.{stream}")
}

/// How far one spool has come: `spools.v1.<spool>`.
pub fn spool(spool: Uuid) -> String {
    format!("spools.v1.{spool}")
}

/// The clicks of one link for its owner's programs: `feed.v1.<owner>.<code>`, and, when there are
/// many partitions, `feed.v1.<partition>.<owner>.<code>`.
pub fn feed(partition: Partition, owner_id: Uuid, code: &str) -> String {
    if partition.is_one_of_many() {
        format!("feed.v1.{}.{owner_id}.{code}", partition.number())
    } else {
        format!("feed.v1.{owner_id}.{code}")
    }
}
