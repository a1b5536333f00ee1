/**
 * The mode parameters of one logical unit, shared by all nexuses (SPC-4 7.5.10: MLUS is not
 * claimed), and the mode pages made of them. Nothing is saved: a reset brings the defaults back.
 *
 *   caching 08h (SBC-3 6.5.6), 20 bytes          control 0Ah (SPC-4 7.5.8), 12 bytes
 *    2  WCE (bit 2), RCD (bit 0)                   2  D_SENSE (bit 2)   *changeable*
 *   12  DRA (bit 5)                                3  QUEUE ALGORITHM MODIFIER (7:4) = 1
 *   informational exceptions 1Ch, 12 bytes         4  SWP (bit 3)       *changeable*
 *    2  DEXCPT (bit 3), MRIE = 0                   8  BUSY TIMEOUT PERIOD = FFFFh (unlimited)
 */

/** PAGE CONTROL of MODE SENSE (SPC-4 table 173). */
export const PageControl = { current: 0, changeable: 1, default: 2, saved: 3 } as const;
export type PageControl = (typeof PageControl)[keyof typeof PageControl];

export const ModePage = { caching: 0x08, control: 0x0a, exceptions: 0x1c, all: 0x3f } as const;

const dSense = 0x04;
const swp = 0x08;

export class ModeParameters {
  /** Sense data in descriptor format. */
  descriptorSense = false;
  /** Software write protect. */
  softwareWriteProtect = false;

  reset(): void {
    this.descriptorSense = false;
    this.softwareWriteProtect = false;
  }

  /** The page codes, ascending. */
  static readonly pages: readonly number[] = [
    ModePage.caching,
    ModePage.control,
    ModePage.exceptions,
  ];

  /** A new copy of page `code`, header included; null when there is no such page. */
  page(code: number, control: PageControl, writeBack: boolean): Uint8Array | null {
    const changeable = control === PageControl.changeable;
    switch (code) {
      case ModePage.caching: {
        const page = header(code, 20);
        if (changeable) return page;
        page[2] = writeBack ? 0x04 : 0;
        return page;
      }
      case ModePage.control: {
        const page = header(code, 12);
        if (changeable) {
          page[2] = dSense;
          page[4] = swp;
          return page;
        }
        const current = control === PageControl.current;
        page[2] = current && this.descriptorSense ? dSense : 0;
        page[3] = 0x10; // unrestricted reordering allowed
        page[4] = current && this.softwareWriteProtect ? swp : 0;
        page[8] = 0xff;
        page[9] = 0xff;
        return page;
      }
      case ModePage.exceptions: {
        const page = header(code, 12);
        if (!changeable) page[2] = 0x08; // exceptions are not reported through sense data
        return page;
      }
      default:
        return null;
    }
  }

  /** Takes over a checked control page; whether anything changed. */
  applyControl(page: Uint8Array): boolean {
    const descriptorSense = ((page[2] ?? 0) & dSense) !== 0;
    const softwareWriteProtect = ((page[4] ?? 0) & swp) !== 0;
    const changed =
      descriptorSense !== this.descriptorSense ||
      softwareWriteProtect !== this.softwareWriteProtect;
    this.descriptorSense = descriptorSense;
    this.softwareWriteProtect = softwareWriteProtect;
    return changed;
  }
}

function header(code: number, length: number): Uint8Array {
  const page = new Uint8Array(length);
  page[0] = code;
  page[1] = length - 2;
  return page;
}
