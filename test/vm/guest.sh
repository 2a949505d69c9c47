#!/bin/busybox sh
# The first process of the virtual machine: calls the bridge plugin and prints what came of it, a line each.
busybox=/bin/busybox
$busybox mkdir -p /applets /proc /sys /dev /run /tmp /var
$busybox --install -s /applets
export PATH=/bin:/applets
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in llc stp bridge veth; do insmod "/modules/$module.ko"; done

# Busybox has an ip of its own, which knows no bridges.
ip() { /bin/ip "$@"; }
show() { echo "@$1 $(cat)"; }
# call <label> <verb> <container> <file with the configuration>
call() {
  CNI_COMMAND=$2 CNI_CONTAINERID=$3 CNI_NETNS=/run/netns/$3 CNI_IFNAME=eth0 CNI_PATH=/bin /cni/bridge <"$4" >/tmp/out 2>/tmp/err
  echo "@$1 $? $(tr -d '\n' </tmp/out) $(tr '\n' ' ' </tmp/err)"
}
ping_from() { ip netns exec "$2" ping -c1 -W2 "$3" >/dev/null 2>&1; echo "@$1 $?"; }
# checked <label> <container> <file>: CHECK with the result of ADD in it
checked() {
  sed "s|\"prevResult\": null|\"prevResult\": $(tr -d '\n' </tmp/result)|" "$3" >/tmp/check.json
  call "$1" CHECK "$2" /tmp/check.json
}

ip link set lo up
for pod in a b c t; do ip netns add "$pod"; done
call add-a ADD a /cni/access.json
cp /tmp/out /tmp/result
checked check-a a /cni/access.json
call add-b ADD b /cni/access.json
call add-c ADD c /cni/other.json
bridge -j vlan show | tr -d '\n' | show vlans
ip -j addr show cni0.100 | tr -d '\n' | show gateway
ping_from same-vlan a 10.1.0.3
ping_from gateway-ping a 10.1.0.1
# The same subnet in another VLAN: nobody answers.
ping_from other-vlan c 10.1.0.2

call add-t ADD t /cni/trunk.json
cp /tmp/out /tmp/result
checked check-t t /cni/trunk.json
bridge -j -compressvlans vlan show | tr -d '\n' | show trunk
port=$(grep -o 'veth[0-9a-f]*' /tmp/result | head -n 1)
bridge vlan del dev "$port" vid 205
checked check-broken t /cni/trunk.json

for pod in a b c; do call "del-$pod" DEL "$pod" /cni/access.json; done
call del-t DEL t /cni/trunk.json
ip -j link show master cni0 | tr -d '\n' | show left
echo "@end 0"
poweroff -f
