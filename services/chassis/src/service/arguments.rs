use url::form_urlencoded;

use super::Command;

/// The paths, each with its query, that the command line asks for; none if it makes no sense. A
/// program that holds several services has the commands of one name of all of them.
pub(super) fn paths_and_queries(commands: &[Command], arguments: &[String]) -> Option<Vec<String>> {
    let options = arguments
        .iter()
        .position(|argument| argument.starts_with("--"))
        .unwrap_or(arguments.len());
    let (words, options) = arguments.split_at(options);
    let name = words.join(" ");
    let mut query = form_urlencoded::Serializer::new(String::new());
    for option in options {
        let option = option.strip_prefix("--")?;
        let (key, value) = option.split_once('=').unwrap_or((option, "true"));
        query.append_pair(key, value);
    }
    let query = query.finish();
    let mut paths = Vec::new();
    for command in commands.iter().filter(|command| command.name == name) {
        paths.push(if query.is_empty() {
            command.path.to_owned()
        } else {
            format!("{}?{query}", command.path)
        });
    }
    (!paths.is_empty()).then_some(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &[Command] = &[
        Command {
            name: "rebuild",
            path: "/rebuild",
            help: "",
        },
        Command {
            name: "dead retry",
            path: "/dead/retry",
            help: "",
        },
        Command {
            name: "backup",
            path: "/backup/a",
            help: "",
        },
        Command {
            name: "backup",
            path: "/backup/b",
            help: "",
        },
    ];

    fn path(line: &str) -> Option<String> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Some(paths_and_queries(COMMANDS, &arguments)?.join(" "))
    }

    #[test]
    fn a_name_that_several_services_have_is_done_by_each() {
        assert_eq!(path("backup").as_deref(), Some("/backup/a /backup/b"));
    }

    #[test]
    fn options_become_the_query() {
        assert_eq!(path("rebuild").as_deref(), Some("/rebuild"));
        assert_eq!(
            path("rebuild --accept").as_deref(),
            Some("/rebuild?accept=true")
        );
        assert_eq!(
            path("dead retry --sequence=7 --note=a&b").as_deref(),
            Some("/dead/retry?sequence=7&note=a%26b")
        );
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for line in [
            "",
            "dead",
            "dead retry 7",
            "rebuild now",
            "rebuild --accept x",
        ] {
            assert_eq!(path(line), None, "{line}");
        }
    }
}
