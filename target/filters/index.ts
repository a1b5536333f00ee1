/**
 * Filters: BlockDevices over a BlockDevice, for tests and for use. What is exported here is public.
 */
export { DelayFilter, type DelayOptions } from './delay.ts';
export { FaultFilter, type FaultRule } from './fault.ts';
export {
  CallFilter,
  type DeviceCall,
  DeviceCallKind,
  Filter,
  type Pass,
} from './filter.ts';
export { ReadOnlyFilter } from './read-only.ts';
export { TraceFilter, type TraceListener } from './trace.ts';
