/**
 * The mode parameters of one logical unit, shared by all nexuses (SPC-4 7.5.10: MLUS is not
 * claimed), and the mode pages made of them. Nothing is saved: a reset brings the defaults back.
 *
 *   error recovery 01h (SBC-3 6.5.7), 12 bytes      control 0Ah (SPC-4 7.5.8), 12 bytes
 *    3  LBPERE (bit 7)    *changeable*               2  D_SENSE (bit 2)   *changeable*
 *   caching 08h (SBC-3 6.5.6), 20 bytes              3  QUEUE ALGORITHM MODIFIER (7:4) = 1
 *    2  WCE (bit 2)       *where it is allowed*      4  SWP (bit 3)       *where it is allowed*
 *   informational exceptions 1Ch, 12 bytes           5  TAS (bit 6)       *changeable*
 *    2  DEXCPT (bit 3), MRIE = 0                     8  BUSY TIMEOUT PERIOD = FFFFh (unlimited)
 *   logical block provisioning 1Ch/02h: see thresholds.ts
 */
import { putU16 } from './bytes.ts';
import type { BlockDevice } from './device.ts';
import { Thresholds } from './thresholds.ts';

/** PAGE CONTROL of MODE SENSE (SPC-4 table 173). */
export const PageControl = { current: 0, changeable: 1, default: 2, saved: 3 } as const;
export type PageControl = (typeof PageControl)[keyof typeof PageControl];

export const ModePage = {
  errorRecovery: 0x01,
  caching: 0x08,
  control: 0x0a,
  exceptions: 0x1c,
  all: 0x3f,
} as const;

/** The subpage of 1Ch that is the logical block provisioning page. */
export const provisioningSubpage = 0x02;
export const allSubpages = 0xff;
/** SPF: the page has a subpage code and a length of two bytes. */
export const subpageFormat = 0x40;

const lbpere = 0x80;
const wce = 0x04;
const dSense = 0x04;
const swp = 0x08;
const tas = 0x40;

export interface PageName {
  readonly code: number;
  readonly subpage: number;
}

/** In the order of MODE SENSE of all pages (SPC-4 6.13.2: ascending). */
const pageNames: readonly PageName[] = [
  { code: ModePage.errorRecovery, subpage: 0 },
  { code: ModePage.caching, subpage: 0 },
  { code: ModePage.control, subpage: 0 },
  { code: ModePage.exceptions, subpage: 0 },
  { code: ModePage.exceptions, subpage: provisioningSubpage },
];

export class ModeParameters {
  /** Sense data in descriptor format. */
  descriptorSense = false;
  /** Software write protect. */
  softwareWriteProtect = false;
  /** Tasks that another nexus aborted end with TASK ABORTED instead of not at all. */
  taskAbortedStatus = false;
  readonly thresholds: Thresholds;
  readonly #device: BlockDevice;

  constructor(device: BlockDevice) {
    this.#device = device;
    this.thresholds = new Thresholds(device);
  }

  reset(): void {
    this.descriptorSense = false;
    this.softwareWriteProtect = false;
    this.taskAbortedStatus = false;
    this.thresholds.reset();
  }

  /** The pages that `code` and `subpage` of a MODE SENSE ask for; empty: there are none. */
  pages(code: number, subpage: number): readonly PageName[] {
    return pageNames.filter(
      (each) =>
        (code === ModePage.all || each.code === code) &&
        (subpage === allSubpages || each.subpage === subpage) &&
        (each.subpage === 0 || this.thresholds.offered),
    );
  }

  /** A new copy of a page, header included; null when there is no such page. */
  page({ code, subpage }: PageName, control: PageControl): Uint8Array | null {
    if (subpage !== 0) {
      const ours = code === ModePage.exceptions && subpage === provisioningSubpage;
      return ours && this.thresholds.offered ? this.#provisioning(control) : null;
    }
    switch (code) {
      case ModePage.errorRecovery:
        return this.#errorRecovery(control);
      case ModePage.caching:
        return this.#caching(control);
      case ModePage.control:
        return this.#control(control);
      case ModePage.exceptions: {
        const page = header(code, 12);
        // Exceptions are not reported through sense data.
        if (control !== PageControl.changeable) page[2] = 0x08;
        return page;
      }
      default:
        return null;
    }
  }

  #errorRecovery(control: PageControl): Uint8Array {
    const page = header(ModePage.errorRecovery, 12);
    if (!this.thresholds.offered) return page;
    if (control !== PageControl.current || this.thresholds.reported) page[3] = lbpere;
    return page;
  }

  #caching(control: PageControl): Uint8Array {
    const { writeBack, hostMayChange } = this.#device.capabilities;
    const page = header(ModePage.caching, 20);
    const is = control === PageControl.changeable ? hostMayChange?.writeBack === true : writeBack;
    if (is) page[2] = wce;
    return page;
  }

  #control(control: PageControl): Uint8Array {
    const page = header(ModePage.control, 12);
    if (control === PageControl.changeable) {
      page[2] = dSense;
      page[4] = this.#device.capabilities.hostMayChange?.writeProtect === true ? swp : 0;
      page[5] = tas;
      return page;
    }
    const current = control === PageControl.current;
    page[2] = current && this.descriptorSense ? dSense : 0;
    page[3] = 0x10; // unrestricted reordering allowed
    page[4] = current && this.softwareWriteProtect ? swp : 0;
    page[5] = current && this.taskAbortedStatus ? tas : 0;
    page[8] = 0xff;
    page[9] = 0xff;
    return page;
  }

  #provisioning(control: PageControl): Uint8Array {
    const body =
      control === PageControl.changeable
        ? this.thresholds.changeable()
        : this.thresholds.values(control === PageControl.default);
    const page = new Uint8Array(4 + body.length);
    page[0] = subpageFormat | ModePage.exceptions;
    page[1] = provisioningSubpage;
    putU16(page, 2, body.length);
    page.set(body, 4);
    return page;
  }

  /** Takes over a checked page but for WCE, which is the device's; whether anything changed. */
  apply(page: Uint8Array): boolean {
    const code = (page[0] ?? 0) & 0x3f;
    if (((page[0] ?? 0) & subpageFormat) !== 0) return this.thresholds.apply(page.subarray(4));
    if (code === ModePage.errorRecovery) {
      return this.thresholds.report(((page[3] ?? 0) & lbpere) !== 0);
    }
    return code === ModePage.control && this.#applyControl(page);
  }

  #applyControl(page: Uint8Array): boolean {
    const before = this.#control(PageControl.current);
    this.descriptorSense = ((page[2] ?? 0) & dSense) !== 0;
    this.softwareWriteProtect = ((page[4] ?? 0) & swp) !== 0;
    this.taskAbortedStatus = ((page[5] ?? 0) & tas) !== 0;
    return Buffer.compare(before, this.#control(PageControl.current)) !== 0;
  }
}

/** WCE as a checked caching page wants it; null: the page is another. */
export function writeBackOf(page: Uint8Array): boolean | null {
  return page[0] === ModePage.caching ? ((page[2] ?? 0) & wce) !== 0 : null;
}

function header(code: number, length: number): Uint8Array {
  const page = new Uint8Array(length);
  page[0] = code;
  page[1] = length - 2;
  return page;
}
