use chassis::clock::Clock;
use chassis::env::Env;
use chassis::service::Service;
use chassis::testing::{Folder, NatsServer, Running, eventually};
use reqwest::{Response, StatusCode};

use crate::Account;

/// A redirector under test.
pub type Redirector = Running<redirector::App>;

/// auth, shortener, analytics and one redirector.
pub struct Stack {
    /// The server that all of them use.
    pub nats: NatsServer,
    /// Accounts.
    pub auth: Running<auth::App>,
    /// Links.
    pub shortener: Running<shortener::App>,
    /// Statistics.
    pub analytics: Running<analytics::App>,
    /// Redirects.
    pub redirector: Redirector,
    folder: Folder,
}

impl Stack {
    /// Starts everything, and waits until it is ready.
    pub async fn start() -> Self {
        let nats = NatsServer::start().await;
        let folder = Folder::new();
        let auth = run::<auth::App>(&nats, &folder, "auth", "").await;
        let shortener = run::<shortener::App>(&nats, &folder, "links", &auth.url).await;
        let analytics = run::<analytics::App>(&nats, &folder, "clicks", &auth.url).await;
        let redirector = run::<redirector::App>(&nats, &folder, "first", &auth.url).await;
        shortener.ready().await;
        analytics.ready().await;
        redirector.ready().await;
        Self {
            nats,
            auth,
            shortener,
            analytics,
            redirector,
            folder,
        }
    }

    /// Starts another redirector, with the spool `name`, and waits until it is ready.
    pub async fn another_redirector(&self, name: &str) -> Redirector {
        let redirector = run::<redirector::App>(&self.nats, &self.folder, name, "").await;
        redirector.ready().await;
        redirector
    }

    /// Stops the redirector in order, and starts it again on the same spool.
    pub async fn restart_redirector(self) -> Self {
        self.redirector.stop().await;
        let redirector = run::<redirector::App>(&self.nats, &self.folder, "first", "").await;
        redirector.ready().await;
        Self { redirector, ..self }
    }

    /// Registers and logs in.
    pub async fn account(&self, username: &str) -> Account {
        Account::register(self, username).await
    }

    /// Follows a link once, as a browser does.
    pub async fn visit(&self, code: &str) -> Response {
        visit(&self.redirector, code).await
    }

    /// Waits until the redirector answers `code` with `status`.
    pub async fn answers(&self, code: &str, status: StatusCode) {
        eventually(|| async {
            // A prefetch, so that the clicks of a test stay countable.
            let request = self
                .redirector
                .client()
                .get(format!("{}/{code}", self.redirector.url))
                .header("sec-purpose", "prefetch");
            (request.send().await.ok()?.status() == status).then_some(())
        })
        .await;
    }
}

/// Follows a link once at this redirector, as a browser does.
pub async fn visit(redirector: &Redirector, code: &str) -> Response {
    redirector
        .client()
        .get(format!("{}/{code}", redirector.url))
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "text/html")
        .header("accept-language", "de-AT,de;q=0.9")
        .header("referer", "https://news.example.org/today?id=7")
        .send()
        .await
        .expect("the redirector answers")
}

/// Starts a service configured as in production: through its environment.
async fn run<S: Service>(
    nats: &NatsServer,
    folder: &Folder,
    name: &str,
    auth_url: &str,
) -> Running<S> {
    let path = |suffix: &str| {
        folder
            .path()
            .join(format!("{name}{suffix}"))
            .display()
            .to_string()
    };
    let pairs = [
        ("KURZ_DATABASE", path(".db")),
        ("KURZ_SPOOL", path("-spool")),
        (
            "KURZ_JWKS_URL",
            format!("{auth_url}/auth/.well-known/jwks.json"),
        ),
        ("KURZ_VISITOR_SALT", "a salt for tests only".to_owned()),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
    let mut env = Env::from_pairs(S::NAME, pairs);
    let config = S::config(&mut env);
    let config = env.finish(config).expect("the configuration has no fault");
    Running::start(config, nats, Clock::system()).await
}
