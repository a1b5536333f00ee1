/**
 * node-iscsi-target: an iSCSI target over any BlockDevice. What is exported here is the public API.
 */
export { type Clock, realClock } from './clock.ts';
export { defaultLimits, type Limits } from './limits.ts';
export { RamDevice, type RamDeviceOptions } from './ram-device.ts';
export { type Alua, type AluaChange, AluaState, type PortGroup } from './scsi/alua.ts';
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
  type DeviceProvisioning,
} from './scsi/device.ts';
export {
  type Holder,
  MemoryReservationStore,
  noReservations,
  type Registration,
  type ReservationState,
  type ReservationStore,
} from './scsi/reservation-store.ts';
export { RodTokens, type RodTokensOptions } from './scsi/rod-tokens.ts';
export { ScsiTarget } from './scsi/scsi-target.ts';
export {
  IscsiServer,
  type IscsiServerOptions,
  type ListenOptions,
  type PortalInfo,
} from './server.ts';
export { refuseSecret } from './session/chap.ts';
export type { ChapPolicy, ChapUser } from './session/chap-exchange.ts';
export type { Log } from './session/log.ts';
export { normalName } from './session/names.ts';
export type { Redirect } from './session/redirect.ts';
export type { SessionInfo } from './session/session-info.ts';
export type { ByteStream, StreamHandler } from './session/stream.ts';
export { type Access, type Peer, Target, type TargetOptions } from './target.ts';
