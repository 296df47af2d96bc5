#!/bin/sh
# The life of a domain over D-Bus, by way of libvirt-dbus: within a bus of its own, with the daemon's socket where sessions look.
set -eu
document=$1
/usr/sbin/libvirt-dbus --session &
bridge=$!
trap 'kill $bridge' EXIT
gdbus wait --session --timeout 30 org.libvirt
call() {
    path=$1
    method=$2
    shift 2
    gdbus call --session --dest org.libvirt --object-path "$path" --method "org.libvirt.$method" "$@"
}
property() {
    gdbus call --session --dest org.libvirt --object-path "$1" \
        --method org.freedesktop.DBus.Properties.Get "org.libvirt.$2" "$3"
}
host=/org/libvirt/QEMU
call $host Connect.DomainDefineXML "$(cat "$document")" >/dev/null
domain=$(call $host Connect.ListDomains 0 | sed "s/.*'\(.*\)'.*/\1/")
echo "name $(property "$domain" Domain Name)"
call "$domain" Domain.Create 0 >/dev/null
echo "state $(call "$domain" Domain.GetState 0)"
echo "active $(property "$domain" Domain Active)"
echo "stats $(call "$domain" Domain.GetStats 1 0)"
call "$domain" Domain.Suspend >/dev/null
echo "state $(call "$domain" Domain.GetState 0)"
call "$domain" Domain.Destroy 0 >/dev/null
call "$domain" Domain.Undefine 0 >/dev/null
echo "left $(call $host Connect.ListDomains 0)"
