# Two hosts in one guest: initiators node-a and node-b, each with a session through each of the two
# portals. Sets, for P in A1 A2 B1 B2 (the host and the portal), $P to the path's sg device and
# BLOCK_$P to its block device. SCSI commands go to the sg devices: nothing but the job sends on them,
# so what a command is answered is seen by the job and by no one else.
# shellcheck shell=bash disable=SC2034
PATHS='A1 A2 B1 B2'
NODE_NAME=iqn.2026-11.internal.petal:node

start_nodes() {
  local node
  modprobe sg
  # A device that was closed after writing would be probed for file systems by udev.
  echo 'ACTION!="remove", KERNEL=="sd*", OPTIONS:="nowatch"' >/etc/udev/rules.d/99-nowatch.rules
  udevadm control --reload
  start_initiator
  for node in a b; do
    iscsiadm -m iface -I node-$node -o new
    iscsiadm -m iface -I node-$node -o update -n iface.initiatorname -v $NODE_NAME-$node
  done
  iscsiadm -m discovery -t sendtargets -p "$PORTAL" -I node-a -I node-b
}

# login_nodes [IQN [PREFIX]]: the disk's own target unless given; PREFIX before the names that it sets.
login_nodes() {
  local target=${1:-$TARGET} prefix=${2:-} portal number=0
  for portal in $PORTALS; do
    iscsiadm -m node -T "$target" -p "$portal" --login
    number=$((number + 1))
    find_path "$target" a "$portal" "${prefix}A$number"
    find_path "$target" b "$portal" "${prefix}B$number"
  done
}

# find_path TARGET NODE PORTAL NAME
find_path() {
  local found=
  within 30 "a disk of node $2 through $3" session_of "$1" "$2" "$3"
  found=$(session_of "$1" "$2" "$3")
  printf -v "$4" /dev/%s "$(basename "$found"/scsi_generic/sg*)"
  printf -v "BLOCK_$4" /dev/%s "$(basename "$found"/block/sd*)"
  within 10 "the devices of path $4" test -c "${!4}"
  say "$4: node $2 through $3 is ${!4}"
}

# Prints the folder of the SCSI device of a session; fails while there is none.
session_of() {
  local session name address port device
  for session in /sys/class/iscsi_session/session*; do
    [ "$(cat "$session/targetname")" = "$1" ] || continue
    [ "$(cat "$session/ifacename")" = "node-$2" ] || continue
    address=$(cat "$session"/device/connection*/iscsi_connection/connection*/persistent_address)
    port=$(cat "$session"/device/connection*/iscsi_connection/connection*/persistent_port)
    [ "$address:$port" = "$3" ] || continue
    for device in "$session"/device/target*/*:*:*:"$LUN"; do
      [ -d "$device/block" ] && [ -d "$device/scsi_generic" ] && echo "$device" && return 0
    done
  done
  return 1
}

all_sessions_are() { [ "$(grep -lx "$1" /sys/class/iscsi_session/session*/state | wc -l)" = "$2" ]; }

# told PATH: the unit attentions that wait on a path, each once, oldest first, "; " between.
told() {
  local said all='' tries
  for tries in 1 2 3 4 5 6 7 8; do
    if said=$(sg_raw "$1" 00 00 00 00 00 00 2>&1); then
      printf '%s' "$all"
      return 0
    fi
    said=$(printf '%s\n' "$said" | sed -n 's/.*Additional sense: //p')
    [ -n "$said" ] || return 1
    all=$all${all:+; }$said
  done
  return 1
}
# forget: takes what waits on every path.
forget() {
  local path
  for path in $PATHS; do told "${!path}" >/dev/null || fail "unit attentions on $path do not end"; done
}

# status WANTED WHAT COMMAND…: WANTED is the exit status of sg3-utils: 0, 5 illegal request, 6 unit
# attention, 7 data protect, 14 miscompare, 24 reservation conflict.
status() {
  local wanted=$1 what=$2 got=0
  shift 2
  "$@" >/tmp/status 2>&1 || got=$?
  [ "$got" = "$wanted" ] || fail "$what: status $got, not $wanted: $(cat /tmp/status)"
  say "$what: $wanted"
}
# One WRITE(10) of one sector (SBC-3 5.33) / READ(10) (5.11): lba in two hex digits.
write_sector() { sg_raw -s 512 -i "${3:-/tmp/sector}" "$1" 2a 00 00 00 00 "$2" 00 00 01 00; }
read_sector() { sg_raw -r 512 -o "${3:-/dev/null}" "$1" 28 00 00 00 00 "$2" 00 00 01 00; }
