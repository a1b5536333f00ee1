/** The bounds of limits.ts in blocks of a given device. */
import type { BlockDevice } from './device.ts';
import { scsiLimits } from './limits.ts';

/** MAXIMUM TRANSFER LENGTH. */
export function maximumBlocks(device: BlockDevice): number {
  return scsiLimits.transferBytes / device.sectorBytes;
}

/** MAXIMUM COMPARE AND WRITE LENGTH. */
export function compareBlocks(device: BlockDevice): number {
  return Math.min(scsiLimits.compareBlocks, scsiLimits.compareBytes / device.sectorBytes);
}

/** MAXIMUM ATOMIC TRANSFER LENGTH; 0: WRITE ATOMIC is not supported. */
export function atomicBlocks(device: BlockDevice): number {
  const bytes = Math.min(device.capabilities.atomicBytes, scsiLimits.transferBytes);
  return Math.floor(bytes / device.sectorBytes);
}
