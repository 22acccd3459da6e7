/** Repositories of the Hugging Face Hub, downloaded into the cache that Python's huggingface_hub keeps. */
import { HubSnapshot, type DownloadProgress, type SnapshotOptions } from './snapshot.js';

export type { RepoType } from './cache.js';
export { hubSettings, type HubSettings } from './settings.js';
export { HubSnapshot, isHubId, type DownloadProgress, type SnapshotOptions } from './snapshot.js';

/** What {@link downloadSnapshot} takes. */
export interface DownloadOptions extends SnapshotOptions {
  /** Whether a file is wanted; default all are. */
  readonly include?: ((path: string) => boolean) | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/**
 * Downloads the files of a repository that are not in the cache.
 * @returns the folder of the snapshot, with the files under the repository's paths
 * @throws FlatrankError `ERR_INVALID_ARGUMENT`, `ERR_NOT_FOUND` where there is no such repository or revision, `ERR_HUB` where the Hub
 *   fails or sends something else than it promised, `ERR_IO` where the cache cannot be written to; an abort rejects with `signal.reason`
 */
export async function downloadSnapshot(id: string, o: DownloadOptions): Promise<string> {
  const snapshot = await HubSnapshot.open(id, o);
  const { include } = o;
  await snapshot.fetch(include ? snapshot.paths.filter((path) => include(path)) : snapshot.paths, o.onProgress);
  return snapshot.folder;
}
