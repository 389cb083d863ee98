# What runs in the cluster beside kurz. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # sourced by setup.sh: it uses what is set here, and sets what is used here

helm=$STATE/bin/helm-$HELM
charts=$STATE/charts

helm_there() { has "$helm" && has "$STATE/bin/helm-$HELM.ok"; }
get_helm() {
    local archive=$STATE/helm-v$HELM-linux-$architecture.tar.gz sum=HELM_SHA256_$architecture
    fetch "https://get.helm.sh/$(basename "$archive")" "$archive"
    verify "$archive" "${!sum}"
    run mkdir -p "$ROOT$STATE/bin"
    run tar -C "$ROOT$STATE/bin" --strip-components=1 --transform "s/helm\$/helm-$HELM/" -xzf "$ROOT$archive" "linux-$architecture/helm"
    run touch "$ROOT$STATE/bin/helm-$HELM.ok"
}

# Files of the add-ons, downloaded and verified before the first of them is applied.
# PATH of the file, then its sum, then how to get it: a URL, or the arguments of `helm pull`.
cert_manager_chart=$charts/cert-manager-$CERT_MANAGER.tgz
addon_files() {
    local calico=https://docs.tigera.io/calico/charts
    say "$charts/crd.projectcalico.org.v1-$CALICO.tgz|$CALICO_CRDS_SHA256|crd.projectcalico.org.v1 --repo $calico --version $CALICO"
    say "$charts/tigera-operator-$CALICO.tgz|$CALICO_SHA256|tigera-operator --repo $calico --version $CALICO"
    say "$charts/local-path-$LOCAL_PATH.yaml|$LOCAL_PATH_SHA256|https://raw.githubusercontent.com/rancher/local-path-provisioner/$LOCAL_PATH/deploy/local-path-storage.yaml"
    say "$charts/csi-driver-nfs-$CSI_NFS.tgz|$CSI_NFS_SHA256|csi-driver-nfs --repo https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts --version $CSI_NFS"
    if [ "$ingress" = nginx ]; then
        say "$charts/nginx-ingress-$NGINX_CHART.tgz|$NGINX_SHA256|oci://ghcr.io/nginx/charts/nginx-ingress --version $NGINX_CHART"
    fi
}
files_there() {
    local file
    has "$cert_manager_chart" || return 1
    for file in $(addon_files | cut -d '|' -f 1); do has "$file" || return 1; done
}
get_files() {
    local file files path sum source words keyring=$charts/cert-manager.gpg
    run mkdir -p "$ROOT$charts/new"
    mapfile -t files < <(addon_files)
    for file in "${files[@]}"; do
        IFS='|' read -r path sum source <<<"$file"
        if [ -z "$dry_run" ] && has "$path"; then continue; fi
        if [[ $source == https://* ]]; then
            fetch "$source" "$charts/new/$(basename "$path")"
        else
            read -ra words <<<"$source"
            run "$ROOT$helm" pull "${words[@]}" --destination "$ROOT$charts/new"
        fi
        verify "$charts/new/$(basename "$path")" "$sum"
        run mv "$ROOT$charts/new/$(basename "$path")" "$ROOT$path"
    done
    fetch_key "$CERT_MANAGER_KEY_URL" "$keyring" "$CERT_MANAGER_KEY"
    run "$ROOT$helm" pull oci://quay.io/jetstack/charts/cert-manager --version "$CERT_MANAGER" --verify --keyring "$ROOT$keyring" --destination "$ROOT$charts/new"
    run mv "$ROOT$charts/new/$(basename "$cert_manager_chart")" "$ROOT$cert_manager_chart"
}

cluster_answers() { kubectl get --raw /readyz >/dev/null 2>&1; }
# Pods of the add-ons need a node that takes ordinary pods.
require_worker() {
    local free
    free=$(kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{" "}{.spec.taints[*].key}{"\n"}{end}' | grep -cv "$taint" || true)
    [ "$free" -gt 0 ] || fail "no node takes ordinary pods yet: join a worker (setup.sh worker), or run setup.sh control-plane --single-node; then run this again"
}

# A manifest is done when the API server would change nothing, and what it asks for runs.
manifest='' rollout=()
manifest_applied() {
    kubectl diff --server-side --force-conflicts -f "$manifest" >/dev/null 2>&1 || return 1
    [ ${#rollout[@]} -eq 0 ] || kubectl rollout status "${rollout[@]}" --timeout=1s >/dev/null 2>&1
}
apply_manifest() {
    run kubectl apply --server-side --force-conflicts -f "$manifest"
    [ ${#rollout[@]} -eq 0 ] || run kubectl rollout status "${rollout[@]}" --timeout=300s
}
apply() { # TITLE FILE [NAMESPACE WORKLOAD]: and waits until the workload runs
    manifest=$2 rollout=()
    [ $# -eq 2 ] || rollout=(--namespace "$3" "$4")
    step "$1" manifest_applied apply_manifest "kubectl get pods -A shows what does not run; kubectl get events -A --sort-by .lastTimestamp"
}

# A release is done when it is deployed from this very chart with these very values; the label says so.
name='' namespace='' chart='' values=()
release_sum() {
    if [ "$dry_run" ]; then say SUM-OF-CHART-AND-VALUES; else
        { cat "$ROOT$chart" "$HERE/setup/$name.yaml" && printf '%s\n' "${values[@]}"; } | sha256sum | cut -c 1-32
    fi
}
released() { "$ROOT$helm" list --namespace "$namespace" --deployed --short --selector "kurz-setup=$(release_sum)" | grep -qx "$name"; }
install_release() {
    run "$ROOT$helm" upgrade --install "$name" "$ROOT$chart" --namespace "$namespace" --create-namespace --values "$HERE/setup/$name.yaml" \
        "${values[@]}" --labels "kurz-setup=$(release_sum)" --wait --timeout 10m
}
release() { # TITLE NAME NAMESPACE CHART [VALUES...]
    name=$2 namespace=$3 chart=$4 values=("${@:5}")
    step "$1" released install_release "kubectl -n $3 get pods; kubectl -n $3 get events --sort-by .lastTimestamp"
}

calico_crds=$charts/calico-crds.yaml
render_crds() { "$ROOT$helm" template calico-crds "$ROOT$charts/crd.projectcalico.org.v1-$CALICO.tgz"; }
crds_rendered() { has "$calico_crds" && render_crds | same "$calico_crds"; }
write_crds() {
    if [ "$dry_run" ]; then
        say "+ $helm template calico-crds $charts/crd.projectcalico.org.v1-$CALICO.tgz > $calico_crds"
    else
        render_crds | put "$calico_crds" 0644
    fi
}

nodes_ready() { kubectl wait --for=condition=Ready nodes --all --timeout=1s >/dev/null 2>&1; }
await_nodes() { run kubectl wait --for=condition=Ready nodes --all --timeout=600s; }

default_class=storageclass.kubernetes.io/is-default-class
class_is_default() { [ "$(kubectl get storageclass local-path -o "jsonpath={.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}")" = true ]; }
make_class_default() { run kubectl annotate storageclass local-path "$default_class=true" --overwrite; }

pods_of_the_cluster() {
    kubectl -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' | sed -n 's/^ *podSubnet: *//p'
}

addons() {
    local network='(podSubnet of the ConfigMap kubeadm-config)'
    export KUBECONFIG=${KUBECONFIG:-$ROOT$ADMIN}
    if [ -z "$dry_run" ]; then
        [ -r "$KUBECONFIG" ] || fail "there is no $KUBECONFIG: run addons on the control plane, after setup.sh control-plane"
        cluster_answers || fail "the API server of $KUBECONFIG does not answer: systemctl status kubelet; crictl ps -a"
        require_worker
        network=$(pods_of_the_cluster)
        [ "$network" ] || fail "the ConfigMap kube-system/kubeadm-config names no podSubnet: was this cluster made by setup.sh control-plane?"
    fi
    step "helm $HELM" helm_there get_helm "$reach"
    step "charts and manifests, verified" files_there get_files "$reach"
    step "Calico's resource definitions, rendered" crds_rendered write_crds "is $STATE writable?"
    apply "Calico's resource definitions" "$ROOT$calico_crds"
    release "Calico $CALICO" calico tigera-operator "$charts/tigera-operator-$CALICO.tgz" --set "installation.calicoNetwork.ipPools[0].cidr=$network"
    step "all nodes are ready" nodes_ready await_nodes "kubectl describe nodes; kubectl -n calico-system get pods; ports between nodes: docs/cluster.md"
    apply "metrics-server" "$HERE/setup/metrics-server.yaml" kube-system deployment/metrics-server
    apply "local-path $LOCAL_PATH: volumes on the nodes' disks" "$ROOT$charts/local-path-$LOCAL_PATH.yaml" local-path-storage deployment/local-path-provisioner
    step "local-path is the default StorageClass" class_is_default make_class_default "kubectl get storageclass"
    release "NFS CSI driver $CSI_NFS" csi-driver-nfs kube-system "$charts/csi-driver-nfs-$CSI_NFS.tgz"
    release "cert-manager $CERT_MANAGER" cert-manager cert-manager "$cert_manager_chart"
    if [ "$ingress" = nginx ]; then
        release "F5 NGINX Ingress Controller (chart $NGINX_CHART)" nginx-ingress nginx-ingress "$charts/nginx-ingress-$NGINX_CHART.tgz"
    else
        apply "Traefik" "$HERE/setup/traefik.yaml" traefik daemonset/traefik
    fi
    [ -z "$dry_run" ] || return 0
    cat <<EOF

The cluster is ready for kurz; its IngressClass is "$ingress". Every worker answers on ports 80 and 443. Next:
  1. let the DNS name of your kurz lead to the workers (or to a load balancer in front of them)
  2. say what kurz must know of this cluster in k8s/overlays/production (docs/operations.md, docs/cluster.md)
  3. k8s/secrets.sh
  4. kubectl apply -k k8s/overlays/production
EOF
}
