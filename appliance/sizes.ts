/**
 * Sizes as people write them: `10G`, `1.5TiB`, `512MiB`, `4096`. Units are powers of 1024 whether
 * written G or GiB, as in QEMU and LVM; GB is refused, because half the world reads it as 10^9.
 */
import { limits } from './limits.ts';

const units = ['', 'K', 'M', 'G', 'T', 'P'] as const;

export const sizeForms =
  'a size like 512MiB, 10G or 1.5TiB (G = GiB = 1024^3 bytes), or plain bytes';

/** Why a text is not a size; the message is for people and stands alone. */
export class SizeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SizeError';
  }
}

/**
 * Bytes. A fraction of a unit is rounded up to whole 4096-byte blocks; plain bytes are taken as
 * they are. Throws SizeError.
 */
export function parseSize(text: string): number {
  const match = /^(\d{1,20})(?:\.(\d{1,12}))?\s*([a-z]*)$/i.exec(text.trim());
  if (match === null) throw new SizeError(`'${text}' is not ${sizeForms}`);
  const [, whole = '', fraction = '', suffix = ''] = match;
  const exponent = unitOf(suffix, text);
  if (exponent === 0 && fraction !== '') throw new SizeError(`'${text}': bytes have no fraction`);

  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * 1024n ** BigInt(exponent);
  let bytes = scaled / scale;
  if (fraction !== '') {
    const step = BigInt(limits.sizeStep) * scale;
    bytes = ((scaled + step - 1n) / step) * BigInt(limits.sizeStep);
  }
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw new SizeError(`'${text}' is too large`);
  return Number(bytes);
}

function unitOf(suffix: string, text: string): number {
  const form = /^([kmgtp]?)(i?b)?$/i.exec(suffix);
  if (form === null)
    throw new SizeError(`'${text}': the unit '${suffix}' is unknown; ${sizeForms}`);
  const letter = (form[1] ?? '').toUpperCase();
  const tail = (form[2] ?? '').toLowerCase();
  if (letter !== '' && tail === 'b') {
    throw new SizeError(
      `'${text}': ${suffix} may mean powers of 1000 or of 1024; write ${letter}iB for 1024`,
    );
  }
  if (letter === '' && tail === 'ib') {
    throw new SizeError(`'${text}': the unit '${suffix}' is unknown; ${sizeForms}`);
  }
  return units.indexOf(letter as (typeof units)[number]);
}

/** `10 GiB`, `1.5 TiB`, `20.4 GiB`, `512 B`: at most one decimal, for people. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  if (Number(value.toFixed(1)) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = Number.isInteger(value) ? String(value) : value.toFixed(1);
  return `${text} ${unit === 0 ? '' : `${units[unit]}i`}B`;
}
