# What the disk says of itself: INQUIRY and the vital product data pages a host decides by.
# shellcheck shell=bash
check_identity() {
  sg_inq "$DISK" >/out/inquiry
  local page
  for page in 0x80 0x83 0xb0 0xb1 0xb2; do
    sg_vpd --page=$page "$DISK" >"/out/vpd-$page" || sg_inq --page=$page "$DISK" >"/out/vpd-$page" ||
      fail "no VPD page $page"
  done
  is 'the size' "$(blockdev --getsize64 "$DISK")" "$SIZE"
  [ "$KIND" = petal ] || return 0
  # Told by `petal --json disk show`.
  local -A told=()
  local key value
  while IFS='=' read -r key value; do told[$key]=$value; done < <(host show)
  is 'the vendor' "$(sed -n 's/ *Vendor identification: *//p' /out/inquiry | xargs)" PETAL
  is 'the IQN' "$TARGET" "${told[iqn]}"
  is 'the size told' "${told[size]}" "$SIZE"
  is "the NAA name" "$(cat "/sys/block/${DISK##*/}/device/wwid")" "${told[naa]}"
  is 'the serial number' "$(sg_vpd --page=0x80 --quiet "$DISK" | sed 's/.*: *//' | xargs)" \
    "${told[serial]}"
  is 'the logical block size' "$(blockdev --getss "$DISK")" "${told[sectorBytes]}"
  is 'rotational' "$(cat "/sys/block/${DISK##*/}/queue/rotational")" 0
  is 'the provisioning' "$(cat /sys/block/"${DISK##*/}"/device/scsi_disk/*/provisioning_mode)" unmap
}
