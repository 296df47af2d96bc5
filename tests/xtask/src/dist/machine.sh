# Boots a machine over this one's files. Its mounts are this process's own, and go with the last process in it.
# $1 an empty directory, $2 a name for its group of processes, then what systemd-nspawn is told.
set -eu
place=$1 name=$2
shift 2

# In groups of its own, which are removed when it has ended.
for hierarchy in $(awk '$3 == "cgroup2" || ($3 == "cgroup" && $4 ~ /name=systemd/) { print $2 }' /proc/self/mounts); do
  if mkdir "$hierarchy/$name" 2>/dev/null; then
    echo $$ >"$hierarchy/$name/cgroup.procs"
  fi
done
mount -t tmpfs -o mode=0755 machine "$place"
mkdir "$place/upper" "$place/work" "$place/root"
# What this machine has of hostler, and what keeps packages from starting services, are not there in the other.
mkdir -p "$place/upper/var/lib" "$place/upper/etc/systemd/system" "$place/upper/usr/sbin"
for hidden in var/lib/hostler etc/hostler usr/sbin/policy-rc.d; do
  if [ -e "/$hidden" ]; then
    mknod "$place/upper/$hidden" c 0 0
  fi
done
# They would change the kernel's settings, which are this machine's too.
for unit in systemd-sysctl.service systemd-modules-load.service; do
  ln -s /dev/null "$place/upper/etc/systemd/system/$unit"
done
mount -t overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" machine "$place/root"
# What systemd-nspawn leaves in its own directory is left in this one.
mount -t tmpfs -o mode=0755 machine /run
exec systemd-nspawn --quiet --directory="$place/root" "$@"
