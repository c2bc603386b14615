/** The text of an experiment's README.md. */

/** What it tells. */
export interface ReadmeFacts {
  readonly name: string;
  readonly description: string | undefined;
  /** When the experiment began, ISO 8601. */
  readonly began: string;
}

/** Paths are relative: the directory may be moved. */
export function readmeText({ name, description, began }: ReadmeFacts): string {
  return `# ${name}

${description === undefined ? '' : `${description.trim()}\n\n`}Begun ${began}.

| | |
|---|---|
| \`checkpoints/\` | the checkpoints, each a directory; \`latest\` and \`best\` point to two of them |
| \`config.json\` | the configuration in force |
| \`logs/training.jsonl\` | the training log: one JSON object per line |
| \`logs/config-*.json\` | older configurations, with the time (UTC) at which each was replaced |

In this directory:

\`\`\`sh
npx holdfast ls checkpoints        # what there is, the best starred
npx holdfast verify checkpoints    # reads every byte and compares it with its checksum
\`\`\`

\`\`\`js
import { CheckpointManager } from 'holdfast';
const manager = await CheckpointManager.open('checkpoints', { readOnly: true });
const { tensors, state } = await manager.restore('best');
\`\`\`

holdfast never changes this file: add what should be remembered.
`;
}
