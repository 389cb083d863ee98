"""Which alerts each scene brings, and that it brings no others."""

from typing import NamedTuple


class Alerts(NamedTuple):
    """Names: of those that fire in the scene as it was; of those that fire if what was done to the cluster had lasted
    for half an hour, or None where that has no sense: half an hour of updates is no update; of those that may fire then,
    or not; and of those of which one fires then, or more."""

    at_once: set = frozenset()
    lasting: set | None = None
    perhaps: set = frozenset()
    one_of: set = frozenset()


# Kubernetes misses the node only shortly before it comes back: KurzPodNotReady would follow.
NODE = {"KurzServiceDown", "KurzRedirectorDown", "KurzClicksNotCounted"}
NATS = {"KurzClicksWaiting", "KurzClicksNotFollowed"}
# It has no links, and is not ready.
REDIRECTOR_WITHOUT_NATS = {"KurzPodNotReady", "KurzLinkTableDiffers"}

# A scene that is not here brings none.
SCENES = {
    "bad-redirector": Alerts(lasting=REDIRECTOR_WITHOUT_NATS),
    "bad-analytics": Alerts(lasting={"KurzPodNotReady", "KurzServiceDown", "KurzClicksNotCounted"}),
    "bad-nats": Alerts(lasting={"KurzPodNotReady"}),
    "node-dies": Alerts(lasting=NODE),
    "node-cut-off": Alerts(lasting=NODE),
    # A redirector that was connected to the nats-server there notices after a while, if there is one.
    "node-lost": Alerts(lasting={"KurzRedirectorDown"}, perhaps={"KurzClicksWaiting"}),
    # One answer in five was not acknowledged meanwhile, and nobody comes afterwards to make that less.
    "node-lost-ack": Alerts({"KurzAnswersNotAcknowledged"}),
    "cluster-stopped": Alerts(lasting={"KurzNoRedirector", "KurzRedirectorDown", "KurzServiceDown"}),
    # In both a redirector is replaced meanwhile. Of the clicks that go with one only its log tells: the stream never
    # heard of them.
    "nats-away": Alerts(lasting=NATS | REDIRECTOR_WITHOUT_NATS),
    # The redirector's successor is there for about half of what is drawn out, and a quarter of an hour is waited for.
    "nats-away-too-long": Alerts(lasting=NATS | {"KurzLinkTableDiffers"}, perhaps={"KurzPodNotReady"}),
    # A nats-server is deleted, and who was connected to it finds no other one: a redirector, or analytics, or both.
    "no-dns": Alerts(lasting={"KurzPodNotReady", "KurzClicksNotFollowed"},
                     one_of={"KurzClicksWaiting", "KurzClicksNotCounted"}),
    "read-only-volumes": Alerts(lasting={"KurzServiceDown"}),
    "store-full": Alerts(lasting=NATS),
    "disk-full": Alerts(lasting=NATS),
    # The links come into the database as after a restore.
    "million-links": Alerts({"KurzLinkTableRepaired"}),
}


def expected(scene):
    return SCENES.get(scene, Alerts())


def brought(scene, recording, promtool):
    """Those that fired, as far as it is asked."""
    lasting = expected(scene).lasting is not None
    return Alerts(recording.alerts(promtool, False), recording.alerts(promtool, True) if lasting else None)


def are_expected(scene, found):
    at_once, lasting, perhaps, one_of = expected(scene)
    lasting, others = lasting or set(), (found.lasting or set()) - (lasting or set())
    return (found.at_once == at_once and lasting <= (found.lasting or set()) and others <= perhaps | one_of
            and (not one_of or bool(others & one_of)))


def described(scene, found):
    """For the table; in bold what is not as expected."""
    parts = []
    perhaps = expected(scene).perhaps | expected(scene).one_of
    for names, wanted, when in zip(found, expected(scene), ("", "if it lasts: ")):
        names, wanted = names or set(), wanted or set()
        words = [name if name in wanted | perhaps else f"**{name}**" for name in sorted(names)]
        words += [f"**no {name}**" for name in sorted(wanted - names)]
        if words:
            parts.append(when + ", ".join(words))
    return "; ".join(parts)
