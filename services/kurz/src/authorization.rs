//! The part of nats-server's configuration that says who may do what.
//!
//! The services and the operator share the NATS account `KURZ`, which holds the streams; each
//! subscriber has an account of its own. Permissions alone would not be enough for strangers:
//! nats-server checks the subject of a request and never where its answer shall go, so whoever may
//! ask JetStream anything could have the answer stored as an event (that an account is closed, for
//! instance). An answer to another account stays in that account, where nothing is stored.

use crate::subscribers::Subscriber;

/// The account of the services.
pub const ACCOUNT: &str = "KURZ";

/// The prefix of JetStream's API in the account of the services.
const API: &str = "$JS.API";

/// The prefix of the same API in the account of a subscriber. There `$JS.API` leads to the
/// streams of that account, which it must not have.
const API_OF_SUBSCRIBERS: &str = "KURZ.API";

/// Somebody in the account of the services.
pub struct User {
    /// For people who read the file.
    pub name: String,
    /// The public halves of the keys, each of which will do.
    pub keys: Vec<String>,
    /// What it may do; none for everything.
    pub permissions: Option<Permissions>,
}

/// The subjects that somebody may use, and no others.
pub struct Permissions {
    /// On which it publishes and asks.
    pub publish: Vec<String>,
    /// On which it listens.
    pub subscribe: Vec<String>,
}

/// The block `accounts` of the configuration. The subscribers of an owner stand side by side.
pub fn accounts(users: &[User], subscribers: &[Subscriber]) -> String {
    let users: String = users.iter().map(user).collect();
    let by_owner = subscribers.chunk_by(|one, other| one.owner == other.owner);
    let exports: String = by_owner.map(exports).collect();
    let others: String = subscribers.iter().map(account).collect();
    format!(
        "accounts {{\n  {ACCOUNT} {{\n    jetstream: enabled\n    users: [\n{users}    ]\n    \
         exports: [\n{exports}    ]\n  }}\n{others}}}\n"
    )
}

fn user(user: &User) -> String {
    let permissions = user.permissions.as_ref().map(permissions);
    let permissions = permissions.unwrap_or_default();
    let line = |key: &String| format!("      {{ nkey: {key}{permissions} }}\n");
    let lines: String = user.keys.iter().map(line).collect();
    format!("      # {}\n{lines}", user.name)
}

fn permissions(permissions: &Permissions) -> String {
    format!(
        ", permissions: {{\n        publish: [{}]\n        subscribe: [{}]\n      }}",
        quoted(&permissions.publish),
        quoted(&permissions.subscribe)
    )
}

fn quoted(subjects: &[String]) -> String {
    let quoted = subjects.iter().map(|subject| format!("\"{subject}\""));
    quoted.collect::<Vec<_>>().join(", ")
}

/// What the subscribers of one owner use of the services' account, as that account offers it.
fn exports(subscribers: &[Subscriber]) -> String {
    let accounts = |of: &[Subscriber]| {
        let ids: Vec<String> = of.iter().map(Subscriber::id).collect();
        format!("accounts: [{}]", quoted(&ids))
    };
    let feed = subscribers.first().map(|first| {
        let subject = first.subject();
        let accounts = accounts(subscribers);
        format!("      {{ stream: \"{subject}\", {accounts} }}\n")
    });
    let requests = subscribers.iter().map(|subscriber| {
        let accounts = accounts(std::slice::from_ref(subscriber));
        let [info, next] = subscriber.requests(API);
        let acknowledge = subscriber.acknowledgements();
        format!(
            "      {{ service: \"{info}\", {accounts} }}\n      \
             {{ service: \"{next}\", response: stream, {accounts} }}\n      \
             {{ service: \"{acknowledge}\", {accounts} }}\n",
        )
    });
    feed.into_iter().chain(requests).collect()
}

/// The account of a subscriber.
fn account(subscriber: &Subscriber) -> String {
    let (id, feed) = (subscriber.id(), subscriber.subject());
    let acknowledge = subscriber.acknowledgements();
    let requests = subscriber.requests(API_OF_SUBSCRIBERS);
    let imported = subscriber.requests(API).into_iter().zip(&requests);
    let services = imported.map(|(theirs, here)| {
        format!(
            "      {{ service: {{ account: {ACCOUNT}, subject: \"{theirs}\" }}, to: \"{here}\" }}\n"
        )
    });
    let services: String = services.collect();
    let user = user(&User {
        name: id.clone(),
        keys: subscriber.keys.clone(),
        permissions: Some(Permissions {
            publish: [&requests[..], std::slice::from_ref(&acknowledge)].concat(),
            subscribe: vec![feed.clone(), "_INBOX.>".to_owned()],
        }),
    });
    format!(
        "  \"{id}\" {{\n    users: [\n{user}    ]\n    imports: [\n      \
         {{ stream: {{ account: {ACCOUNT}, subject: \"{feed}\" }} }}\n{services}      \
         {{ service: {{ account: {ACCOUNT}, subject: \"{acknowledge}\" }} }}\n    ]\n  }}\n"
    )
}
