# A host finds the disk by discovery, it says of itself what `petal disk show` says, and ext4 on it
# keeps what was written across umount, logout and login.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
. ./identity.sh
start_initiator
discover
login
lsblk -o NAME,SIZE,VENDOR,MODEL,SERIAL,WWN,TRAN "$DISK"
check_identity
mkfs.ext4 -q "$DISK"
mount "$DISK" /mnt
fill /mnt
(cd /mnt && cksum large sync mixed) >/tmp/sums
umount /mnt
fsck.ext4 -fn "$DISK"
logout

say 'again'
login
fsck.ext4 -fn "$DISK"
mount "$DISK" /mnt
verify /mnt
(cd /mnt && cksum large sync mixed) | diff /tmp/sums -
umount /mnt
logout
