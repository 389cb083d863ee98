//! The part of nats-server's configuration that says who may do what.

/// The account of the services.
const ACCOUNT: &str = "KURZ";

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

/// The block `accounts` of the configuration.
pub fn accounts(users: &[User]) -> String {
    let users: String = users.iter().map(user).collect();
    format!(
        "accounts {{\n  {ACCOUNT} {{\n    jetstream: enabled\n    users: [\n{users}    ]\n  }}\n}}\n"
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
