/**
 * Task Management Function Request (RFC 7143 11.5) and Response (11.6).
 *
 *   Request                                   Response
 *    0  |.|I| 02h |1| Function | reserved |     0  | 22h |1| reserved | Response | reserved |
 *    8  | LUN or reserved                 |     8  | reserved                               |
 *   16  | Initiator Task Tag              |    16  | Initiator Task Tag                     |
 *   20  | Referenced Task Tag             |    20  | reserved                               |
 *   24  | CmdSN                           |    24  | StatSN                                 |
 *   28  | ExpStatSN                       |    28  | ExpCmdSN                               |
 *   32  | RefCmdSN                        |    32  | MaxCmdSN                               |
 *   36  | ExpDataSN                       |
 */
import { putU32, u32 } from './bytes.ts';
import { FINAL, initiatorTaskTag, lunHigh, lunLow, Opcode, startHeader } from './header.ts';

/** Functions (RFC 7143 11.5.1). */
export const TaskFunction = {
  abortTask: 1,
  abortTaskSet: 2,
  clearAca: 3,
  clearTaskSet: 4,
  logicalUnitReset: 5,
  targetWarmReset: 6,
  targetColdReset: 7,
  taskReassign: 8,
} as const;
export type TaskFunction = (typeof TaskFunction)[keyof typeof TaskFunction];

/** Responses (RFC 7143 11.6.1). */
export const TaskResponse = {
  complete: 0,
  noSuchTask: 1,
  noSuchLun: 2,
  taskStillAllegiant: 3,
  reassignNotSupported: 4,
  notSupported: 5,
  authorizationFailed: 6,
  rejected: 255,
} as const;
export type TaskResponse = (typeof TaskResponse)[keyof typeof TaskResponse];

export interface TaskRequest {
  readonly function: number;
  readonly lunHigh: number;
  readonly lunLow: number;
  readonly tag: number;
  readonly referencedTag: number;
  readonly refCmdSn: number;
}

export function readTaskRequest(b: Uint8Array, at: number): TaskRequest {
  return {
    function: b[at + 1]! & 0x7f,
    lunHigh: lunHigh(b, at),
    lunLow: lunLow(b, at),
    tag: initiatorTaskTag(b, at),
    referencedTag: u32(b, at + 20),
    refCmdSn: u32(b, at + 32),
  };
}

export function putTaskResponse(
  b: Uint8Array,
  at: number,
  tag: number,
  response: TaskResponse,
): void {
  startHeader(b, at, Opcode.taskManagementResponse, FINAL, 0);
  b[at + 2] = response;
  putU32(b, at + 16, tag);
}
