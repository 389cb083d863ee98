//! What a user agent says about browser, system and device.

use std::borrow::Cow;

use serde::Deserialize;
use ua_parser::{os, user_agent};

use super::bots::Bots;

/// Browsers and systems, from the ua-parser project; `data/refresh.py` makes it anew.
const LISTS: &str = include_str!("../../data/user-agents.json");

/// Who is behind a user agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A browser, or an app that shows web pages: a person.
    Browser,
    /// A crawler, a library or a script.
    Bot,
    /// A service that fetches links to show a preview of them.
    Preview,
}

/// What is known about a user agent. Names are empty where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Who is behind it.
    pub class: Class,
    /// The browser's family: `Firefox`, `Chrome`, `Mobile Safari`.
    pub browser: Box<str>,
    /// The system: `Windows`, `Mac OS X`, `Android`, `iOS`.
    pub os: Box<str>,
    /// `desktop`, `phone`, `tablet`, `tv` or `watch`.
    pub device: &'static str,
}

/// The compiled lists.
pub(super) struct Parser {
    bots: Bots,
    browsers: user_agent::Extractor<'static>,
    systems: os::Extractor<'static>,
}

#[derive(Deserialize)]
struct Lists<'a> {
    #[serde(borrow)]
    user_agent_parsers: Vec<user_agent::Parser<'a>>,
    #[serde(borrow)]
    os_parsers: Vec<os::Parser<'a>>,
}

impl Parser {
    pub(super) fn new() -> Self {
        let lists: Lists<'static> =
            serde_json::from_str(LISTS).expect("the list of user agents is part of the program");
        let browsers = lists
            .user_agent_parsers
            .into_iter()
            .try_fold(user_agent::Builder::new(), user_agent::Builder::push)
            .expect("the patterns are tested")
            .build()
            .expect("the patterns are tested");
        let systems = lists
            .os_parsers
            .into_iter()
            .try_fold(os::Builder::new(), os::Builder::push)
            .expect("the patterns are tested")
            .build()
            .expect("the patterns are tested");
        Self {
            bots: Bots::new(),
            browsers,
            systems,
        }
    }

    pub(super) fn parse(&self, text: &str) -> Agent {
        let class = self.bots.class(text);
        if class != Class::Browser {
            // Whatever a bot claims to be, it is shown nowhere.
            return Agent {
                class,
                browser: "".into(),
                os: "".into(),
                device: "",
            };
        }
        let browser = self
            .browsers
            .extract(text)
            .map_or(Cow::Borrowed(""), |found| found.family);
        let os = self
            .systems
            .extract(text)
            .map_or(Cow::Borrowed(""), |found| found.os);
        let device = device(text, &os);
        Agent {
            class,
            browser: known(browser).into(),
            os: known(os).into(),
            device,
        }
    }
}

/// The lists say `Other` for what they do not know.
fn known(family: Cow<'_, str>) -> Cow<'_, str> {
    if family == "Other" {
        Cow::Borrowed("")
    } else {
        family
    }
}

/// The form of a device. Browsers no longer tell the model, but they still tell this much.
fn device(text: &str, os: &str) -> &'static str {
    let says = |word: &str| text.contains(word);
    let is_tv = ["TV", "Tizen", "Web0S", "webOS", "CrKey", "Roku", "AFT"]
        .iter()
        .any(|w| says(w));
    match os {
        "watchOS" | "Wear OS" => "watch",
        "tvOS" | "ATV OS X" | "Tizen" | "webOS" | "Chromecast" | "FireOS TV" => "tv",
        "iOS" if says("iPad") => "tablet",
        "iOS" | "Windows Phone" | "KaiOS" | "BlackBerry OS" | "Symbian OS" => "phone",
        "Android" if is_tv => "tv",
        "Android" | "HarmonyOS" | "" if says("Mobile") => "phone",
        // Android's convention: tablets leave the word "Mobile" out.
        "Android" | "HarmonyOS" => "tablet",
        "" => "",
        _ => "desktop",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PARSER: LazyLock<Parser> = LazyLock::new(Parser::new);

    fn parsed(text: &str) -> (Class, String, String, &'static str) {
        let agent = PARSER.parse(text);
        (
            agent.class,
            agent.browser.into(),
            agent.os.into(),
            agent.device,
        )
    }

    #[test]
    fn common_browsers_are_people() {
        for (text, browser, os, device) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
                "Chrome",
                "Windows",
                "desktop",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
                "Firefox",
                "Linux",
                "desktop",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
                "Safari",
                "Mac OS X",
                "desktop",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                "Mobile Safari",
                "iOS",
                "phone",
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
                "Mobile Safari",
                "iOS",
                "tablet",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
                "Chrome Mobile",
                "Android",
                "phone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/146.0.7680.174 Mobile Safari/537.36 MetaIAB Facebook",
                "Chrome Mobile WebView",
                "Android",
                "phone",
            ),
        ] {
            let expected = (Class::Browser, browser.to_owned(), os.to_owned(), device);
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn crawlers_and_libraries_are_bots_and_messengers_make_previews() {
        for text in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "curl/8.5.0",
            "Wget/1.21",
            "python-requests/2.32",
            "my-own-script/1.0",
            "",
        ] {
            assert_eq!(parsed(text).0, Class::Bot, "{text}");
        }
        for text in [
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "WhatsApp/2.23.20.0 A",
            "TelegramBot (like TwitterBot)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        ] {
            assert_eq!(parsed(text).0, Class::Preview, "{text}");
        }
    }
}
