/** Network addresses as text: which ones a host can use, and how they stand in a TargetAddress. */

/** 127.0.0.0/8 or ::1: reached from the machine itself only. */
export function isLoopback(host: string): boolean {
  return host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Every address of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** `host:port`, an IPv6 address in brackets (RFC 7143 13.8). */
export function withPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
