/**
 * The version of this tree, from package.json: the one place that states it.
 */
import manifest from '../package.json' with { type: 'json' };

export const version: string = manifest.version;
