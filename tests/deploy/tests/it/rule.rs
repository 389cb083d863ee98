//! A rule is a function that lists what breaks it.

use serde_json::Value;

use crate::rendering::{RENDERINGS, Rendering, Workload, name, rendering, title};

/// What is wrong, for people.
pub type Faults = Vec<String>;

/// A test: the rule holds in every rendering, and sees each of these changes. A change names a rendering, an object in
/// it, a place in the object, and what it is set to; null removes what is there.
macro_rules! rule {
    (
        $(#[$document:meta])*
        $name:ident: $check:expr;
        $(breaks $rendering:literal $kind:literal $object:literal $place:literal $value:tt;)+
    ) => {
        $(#[$document])*
        #[test]
        fn $name() {
            crate::rule::holds($check);
            $(crate::rule::sees($check, $rendering, ($kind, $object), $place, serde_json::json!($value));)+
        }
    };
}
pub(crate) use rule;

/// The rule holds in every rendering.
pub fn holds(check: fn(&Rendering) -> Faults) {
    let faults = RENDERINGS.iter().flat_map(|rendering| {
        let faults = check(rendering).into_iter();
        faults.map(|fault| format!("{}: {fault}", rendering.name))
    });
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The rule is broken by this change.
pub fn sees(
    check: fn(&Rendering) -> Faults,
    of: &str,
    (kind, object): (&str, &str),
    place: &str,
    value: Value,
) {
    let mut changed = rendering(of).clone();
    let before = check(&changed);
    let found = changed.find_mut(kind, object);
    set(
        found.unwrap_or_else(|| panic!("no {kind}/{object}")),
        place,
        value,
    );
    let after = check(&changed);
    assert!(
        after.iter().any(|fault| !before.contains(fault)),
        "does not see {kind}/{object} {place} changed"
    );
}

/// Sets what is at a place; null removes it, and `-` is the place behind the last item.
pub fn set(object: &mut Value, place: &str, value: Value) {
    let (parent, key) = place.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    let parent = object
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("nothing at {parent}"));
    match parent {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) if value.is_null() => drop(items.remove(key.parse().unwrap())),
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        Value::Object(fields) if value.is_null() => {
            fields
                .remove(&key)
                .unwrap_or_else(|| panic!("nothing at {place}"));
        }
        parent => parent[&key] = value,
    }
}

/// What is wrong with each workload.
pub fn of_workloads(rendering: &Rendering, check: impl Fn(&Workload<'_>, &mut Faults)) -> Faults {
    let each = rendering.workloads().flat_map(|workload| {
        let mut faults = Faults::new();
        check(&workload, &mut faults);
        let title = title(workload.object);
        faults
            .into_iter()
            .map(move |fault| format!("{title}: {fault}"))
    });
    each.collect()
}

/// What is wrong with each container.
pub fn of_containers(
    rendering: &Rendering,
    check: impl Fn(&Workload<'_>, &Value, &mut Faults),
) -> Faults {
    of_workloads(rendering, |workload, faults| {
        for container in workload.containers() {
            let mut own = Faults::new();
            check(workload, container, &mut own);
            let prefix = container["name"].as_str().unwrap_or_default();
            faults.extend(own.into_iter().map(|fault| format!("{prefix}: {fault}")));
        }
    })
}

/// What is wrong with each object of a kind.
pub fn of_kind(rendering: &Rendering, kind: &str, check: impl Fn(&Value, &mut Faults)) -> Faults {
    let each = rendering.of_kind(kind).flat_map(|object| {
        let mut faults = Faults::new();
        check(object, &mut faults);
        let title = format!("{kind}/{}", name(object));
        faults
            .into_iter()
            .map(move |fault| format!("{title}: {fault}"))
    });
    each.collect()
}

/// Notes `fault` unless it is `good`.
pub fn expect(good: bool, faults: &mut Faults, fault: impl Into<String>) {
    if !good {
        faults.push(fault.into());
    }
}
