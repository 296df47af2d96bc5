#!/bin/busybox sh
# The whole user space of the test guest. What it says on the console, one line each:
#   hostler-guest: booted kernel=K firmware=bios|uefi cpus=N memory-kib=N id=WORD uuid=UUID
#   hostler-guest: disk NAME sectors=N read-only=0|1 serial=TEXT marker=TEXT
#   hostler-guest: net NAME mac=MAC
#   hostler-guest: dhcp NAME address=ADDRESS router=ADDRESS names=ADDRESS   (with hostler.dhcp)
#   hostler-guest: reached ADDRESS | not reached ADDRESS                    (with hostler.reach=ADDRESS,…)
#   hostler-guest: fetched TEXT | not fetched ADDRESS:PORT                  (with hostler.fetch=ADDRESS:PORT)
#   hostler-guest: share TAG reads TEXT    (with hostler.share=TAG,…: what is in the file from-host)
#   hostler-guest: share TAG made owner=USER:GROUP mode=OCTAL setuid=yes|no device=yes|no moved=yes|no
#   hostler-guest: share TAG not there
#   hostler-guest: port NAME
#   hostler-guest: ready
#   hostler-guest: tick N                  (every SECONDS, with hostler.tick=SECONDS)
#   hostler-guest: shutting down (acpi)    (power button)
#   hostler-guest: plugged disk NAME sectors=N serial=TEXT | plugged net NAME mac=MAC | unplugged NAME
#   hostler-guest: carrier NAME 0|1        (of devices that are up: those that were plugged in)
#   hostler-guest: medium sr0 TEXT         (what a medium begins with; these four with hostler.watch)
# Words on the kernel command line: hostler.id=WORD, hostler.tick=SECONDS, hostler.deaf (no power button), hostler.watch
# (says what comes and goes, and writes to each disk that comes), hostler.dhcp (asks for an address on each network
# device), hostler.reach=ADDRESS,… (asks each for an answer), hostler.fetch=ADDRESS:PORT (greets, reads a line),
# hostler.serve=PORT (says its id to whoever connects), hostler.share=TAG,… (mounts each, reads and writes there).
/bin/busybox mkdir -p /bin /sbin
/bin/busybox --install -s /bin
export PATH=/bin:/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
exec </dev/console >/dev/console 2>&1

say() { echo "hostler-guest: $*"; }
word() { for w in $(cat /proc/cmdline); do case $w in "hostler.$1="*) echo "${w#*=}" ;; esac; done; }
fact() { cat "$1" 2>/dev/null | tr ' ' '_'; }

# A device says its alias, modprobe knows the module. Buses appear behind devices: PCI, then virtio and ATA, then SCSI.
seen=
for pass in 1 2 3; do
  for alias in $(cat $(find /sys/devices -name modalias) | sort -u); do
    case " $seen " in *" $alias "*) continue ;; esac
    seen="$seen $alias"
    modprobe -q "$alias" 2>/dev/null
  done
done

firmware=bios
if [ -d /sys/firmware/efi ]; then
  firmware=uefi
  modprobe -q efivarfs && mount -t efivarfs efivarfs /sys/firmware/efi/efivars
fi
say "booted kernel=$(uname -r) firmware=$firmware cpus=$(nproc)" \
  "memory-kib=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)" \
  "id=$(word id) uuid=$(fact /sys/class/dmi/id/product_uuid)"

for path in /sys/class/block/*; do
  name=${path##*/}
  case $name in ram*|loop*|'*') continue ;; esac
  marker=
  modprobe -q crc32c_generic; modprobe -q ext4
  if mount -t ext4 -o ro "/dev/$name" /mnt 2>/dev/null; then
    marker=$(fact /mnt/marker)
    umount /mnt
  fi
  say "disk $name sectors=$(cat "$path/size") read-only=$(cat "$path/ro") serial=$(fact "$path/serial") marker=$marker"
done
for path in /sys/class/net/*; do
  name=${path##*/}
  [ "$name" = lo ] || say "net $name mac=$(cat "$path/address")"
done
case " $(cat /proc/cmdline) " in
*" hostler.dhcp "*)
  cat >/bin/leased <<'END'
#!/bin/busybox sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
for router in $router; do ip route add default via "$router" dev "$interface"; break; done
echo "hostler-guest: dhcp $interface address=$ip router=$router names=$dns" >/dev/console
END
  chmod +x /bin/leased
  for path in /sys/class/net/*; do
    name=${path##*/}
    [ "$name" = lo ] && continue
    ip link set "$name" up
    udhcpc -i "$name" -s /bin/leased -x "hostname:$(word id)" -n -q -t 30 -T 2 >/dev/null 2>&1 || say "no address on $name"
  done
  ;;
esac
for address in $(word reach | tr ',' ' '); do
  if ping -c 1 -W 10 "$address" >/dev/null 2>&1; then say "reached $address"; else say "not reached $address"; fi
done
fetch=$(word fetch)
if [ -n "$fetch" ]; then
  text=$({ echo hello; sleep 3; } | nc -w 10 "${fetch%:*}" "${fetch##*:}" | head -n 1 | tr ' ' '_')
  if [ -n "$text" ]; then say "fetched $text"; else say "not fetched $fetch"; fi
fi
serve=$(word serve)
if [ -n "$serve" ]; then
  printf '#!/bin/busybox sh\necho "served by %s"\n' "$(word id)" >/bin/served
  chmod +x /bin/served
  nc -ll -p "$serve" -e /bin/served &
fi
share() {
  say "share $1 reads $(fact from-host)"
  echo 'written by the guest' >from-guest
  mkdir below && echo owned >owned && chown 1234:5678 owned && chmod 640 owned
  if chmod 4755 owned 2>/dev/null; then setuid=yes; else setuid=no; fi
  if mknod device c 1 3 2>/dev/null; then device=yes; else device=no; fi
  if mkfifo pipe && ln -s from-host link && ln owned other && mv other below/; then moved=yes; else moved=no; fi
  sync
  say "share $1 made owner=$(stat -c %u:%g owned) mode=$(stat -c %a owned) setuid=$setuid device=$device moved=$moved"
}
for tag in $(word share | tr ',' ' '); do
  mkdir -p "/share/$tag"
  if mount -t virtiofs "$tag" "/share/$tag" 2>/dev/null; then
    (cd "/share/$tag" && share "$tag")
  else
    say "share $tag not there"
  fi
done
for path in /sys/class/virtio-ports/*; do
  [ -s "$path/name" ] && say "port $(cat "$path/name")"
done

case " $(cat /proc/cmdline) " in
*" hostler.deaf "*) ;;
*)
  # Ready means that the power button is heard: acpid writes its pid once it has opened the input devices.
  acpid -p /run/acpid.pid -l /run/acpid.log
  tries=0
  while [ ! -s /run/acpid.pid ] && [ $tries -lt 200 ]; do usleep 10000; tries=$((tries + 1)); done
  [ -s /run/acpid.pid ] || say "no power button: $(fact /run/acpid.log)"
  ;;
esac

devices() {
  for path in /sys/class/block/* /sys/class/net/*; do
    name=${path##*/}
    case $name in ram*|loop*|lo|'*') ;; *) echo "$name" ;; esac
  done
}
watch() {
  before=$(devices) held=
  while :; do
    sleep 1
    now=$(devices)
    for name in $now; do
      case " $(echo $before) " in *" $name "*) continue ;; esac
      if [ -e "/sys/class/net/$name" ]; then
        say "plugged net $name mac=$(cat "/sys/class/net/$name/address")"
        ip link set "$name" up
        continue
      fi
      echo 'written by the guest' | dd of="/dev/$name" bs=512 conv=sync,notrunc 2>/dev/null
      sync
      say "plugged disk $name sectors=$(cat "/sys/class/block/$name/size") serial=$(fact "/sys/class/block/$name/serial")"
    done
    for name in $before; do
      case " $(echo $now) " in *" $name "*) ;; *) say "unplugged $name" ;; esac
    done
    before=$now
    for path in /sys/class/net/*; do
      name=${path##*/}
      carrier=$(cat "$path/carrier" 2>/dev/null) || continue
      [ "$name" = lo ] || [ "$carrier" = "$(cat "/run/carrier-$name" 2>/dev/null)" ] || say "carrier $name $carrier"
      echo "$carrier" >"/run/carrier-$name"
    done
    medium=$(dd if=/dev/sr0 bs=512 count=1 2>/dev/null | tr -cd 'A-Z-')
    [ "$medium" = "$held" ] || say "medium sr0 $medium"
    held=$medium
  done
}
case " $(cat /proc/cmdline) " in *" hostler.watch "*) watch & ;; esac

# With the archive of the agent behind this one, and a port for it. It freezes what is mounted: the first disk.
for path in /sys/class/virtio-ports/*; do
  [ -x /sbin/qemu-ga ] && [ "$(cat "$path/name" 2>/dev/null)" = org.qemu.guest_agent.0 ] || continue
  mount -t ext4 /dev/vda /mnt 2>/dev/null
  qemu-ga -d -m virtio-serial -p "/dev/${path##*/}" -t /run -f /run/agent.pid -l /run/agent.log
  # Ready means that the agent listens: it goes to the background before it opens its port.
  tries=0
  until ls -l "/proc/$(cat /run/agent.pid 2>/dev/null)/fd" 2>/dev/null | grep -q "/dev/${path##*/}"; do
    [ $tries -lt 1000 ] || { say "no agent: $(fact /run/agent.log)"; break; }
    tries=$((tries + 1))
    usleep 10000
  done
done
say ready

every=$(word tick)
count=0
while :; do
  sleep "${every:-3600}"
  count=$((count + 1))
  [ -z "$every" ] || say "tick $count"
done
