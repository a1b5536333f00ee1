/** Certificates for tests, made by openssl: an authority, and one certificate of it for both sides. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificates {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const keyKind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** In `directory`; for 127.0.0.1, as server and as client (etcd's gateway is a client of itself). */
export async function makeCertificates(directory: string, name = 'petal'): Promise<Certificates> {
  const file = (suffix: string): string => join(directory, `${name}-${suffix}`);
  const openssl = (args: readonly string[]): Promise<unknown> => run('openssl', [...args]);
  const [caFile, caKey, certFile, keyFile] = [
    file('ca.pem'),
    file('ca-key.pem'),
    file('cert.pem'),
    file('key.pem'),
  ];
  const authority = ['-x509', '-subj', '/CN=test authority', '-days', '2'];
  await openssl(['req', ...authority, ...keyKind, '-keyout', caKey, '-out', caFile]);
  const request = file('request.pem');
  await openssl(['req', '-subj', '/CN=test', ...keyKind, '-keyout', keyFile, '-out', request]);
  const extensions = file('extensions.cnf');
  await writeFile(
    extensions,
    'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n',
  );
  const by = ['-CA', caFile, '-CAkey', caKey, '-CAcreateserial', '-days', '2'];
  await openssl(['x509', '-req', '-in', request, ...by, '-extfile', extensions, '-out', certFile]);
  const read = (path: string): Promise<string> => readFile(path, 'utf8');
  const [ca, cert, key] = await Promise.all([read(caFile), read(certFile), read(keyFile)]);
  return { caFile, certFile, keyFile, ca, cert, key };
}
