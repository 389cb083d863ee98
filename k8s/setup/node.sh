# What every node needs: swap off, kernel settings, containerd, kubelet and kubeadm. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # sourced by setup.sh: it uses what is set here, and sets what is used here

# The kubelet does not start beside swap: memory limits would not hold.
swap_is_off() { [ "$(systemctl is-enabled swap.target 2>/dev/null)" = masked ] && [ "$(wc -l <"$ROOT/proc/swaps")" -le 1 ]; }
turn_swap_off() {
    run systemctl mask swap.target # whatever asks for swap at boot, fstab or a partition's type, goes through it
    run swapoff -a
}

modules=(overlay br_netfilter)
modules_conf() { printf '%s\n' "${modules[@]}"; }
# What is built into the kernel may not be in /sys/module.
built_in() { grep -qs "/$1\.ko\$" "$ROOT/lib/modules/$(uname -r)/modules.builtin"; }
modules_loaded() {
    local module
    modules_conf | same /etc/modules-load.d/kurz-kubernetes.conf || return 1
    for module in "${modules[@]}"; do has "/sys/module/$module" || built_in "$module" || return 1; done
}
load_modules() {
    modules_conf | put /etc/modules-load.d/kurz-kubernetes.conf 0644
    run modprobe -a "${modules[@]}"
}

sysctl_conf() {
    cat <<EOF
# Pods' packets are forwarded, and go through the node's packet filter.
net.ipv4.ip_forward = 1
net.bridge.bridge-nf-call-iptables = 1
net.bridge.bridge-nf-call-ip6tables = 1
# Each container's log and each watched ConfigMap takes some; the defaults (128 instances) run out on a busy node.
fs.inotify.max_user_instances = 8192
fs.inotify.max_user_watches = 524288
EOF
}
sysctls_set() {
    local key value
    sysctl_conf | same /etc/sysctl.d/90-kurz-kubernetes.conf || return 1
    while IFS=' =' read -r key value; do
        [ "$(sysctl -n "$key" 2>/dev/null)" = "$value" ] || return 1
    done < <(sysctl_conf | grep -v '^#')
}
set_sysctls() {
    sysctl_conf | put /etc/sysctl.d/90-kurz-kubernetes.conf 0644
    run sysctl -q --load "$ROOT/etc/sysctl.d/90-kurz-kubernetes.conf"
}

docker_source() {
    cat <<EOF
Types: deb
URIs: $DOCKER_APT/$os
Suites: $codename
Components: stable
Architectures: $architecture
Signed-By: /etc/apt/keyrings/kurz-docker.asc
EOF
}
kubernetes_source() {
    cat <<EOF
Types: deb
URIs: $KUBERNETES_APT
Suites: /
Signed-By: /etc/apt/keyrings/kurz-kubernetes.asc
EOF
}
docker_source_there() {
    key_is /etc/apt/keyrings/kurz-docker.asc "$DOCKER_KEY" && docker_source | same /etc/apt/sources.list.d/kurz-docker.sources
}
add_docker_source() {
    fetch_key "$DOCKER_APT/$os/gpg" /etc/apt/keyrings/kurz-docker.asc "$DOCKER_KEY"
    run chmod 0644 "$ROOT/etc/apt/keyrings/kurz-docker.asc"
    docker_source | put /etc/apt/sources.list.d/kurz-docker.sources 0644
}
kubernetes_source_there() {
    key_is /etc/apt/keyrings/kurz-kubernetes.asc "$KUBERNETES_KEY" && kubernetes_source | same /etc/apt/sources.list.d/kurz-kubernetes.sources
}
add_kubernetes_source() {
    fetch_key "$KUBERNETES_APT/Release.key" /etc/apt/keyrings/kurz-kubernetes.asc "$KUBERNETES_KEY"
    run chmod 0644 "$ROOT/etc/apt/keyrings/kurz-kubernetes.asc"
    kubernetes_source | put /etc/apt/sources.list.d/kurz-kubernetes.sources 0644
}

containerd_installed() { installed containerd.io "$CONTAINERD"; }
install_containerd() {
    install_packages "containerd.io=$CONTAINERD-*"
    run apt-mark hold containerd.io
}

containerd_conf() {
    cat <<EOF
# The defaults of containerd, but for what Kubernetes needs. (The package's own file turns CRI off.)
version = 3

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  # the one that kubeadm pulls; an image in use that the kubelet would not collect
  sandbox = 'registry.k8s.io/pause:$PAUSE'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  # one manager of cgroups on the host: systemd, as for the kubelet
  SystemdCgroup = true
EOF
}
containerd_configured() {
    containerd_conf | same /etc/containerd/config.toml && ! has "$STATE/containerd-restart" &&
        systemctl -q is-active containerd && systemctl -q is-enabled containerd
}
configure_containerd() {
    mark containerd-restart # a restart that is owed survives a failure in between
    containerd_conf | put /etc/containerd/config.toml 0644
    run systemctl enable containerd
    run systemctl restart containerd
    run rm -f "$ROOT$STATE/containerd-restart"
}

kubernetes_installed() { installed kubelet "$KUBERNETES" && installed kubeadm "$KUBERNETES" && installed kubectl "$KUBERNETES"; }
install_kubernetes() {
    # A node of a running cluster is upgraded in an order, after a drain, and never by running this again.
    if [ -z "$dry_run" ] && has /etc/kubernetes/kubelet.conf && installed kubelet && ! has "$STATE/join-begun" && ! has "$STATE/init-begun"; then
        hint="this node belongs to a cluster, and its kubelet is $(dpkg-query -W -f '${Version}' kubelet), not $KUBERNETES or not held: see 'Upgrade' in docs/cluster.md"
        stop
    fi
    install_packages "kubelet=$KUBERNETES-*" "kubeadm=$KUBERNETES-*" "kubectl=$KUBERNETES-*"
    run apt-mark hold kubelet kubeadm kubectl
}

kubelet_enabled() { systemctl -q is-enabled kubelet; }
enable_kubelet() { run systemctl enable --now kubelet; } # it restarts until kubeadm has written its settings

node() {
    local apt="look at apt's message above; $reach"
    step "packages that the next steps call" basics_installed install_basics "$apt"
    step "swap off, now and after a restart" swap_is_off turn_swap_off "find what holds swap: cat /proc/swaps; systemctl list-units --type swap"
    step "kernel modules" modules_loaded load_modules "does this kernel have them? A container or a minimal cloud kernel may lack them: uname -r"
    step "kernel settings" sysctls_set set_sysctls "another file in /etc/sysctl.d may set another value: sysctl --system shows the order"
    step "package source of containerd" docker_source_there add_docker_source "$reach"
    step "containerd $CONTAINERD" containerd_installed install_containerd "$apt; apt-cache madison containerd.io lists the versions"
    step "settings of containerd" containerd_configured configure_containerd "journalctl -u containerd says why it does not run"
    step "package source of Kubernetes" kubernetes_source_there add_kubernetes_source "$reach"
    step "kubelet, kubeadm, kubectl $KUBERNETES" kubernetes_installed install_kubernetes "$apt; apt-cache madison kubelet lists the versions"
    step "kubelet starts with the host" kubelet_enabled enable_kubelet "systemctl status kubelet"
}
