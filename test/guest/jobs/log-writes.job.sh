# A store on devices whose every write, flush and acknowledgement dm-log-writes keeps in order. What
# the logs hold is judged by the host afterwards (test/guest/log-writes/). From the host: ./environment
# with LAYOUT (single or mirrored), OPERATIONS, SEED, and the disks /dev/vdd… of log-writes/job.ts.
# shellcheck shell=bash disable=SC1091,SC2153
. ./lib.sh
modprobe dm_log_writes
mkdir -p /petal
mount -o ro /dev/vdd /petal

# logged NAME DEVICE LOG
logged() {
  dmsetup create "$1" --table "0 $(blockdev --getsz "$2") log-writes $2 $3"
}
names=(store0)
logged store0 /dev/vde /dev/vdf
if [ "$LAYOUT" = mirrored ]; then
  names+=(store1)
  logged store1 /dev/vdg /dev/vdh
fi

say "the load: $OPERATIONS operations on ${names[*]}"
time /petal/bin/node /petal/test/guest/log-writes/load.ts \
  --seed "$SEED" --operations "$OPERATIONS" --layout "$LAYOUT" "${names[@]}"
# The log is whole when its device is gone.
for name in "${names[@]}"; do
  dmsetup status "$name"
  dmsetup remove "$name"
done
cat /out/summary.json
