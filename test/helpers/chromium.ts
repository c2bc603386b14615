/** The browser that tests of pages use: the Chromium that is installed, headless, or the reason why there is none. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];

function findChromium(): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(path.delimiter).flatMap((directory) => NAMES.map((name) => path.join(directory, name)));
  return onPath.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts the browser; gives the reason, a sentence, where that is not possible. */
export async function startChromium(): Promise<Browser | string> {
  const executablePath = findChromium();
  if (executablePath === undefined) return `There is none of ${NAMES.join(', ')} on the PATH.`;
  try {
    return await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  } catch (error) {
    return `${executablePath} does not start: ${error instanceof Error ? error.message.split('\n', 1)[0] : String(error)}`;
  }
}
