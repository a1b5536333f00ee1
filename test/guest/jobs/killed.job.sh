# The daemon is killed (-9) in the middle of verified writes and started again: the initiator comes
# back by itself, fio ends without an error, the data verifies and the file system is clean.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
KILLS=3
start_initiator
discover
login
mkfs.ext4 -q "$DISK"
mount "$DISK" /mnt

# The rate makes it last: 72 MiB at 3 MiB/s.
writes=(--name=killed --filename=/mnt/killed --rw=randwrite --bsrange=4k-64k --size=72m
  --ioengine=libaio --iodepth=16 --direct=1 --fsync=64 --verify=crc32c --verify_fatal=1
  --randrepeat=1 --thread=1)
fio "${writes[@]}" --rate=3m --do_verify=1 >/out/fio-killed 2>&1 &
fio=$!
for round in $(seq $KILLS); do
  sleep 4
  kill -0 $fio || fail "fio was over before kill $round"
  host kill
  sleep 2
  host start
  say "killed and started, round $round"
  within 60 'the initiator is back' session_is LOGGED_IN
done
kill -0 $fio || fail 'fio was over before the last start'
wait $fio || fail "fio: $(cat /out/fio-killed)"
errors=$(dmesg | grep -c 'detected conn error' || true)
say "the kernel told of $errors broken connections"
[ "$errors" -ge $KILLS ] || fail 'the connection did not break as often as the daemon was killed'
if dmesg | grep -E 'I/O error|Buffer I/O|EXT4-fs error|Remounting filesystem read-only'; then
  fail 'an error reached the file system'
fi

drop_caches
fio "${writes[@]}" --verify_only >/out/fio-verify || fail "$(cat /out/fio-verify)"
umount /mnt
fsck.ext4 -fn "$DISK"
logout
