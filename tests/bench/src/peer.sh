# Run within fresh namespaces: $1 is an empty directory. Says 0 when libvirtd answers, then for each line read
# runs virsh with it and says its status; begin-daemon and end-daemon are about libvirtd itself. Errors go to stderr.
set -eu
room=$1
mkdir -p "$room/etc" "$room/lib" "$room/cache" "$room/log"
cp -r /etc/libvirt/. "$room/etc/"
rm -rf "$room/etc/qemu/networks" "$room/etc/qemu/autostart" "$room/etc/storage"
printf '%s\n' 'auth_unix_ro = "none"' 'auth_unix_rw = "none"' > "$room/etc/libvirtd.conf"
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' > "$room/etc/qemu.conf"
mkdir -p /var/lib/libvirt /var/cache/libvirt /var/log/libvirt
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/libvirt /run/lock
for part in "etc /etc/libvirt" "lib /var/lib/libvirt" "cache /var/cache/libvirt" "log /var/log/libvirt"; do
  mount --bind "$room/${part% *}" "${part#* }"
done
ip link set lo up 2>/dev/null || true
virtlogd >/dev/null 2>&1 </dev/null &
start() {
  libvirtd >/dev/null 2>&1 </dev/null &
  daemon=$!
}
start
tries=0
until virsh -q -c qemu:///system version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt 300 ]; then
    echo "libvirtd does not answer" >&2
    exit 1
  fi
  sleep 0.1
done
echo 0
while read -r line; do
  status=0
  case $line in
    begin-daemon) start ;;
    end-daemon)
      kill "$daemon"
      # How it ends is its own affair.
      wait "$daemon" || true
      ;;
    *)
      # The line is a virsh command with plain words.
      # shellcheck disable=SC2086
      virsh -q -c qemu:///system $line >/dev/null </dev/null || status=$?
      ;;
  esac
  echo $status
done
