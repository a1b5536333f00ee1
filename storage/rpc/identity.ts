/**
 * Which server a certificate speaks for: exactly one URI `petal:server:ID` among its subject's
 * alternative names. The common name is for people and proves nothing.
 */
import type { X509Certificate } from 'node:crypto';
import { StorageError } from '../base/errors.ts';

const scheme = 'petal:server:';
/** Nothing that needs quoting in a certificate, a log line or a file name. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export const isServerId = (id: string): boolean => idPattern.test(id);

/** INVALID: no server is called so. */
export function serverUri(id: string): string {
  if (isServerId(id)) return scheme + id;
  throw new StorageError('INVALID', `"${id}" is no server id (letters, digits, "._-", at most 63)`);
}

/** INVALID: no server's certificate. */
export function serverIdOf(certificate: X509Certificate): string {
  const names = (certificate.subjectAltName ?? '').split(', ');
  const ids = names
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length));
  const id = ids[0]?.startsWith(scheme) ? ids[0].slice(scheme.length) : '';
  if (ids.length === 1 && isServerId(id)) return id;
  throw new StorageError('INVALID', 'the certificate is not that of one server');
}
