/**
 * Why an address could not be listened on, in words that say what to do.
 */
import { type Address, formatAddress } from './addresses.ts';
import { StartError } from './errors.ts';

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken by another program',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen on that port',
  ENOTFOUND: 'no address is known for that name',
  EAI_AGAIN: 'no address can be found for that name now',
};

export function listenError(error: unknown, address: Address, flag: string): StartError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = reasons[code ?? ''] ?? message;
  const text = `cannot listen on ${formatAddress(address)}: ${reason}; choose another with ${flag} HOST:PORT`;
  return new StartError(text, { cause: error });
}
