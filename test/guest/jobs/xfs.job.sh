# xfs keeps what was written across umount, logout and login, and fstrim gives the space of removed
# files back to the store.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
start_initiator
discover
login
mkfs.xfs -q "$DISK"
mount "$DISK" /mnt
fill /mnt
umount /mnt
xfs_repair -n "$DISK"
logout

say 'again'
login
mount "$DISK" /mnt
verify /mnt

if [ "$KIND" = petal ]; then before=$(host used); fi
rm /mnt/large
sync
fstrim -v /mnt
if [ "$KIND" = petal ]; then
  after=$(host used)
  say "used: $before bytes with the file of 96 MiB, $after without"
  # A little of it may be written again as the file system's own records.
  [ $((before - after)) -ge $((88 * 1024 * 1024)) ] || fail 'fstrim gave too little back'
fi
umount /mnt
xfs_repair -n "$DISK"
logout
