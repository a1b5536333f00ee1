# Windows' offloaded data transfer (ODX), sent by ddpt and ddptctl: POPULATE TOKEN, RECEIVE ROD TOKEN INFORMATION,
# WRITE USING TOKEN, within a disk and between two; the token of zeros; a token that is no longer good.
#   [OD]  Microsoft, "Windows storage offloaded data transfer" (Windows drivers, storage)
#   [OT]  Microsoft, STORAGE_OFFLOAD_TOKEN (winioctl.h): the token of zeros
#   [DD]  ddpt(8), ddptctl(8)     SBC-3 4.28, 5.6, 5.45; SPC-4 6.26, 7.8.17 (VPD page 8Fh)
# The addresses are in docs/guest-tests.md.
# shellcheck shell=bash disable=SC1091
. ./lib.sh
. ./nodes.sh
MIB=2048
second=$(host another odx-second 256MiB)
start_nodes
login_nodes
login_nodes "$second" SECOND_
forget
for path in $PATHS; do
  name=SECOND_$path
  told "${!name}" >/dev/null || fail "unit attentions on $name do not end"
done
read_at() { dd if="$1" bs=1M skip="$2" count="$3" iflag=direct status=none; }
dd if=/dev/urandom of="$BLOCK_A1" bs=1M seek=8 count=32 oflag=direct status=none
wanted=$(read_at "$BLOCK_A1" 8 32 | sha256sum)

say '1. What the disk says of itself [OD; DD; VPD page 8Fh]'
ddptctl --info "$A1" >/out/odx-info 2>&1 || fail "$(cat /out/odx-info)"
grep -q 'Third Party Copy VPD page' /out/odx-info || fail "$(cat /out/odx-info)"
grep -q 'Block Device ROD Token Limits' /out/odx-info || fail "no ROD token limits: $(cat /out/odx-info)"

# ddpt 0.97 begins the range descriptors of POPULATE TOKEN and WRITE USING TOKEN one byte early, which makes of each
# range one of 256 times its start and length; so it is told the 256th, and its own full copy cannot be used.
ranges() { # MIB MIB [MIB MIB]…: "lba,number,…" as ddptctl is to be told
  local all='' each
  for each in "$@"; do all=$all${all:+,}$((each * MIB / 256)); done
  echo "$all"
}
populate() { ddptctl --timeout=600 --pt="$(ranges "${@:3}")" --rtf="$2" "$1"; }     # DEVICE FILE MIB MIB…
write_token() { ddptctl --wut="$(ranges "${@:3}")" --rtf="$2" "$1"; } # DEVICE FILE MIB MIB…
counted() { grep -q "completes with a transfer count of $(($1 * MIB)) " /tmp/status || fail "$(cat /tmp/status)"; }

say '2. A token of two ranges, written elsewhere on the disk through the other path [OD; DD; SBC-3 POPULATE TOKEN]'
status 0 'POPULATE TOKEN' populate "$A1" /tmp/token 8 1 10 1
counted 2
is 'the size of the token' "$(stat -c %s /tmp/token)" 512
ddptctl --info --rtf=/tmp/token >/out/odx-token
status 0 'WRITE USING TOKEN' write_token "$A2" /tmp/token 64 2
counted 2
is 'the first mebibyte' "$(read_at "$BLOCK_B1" 64 1 | sha256sum)" "$(read_at "$BLOCK_B1" 8 1 | sha256sum)"
is 'the second mebibyte' "$(read_at "$BLOCK_B1" 65 1 | sha256sum)" "$(read_at "$BLOCK_B1" 10 1 | sha256sum)"
status 0 'a token is good more than once' write_token "$A1" /tmp/token 70 1 72 1
is 'the second mebibyte' "$(read_at "$BLOCK_B2" 72 1 | sha256sum)" "$(read_at "$BLOCK_B1" 10 1 | sha256sum)"

say '3. Whole copies, within the disk and to the other [OD; DD]'
status 0 'a token of 32 MiB' populate "$A1" /tmp/token 8 32
status 0 'within the disk' write_token "$A1" /tmp/token 96 32
is 'the checksum' "$(read_at "$BLOCK_B2" 96 32 | sha256sum)" "$wanted"
status 0 'to the other disk' write_token "$SECOND_A1" /tmp/token 16 32
is 'the checksum' "$(read_at "$BLOCK_SECOND_B2" 16 32 | sha256sum)" "$wanted"
status 0 'a token of the other host' populate "$B1" /tmp/token-b 8 32
status 0 'in the background' ddptctl --immed --wut="$(ranges 64 32)" --rtf=/tmp/token-b "$SECOND_B1"
status 0 'its end' ddptctl --poll "$SECOND_B1"
is 'the checksum' "$(read_at "$BLOCK_SECOND_A2" 64 32 | sha256sum)" "$wanted"

say '4. The token of zeros [OT; SBC-3 block device zero ROD token]'
# ddptctl makes this token itself; the file has only to be there.
status 0 'zero 8 MiB' ddptctl --rtype=zero --rtf=/tmp/token --wut="$(ranges 96 8)" "$A1"
read_at "$BLOCK_B1" 96 8 | cmp -n 8388608 - /dev/zero || fail 'what was zeroed is not zero'
is 'the rest' "$(read_at "$BLOCK_B1" 104 24 | sha256sum)" "$(read_at "$BLOCK_B1" 16 24 | sha256sum)"

say '5. A token that was tampered with, one whose data has changed, and one from before a restart [OD; SPC-4 sense 23/xx]'
{ head -c 300 /tmp/token; printf 'X'; tail -c 211 /tmp/token; } >/tmp/forged
refused() { # WHAT FILE: the token is not taken, and nothing is written.
  if write_token "$A1" "$2" 160 1 >/tmp/status 2>&1; then fail "$1 was taken"; fi
  say "$1: $(grep -m1 'Additional sense' /tmp/status || tail -n 1 /tmp/status)"
  read_at "$BLOCK_B1" 160 1 | cmp -n 1048576 - /dev/zero || fail "$1 wrote"
}
refused 'a forged token' /tmp/forged
status 0 'a write into what the token stands for' sg_write_same --lba=$((9 * MIB)) --num=8 "$B2"
refused 'a token whose data has changed' /tmp/token
status 0 'POPULATE TOKEN' populate "$A1" /tmp/token 8 1
host kill
host start
within 90 'all sessions are back' all_sessions_are LOGGED_IN 8
forget
refused 'a token from before the restart' /tmp/token
iscsiadm -m node -T "$TARGET" --logout
iscsiadm -m node -T "$second" --logout
