# The bed itself: the guest has what the jobs need, has no way out when told so, can ask the host,
# and its check of data fails when one byte of the data is wrong.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
modprobe iscsi_tcp
modprobe dm_multipath
modprobe loop
for program in iscsiadm iscsid multipathd fio mkfs.ext4 mkfs.xfs fstrim sg_inq resize2fs; do
  command -v "$program"
done
is "the host's answer" "$(host echo 'two words' 3)" 'two words|3'
if host nonsense; then fail 'the host did what it cannot know'; fi
if timeout 5 bash -c 'exec 3<>/dev/tcp/10.0.2.2/22' 2>/dev/null; then fail 'there is a way out'; fi

truncate -s 96m /tmp/image
mkfs.ext4 -q /tmp/image
mount -o loop /tmp/image /mnt
fill /mnt 16
verify /mnt 16
say 'good data verifies'
for name in large sync mixed; do
  cp "/mnt/$name" /mnt/saved
  printf 'x' | dd of="/mnt/$name" bs=1 seek=300003 conv=notrunc status=none
  if verify /mnt 16 2>/dev/null; then fail "a wrong byte in $name was not noticed"; fi
  cp /mnt/saved "/mnt/$name"
done
say 'a wrong byte does not'
verify /mnt 16
umount /mnt
