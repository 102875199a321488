# Runs in private mount, PID and network namespaces: mounts an image at $2 and starts the rest of its arguments in it.
# All of it ends with the namespaces.
set -e
image=$1 root=$2
shift 2
mount -t squashfs -o loop,ro,nosuid,nodev "$image" "$root"
for folder in tmp run var/lib/samba var/cache/samba var/log/samba etc/samba var/lock; do
	mount -t tmpfs -o mode=0755 tmpfs "$root/$folder"
done
mkdir -p "$root/run/samba" "$root/var/lib/samba/private"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" "$@"
