/**
 * The cluster's own authority and the certificates of its servers: EC P-256, made with
 * @peculiar/x509. Functions only: keys and revocations are kept in the Directory by the caller.
 *
 * A server makes its key itself and asks with a request (CSR); the key never leaves it. The authority
 * takes from a request only the key, and proof that the asker has it: id and addresses come from the
 * caller, who decided whom it is talking to. A certificate says which server it speaks for
 * (storage/rpc/identity.ts) and is good both for asking and for answering.
 */
import 'reflect-metadata';
import { createHash, timingSafeEqual, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Clock } from '../base/clock.ts';
import { StorageError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { isServerId, serverIdOf, serverUri } from '../rpc/identity.ts';
import { limits } from './limits.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
/** The library names the browser's types for what Node calls by its own. */
const { subtle } = webcrypto as unknown as Crypto;
const dayMs = 24 * 3600 * 1000;

/** PEM. */
export interface Authority {
  readonly cert: string;
  readonly key: string;
}

export interface Made {
  readonly clock: Clock;
  readonly random: Random;
}

/** A new authority for cluster `name`. */
export async function makeAuthority({ clock, random }: Made, name: string): Promise<Authority> {
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(random),
    name: [{ CN: [`Petal cluster ${name}`] }],
    keys,
    signingAlgorithm: algorithm,
    ...validity(clock, limits.authorityDays),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: cert.toString('pem'), key: await keyPem(keys.privateKey) };
}

/** A server's new key, and its request for a certificate. PEM. */
export async function makeRequest(id: string): Promise<{ key: string; request: string }> {
  serverUri(id);
  const keys = await subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [id] }],
    keys,
    signingAlgorithm: algorithm,
  });
  return { key: await keyPem(keys.privateKey), request: request.toString('pem') };
}

export interface Issue {
  readonly authority: Authority;
  /** PEM, from a stranger. */
  readonly request: string;
  readonly id: string;
  /** IP addresses and DNS names, for people and for tools that look at them. */
  readonly addresses: readonly string[];
}

/** A certificate for a server that is known to be `id`. PEM. INVALID. */
export async function issue({ clock, random }: Made, about: Issue): Promise<string> {
  const { authority, request, id, addresses } = about;
  const asked = await requested(request);
  const signingKey = await subtle.importKey('pkcs8', pemBytes(authority.key), algorithm, false, [
    'sign',
  ]);
  const issuer = new x509.X509Certificate(authority.cert);
  const usages: string[] = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth];
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(random),
    subject: [{ CN: [id] }],
    issuer: issuer.subjectName,
    publicKey: asked.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    ...validity(clock, limits.certificateDays),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      alternativeNames(id, addresses),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(asked.publicKey),
    ],
  });
  return cert.toString('pem');
}

/** A request that its asker's key has signed. INVALID. */
async function requested(pem: string): Promise<x509.Pkcs10CertificateRequest> {
  if (pem.length > limits.requestBytes)
    throw new StorageError('INVALID', 'the request is too long');
  let request: x509.Pkcs10CertificateRequest;
  let signed = false;
  try {
    request = new x509.Pkcs10CertificateRequest(pem);
    const { name, namedCurve } = request.publicKey.algorithm as EcKeyAlgorithm;
    signed = name === 'ECDSA' && namedCurve === 'P-256' && (await request.verify());
  } catch (cause) {
    throw new StorageError('INVALID', 'that is no request for a certificate', { cause });
  }
  if (signed) return request;
  throw new StorageError('INVALID', 'the request is not signed with a P-256 key of its own');
}

interface EcKeyAlgorithm {
  readonly name: string;
  readonly namedCurve?: string;
}

/** What is told of a certificate. */
export interface CertificateFacts {
  readonly id: string;
  /** Lower-case hexadecimal. */
  readonly serial: string;
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** INVALID: no server's certificate. */
export function factsOf(pem: string): CertificateFacts {
  const certificate = parsed(pem);
  return {
    id: serverIdOf(certificate),
    serial: certificate.serialNumber.toLowerCase(),
    validFromMs: Date.parse(certificate.validFrom),
    validToMs: Date.parse(certificate.validTo),
  };
}

/** Whether two thirds of its time are over: time for a new one, with time left to try again. */
export function dueForRenewal(facts: CertificateFacts, clock: Clock): boolean {
  const life = facts.validToMs - facts.validFromMs;
  return clock.wall() >= facts.validFromMs + (life * 2) / 3;
}

/** Certificates that are not good any more, and ids that never will be again. */
export interface Revocations {
  /** Serials with the time when the certificate would have ended. */
  readonly serials: Readonly<Record<string, number>>;
  readonly ids: readonly string[];
}

export const noRevocations: Revocations = { serials: {}, ids: [] };

/** With one certificate more; what has expired by itself goes. */
export function revokeCertificate(
  revocations: Revocations,
  facts: CertificateFacts,
  clock: Clock,
): Revocations {
  const live = Object.entries(revocations.serials).filter(([, end]) => end > clock.wall());
  const serials = Object.fromEntries([...live, [facts.serial, facts.validToMs]]);
  return { ...revocations, serials };
}

/** With a server more: its id is burnt, whatever certificates it has or gets. */
export function revokeServer(revocations: Revocations, id: string): Revocations {
  return { ...revocations, ids: [...new Set([...revocations.ids, id])] };
}

export const isRevoked = (
  { serials, ids }: Revocations,
  peer: { readonly id: string; readonly serial: string },
): boolean => ids.includes(peer.id) || Object.hasOwn(serials, peer.serial);

/** SHA-256 of the authority's certificate, hexadecimal: a join token carries it, so that who joins
 *  knows the cluster before it says anything. INVALID. */
export function fingerprint(pem: string): string {
  return createHash('sha256').update(parsed(pem).raw).digest('hex');
}

export function hasFingerprint(pem: string, wanted: string): boolean {
  const [is, must] = [Buffer.from(fingerprint(pem)), Buffer.from(wanted.toLowerCase())];
  return is.length === must.length && timingSafeEqual(is, must);
}

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new StorageError('INVALID', 'that is no certificate', { cause });
  }
}

/** Fifteen bytes of chance, the first never zero nor negative: one spelling in every tool. */
function newSerial(random: Random): string {
  const bytes = Buffer.from(random.bytes(15));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}

/** From a little ago, for servers whose clocks are behind. */
function validity(clock: Clock, days: number): { notBefore: Date; notAfter: Date } {
  const wall = Math.floor(clock.wall() / 1000) * 1000;
  return {
    notBefore: new Date(wall - limits.certificateSkewMs),
    notAfter: new Date(wall + days * dayMs),
  };
}

function alternativeNames(id: string, addresses: readonly string[]): x509.Extension {
  const names: x509.JsonGeneralName[] = addresses.map((value) => {
    const ip = value.includes(':') || /^[\d.]+$/.test(value);
    if (ip || isServerId(value)) return { type: ip ? 'ip' : 'dns', value };
    throw new StorageError('INVALID', `"${value}" is neither an IP address nor a name`);
  });
  const own = serverUri(id);
  try {
    return new x509.SubjectAlternativeNameExtension([{ type: 'url', value: own }, ...names]);
  } catch (cause) {
    const message = `not all of these are addresses: ${addresses.join(', ')}`;
    throw new StorageError('INVALID', message, { cause });
  }
}

async function keyPem(key: CryptoKey): Promise<string> {
  const bytes = await subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(bytes, 'PRIVATE KEY');
}

function pemBytes(pem: string): ArrayBuffer {
  const [bytes] = x509.PemConverter.decode(pem);
  if (bytes === undefined) throw new StorageError('INVALID', 'that is no key');
  return bytes;
}
