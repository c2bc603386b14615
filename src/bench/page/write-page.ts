/** The result as a page for a browser. */
import { HoldfastError } from '../../errors.js';
import type { Report } from '../report.js';

/** Writes `report` as one self-contained HTML file. */
export async function writePage(_report: Report, file: string): Promise<void> {
  throw new HoldfastError('ERR_UNSUPPORTED', `${file}: there are no pages yet.`, { path: file });
}
