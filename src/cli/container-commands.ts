import type { Command } from './command.ts';
import { createFlags, runFlags, updateFlags } from './flags/container-flags.ts';
import { flag, noFlags, type Flag } from './flags/flag.ts';

const MANY = Number.POSITIVE_INFINITY;
const DETACH_KEYS = flag('detach-keys', 'string', 'Keys that detach from it');
export const FORMAT = flag('format', 'string', 'Print each with a Go template, as table TEMPLATE, or json');
export const FORMAT_F = flag('format,f', 'string', 'Print each with a Go template, or json');
export const FILTER = flag('filter,f', 'filter', 'Only what matches (key=value)');
export const FORCE = flag('force,f', 'bool', 'Do not ask');
const stopFlags = (): readonly Flag[] => [
  flag('signal,s', 'string', 'Send this signal'),
  flag('time', 'int', 'Seconds before it is killed', { hidden: true, deprecated: 'use --timeout instead', aliasOf: 'timeout' }),
  flag('timeout,t', 'int', 'Seconds before it is killed'),
];

/** `container …`, most of them also as a command of their own. */
export const CONTAINER_COMMANDS: readonly Command[] = [
  {
    names: ['attach', 'container attach'], usage: '[OPTIONS] CONTAINER', summary: 'Connect your terminal to a running container',
    args: [1, 1], completes: 'running', flags: () => [DETACH_KEYS, flag('no-stdin', 'bool', 'Leave stdin alone'), flag('sig-proxy', 'bool', 'Pass received signals on', { default: 'true' })],
    load: async () => (await import('./commands/attach-container.ts')).attachContainer,
  },
  {
    names: ['commit', 'container commit'], usage: '[OPTIONS] CONTAINER [REPOSITORY[:TAG]]', summary: 'Make an image of a container\'s changes', args: [1, 2], flagsFirst: true, completes: 'containers', completeArgs: 1,
    flags: () => [flag('author,a', 'string', 'Who made it'), flag('change,c', 'list', 'Apply a Dockerfile instruction'), flag('message,m', 'string', 'What it is about'), flag('pause,p', 'bool', 'Pause the container meanwhile', { default: 'true' })],
    load: async () => (await import('./commands/commit-container.ts')).commitContainer,
  },
  {
    names: ['cp', 'container cp'], usage: '[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\t{program} {command} [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH', summary: 'Copy files between a container and this machine',
    details: 'Copy files between a container and this machine.\n\nWith - in place of the source, a tar archive is read from stdin and extracted into a\ndirectory of the container; with - in place of the destination, a tar archive of the\nsource is written to stdout.',
    args: [2, 2], completes: 'files',
    flags: () => [flag('archive,a', 'bool', 'Keep the owners'), flag('follow-link,L', 'bool', 'Follow a symbolic link at SRC_PATH'), flag('quiet,q', 'bool', 'Hide the progress')],
    load: async () => (await import('./commands/copy.ts')).copy,
  },
  {
    names: ['create', 'container create'], usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]', summary: 'Make a container without starting it', args: [1, MANY], flagsFirst: true, completes: 'images', completeArgs: 1,
    flags: createFlags, load: async () => (await import('./commands/create-container.ts')).create,
  },
  {
    names: ['diff', 'container diff'], usage: 'CONTAINER', summary: 'List what changed in a container\'s file system', args: [1, 1], completes: 'containers', flags: noFlags,
    load: async () => (await import('./commands/small-container-commands.ts')).diff,
  },
  {
    names: ['exec', 'container exec'], usage: '[OPTIONS] CONTAINER COMMAND [ARG...]', summary: 'Run a command in a running container', args: [2, MANY], flagsFirst: true, completes: 'running', completeArgs: 1, common: true,
    flags: () => [
      flag('detach,d', 'bool', 'Run in the background'), DETACH_KEYS, flag('env,e', 'env', 'Set an environment variable'), flag('env-file', 'list', 'Read environment variables from a file', { completes: 'files' }),
      flag('interactive,i', 'bool', 'Keep stdin open'), flag('privileged', 'bool', 'Give it nearly all rights'), flag('tty,t', 'bool', 'Give it a terminal'),
      flag('user,u', 'string', 'User (name|uid[:group|gid])'), flag('workdir,w', 'string', 'Working directory'),
    ],
    load: async () => (await import('./commands/exec-in-container.ts')).exec,
  },
  {
    names: ['export', 'container export'], usage: '[OPTIONS] CONTAINER', summary: 'Write a container\'s file system as a tar archive', args: [1, 1], completes: 'containers',
    flags: () => [flag('output,o', 'string', 'Write to a file', { completes: 'files' })], load: async () => (await import('./commands/write-archive.ts')).exportContainer,
  },
  {
    names: ['container inspect'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Show everything about containers', args: [1, MANY], completes: 'containers',
    flags: () => [FORMAT_F, flag('size,s', 'bool', 'Show sizes too')], load: async () => (await import('./commands/inspect.ts')).inspectContainers,
  },
  {
    names: ['kill', 'container kill'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Kill containers', args: [1, MANY], completes: 'running',
    flags: () => [flag('signal,s', 'string', 'Send this signal')], load: async () => (await import('./commands/change-state.ts')).kill,
  },
  {
    names: ['logs', 'container logs'], usage: '[OPTIONS] CONTAINER', summary: 'Print what a container wrote', args: [1, 1], completes: 'containers',
    flags: () => [
      flag('details', 'bool', 'Print extra attributes'), flag('follow,f', 'bool', 'Go on printing'), flag('since', 'string', 'Only after this time (2013-01-02T13:23:37Z, or 42m ago)'),
      flag('tail,n', 'string', 'Only so many lines from the end', { default: 'all' }), flag('timestamps,t', 'bool', 'Print times'), flag('until', 'string', 'Only before this time (2013-01-02T13:23:37Z, or 42m ago)'),
    ],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    names: ['ps', 'container ls', 'container list', 'container ps'], usage: '[OPTIONS]', summary: 'List containers', args: [0, 0], common: true,
    flags: () => [
      flag('all,a', 'bool', 'Stopped ones too'), FILTER, FORMAT, flag('last,n', 'int', 'Only the last n created, stopped ones too', { default: '-1' }), flag('latest,l', 'bool', 'Only the last created'),
      flag('no-trunc', 'bool', 'Print in full length'), flag('quiet,q', 'bool', 'Only ids'), flag('size,s', 'bool', 'Sizes too'),
    ],
    load: async () => (await import('./commands/list-containers.ts')).listContainers,
  },
  { names: ['pause', 'container pause'], usage: 'CONTAINER [CONTAINER...]', summary: 'Freeze containers', args: [1, MANY], completes: 'running', flags: noFlags, load: async () => (await import('./commands/change-state.ts')).pause },
  {
    names: ['port', 'container port'], usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]', summary: 'List published ports', args: [1, 2], completes: 'running', completeArgs: 1,
    flags: () => [flag('who', 'bool', 'Say who reaches each of them, and by which rule')],
    load: async () => (await import('./commands/small-container-commands.ts')).port,
  },
  {
    names: ['container prune'], usage: '[OPTIONS]', summary: 'Remove all stopped containers', args: [0, 0], flags: () => [flag('filter', 'filter', 'Only what matches (until=<timestamp>)'), FORCE],
    load: async () => (await import('./commands/prune.ts')).pruneContainers,
  },
  { names: ['rename', 'container rename'], usage: 'CONTAINER NEW_NAME', summary: 'Give a container another name', args: [2, 2], completes: 'containers', completeArgs: 1, flags: noFlags, load: async () => (await import('./commands/small-container-commands.ts')).rename },
  { names: ['restart', 'container restart'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Stop and start containers', args: [1, MANY], completes: 'containers', flags: stopFlags, load: async () => (await import('./commands/change-state.ts')).restart },
  {
    names: ['rm', 'container rm', 'container remove'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Remove containers', args: [1, MANY], completes: 'containers',
    flags: () => [flag('force,f', 'bool', 'Kill running ones'), flag('link,l', 'bool', 'Remove a link'), flag('volumes,v', 'bool', 'Remove their anonymous volumes too')],
    load: async () => (await import('./commands/change-state.ts')).remove,
  },
  {
    names: ['run', 'container run'], usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]', summary: 'Make a container and run it', args: [1, MANY], flagsFirst: true, completes: 'images', completeArgs: 1, common: true,
    flags: runFlags, load: async () => (await import('./commands/run-container.ts')).runContainer,
  },
  {
    names: ['start', 'container start'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Start stopped containers', args: [1, MANY], completes: 'stopped',
    flags: () => [flag('attach,a', 'bool', 'Attach to stdout and stderr, and pass signals on'), flag('checkpoint', 'string', 'Restore this checkpoint', { hidden: true }), flag('checkpoint-dir', 'string', 'Where checkpoints are', { hidden: true }), DETACH_KEYS, flag('interactive,i', 'bool', 'Attach to stdin')],
    load: async () => (await import('./commands/start-container.ts')).start,
  },
  {
    names: ['stats', 'container stats'], usage: '[OPTIONS] [CONTAINER...]', summary: 'Watch what containers use', args: [0, MANY], completes: 'running',
    flags: () => [flag('all,a', 'bool', 'Stopped ones too'), FORMAT, flag('no-stream', 'bool', 'Print once'), flag('no-trunc', 'bool', 'Print in full length')],
    load: async () => (await import('./commands/stats.ts')).stats,
  },
  { names: ['stop', 'container stop'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Stop containers', args: [1, MANY], completes: 'running', flags: stopFlags, load: async () => (await import('./commands/change-state.ts')).stop },
  { names: ['top', 'container top'], usage: 'CONTAINER [ps OPTIONS]', summary: 'List a container\'s processes', args: [1, MANY], flagsFirst: true, completes: 'running', completeArgs: 1, flags: noFlags, load: async () => (await import('./commands/small-container-commands.ts')).top },
  { names: ['unpause', 'container unpause'], usage: 'CONTAINER [CONTAINER...]', summary: 'Thaw containers', args: [1, MANY], completes: 'running', flags: noFlags, load: async () => (await import('./commands/change-state.ts')).unpause },
  { names: ['update', 'container update'], usage: '[OPTIONS] CONTAINER [CONTAINER...]', summary: 'Change the limits of containers', args: [1, MANY], completes: 'containers', flags: updateFlags, load: async () => (await import('./commands/update-container.ts')).update },
  { names: ['wait', 'container wait'], usage: 'CONTAINER [CONTAINER...]', summary: 'Wait until containers stop; print their exit statuses', args: [1, MANY], completes: 'running', flags: noFlags, load: async () => (await import('./commands/small-container-commands.ts')).wait },
];
