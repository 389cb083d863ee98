//! k8s/ as kustomize renders it: both overlays, and production with each of its other choices.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::thread;

use chassis::testing::Folder;
use serde_json::Value;

/// All there is.
pub static RENDERINGS: LazyLock<Vec<Rendering>> = LazyLock::new(render_all);

/// All objects of one way to deploy kurz.
#[derive(Clone)]
pub struct Rendering {
    pub name: String,
    /// What kustomize was given.
    pub kustomization: String,
    /// As kustomize wrote it.
    pub yaml: String,
    pub objects: Vec<Value>,
}

/// What makes pods.
pub struct Workload<'a> {
    pub object: &'a Value,
    /// The template of its pods.
    pub pod: &'a Value,
}

pub fn repository() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    path.canonicalize().unwrap()
}

/// A program, or a folder, that `.ci/install-deploy-tools` installs.
pub fn tool(name: &str) -> PathBuf {
    let path = repository().join(".tools/deploy").join(name);
    assert!(path.exists(), "{}: run `make test-deploy`", path.display());
    path
}

pub fn rendering(name: &str) -> &'static Rendering {
    let found = RENDERINGS.iter().find(|rendering| rendering.name == name);
    found.unwrap_or_else(|| panic!("nothing is called {name}"))
}

/// The variants of production: each component that its kustomization holds as a comment, each that it names
/// behind "or", and all of these at once.
fn variants() -> Vec<(String, String)> {
    let k8s = repository().join("k8s");
    let text = fs::read_to_string(k8s.join("overlays/production/kustomization.yaml")).unwrap();
    let exists = |component: &str| k8s.join("components").join(component).is_dir();
    let mut everything = text.clone();
    let mut variants = vec![("production".to_owned(), text.clone())];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (component, chosen) = match words[..] {
            ["#", "-", path, ..] => {
                let component = path.trim_start_matches("../../components/");
                (component, format!("- {path}"))
            }
            ["-", _, "#", "or", component, ..] => {
                let component = component.trim_end_matches(';');
                (component, format!("- ../../components/{component}"))
            }
            _ => continue,
        };
        if exists(component) {
            let with = |text: &str| text.replace(line, &chosen);
            variants.push((component.to_owned(), with(&text)));
            everything = with(&everything);
        }
        if line.contains("without either") {
            variants.push((format!("without {}", words[1]), text.replace(line, "")));
        }
    }
    variants.push(("everything".to_owned(), everything));
    let local = fs::read_to_string(k8s.join("overlays/local/kustomization.yaml")).unwrap();
    variants.push(("local".to_owned(), local));
    variants
}

fn render_all() -> Vec<Rendering> {
    thread::scope(|scope| {
        let render = |(name, text): (String, String)| scope.spawn(move || render(name, &text));
        let running: Vec<_> = variants().into_iter().map(render).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Renders a kustomization as if it stood in an overlay's folder.
fn render(name: String, kustomization: &str) -> Rendering {
    let overlay = if name == "local" {
        "local"
    } else {
        "production"
    };
    let folder = Folder::new();
    // kustomize takes relative paths only.
    let place = folder.path().canonicalize().unwrap();
    let root = "../".repeat(place.components().count() - 1);
    let k8s = repository().join("k8s");
    let k8s = format!("{root}{}", k8s.strip_prefix("/").unwrap().display());
    let kustomization = kustomization
        .replace("../../", &format!("{k8s}/"))
        .replace("- site\n", &format!("- {k8s}/overlays/{overlay}/site\n"));
    fs::write(place.join("kustomization.yaml"), &kustomization).unwrap();
    let mut kustomize = Command::new(tool("kustomize"));
    let output = kustomize.arg("build").arg(&place).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{name}: {complaints}"
    );
    let yaml = String::from_utf8(output.stdout).unwrap();
    let objects = serde_saphyr::from_multiple(&yaml).unwrap();
    Rendering {
        name,
        kustomization,
        yaml,
        objects,
    }
}

impl Rendering {
    pub fn of_kind<'a, 'k>(
        &'a self,
        kind: &'k str,
    ) -> impl Iterator<Item = &'a Value> + use<'a, 'k> {
        self.objects
            .iter()
            .filter(move |object| object["kind"] == kind)
    }

    /// The object of this kind and name; kustomize adds a hash to the names of a `ConfigMap`.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.of_kind(kind).find(|object| is_called(object, name))
    }

    pub fn find_mut(&mut self, kind: &str, name: &str) -> Option<&mut Value> {
        let found = |object: &&mut Value| object["kind"] == kind && is_called(object, name);
        self.objects.iter_mut().find(found)
    }

    pub fn workloads(&self) -> impl Iterator<Item = Workload<'_>> {
        self.objects.iter().filter_map(|object| {
            let pod = match object["kind"].as_str()? {
                "CronJob" => object.pointer("/spec/jobTemplate/spec/template")?,
                "Pod" => object,
                _ => object.pointer("/spec/template")?,
            };
            pod.pointer("/spec/containers")?;
            Some(Workload { object, pod })
        })
    }

    pub fn workload(&self, name: &str) -> Option<Workload<'_>> {
        self.workloads().find(|workload| workload.name() == name)
    }
}

impl<'a> Workload<'a> {
    pub fn name(&self) -> &'a str {
        name(self.object)
    }

    pub fn spec(&self) -> &'a Value {
        &self.pod["spec"]
    }

    pub fn labels(&self) -> &'a Value {
        &self.pod["metadata"]["labels"]
    }

    /// All containers, also those that run before the others.
    pub fn containers(&self) -> impl Iterator<Item = &'a Value> {
        let spec = self.spec();
        list(&spec["initContainers"])
            .iter()
            .chain(list(&spec["containers"]))
    }

    /// Whether it has a container port of this name or number.
    pub fn has_port(&self, port: &Value) -> bool {
        let ports = self
            .containers()
            .flat_map(|container| list(&container["ports"]));
        { ports }.any(|own| own["name"] == *port || own["containerPort"] == *port)
    }

    /// The volumes that its pods can mount.
    pub fn volumes(&self) -> BTreeSet<&'a str> {
        let claims = list(&self.object["spec"]["volumeClaimTemplates"]);
        let claims = claims.iter().map(name);
        let volumes = list(&self.spec()["volumes"]).iter();
        volumes
            .map(|volume| text(&volume["name"]))
            .chain(claims)
            .collect()
    }

    /// The variables of a container that come from a `ConfigMap`, as its process sees them.
    pub fn settings(
        &self,
        rendering: &'a Rendering,
    ) -> std::collections::BTreeMap<&'a str, &'a str> {
        let sources = self
            .containers()
            .flat_map(|container| list(&container["envFrom"]));
        let maps = sources.map(|source| text(&source["configMapRef"]["name"]));
        let maps = maps.filter_map(|map| {
            rendering
                .of_kind("ConfigMap")
                .find(|object| name(object) == map)
        });
        let pairs = maps.filter_map(|map| map["data"].as_object()).flatten();
        let own = self
            .containers()
            .flat_map(|container| list(&container["env"]));
        let own = own.filter(|variable| text(&variable["name"]).starts_with("KURZ_"));
        pairs
            .map(|(key, value)| (key.as_str(), text(value)))
            .chain(own.map(|variable| (text(&variable["name"]), of_first_pod(variable))))
            .collect()
    }
}

/// The value of a variable in the pod with the ordinal 0.
fn of_first_pod(variable: &Value) -> &str {
    let field = text(&variable["valueFrom"]["fieldRef"]["fieldPath"]);
    if field == "metadata.labels['apps.kubernetes.io/pod-index']" {
        "0"
    } else {
        text(&variable["value"])
    }
}

fn is_called(object: &Value, wanted: &str) -> bool {
    let own = name(object);
    let hashed = || own.rsplit_once('-').is_some_and(|(stem, _)| stem == wanted);
    own == wanted || (object["kind"] == "ConfigMap" && hashed())
}

pub fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

/// For messages: `Service/nats`.
pub fn title(object: &Value) -> String {
    format!("{}/{}", text(&object["kind"]), name(object))
}

/// The text, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items, or none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether the labels have all pairs of a selector's `matchLabels`, and meet its `matchExpressions`.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let mut pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = list(&selector["matchExpressions"]).iter();
    pairs.all(|(key, value)| labels[key] == *value)
        && expressions.all(|expression| {
            let label = &labels[text(&expression["key"])];
            match text(&expression["operator"]) {
                "In" => list(&expression["values"]).contains(label),
                "NotIn" => !list(&expression["values"]).contains(label),
                "Exists" => !label.is_null(),
                "DoesNotExist" => label.is_null(),
                other => panic!("no such operator: {other}"),
            }
        })
}
