import { VERSION } from '#base/version.ts';

/**
 * The image's name without tag. `localhost` belongs to nobody: a node that has not been given the image says so, instead of pulling
 * what a stranger publishes. An overlay or the chart's values set the name in a registry.
 */
const REPOSITORY = 'localhost/flannel';

/** The image as manifests name it and `npm run image` writes it. */
export const IMAGE = `${REPOSITORY}:v${VERSION}`;
