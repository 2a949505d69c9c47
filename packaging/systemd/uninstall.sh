#!/bin/sh
# Removes what install.sh has installed. --purge removes /etc/default/flanneld, too. Can be run again at any time.
# DESTDIR=<folder> as with install.sh.
set -eu

say() { printf '%s\n' "$1"; }
fail() {
	printf 'uninstall.sh: %s\n' "$1" >&2
	exit 1
}

root=${DESTDIR:-}
share=/usr/local/share/flannel
purge=no

case "$#:${1:-}" in
0:) ;;
1:--purge) purge=yes ;;
*) fail "takes no argument but --purge" ;;
esac
[ "$(id -u)" -eq 0 ] || fail "must be run as root: sudo $share/uninstall.sh"

drop() { # <path>
	if [ -e "$root$1" ] || [ -L "$root$1" ]; then
		rm -f "$root$1"
		say "$1: removed"
	fi
}

live=no
[ -z "$root" ] && [ -d /run/systemd/system ] && live=yes
if [ "$live" = yes ] && [ -e /etc/systemd/system/flanneld.service ]; then
	systemctl disable --now flanneld.service
	say "flanneld: stopped and disabled; what it wrote into the kernel stays, pods go on"
	say "  to remove that, too: flannelctl cleanup, when no pod needs it; $share/uninstall.sh removes flannelctl"
fi
drop /etc/systemd/system/multi-user.target.wants/flanneld.service
drop /etc/systemd/system/flanneld.service
# Only the link that install.sh made: another package's program may have this name.
if [ "$(readlink "$root/usr/local/bin/flannelctl" || true)" = flanneld ]; then drop /usr/local/bin/flannelctl; fi
drop /usr/local/bin/flanneld
if [ "$purge" = yes ]; then drop /etc/default/flanneld; fi
drop "$share/docker.service.d/flannel.conf"
drop "$share/examples/net-conf.json"
drop "$share/examples/10-flannel.conflist"
drop "$share/uninstall.sh"
for page in flanneld.8 flannelctl.8; do drop "/usr/local/share/man/man8/$page"; done
for folder in "$share/docker.service.d" "$share/examples" "$share" /usr/local/share/man/man8; do
	rmdir "$root$folder" 2>/dev/null || true
done
if [ "$live" = yes ]; then systemctl daemon-reload; fi
if [ "$purge" = no ] && [ -e "$root/etc/default/flanneld" ]; then
	say "/etc/default/flanneld: kept (uninstall.sh --purge removes it)"
fi
