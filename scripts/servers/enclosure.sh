# shellcheck shell=bash
# A server in an enclosure: its own mounts and process numbers, so that its packages, /etc, /var and /run are seen by it alone.
#
# The packages are installed by apt-get into a layer over /usr, /etc and /var, kept in target/servers/NAME; a site puts one more
# layer over it, below its own folder. What conflicts with other packages (every mail server with every other) lies side by side
# that way, nothing of the machine's own is changed, and with the first process of the enclosure everything in it ends.

layers=${MAIL_SERVERS_CACHE:-$repository/target/servers}
layered="usr etc var"

# "${enclosed[@]}" COMMAND...: runs it with mounts and process numbers of its own. It ends with everything it started.
enclosed=(unshare --mount --pid --fork --kill-child --mount-proc --propagation private)

# Mounts inside an enclosure: mount_layers LAYER OVER shows the folders LAYER/usr and so on over those below; what is written goes
# to OVER. With one argument it goes to the layer itself.
mount_layers() {
    local layer=$1 over=${2:-} dir upper lower
    for dir in $layered; do
        if [ -n "$over" ]; then upper=$over/$dir lower=$layer/$dir:/$dir work=$over/.work-$dir; else upper=$layer/$dir lower=/$dir work=$layer/.work-$dir; fi
        mkdir -p "$upper" "$work"
        mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "/$dir"
    done
    # Without the machine's own /run no package's script finds the machine's systemd or another server's sockets.
    local resolver; resolver=$(cat /etc/resolv.conf 2>/dev/null || true)
    mount -t tmpfs -o mode=755 run /run
    mkdir -p /run/lock; chmod 1777 /run/lock
    [ -e /etc/resolv.conf ] || { rm -f /etc/resolv.conf; printf '%s\n' "$resolver" >/etc/resolv.conf; }
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
}

# A /dev of the enclosure's own, for a /dev/log that somebody reads: system_log FILE.
system_log() {
    local node
    mkdir -p /run/dev
    for node in null zero full random urandom tty; do
        : >/run/dev/$node; mount --bind /dev/$node /run/dev/$node
    done
    mkdir -p /run/dev/shm; mount -t tmpfs shm /run/dev/shm
    ln -s /proc/self/fd /run/dev/fd; ln -s fd/0 /run/dev/stdin; ln -s fd/1 /run/dev/stdout; ln -s fd/2 /run/dev/stderr
    mount --rbind /run/dev /dev
    socat -u UNIX-RECV:/dev/log,mode=666 "OPEN:$1,creat,append" &
}

# Whether enclosures can be made here at all.
enclosures_work() {
    [ "$(id -u)" = 0 ] || fail 3 "needs root: mail servers change to their own users"
    command -v apt-get >/dev/null || fail 3 "needs Debian's apt-get: the servers are Debian's packages"
    local program
    for program in unshare:util-linux openssl:openssl flock:util-linux; do
        command -v "${program%%:*}" >/dev/null || fail 3 "no ${program%%:*}; install: apt-get install ${program#*:}"
    done
    case $(realpath -m "$layers") in /usr/* | /etc/* | /var/*)
        fail 3 "$layers lies below a folder it is to cover; name another one in MAIL_SERVERS_CACHE" ;;
    esac
    local trial; trial=$(mktemp -d "${TMPDIR:-/tmp}/mailservers.XXXXXX")
    # shellcheck disable=SC2016
    "${enclosed[@]}" bash -c 'mkdir "$1/upper" "$1/work" && mount -t overlay overlay -o "lowerdir=/usr,upperdir=$1/upper,workdir=$1/work" /usr' \
        bash "$trial" 2>"$trial/error" || fail 3 "this machine lets nobody mount an overlay: $(tail -n 1 "$trial/error")"
    rm -rf -- "$trial"
}

# Puts a server's packages into its layer, unless they are there: install NAME. The functions of NAME.sh are known.
install_layer() {
    local name=$1 layer=$layers/$1 packages try
    mkdir -p "$layer"
    exec 8>"$layer/.lock"; flock 8
    [ -f "$layer/.installed" ] && { exec 8>&-; return; }
    packages=$("${name}_packages")
    echo "servers: installing $packages" >&2
    for try in 1 2 3; do
        rm -rf -- "${layer:?}"/{usr,etc,var,.work-usr,.work-etc,.work-var}
        if "${enclosed[@]}" "$servers/site" install-inside "$name" >"$layer/install.log" 2>&1; then
            : >"$layer/.installed"; exec 8>&-; return
        fi
        # The lists of packages may be old or missing; what went wrong otherwise goes wrong again.
        apt-get update -qq >/dev/null 2>&1 || true
        sleep $((try - 1))
    done
    tail -n 15 "$layer/install.log" >&2
    fail 3 "cannot install $packages (all of it in $layer/install.log)"
}

# Inside the enclosure: apt-get into the layer.
install_inside() {
    local name=$1 packages; packages=$("${name}_packages")
    mount_layers "$layers/$name"
    if declare -F "${name}_source" >/dev/null; then
        "${name}_source" >/etc/apt/sources.list.d/servers.list
        apt-get update -q -o Dir::Etc::sourcelist=sources.list.d/servers.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
    fi
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold $packages
    getent passwd vmail >/dev/null || { groupadd --gid 5000 vmail && useradd --uid 5000 --gid 5000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin vmail; }
    apt-get clean
}
