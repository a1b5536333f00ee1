# Two portals are two paths to one disk: identical identity, one multipath map. I/O goes on when the
# appliance drops a session, and when one portal cannot be reached any more.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
read -r first second _ <<<"$PORTALS"
cat >/etc/multipath.conf <<'CONF'
defaults {
  user_friendly_names no
  find_multipaths no
  polling_interval 2
  path_grouping_policy multibus
  no_path_retry 30
}
CONF
modprobe dm_multipath
start_initiator
replacement_timeout 5
discover
if [ "$KIND" = petal ]; then
  grep -qF "$second," /out/discovery || fail "no second portal $second in the answer"
else
  # tgt announces one portal of an address only.
  iscsiadm -m node -T "$TARGET" -p "$second" -o new
fi
multipathd -d -s -v2 >/out/multipathd.log 2>&1 &
within 20 'multipathd answers' multipathd show daemon
login "$first"
one=$DISK
login "$second"
two=$DISK
[ "$one" != "$two" ] || fail 'both sessions lead to one device'
for page in 0x80 0x83; do
  # The relative target port of 83h may differ by portal, nothing else.
  sg_inq --page=$page "$one" | grep -viE 'relative target port' >/tmp/one
  sg_inq --page=$page "$two" | grep -viE 'relative target port' >/tmp/two
  cmp /tmp/one /tmp/two || fail "the paths differ in page $page"
done
wwid=$(/lib/udev/scsi_id --whitelisted --device="$one")
show_paths() { multipathd show paths format '%i %d %m %t %o %T' | tee /tmp/paths; }
two_active() { show_paths && [ "$(grep -c 'active running ready' /tmp/paths)" = 2 ]; }
one_active() { show_paths && [ "$(grep -c 'active running ready' /tmp/paths)" = 1 ]; }
within 30 'two active paths' two_active
multipath -ll
is 'the number of maps' "$(multipath -ll | grep -c ' dm-')" 1
map=/dev/mapper/$wwid

mkfs.ext4 -q "$map"
mount "$map" /mnt
fio --name=paths --filename=/mnt/paths --rw=randwrite --bs=16k --size=128m --rate=2m \
  --ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --verify_fatal=1 --thread=1 \
  >/out/fio-paths 2>&1 &
fio=$!

sleep 3
for portal in 1 2; do
  host kick
  say "session kicked, $portal"
  within 30 'the session is back' two_active
  sleep 1
done
kill -0 $fio || fail 'fio was over before the sessions were dropped'

port=${second##*:}
nft add chain ip loopback cut '{ type filter hook output priority 0; }'
nft add rule ip loopback cut ip daddr 10.0.2.2 tcp dport "$port" drop
within 60 'the path fails' one_active
say 'one portal is out of reach'
kill -0 $fio || fail 'fio was over before the path failed'
sleep 3
nft delete chain ip loopback cut
within 60 'the path is back' two_active
wait $fio || fail "fio: $(cat /out/fio-paths)"
if dmesg | grep -E 'EXT4-fs error|Buffer I/O error'; then fail 'an error reached the file system'; fi
umount /mnt
fsck.ext4 -fn "$map"
multipath -f "$wwid"
logout
