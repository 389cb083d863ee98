use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use chassis::testing::Folder;
use reqwest::Client;

use super::client::{Addresses, http};
use super::clock::{self, Clock};
use super::disk::Disk;
use super::nats::Nats;
use super::process::Process;
use super::service::{Place, Service, free_address};
use super::{Options, Scenario};

/// How many redirectors there are.
pub const REDIRECTORS: usize = 2;

/// How long a process may take until it is ready. Generous: the machine is busy, and a cluster
/// chooses its leaders first.
const READY: Duration = Duration::from_mins(1);

/// How often to look.
const POLL: Duration = Duration::from_millis(20);

/// Bytes of the disk of the statistics: what a long run needs, and what is filled quickly.
const STATISTICS_DISK: u64 = 192 << 20;

/// Bytes of the disk of a spool: more than the spool's own bound.
const SPOOL_DISK: u64 = 72 << 20;

/// Who a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One of the redirectors.
    Redirector(usize),
    /// Statistics.
    Analytics,
    /// Links.
    Shortener,
    /// One of the nats-servers.
    Nats(usize),
}

/// What lies on a disk of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The database of analytics.
    Statistics,
    /// The spool of a redirector.
    Spool(usize),
}

/// All processes of kurz, in a folder of their own.
pub struct Site {
    /// The bus.
    pub nats: Nats,
    /// Processes that ended though nobody ended them.
    pub ended: Vec<String>,
    /// For questions to admin listeners.
    pub client: Client,
    auth: Service,
    shortener: Service,
    analytics: Service,
    redirectors: Vec<Service>,
    disks: Vec<(Store, Disk)>,
    folder: PathBuf,
    // Last: a folder goes after the processes that use it.
    _folder: Option<Folder>,
}

impl Site {
    /// Starts everything, and waits until it is ready.
    pub async fn start(options: &Options, tell: impl Fn(&str)) -> anyhow::Result<Self> {
        let (guard, folder) = if options.keep {
            let name = format!("kurz-crash-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder)?;
            tell(&format!(
                "logs and databases are kept in {}",
                folder.display()
            ));
            (None, folder)
        } else {
            let guard = Folder::new();
            let path = guard.path().to_owned();
            (Some(guard), path)
        };
        let nats = Nats::start(&folder, options.nodes).await?;
        let auth_address = free_address()?;
        let faketime = options.clock.then(clock::library).transpose()?;
        let service = |name, label: &str, extra: &[(&str, String)]| {
            let public = if name == "auth" {
                auth_address
            } else {
                free_address()?
            };
            let place = Place {
                folder: &folder,
                nats: &nats,
                auth: auth_address,
                faketime: faketime.as_deref(),
            };
            place.service(name, label, public, extra)
        };
        let database = |path: PathBuf| ("KURZ_DATABASE", path.display().to_string());
        let statistics = folder.join("statistics");
        let mut disks = Vec::new();
        if options.disks {
            let disk = Disk::mount(statistics.clone(), STATISTICS_DISK)?;
            disks.push((Store::Statistics, disk));
            for index in 0..REDIRECTORS {
                let disk = Disk::mount(spool_folder(&folder, index), SPOOL_DISK)?;
                disks.push((Store::Spool(index), disk));
            }
        } else {
            std::fs::create_dir(&statistics)?;
        }
        let redirector = |index: usize| {
            let label = format!("redirector-{index}");
            let spool = spool_folder(&folder, index).display().to_string();
            let extra = [
                ("KURZ_SPOOL", spool),
                ("KURZ_SPOOL_BYTES", options.spool_bytes().to_string()),
                ("KURZ_CLICK_DURABILITY", options.level.to_string()),
                ("KURZ_VISITOR_SALT", "a salt for tests only".to_owned()),
                // A redirector that starts while NATS is away is not what is waited for here.
                ("KURZ_SNAPSHOT_WAIT", "1".to_owned()),
            ];
            service("redirector", &label, &extra)
        };
        let mut site = Self {
            auth: service("auth", "auth", &[database(folder.join("auth.db"))])?,
            shortener: service(
                "shortener",
                "shortener",
                &[database(folder.join("links.db"))],
            )?,
            analytics: service(
                "analytics",
                "analytics",
                &[database(statistics.join("clicks.db"))],
            )?,
            redirectors: (0..REDIRECTORS).map(redirector).collect::<Result<_, _>>()?,
            ended: Vec::new(),
            client: http()?,
            nats,
            disks,
            folder,
            _folder: guard,
        };
        for service in site.services() {
            service.process.start()?;
        }
        let admins: Vec<_> = site
            .services()
            .map(|service| service.admin.clone())
            .collect();
        for admin in admins {
            site.answers(&admin).await?;
        }
        if options.scenario == Scenario::Full {
            tell(&format!("each spool has {} bytes", options.spool_bytes()));
        }
        Ok(site)
    }

    /// Where the links' owner finds the services.
    pub fn addresses(&self) -> Addresses {
        let base = |service: &Service| format!("http://{}", service.public);
        Addresses {
            auth: base(&self.auth),
            shortener: base(&self.shortener),
            analytics: base(&self.analytics),
        }
    }

    /// Where visitors go.
    pub fn redirectors(&self) -> Vec<SocketAddr> {
        self.redirectors
            .iter()
            .map(|service| service.public)
            .collect()
    }

    /// The admin listener of a redirector.
    pub fn redirector_admin(&self, index: usize) -> &str {
        &self.redirectors[index].admin
    }

    /// The admin listener of analytics.
    pub fn analytics_admin(&self) -> &str {
        &self.analytics.admin
    }

    /// The disks that something lies on.
    pub fn disks(&self, is_meant: impl Fn(Store) -> bool) -> impl Iterator<Item = &Disk> {
        self.disks
            .iter()
            .filter_map(move |(store, disk)| is_meant(*store).then_some(disk))
    }

    /// The process that a fault hits.
    pub fn process(&mut self, target: Target) -> &mut Process {
        match target {
            Target::Redirector(index) => &mut self.redirectors[index].process,
            Target::Analytics => &mut self.analytics.process,
            Target::Shortener => &mut self.shortener.process,
            Target::Nats(index) => &mut self.nats.nodes[index],
        }
    }

    /// The clock of a process. Only redirectors and analytics have one that matters here.
    pub fn clock(&self, target: Target) -> anyhow::Result<&Clock> {
        let service = match target {
            Target::Redirector(index) => &self.redirectors[index],
            Target::Analytics => &self.analytics,
            Target::Shortener | Target::Nats(_) => bail!("{target} has no clock to set"),
        };
        service.clock.as_ref().context("clocks can't be set")
    }

    /// Waits until it serves.
    pub async fn ready(&self, target: Target) -> anyhow::Result<()> {
        match target {
            Target::Redirector(index) => self.answers(&self.redirectors[index].admin).await,
            Target::Analytics => self.answers(&self.analytics.admin).await,
            Target::Shortener => self.answers(&self.shortener.admin).await,
            Target::Nats(index) => self.nats.ready(index).await,
        }
    }

    /// Starts again what ended though nobody ended it, as a supervisor does, and remembers it.
    pub async fn mend(&mut self) -> anyhow::Result<()> {
        let mut targets = vec![Target::Analytics, Target::Shortener];
        targets.extend((0..REDIRECTORS).map(Target::Redirector));
        targets.extend((0..self.nats.nodes.len()).map(Target::Nats));
        for target in targets {
            let process = self.process(target);
            if let Some(status) = process.ended()? {
                let words = process.last_words();
                let line = format!("{} ended by itself ({status}):\n{words}", process.label());
                process.start()?;
                self.ended.push(line);
                self.ready(target).await?;
            }
        }
        Ok(())
    }

    /// The files of clicks that are still in spools.
    pub fn segments(&self) -> anyhow::Result<usize> {
        let mut segments = 0;
        for index in 0..REDIRECTORS {
            let Ok(entries) = std::fs::read_dir(spool_folder(&self.folder, index)) else {
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                segments += usize::from(path.extension().is_some_and(|ending| ending == "clicks"));
            }
        }
        Ok(segments)
    }

    fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        [&mut self.auth, &mut self.shortener, &mut self.analytics]
            .into_iter()
            .chain(&mut self.redirectors)
    }

    async fn answers(&self, admin: &str) -> anyhow::Result<()> {
        let url = format!("{admin}/health/ready");
        let started = Instant::now();
        loop {
            let answer = self.client.get(&url).send().await;
            if answer
                .as_ref()
                .is_ok_and(|answer| answer.status().is_success())
            {
                return Ok(());
            }
            if started.elapsed() > READY {
                let why = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                bail!("{url} is not ready within {READY:?}: {why}");
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn spool_folder(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("spool-{index}"))
}
