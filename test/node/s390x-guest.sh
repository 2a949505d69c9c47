#!/bin/busybox sh
# The first process of the emulated machine. What it says for the test is in lines `@<label> <text>`.
export PATH=/usr/bin FFI_STAND_IN=/opt/ffi.node
for kind in proc sysfs:sys devtmpfs:dev; do busybox mount -t "${kind%:*}" none "/${kind#*:}"; done
for name in llc stp bridge veth; do busybox insmod "/modules/$name.ko"; done
busybox mkdir -p /run/netns
/usr/bin/ip netns add pod

plugin() {
  text=$(CNI_COMMAND=$2 CNI_CONTAINERID=c1 CNI_NETNS=/run/netns/pod CNI_IFNAME=$3 CNI_PATH=/nowhere \
    node --import /opt/ffi-stand-in.mjs "/opt/$1" < "$4" | busybox tr -d '\n')
  echo "@$1-$2 $text"
}

say() {
  label=$1
  shift
  echo "@$label $(/usr/bin/ip netns exec pod "$@" 2>&1 | busybox tr '\n' ';')"
}

plugin loopback ADD lo /opt/lo.json
plugin bridge ADD eth0 /opt/bridge.json
say addresses /usr/bin/ip -4 -o -br address
say routes /usr/bin/ip route
say ping /usr/bin/busybox ping -c 1 10.9.0.1
plugin bridge DEL eth0 /opt/bridge.json
say left /usr/bin/ip -4 -o -br address
echo '@end'
busybox poweroff -f
