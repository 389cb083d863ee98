"""One trace, from the ingress controller to the counter."""

import base64
import json
import secrets

from kube import Failed, kubectl, kurz, pods, until
from life.scene import scene, settle, workload
from scenes import TARGET

NAMESPACE = "kurz-test-traces"

# A collector of traces (OTLP over HTTP) that keeps what comes, a file each. busybox has two kinds of nc, which say "go
# on listening" in different ways.
COLLECT = r"""
while read -r name value && [ "${#name}" -gt 1 ]; do
    case $name in [Cc]ontent-[Ll]ength:) length=$(printf %s "$value" | tr -d '\r') ;; esac
done
head -c "$length" | base64 | tr -d '\n' >/tmp/$$.new && echo >>/tmp/$$.new && mv /tmp/$$.new /tmp/$$.trace
printf 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'
"""
LISTEN = 'if nc --help 2>&1 | grep -q -- -lk; then on=-lk; else on=-ll; fi; exec nc $on -p 4318 -e sh -c "$COLLECT"'


@scene("one-trace")
def _(run):
    """redirectors and analytics send traces to a collector: one leads from a visitor's request to its count"""
    trace, parent = secrets.token_hex(16), secrets.token_hex(8)
    traced = [workload("redirector"), workload("analytics")]
    try:
        address = put_up_collector(run.stage)
        set_env(traced, f"OTEL_EXPORTER_OTLP_ENDPOINT=http://{address}:4318")
        # A link of its own: each click on the others is looked for by its referrer.
        code = run.stage.site.shorten(TARGET)["code"]
        follow = {"traceparent": f"00-{trace}-{parent}-01"}
        until("it is followed", lambda: run.stage.site.follow(code, follow).status == 302, 30)
        try:
            redirect, count = until("a span of the redirect and one of its count", lambda: followed(trace), 60)
        except Failed as error:
            raise Failed(f"{error} {complaints()}") from error
    finally:
        set_env(traced, "OTEL_EXPORTER_OTLP_ENDPOINT-")
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    run.leave_alone()
    if redirect.parent != parent:
        raise Failed(f"the redirect is not the visitor's child but that of {redirect.parent or 'nobody'}")
    return f"{redirect.service} “{redirect.name}”, {count.service} “{count.name}”"


def set_env(workloads, word):
    for name in workloads:
        kurz("set", "env", name, word)
    settle()


def put_up_collector(stage):
    """Its address."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "kurz/monitoring=true")
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "collector", "namespace": NAMESPACE},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10002, "fsGroup": 10002,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "collector", "image": stage.nats_image, "command": ["sh", "-c", LISTEN],
                # To Kubernetes "$$" is a dollar.
                "env": [{"name": "COLLECT", "value": COLLECT.replace("$", "$$")}],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("-n", NAMESPACE, "wait", "pod/collector", "--for=condition=Ready", "--timeout=60s")
    return kubectl("-n", NAMESPACE, "get", "pod/collector", "-o", "jsonpath={.status.podIP}")


def complaints():
    """What the senders said last of their exports."""
    logs = "".join(kurz("logs", pod["metadata"]["name"], "--tail=500", check=False)
                   for name in ("redirector", "analytics") for pod in pods(name))
    return [line for line in logs.splitlines() if "xport" in line][-4:]


class Span:
    """What is asked of one, out of opentelemetry/proto/trace/v1/trace.proto."""

    def __init__(self, service, message):
        fields = list(read(message))
        first = dict(reversed(fields))
        self.service, self.name = service, first.get(5, b"").decode()
        self.trace, self.id, self.parent = (first.get(number, b"").hex() for number in (1, 2, 4))
        self.links = {dict(read(value)).get(2, b"").hex() for number, value in fields if number == 13}


def followed(trace):
    """The span of the redirect and that of its count."""
    spans, exports = collected(trace)
    for redirect in spans:
        if redirect.trace == trace and redirect.service == "redirector":
            for count in spans:
                if count.service == "analytics" and redirect.id in count.links:
                    return redirect, count
    raise Failed(f"{exports} times spans came, of the trace: {[(one.service, one.name) for one in spans] or 'none'}")


def collected(trace):
    """The spans that belong to a trace or name it, and how often any came."""
    lines = kubectl("-n", NAMESPACE, "exec", "collector", "--", "sh", "-c", "cat /tmp/*.trace", check=False).split()
    spans = []
    for message in map(base64.b64decode, lines):
        # There are many others, and reading takes its time.
        for resource_spans in inside(message, 1) if bytes.fromhex(trace) in message else ():
            attributes = [dict(read(one)) for resource in inside(resource_spans, 1) for one in inside(resource, 1)]
            names = [dict(read(one[2])).get(1, b"").decode() for one in attributes if one.get(1) == b"service.name"]
            for scope in inside(resource_spans, 2):
                of_trace = [span for span in inside(scope, 2) if bytes.fromhex(trace) in span]
                spans += [Span(names[0] if names else "", span) for span in of_trace]
    return spans, len(lines)


def inside(message, wanted):
    return [value for number, value in read(message) if number == wanted]


def read(message):
    """Number and value of each field of a message of Protocol Buffers: whole numbers, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        length = {1: 8, 5: 4}[tag & 7] if tag & 7 != 2 else varint()
        yield tag >> 3, message[at:at + length]
        at += length
