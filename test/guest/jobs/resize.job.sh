# A disk grows while it is mounted: the target says so (unit attention), the guest sees the new size
# after a rescan, resize2fs fills it, and old and new data are whole.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
start_initiator
discover
login
mkfs.ext4 -q "$DISK"
mount "$DISK" /mnt
fill /mnt 24
is 'the size before' "$(blockdev --getsize64 "$DISK")" "$SIZE"

host resize 2GiB
larger=$((2 * 1024 * 1024 * 1024))
# Any command is answered with the unit attention 2A/09 once; the kernel notes it.
sg_turs "$DISK" || true
dd if="$DISK" of=/dev/null bs=4k count=1 iflag=direct status=none
within 10 'the kernel is told of the new size' sh -c 'dmesg | grep -q "Capacity data has changed"'
iscsiadm -m session --rescan
within 20 'the guest sees the new size' sh -c "[ \$(blockdev --getsize64 $DISK) = $larger ]"
is 'the size after' "$(blockdev --getsize64 "$DISK")" "$larger"
resize2fs "$DISK"
free=$(($(stat -f -c '%a * %S' /mnt)))
say "$free bytes free"
[ "$free" -gt "$SIZE" ] || fail 'the file system did not grow'

# More than the old size is taken, so blocks of the new part are in use.
fio "${FIO_COMMON[@]}" --name=new --filename=/mnt/new --rw=write --bs=1m --size=320m \
  --fallocate=none --direct=1 --do_verify=1 >/out/fio-new || fail "$(cat /out/fio-new)"
verify /mnt 24
umount /mnt
fsck.ext4 -fn "$DISK"
logout
