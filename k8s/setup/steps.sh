# Steps that look before they act, downloads that are verified, packages. Sourced by setup.sh.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # sourced by setup.sh: it uses what is set here, and sets what is used here

number=0 title='' hint='' last=''

# step TITLE CHECK ACTION HINT: runs ACTION unless CHECK finds it done, and has CHECK look once more afterwards.
# A check only looks. HINT says what to do when the step fails.
step() {
    local check=$2 action=$3
    title=$1 hint=$4 number=$((number + 1))
    if [ "$dry_run" ]; then
        printf '\n[%2d] %s\n' "$number" "$title"
        $action
        return
    fi
    if $check; then
        printf '[%2d] done before: %s\n' "$number" "$title"
        return
    fi
    printf '[%2d] %s ...\n' "$number" "$title"
    $action
    last="the check after it"
    $check || stop
    printf '[%2d] done: %s\n' "$number" "$title"
}

# Prints why a step failed and what to do, and ends.
stop() {
    trap - ERR
    [ "$BASH_SUBSHELL" = 0 ] || exit 1 # the shell above reports it
    {
        printf 'setup.sh: step %d failed: %s\n' "$number" "${title:-the start}"
        [ -z "$last" ] || printf '  at: %s\n' "$last"
        [ -z "$hint" ] || printf '  what to do: %s\n' "$hint"
        printf '  then run the same command again: it goes on from this step.\n'
    } >&2
    exit 1
}

run() {
    last="$*"
    if [ "$dry_run" ]; then
        printf '+'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}

# put PATH MODE: standard input becomes that file, wholly or not at all.
put() {
    local path=$ROOT$1 new
    last="write $1"
    if [ "$dry_run" ]; then
        printf '+ write %s (mode %s)\n' "$1" "$2"
        sed 's/^/    | /'
        return
    fi
    mkdir -p "$(dirname "$path")"
    new=$(mktemp "$path.XXXXXX")
    cat >"$new"
    chmod "$2" "$new"
    mv "$new" "$path"
}
same() { cmp -s - "$ROOT$1"; } # PATH: it holds what stands on standard input

has() { [ -e "$ROOT$1" ]; }
mark() { run mkdir -p "$ROOT$STATE" && run touch "$ROOT$STATE/$1"; }

reach="can this host reach that address? Behind a proxy, set https_proxy and no_proxy"

# fetch URL PATH: into a file that appears only when it is whole.
fetch() {
    run mkdir -p "$ROOT$(dirname "$2")"
    run curl -fsSL --retry 3 --connect-timeout 20 -o "$ROOT$2.part" "$1"
    run mv "$ROOT$2.part" "$ROOT$2"
}

# verify PATH SUM: the file's sha256 is SUM, or, where that is empty, the one recorded at its first download.
verify() {
    local name sum records=$ROOT$STATE/sha256sums
    name=$(basename "$1")
    if [ "$dry_run" ]; then
        if [ "$2" ]; then say "+ sha256sum $1 # has to be $2"; else say "+ sha256sum $1 # recorded in $STATE/sha256sums, compared from then on"; fi
        return
    fi
    last="sha256sum $1"
    sum=$(sha256sum <"$ROOT$1" | cut -d ' ' -f 1)
    local expected=$2
    if [ -z "$expected" ] && [ -e "$records" ]; then
        expected=$(awk -v name="$name" '$2 == name { print $1 }' "$records")
    fi
    if [ -z "$expected" ]; then
        say "     recorded, as there is no published sum to compare with: $sum  $name"
        printf '%s  %s\n' "$sum" "$name" >>"$records"
    elif [ "$sum" != "$expected" ]; then
        rm -f "$ROOT$1"
        hint="the file is not the one expected (sha256 $sum instead of $expected) and was removed; find out why before you trust it"
        stop
    fi
}

# key_is PATH FINGERPRINT: the file holds exactly one key, this one, and it has not expired.
key_is() {
    has "$1" && gpg --batch --with-colons --show-keys "$ROOT$1" 2>/dev/null | awk -F : -v now="$(date +%s)" -v want="$2" '
        $1 == "pub" { keys++; expires = $7; primary = 1 }
        $1 == "fpr" && primary { found = $10; primary = 0 }
        END { exit !(keys == 1 && found == want && (expires == "" || expires > now)) }'
}

# fetch_key URL PATH FINGERPRINT
fetch_key() {
    fetch "$1" "$2.new"
    last="gpg --show-keys $2.new # has to be $3 alone"
    if [ "$dry_run" ]; then
        say "+ $last"
    elif ! key_is "$2.new" "$3"; then
        rm -f "$ROOT$2.new"
        hint="the key from $1 is another one, has expired, or is not alone; look at the publisher's documentation before you trust it"
        stop
    fi
    run mv "$ROOT$2.new" "$ROOT$2"
}

export DEBIAN_FRONTEND=noninteractive

# installed PACKAGE [VERSION]: with a version also held, so that an ordinary upgrade leaves it alone.
installed() {
    local state
    state=$(dpkg-query -W -f '${Status} ${Version}' "$1" 2>/dev/null) || return 1
    if [ "${2:-}" ]; then
        [[ $state == "hold ok installed $2-"* ]]
    else
        [[ $state == *" ok installed "* ]]
    fi
}
install_packages() { # PACKAGE[=VERSION]...
    run apt-get update -q
    run apt-get install -q -y --no-install-recommends --allow-change-held-packages -o Dpkg::Options::=--force-confold "$@"
}

basic_packages=(ca-certificates curl gnupg nfs-common)
basics_installed() {
    local package
    for package in "${basic_packages[@]}"; do installed "$package" || return 1; done
}
install_basics() { install_packages "${basic_packages[@]}"; }
