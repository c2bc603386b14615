/** Models on disk as stock tfjs writes them, in as many files of weights as wanted. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { io } from '@tensorflow/tfjs';

/** Writes `artifacts`, the weights cut into files of `shardBytes`. */
export function writeStock(directory: string, artifacts: io.ModelArtifacts, shardBytes = Number.POSITIVE_INFINITY): string {
  mkdirSync(directory, { recursive: true });
  const { weightData, weightSpecs, ...rest } = artifacts;
  const bytes = Buffer.from(weightData as ArrayBuffer);
  const paths: string[] = [];
  for (let at = 0; at < bytes.length; at += shardBytes) {
    paths.push(`group1-shard${paths.length + 1}.bin`);
    writeFileSync(path.join(directory, paths.at(-1)!), bytes.subarray(at, at + shardBytes));
  }
  writeFileSync(path.join(directory, 'model.json'), JSON.stringify({ ...rest, weightsManifest: [{ paths, weights: weightSpecs }] }));
  return directory;
}

/** What tfjs gives a handler that saves `model`. */
export async function artifactsOf(
  model: { save(handler: io.IOHandler, config?: io.SaveConfig): Promise<unknown> },
  config?: io.SaveConfig,
): Promise<io.ModelArtifacts> {
  let given: io.ModelArtifacts | undefined;
  const save = async (artifacts: io.ModelArtifacts) => {
    given = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' as const } };
  };
  await model.save({ save }, config);
  return given as io.ModelArtifacts;
}
