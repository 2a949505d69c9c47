#!/bin/sh
# Installs the agent on a machine with systemd. Can be run again at any time: what is as it should be stays. It starts nothing.
# DESTDIR=<folder> installs into the file system of another machine.
set -eu

say() { printf '%s\n' "$1"; }
fail() {
	printf 'install.sh: %s\n' "$1" >&2
	exit 1
}

root=${DESTDIR:-}
from=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
bin=/usr/local/bin
share=/usr/local/share/flannel
man=/usr/local/share/man/man8
unit=/etc/systemd/system/flanneld.service

# Whole files only, and only when they differ: a reader never sees half of one, a running program keeps its own.
put() { # <mode> <file> <target>
	target=$root$3
	if [ -f "$target" ] && [ ! -L "$target" ] && cmp -s "$2" "$target"; then
		chmod "$1" "$target"
		say "$3: as it should be"
		return
	fi
	mkdir -p "$(dirname -- "$target")"
	rm -f "$target.new"
	(umask 077 && cp "$2" "$target.new")
	chmod "$1" "$target.new"
	mv -f "$target.new" "$target"
	say "$3: written"
}

[ $# -eq 0 ] || fail "takes no arguments; DESTDIR=<folder> installs below a folder"
[ "$(id -u)" -eq 0 ] || fail "must be run as root: sudo ./install.sh"
(cd "$from" && sha256sum --quiet -c SHA256SUMS) || fail "files of the archive are damaged: unpack it again"
if [ -z "$root" ]; then
	version=$("$from/bin/flanneld" --version) ||
		fail "the executable does not run here: this archive is for @ARCHITECTURE@, this machine is $(uname -m); glibc is needed"
	say "$version"
fi

put 0755 "$from/bin/flanneld" "$bin/flanneld"
ln -sfn flanneld "$root$bin/flannelctl"
put 0644 "$from/systemd/flanneld.service" "$unit"
put 0644 "$from/systemd/docker.service.d/flannel.conf" "$share/docker.service.d/flannel.conf"
put 0644 "$from/examples/net-conf.json" "$share/examples/net-conf.json"
put 0644 "$from/examples/10-flannel.conflist" "$share/examples/10-flannel.conflist"
for page in flanneld.8 flannelctl.8; do put 0644 "$from/man/$page" "$man/$page"; done
put 0755 "$from/uninstall.sh" "$share/uninstall.sh"
# It may hold a password, and it is the operator's: never replaced.
if [ -e "$root/etc/default/flanneld" ]; then
	say "/etc/default/flanneld: kept"
else
	put 0600 "$from/systemd/flanneld.default" /etc/default/flanneld
fi

if [ -z "$root" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	if systemctl --quiet is-active flanneld.service; then
		say "the agent runs with what it was started with: systemctl restart flanneld (pods keep their network meanwhile)"
		exit 0
	fi
fi
say "next: flags in /etc/default/flanneld, the network in /etc/kube-flannel/net-conf.json ($share/examples)"
say "      systemctl enable --now flanneld"
say "      flannelctl install-cni --conf-file $share/examples/10-flannel.conflist"
