/**
 * node-iscsi-target: an iSCSI target over any BlockDevice. What is exported here is the public API.
 */
export { type Clock, realClock } from './clock.ts';
export { defaultLimits, type Limits } from './limits.ts';
export { RamDevice, type RamDeviceOptions } from './ram-device.ts';
export {
  type BlockDevice,
  type Completion,
  type DeviceAllocation,
  type DeviceCapabilities,
  type DeviceChange,
  DeviceError,
  DeviceErrorCode,
  type DeviceIdentity,
  type DeviceListener,
} from './scsi/device.ts';
export { ScsiTarget } from './scsi/scsi-target.ts';
export {
  IscsiServer,
  type IscsiServerOptions,
  type ListenOptions,
  type Log,
  type PortalInfo,
  type SessionInfo,
} from './server.ts';
export { normalName } from './session/names.ts';
export type { ByteStream, StreamHandler } from './session/stream.ts';
export { type Access, type Peer, Target, type TargetOptions } from './target.ts';
