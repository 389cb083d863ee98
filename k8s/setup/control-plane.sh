# kubeadm init, and a token for a worker. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # sourced by setup.sh: it uses what is set here, and sets what is used here

audit_policy() {
    cat <<EOF
# Who did what, without what was said: no body of a request or an answer is written, so no secret is.
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  # the control plane talking to itself, and health checks: many, and of no interest
  - level: None
    users: [system:kube-scheduler, system:kube-controller-manager, system:apiserver]
    verbs: [get, list, watch]
  - level: None
    userGroups: [system:nodes]
    verbs: [get, list, watch]
  - level: None
    nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", /version]
  - level: None
    resources: [{group: coordination.k8s.io, resources: [leases]}]
  - level: Metadata
EOF
}

# Secrets are written to etcd encrypted, so that a copy of etcd alone reveals none.
encryption_configuration() { # KEY
    cat <<EOF
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox: {keys: [{name: key1, secret: $1}]}
      - identity: {}
EOF
}

kubeadm_configuration() {
    cat <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
  - ttl: 1h0m0s # setup.sh join-command makes others
nodeRegistration:
  criSocket: $SOCKET
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: kurz
kubernetesVersion: v$KUBERNETES
EOF
    [ -z "$endpoint" ] || printf 'controlPlaneEndpoint: "%s"\n' "$endpoint"
    cat <<EOF
networking:
  dnsDomain: cluster.local
  podSubnet: $pod_cidr
  serviceSubnet: $service_cidr
apiServer:
  extraArgs:
    - {name: audit-policy-file, value: $SETTINGS/audit-policy.yaml}
    - {name: audit-log-path, value: /var/log/kubernetes/audit.log}
    - {name: audit-log-maxage, value: "30"} # days
    - {name: audit-log-maxsize, value: "100"} # MiB of a file
    - {name: audit-log-maxbackup, value: "10"}
    - {name: encryption-provider-config, value: $SETTINGS/encryption.yaml}
    - {name: profiling, value: "false"}
  extraVolumes:
    - {name: kurz, hostPath: $SETTINGS, mountPath: $SETTINGS, readOnly: true, pathType: Directory}
    - {name: audit, hostPath: /var/log/kubernetes, mountPath: /var/log/kubernetes, pathType: DirectoryOrCreate}
controllerManager:
  extraArgs:
    - {name: profiling, value: "false"}
scheduler:
  extraArgs:
    - {name: profiling, value: "false"}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
seccompDefault: true
# A host that shuts down in order ends its pods first, and so lets kurz publish its clicks.
shutdownGracePeriod: 90s
shutdownGracePeriodCriticalPods: 15s
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables # as Calico's data plane
EOF
}

settings_written() {
    has "$SETTINGS/encryption.yaml" && audit_policy | same "$SETTINGS/audit-policy.yaml" &&
        { has "$STATE/init-done" || kubeadm_configuration | same "$SETTINGS/kubeadm.yaml"; }
}
write_settings() {
    if [ -z "$dry_run" ] && has "$STATE/init-done" && ! has "$SETTINGS/encryption.yaml"; then
        hint="$SETTINGS/encryption.yaml is gone, and with it the key of the Secrets in etcd: restore it from your backup"
        stop
    fi
    run mkdir -p -m 0700 "$ROOT$SETTINGS"
    audit_policy | put "$SETTINGS/audit-policy.yaml" 0600
    if [ "$dry_run" ]; then
        encryption_configuration "(32 random bytes, in base64)" | put "$SETTINGS/encryption.yaml" 0600
    elif ! has "$SETTINGS/encryption.yaml"; then
        encryption_configuration "$(head -c 32 /dev/urandom | base64)" | put "$SETTINGS/encryption.yaml" 0600
    fi
    if [ "$dry_run" ] || ! has "$STATE/init-done"; then kubeadm_configuration | put "$SETTINGS/kubeadm.yaml" 0600; fi
}

cluster_there() { has "$STATE/init-done"; }
# kubeadm refuses a host on which it began once. Where that was us, its own files may be there: its phases go on with them.
init_leftovers=DirAvailable--var-lib-etcd,Port-6443,Port-10250,Port-10257,Port-10259,Port-2379,Port-2380
for part in kube-apiserver kube-controller-manager kube-scheduler etcd; do
    init_leftovers+=,FileAvailable--etc-kubernetes-manifests-$part.yaml
done
init_cluster() {
    local again=()
    if [ -z "$dry_run" ] && has "$STATE/init-begun"; then
        again=(--ignore-preflight-errors "$init_leftovers")
    fi
    run kubeadm config validate --config "$ROOT$SETTINGS/kubeadm.yaml"
    mark init-begun
    run kubeadm init --config "$ROOT$SETTINGS/kubeadm.yaml" --skip-token-print "${again[@]}"
    mark init-done
    run rm -f "$ROOT$STATE/init-begun"
}

kubectl_admin() { run kubectl --kubeconfig "$ROOT$ADMIN" "$@"; }
taint=node-role.kubernetes.io/control-plane
untainted() {
    local taints
    taints=$(kubectl_admin get nodes -l "$taint" -o 'jsonpath={.items[*].spec.taints[*].key}') && [[ " $taints " != *" $taint "* ]]
}
untaint() { kubectl_admin taint nodes -l "$taint" "$taint:NoSchedule-"; }

control_plane() {
    node
    step "settings of the control plane" settings_written write_settings "is $SETTINGS writable?"
    step "the cluster (some minutes: images are pulled)" cluster_there init_cluster \
        "read kubeadm's message above; journalctl -u kubelet; crictl ps -a"
    if [ -z "$dry_run" ] && ! kubeadm_configuration | same "$SETTINGS/kubeadm.yaml"; then
        say "     note: the options or versions differ from those the cluster was made with ($SETTINGS/kubeadm.yaml); a running"
        say "     cluster is not changed by this: see 'Upgrade' in docs/cluster.md"
    fi
    if [ "$single_node" ]; then
        step "pods may run on this host" untainted untaint "kubectl --kubeconfig $ADMIN get nodes"
    fi
    [ -z "$dry_run" ] || return 0
    cat <<EOF

The control plane runs. Keep a copy of $SETTINGS/encryption.yaml and /etc/kubernetes/pki away from this host. Next:
  1. for each worker, from a machine that reaches both:
       ssh root@$(hostname) k8s/setup.sh join-command | ssh root@WORKER k8s/setup.sh worker --join -
  2. here: k8s/setup.sh addons
  kubectl: export KUBECONFIG=$ADMIN
EOF
}

join_command() {
    [ "$dry_run" ] || has "$ADMIN" || fail "there is no $ADMIN: run join-command on the control plane, after setup.sh control-plane"
    title="a token for a worker" hint="does the API server answer? kubectl --kubeconfig $ADMIN get nodes"
    run kubeadm token create --ttl 1h --print-join-command
}
