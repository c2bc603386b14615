/** What all pages have in common: one document that loads nothing from anywhere. */
import { Html, html } from './html.js';

/** A page. */
export interface Page {
  readonly title: string;
  /** In one sentence. */
  readonly headline: string;
  /** What a reader must know before anything else. */
  readonly notices: readonly string[];
  /** Style sheets, one after another. */
  readonly styles: readonly string[];
  /** What comes below the header, and in the footer. */
  readonly main: Html;
  readonly footer: string;
  /** Elements at the end; without, the page may not run any. */
  readonly scripts?: Html;
}

/** The text of the document. */
export function renderDocument({ title, headline, notices, styles, main, footer, scripts }: Page): string {
  // The policy says to the browser what the page promises: nothing is loaded, nothing is sent.
  const policy = `default-src 'none'; style-src 'unsafe-inline'${scripts === undefined ? '' : "; script-src 'unsafe-inline'"}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${new Html(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Html(styles.join(''))}</style>
</head>
<body>
<main>
<header>
<h1>${title}</h1>
<p class="headline">${headline}</p>
${notices.map((text) => html`<p class="notice" role="note">${text}</p>\n`)}
</header>
${main}
</main>
<footer><p>${footer}</p></footer>
${scripts ?? null}
</body>
</html>
`;
  return page.text;
}
