/**
 * A BlockDevice on a file: sector n of the disk is the bytes from n × 512 on.
 *
 * Durable: the file is open with O_DSYNC, so a write that has ended is on stable storage. The unit's
 * name must stay the same for ever, hence it is made once and kept beside the file, in FILE.id. One
 * process at a time may serve a file; nothing here keeps a second one out.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  type BlockDevice,
  type Completion,
  type DeviceAllocation,
  type DeviceCapabilities,
  DeviceError,
  DeviceErrorCode,
  type DeviceIdentity,
} from 'node-iscsi-target';

const SECTOR_BYTES = 512;
/** Zeros are written so many at a time. */
const ZEROES = new Uint8Array(1024 * 1024);

export class FileDevice implements BlockDevice {
  readonly identity: DeviceIdentity;
  readonly sectorBytes = SECTOR_BYTES;
  readonly physicalSectorBytes = 4096;
  readonly sectors: number;
  readonly capabilities: DeviceCapabilities = {
    readOnly: false,
    thin: false,
    unmapGranularity: 4096,
    writeBack: false,
    removable: false,
    solidState: true,
    atomicBytes: 0,
  };
  readonly #file: FileHandle;
  /** Changes that run now; they run side by side. */
  readonly #running = new Set<Promise<void>>();
  /** Ends with the last compare-and-write, which runs alone. Never rejects. */
  #alone: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle, bytes: number, identity: DeviceIdentity) {
    this.#file = file;
    this.sectors = Math.floor(bytes / SECTOR_BYTES);
    this.identity = identity;
  }

  /** Opens `path`, or makes it with `bytes` bytes. Rejects with the system's error. */
  static async open(path: string, bytes: number): Promise<FileDevice> {
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC;
    const file = await open(path, flags, 0o600);
    try {
      const { size } = await file.stat();
      if (size === 0) await file.truncate(bytes);
      const naa = await unitName(`${path}.id`);
      await file.sync();
      await syncDirectory(path);
      return new FileDevice(file, size === 0 ? bytes : size, {
        naa,
        serial: Buffer.from(naa).toString('hex'),
        vendor: 'EXAMPLE',
        product: 'FILE DISK',
        revision: '0001',
      });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Call it when no call is inside: after `server.close()`. */
  close(): Promise<void> {
    return this.#file.close();
  }

  /** Whether a read of a file needs waiting cannot be known, so it always may. */
  readNow(): boolean {
    return false;
  }

  read(offset: number, length: number, into: Uint8Array, at: number, done: Completion): void {
    settle(this.#read(offset, length, into, at), done, DeviceErrorCode.mediumError);
  }

  write(offset: number, data: Uint8Array, _fua: boolean, done: Completion): void {
    // The caller may reuse `data` when this returns, and the file is written later.
    const copy = Uint8Array.from(data);
    const written = this.#change(() => this.#write(offset, copy));
    settle(written, done, DeviceErrorCode.writeError);
  }

  flush(done: Completion): void {
    settle(this.#file.datasync(), done, DeviceErrorCode.writeError);
  }

  /** Not called, for the device is not thin; what it promises holds all the same. */
  unmap(offset: number, length: number, done: Completion): void {
    this.writeZeroes(offset, length, true, done);
  }

  writeZeroes(offset: number, length: number, _mayUnmap: boolean, done: Completion): void {
    const written = this.#change(async () => {
      for (let at = 0; at < length; at += ZEROES.length) {
        await this.#write(offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, length - at)));
      }
    });
    settle(written, done, DeviceErrorCode.writeError);
  }

  compareAndWrite(offset: number, compare: Uint8Array, write: Uint8Array, done: Completion): void {
    const before = [this.#alone, ...this.#running];
    const job = Promise.allSettled(before).then(async () => {
      const now = new Uint8Array(compare.length);
      await this.#read(offset, now.length, now, 0);
      const differs = now.findIndex((byte, i) => byte !== compare[i]);
      if (differs >= 0) throw new DeviceError('miscompare', 'the data differ', differs);
      await this.#write(offset, write);
    });
    this.#alone = job.then(nothing, nothing);
    settle(job, done, DeviceErrorCode.writeError);
  }

  allocation(_offset: number, length: number): DeviceAllocation {
    return { mapped: true, length };
  }

  /** It never changes, so there is nothing to tell. */
  listen(): () => void {
    return nothing;
  }

  #change(work: () => Promise<void>): Promise<void> {
    const job = this.#alone.then(work);
    const ended = job.then(nothing, nothing).then(() => {
      this.#running.delete(ended);
    });
    this.#running.add(ended);
    return job;
  }

  async #read(offset: number, length: number, into: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const { bytesRead } = await this.#file.read(into, at + done, length - done, offset + done);
      if (bytesRead === 0) throw new DeviceError('mediumError', 'the file has become shorter');
      done += bytesRead;
    }
  }

  async #write(offset: number, data: Uint8Array): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await this.#file.write(
        data,
        done,
        data.length - done,
        offset + done,
      );
      done += bytesWritten;
    }
  }
}

function nothing(): void {}

/** Tells `done` how `job` ended; `otherwise` is for system errors without a meaning of their own. */
function settle(job: Promise<void>, done: Completion, otherwise: DeviceErrorCode): void {
  job.then(
    () => done.complete(null),
    (error: NodeJS.ErrnoException) => done.complete(deviceError(error, otherwise)),
  );
}

function deviceError(error: NodeJS.ErrnoException, otherwise: DeviceErrorCode): DeviceError {
  if (error instanceof DeviceError) return error;
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new DeviceError(full ? DeviceErrorCode.noSpace : otherwise, error.message);
}

/** 16 bytes, NAA type 6 (SPC-4 7.8.6.6.5), from `path`; made when there is no such file. */
async function unitName(path: string): Promise<Uint8Array> {
  try {
    const kept = (await readFile(path, 'utf8')).trim();
    if (!/^6[0-9a-f]{31}$/.test(kept)) throw new Error(`${path} holds no unit name`);
    return new Uint8Array(Buffer.from(kept, 'hex'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const naa = new Uint8Array(randomBytes(16));
  naa[0] = 0x60 | (naa[0]! & 0x0f);
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${Buffer.from(naa).toString('hex')}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return naa;
}

/** A new file is safe only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(dirname(path), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
