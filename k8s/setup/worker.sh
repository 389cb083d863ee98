# kubeadm join. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # sourced by setup.sh: it uses what is set here, and sets what is used here

# Reads a `kubeadm join` command and sets join_endpoint, join_token, join_hash. The token is never an argument of
# a program, where every user of the host could read it.
read_join() {
    local text
    last="read the join command from $join"
    if [ "$join" = - ]; then
        [ ! -t 0 ] || fail "--join - reads the output of join-command from standard input: ssh root@CONTROL-PLANE k8s/setup.sh join-command | ... worker --join -"
        text=$(cat)
    else
        [ -r "$join" ] || fail "cannot read $join; --join takes a file with the output of join-command, or - for standard input"
        text=$(cat "$join")
    fi
    if ! [[ $text =~ kubeadm\ join\ ([][A-Za-z0-9.:-]+:[0-9]+)\ --token\ ([a-z0-9]{6}\.[a-z0-9]{16})\ --discovery-token-ca-cert-hash\ (sha256:[0-9a-f]{64}) ]]; then
        fail "what --join got is not the output of 'setup.sh join-command' (kubeadm join HOST:PORT --token ... --discovery-token-ca-cert-hash sha256:...)"
    fi
    join_endpoint=${BASH_REMATCH[1]} join_token=${BASH_REMATCH[2]} join_hash=${BASH_REMATCH[3]}
}
join_configuration() {
    cat <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration:
  criSocket: $SOCKET
discovery:
  bootstrapToken:
    apiServerEndpoint: "$join_endpoint"
    token: $join_token
    caCertHashes: ["$join_hash"]
EOF
}
joined() { has /etc/kubernetes/kubelet.conf && ! has "$STATE/join-begun"; }
join_cluster() {
    local again=()
    if [ "$dry_run" ]; then
        join_endpoint='(from --join)' join_token='(from --join)' join_hash='(from --join)'
    else
        read_join
        if has "$STATE/join-begun"; then
            again=(--ignore-preflight-errors "FileAvailable--etc-kubernetes-kubelet.conf,FileAvailable--etc-kubernetes-bootstrap-kubelet.conf,FileAvailable--etc-kubernetes-pki-ca.crt,Port-10250")
        fi
    fi
    join_configuration | put "$SETTINGS/join.yaml" 0600
    mark join-begun
    if ! run kubeadm join --config "$ROOT$SETTINGS/join.yaml" "${again[@]}"; then
        rm -f "$ROOT$SETTINGS/join.yaml"
        stop
    fi
    run rm -f "$ROOT$SETTINGS/join.yaml" "$ROOT$STATE/join-begun"
}
# kubeadm ends before the kubelet has made itself known, and it may never do.
kubelet_conf=/etc/kubernetes/kubelet.conf
this_node() { hostname | tr '[:upper:]' '[:lower:]'; }
node_known() { kubectl --kubeconfig "$ROOT$kubelet_conf" get node "$(this_node)" >/dev/null 2>&1; }
await_node() { run kubectl --kubeconfig "$ROOT$kubelet_conf" wait "node/$(this_node)" --for=create --timeout=120s; }
worker() {
    [ "$join" ] || fail "worker needs --join FILE or --join - (the output of 'setup.sh join-command' on the control plane)"
    node
    step "this node is part of the cluster" joined join_cluster \
        "read kubeadm's message above; tokens are valid for an hour: get another by join-command; this host must reach the control plane's port 6443"
    step "the cluster knows this node" node_known await_node "journalctl -u kubelet says why it does not run"
    [ "$dry_run" ] || printf '\nThis worker joined. When all have: k8s/setup.sh addons on the control plane.\n'
}
