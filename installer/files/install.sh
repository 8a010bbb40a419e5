#!/bin/sh
# Installs the program in this folder, for systems whose package manager has neither .deb nor .rpm. As root. 安装脚本，请以 root 运行。
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
version=$(cat "$here/share/version")
home=/opt/frontend-agent/versions/$version

fail() {
    printf '%s\n' "install.sh: $*" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "must be run as root 请以 root 运行"
machine=$(sed -n 's/^"machine": "\(.*\)",$/\1/p' "$here/MANIFEST.json")
[ "$machine" = "$(uname -m)" ] || fail "this program is for $machine, and this machine is $(uname -m) 与本机架构不符"

if [ "$here" != "$home" ]; then
    mkdir -p /opt/frontend-agent/versions
    rm -rf "$home.new"
    cp -R "$here" "$home.new"
    chown -R root:root "$home.new"
    rm -rf "$home"
    mv "$home.new" "$home"
fi
# The keys are the program's own: this finds a copy that was damaged on its way. Who made it is told by the file that it came in.
"$home/bin/frontend-agent" program verify "$home" || fail "nothing was changed but $home; take the file anew 文件已损坏，请重新获取"

units=/usr/lib/systemd/system
if [ -d /usr/lib/systemd ]; then
    mkdir -p $units /usr/lib/sysusers.d /usr/lib/tmpfiles.d
    for file in "$home"/share/systemd/*; do
        name=${file##*/}
        case $name in
        *.sysusers) cp "$file" "/usr/lib/sysusers.d/${name%.sysusers}.conf" ;;
        *.tmpfiles) cp "$file" "/usr/lib/tmpfiles.d/${name%.tmpfiles}.conf" ;;
        *) cp "$file" "$units/$name" ;;
        esac
    done
fi
ln -sfn /opt/frontend-agent/current/bin/frontend-agent /usr/bin/frontend-agent
exec "$home/share/setup" take-over "$home"
