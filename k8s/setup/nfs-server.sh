# An export for kurz's databases. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # sourced by setup.sh: it uses what is set here, and sets what is used here

nfs_conf() {
    cat <<EOF
# NFS 4.1 and later only: one port (2049), and a client that is cut off loses its locks after the lease,
# which is what keeps two writers from one database (docs/operations.md, NFS).
[nfsd]
vers3=n
vers4=y
vers4.0=n
vers4.1=y
vers4.2=y
EOF
}
exports() {
    local client line="$export_path"
    for client in ${clients//,/ }; do
        # sync: what was answered is on the disk. root_squash: root on a node is nobody here.
        line+=" $client(rw,sync,no_subtree_check,root_squash)"
    done
    printf '%s\n' "$line"
}
folders=(auth shortener analytics backups)
nfs_installed() { installed nfs-kernel-server; }
install_nfs() { install_packages nfs-kernel-server; }
folders_there() {
    local folder
    for folder in "${folders[@]}"; do
        [ "$(stat -c '%u:%g %a' "$ROOT$export_path/$folder" 2>/dev/null)" = "$KURZ_ID:$KURZ_ID 700" ] || return 1
    done
}
make_folders() {
    run mkdir -p "$ROOT$export_path"
    run chmod 0755 "$ROOT$export_path"
    run install -d -m 0700 -o "$KURZ_ID" -g "$KURZ_ID" "${folders[@]/#/$ROOT$export_path/}"
}
nfs_configured() {
    nfs_conf | same /etc/nfs.conf.d/kurz.conf && ! has "$STATE/nfs-restart" && systemctl -q is-active nfs-server && systemctl -q is-enabled nfs-server
}
configure_nfs() {
    mark nfs-restart
    nfs_conf | put /etc/nfs.conf.d/kurz.conf 0644
    run systemctl enable nfs-server
    run systemctl restart nfs-server
    run rm -f "$ROOT$STATE/nfs-restart"
}
exported() {
    exports | same /etc/exports.d/kurz.exports && exportfs -s 2>/dev/null | grep -q "^$export_path "
}
export_folders() {
    exports | put /etc/exports.d/kurz.exports 0644
    run exportfs -ra
}
nfs_server() {
    [ "$clients" ] || fail "nfs-server needs --clients CIDR: the network of the nodes, such as --clients 192.0.2.0/24"
    step "NFS server" nfs_installed install_nfs "look at apt's message above; $reach"
    step "folders of kurz's databases, owned by $KURZ_ID" folders_there make_folders "is there a disk at $export_path, mounted and writable?"
    step "settings of the NFS server" nfs_configured configure_nfs "journalctl -u nfs-server; does this kernel have nfsd?"
    step "the export" exported export_folders "exportfs -s; /etc/exports must not export $export_path as well"
    [ "$dry_run" ] || printf '\n%s is exported to %s. Its address goes into the NFS volumes of the overlay (docs/operations.md, NFS).\n' "$export_path" "$clients"
}
