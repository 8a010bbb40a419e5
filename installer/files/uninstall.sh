#!/bin/sh
# Takes the program away that install.sh put here. Configuration and state stay, and it says where. 卸载脚本；配置与数据保留。
set -eu
[ "$(id -u)" = 0 ] || {
    echo "uninstall.sh: must be run as root 请以 root 运行" >&2
    exit 1
}
setup=$(mktemp)
cp /opt/frontend-agent/current/share/setup "$setup"
for file in /opt/frontend-agent/current/share/systemd/*; do
    name=${file##*/}
    case $name in
    *.sysusers) rm -f "/usr/lib/sysusers.d/${name%.sysusers}.conf" ;;
    *.tmpfiles) rm -f "/usr/lib/tmpfiles.d/${name%.tmpfiles}.conf" ;;
    esac
done
sh "$setup" leave
for file in /opt/frontend-agent/versions/*/share/systemd/*.service; do rm -f "/usr/lib/systemd/system/${file##*/}"; done
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
rm -f /usr/bin/frontend-agent
rm -rf /opt/frontend-agent/versions
rmdir /opt/frontend-agent 2>/dev/null || true
sh "$setup" told-purge
rm -f "$setup"
