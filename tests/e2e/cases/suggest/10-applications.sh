# shellcheck shell=bash
# From a profile that allows nothing to one under which an application works: applications from Debian's packages,
# each in a root of its own.

SUGGEST_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/suggest

# --- roots -------------------------------------------------------------------------

# The libraries that a package needs, and time zones; programs it can do without.
suggest_packages() { # PACKAGE...
    printf '%s\n' "$@"
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
        grep -E '^(lib[a-z0-9.+-]+|zlib1g|tzdata)$' | grep -vE '^(libllvm|libperl|libdebconf|lib.*-perl$|libpam-(modules|runtime))' | sort -u
}

# suggest_root NAME PACKAGE...: prints the folder of a root with these packages and busybox, made once for each
# version of them.
suggest_root() {
    local name=$1 root packages key
    shift
    mapfile -t packages < <(suggest_packages "$@")
    key=$(apt-cache show --no-all-versions "${packages[@]}" | grep '^SHA256:' | sha256sum | cut -c 1-16)
    root=$SUGGEST_CACHE/$name-$key
    if [ ! -d "$root" ]; then
        rm -rf "$root.tmp" "$root.debs"
        mkdir -p "$root.tmp"/{dev,proc,tmp,run,etc,var/log,usr/lib,usr/lib64,usr/bin,usr/sbin} "$root.debs"
        (cd "$root.debs" && apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}") >&2 || return 1
        suggest_unpack "$root" || return 1
        mv "$root.tmp" "$root"
        rm -rf "$root.debs"
    fi
    echo "$root"
}
suggest_unpack() { # ROOT
    local deb part
    for deb in "$1.debs"/*.deb; do
        dpkg-deb -x "$deb" "$1.debs/tree" || return 1
    done
    # As on an installed system, /lib is a link.
    for part in bin sbin lib lib64; do
        [ ! -d "$1.debs/tree/$part" ] || [ -L "$1.debs/tree/$part" ] || cp -a "$1.debs/tree/$part/." "$1.tmp/usr/$part/"
        rm -rf "$1.debs/tree/${part:?}"
        ln -s "usr/$part" "$1.tmp/$part"
    done
    rm -rf "$1.debs/tree/usr/share"/{doc,man,locale,lintian,bug,info} "$1.debs/tree/usr/lib/postgresql"/*/lib/{bitcode,llvmjit*}
    cp -a "$1.debs/tree/." "$1.tmp/"
    cp /bin/busybox "$1.tmp/usr/bin/busybox"
    ln -sf busybox "$1.tmp/usr/bin/sh"
    printf '%s\n' root:x:0:0::/root:/bin/sh www-data:x:33:33::/var/www:/bin/sh postgres:x:70:70::/var/lib/postgresql:/bin/sh >"$1.tmp/etc/passwd"
    printf '%s\n' root:x:0: www-data:x:33: postgres:x:70: >"$1.tmp/etc/group"
    echo 'passwd: files' >"$1.tmp/etc/nsswitch.conf"
}

# --- nginx -------------------------------------------------------------------------

nginx_works() {
    app_starts nginx /run/nginx-root /usr/sbin/nginx -g 'daemon off;'
    eventually 60 'nginx answers' app_answers 80/index.nginx-debian.html 'Welcome to nginx'
    in_node node-1 wget -q -O /dev/null http://127.0.0.1:80/missing && fail 'it has what it has not'
    in_node node-1 sh -c 'kill -HUP $(cat /run/app.pid)'
    eventually 60 'nginx answers after a reload' app_answers 80/index.nginx-debian.html 'Welcome to nginx'
    app_ends QUIT
}

test_suggested_rules_are_enough_for_nginx() {
    local root
    root=$(suggest_root nginx nginx nginx-common) || fail 'nginx cannot be had'
    vm push node-1 "$root" /run/nginx-root
    in_node node-1 sh -c 'cd /run/nginx-root && mkdir -p var/log/nginx var/lib/nginx run var/www/html etc/nginx/sites-enabled &&
        cp usr/share/nginx/html/index.html var/www/html/index.nginx-debian.html; ln -sf ../sites-available/default etc/nginx/sites-enabled/default;
        sed -i "/\[::\]/d" etc/nginx/sites-available/default; mkdir -p tmp dev proc'
    app_test nginx
    in_node node-1 rm -rf /run/nginx-root
}

# --- PostgreSQL --------------------------------------------------------------------

postgres_psql() { app_does /run/postgres-root "$POSTGRES/psql" -h 127.0.0.1 -U postgres -At "$@"; }
postgres_answers() { [ "$(postgres_psql -c 'select 1')" = 1 ]; }
postgres_works() {
    # As images do it: what starts it drops the user first.
    app_starts postgres /run/postgres-root /bin/busybox su postgres -s /bin/sh -c "exec $POSTGRES/postgres -D /var/lib/postgresql/data \
        -c listen_addresses=127.0.0.1 -c shared_buffers=8MB -c max_connections=10 -c unix_socket_directories=/tmp"
    eventually 120 'PostgreSQL answers' postgres_answers
    postgres_psql -c 'create table t (i int, s text)' -c "insert into t select g, md5(g::text) from generate_series(1, 2000) g" \
        -c 'create index on t (s)' -c 'checkpoint' -c 'vacuum analyze t' -c 'create database other' >/dev/null
    expect_equal 'what it has stored' 2000 "$(postgres_psql -c 'select count(*) from t')"
    postgres_psql -c 'drop database other' -c 'drop table t' >/dev/null
    # A fast shutdown.
    app_ends INT
}

test_suggested_rules_are_enough_for_postgresql() {
    local root version
    version=$(apt-cache depends postgresql | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p')
    root=$(suggest_root postgresql "postgresql-$version" "postgresql-client-$version") || fail 'PostgreSQL cannot be had'
    POSTGRES=/usr/lib/postgresql/$version/bin
    vm push node-1 "$root" /run/postgres-root
    in_node node-1 sh -c 'cd /run/postgres-root && mkdir -p var/lib/postgresql/data tmp dev proc && mount -t proc proc proc &&
        mount --bind /dev dev && chown -R 70:70 var/lib/postgresql && chmod 700 var/lib/postgresql/data && chmod 1777 tmp'
    app_does /run/postgres-root /bin/busybox su postgres -s /bin/sh -c \
        "$POSTGRES/initdb -D /var/lib/postgresql/data -A trust --no-sync --locale=C" >/dev/null
    app_test postgres
    in_node node-1 sh -c 'umount /run/postgres-root/proc /run/postgres-root/dev; rm -rf /run/postgres-root'
}
