import manifest from '../../package.json' with { type: 'json' };

/** The Docker CLI whose words, flags and outputs these are: what tools that look at the client's version are shown. */
export const DOCKER_CLI_VERSION = '28.2.2';
export const CLIENT_VERSION: string = manifest.version;
export const CLIENT_BUILD = 'naru';
