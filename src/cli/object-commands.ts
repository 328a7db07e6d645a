import type { Command } from './command.ts';
import { FILTER, FORCE, FORMAT, FORMAT_F } from './container-commands.ts';
import { runFlags } from './flags/container-flags.ts';
import { flag, noFlags } from './flags/flag.ts';

const MANY = Number.POSITIVE_INFINITY;

/** Volumes, networks, the daemon, registries, and naru's own words. */
export const OBJECT_COMMANDS: readonly Command[] = [
  {
    names: ['volume create'], usage: '[OPTIONS] [VOLUME]', summary: 'Make a volume', args: [0, 1],
    flags: () => [flag('driver,d', 'string', 'Volume driver', { default: 'local' }), flag('label', 'label', 'Set a label'), flag('name', 'string', 'Name of the volume', { hidden: true }), flag('opt,o', 'map', 'Option of the driver')],
    load: async () => (await import('./commands/volumes.ts')).createVolume,
  },
  { names: ['volume inspect'], usage: '[OPTIONS] VOLUME [VOLUME...]', summary: 'Show everything about volumes', args: [1, MANY], completes: 'volumes', flags: () => [FORMAT_F], load: async () => (await import('./commands/inspect.ts')).inspectVolumes },
  {
    names: ['volume ls', 'volume list'], usage: '[OPTIONS]', summary: 'List volumes', args: [0, 0], flags: () => [flag('cluster', 'bool', 'Only cluster volumes', { hidden: true }), FILTER, FORMAT, flag('quiet,q', 'bool', 'Only names')],
    load: async () => (await import('./commands/volumes.ts')).listVolumes,
  },
  { names: ['volume prune'], usage: '[OPTIONS]', summary: 'Remove unused volumes', args: [0, 0], flags: () => [flag('all,a', 'bool', 'Those with a name too'), flag('filter', 'filter', 'Only what matches (label=<label>)'), FORCE], load: async () => (await import('./commands/prune.ts')).pruneVolumes },
  {
    names: ['volume rm', 'volume remove'], usage: '[OPTIONS] VOLUME [VOLUME...]', summary: 'Remove volumes', details: 'Remove volumes. One that a container uses cannot be removed.', args: [1, MANY], completes: 'volumes',
    flags: () => [flag('force,f', 'bool', 'Say nothing of those that are not there')], load: async () => (await import('./commands/volumes.ts')).removeVolumes,
  },
  {
    names: ['context create'], usage: '[OPTIONS] CONTEXT', summary: 'Make a context', args: [1, 1],
    details: 'Make a context: a name for a daemon, kept as Docker\'s own command line keeps them.\n\n--docker takes host=ADDRESS, ca=FILE, cert=FILE, key=FILE, skip-tls-verify=BOOL,\nor from=CONTEXT, with commas between.',
    flags: () => [flag('description', 'string', 'What it is for'), flag('docker', 'pairs', 'The daemon (host=tcp://server:2376,ca=ca.pem,…)'), flag('from', 'string', 'Copy this context', { completes: 'contexts' })],
    load: async () => (await import('./commands/contexts.ts')).createContext,
  },
  { names: ['context export'], usage: 'CONTEXT [FILE|-]', summary: 'Write a context, keys included, into a tar archive', args: [1, 2], completes: 'contexts', completeArgs: 1, flags: noFlags, load: async () => (await import('./commands/carry-contexts.ts')).exportContext },
  { names: ['context import'], usage: 'CONTEXT FILE|-', summary: 'Make a context of such an archive', args: [2, 2], flags: noFlags, load: async () => (await import('./commands/carry-contexts.ts')).importContext },
  { names: ['context inspect'], usage: '[OPTIONS] [CONTEXT] [CONTEXT...]', summary: 'Show everything about contexts', args: [0, MANY], completes: 'contexts', flags: () => [FORMAT_F], load: async () => (await import('./commands/contexts.ts')).inspectContexts },
  { names: ['context ls', 'context list'], usage: '[OPTIONS]', summary: 'List contexts', args: [0, 0], flags: () => [FORMAT, flag('quiet,q', 'bool', 'Only names')], load: async () => (await import('./commands/contexts.ts')).listAllContexts },
  { names: ['context rm', 'context remove'], usage: 'CONTEXT [CONTEXT...]', summary: 'Remove contexts', args: [1, MANY], completes: 'contexts', flags: () => [flag('force,f', 'bool', 'The one in use too')], load: async () => (await import('./commands/contexts.ts')).removeContexts },
  { names: ['context show'], usage: '', summary: 'Print the name of the context in use', args: [0, 0], flags: noFlags, load: async () => (await import('./commands/contexts.ts')).showContext },
  {
    names: ['context update'], usage: '[OPTIONS] CONTEXT', summary: 'Change a context', args: [1, 1], completes: 'contexts',
    flags: () => [flag('description', 'string', 'What it is for'), flag('docker', 'pairs', 'The daemon (host=tcp://server:2376,ca=ca.pem,…)')], load: async () => (await import('./commands/contexts.ts')).updateContext,
  },
  { names: ['context use'], usage: 'CONTEXT', summary: 'Use this context from now on', args: [1, 1], completes: 'contexts', flags: noFlags, load: async () => (await import('./commands/contexts.ts')).useContext },
  {
    names: ['network connect'], usage: '[OPTIONS] NETWORK CONTAINER', summary: 'Connect a container to a network', args: [2, 2], completes: 'networks', completeArgs: 1,
    flags: () => [flag('alias', 'strings', 'One more name in the network'), flag('driver-opt', 'strings', 'Option of the driver'), flag('gw-priority', 'int', 'The highest gives the default gateway'), flag('ip', 'string', 'IPv4 address'), flag('ip6', 'string', 'IPv6 address'), flag('link', 'link', 'Link to another container'), flag('link-local-ip', 'strings', 'Link-local address')],
    load: async () => (await import('./commands/networks.ts')).connectNetwork,
  },
  {
    names: ['network create'], usage: '[OPTIONS] NETWORK', summary: 'Make a network', args: [1, 1],
    flags: () => [
      flag('attachable', 'bool', 'Containers may be connected by hand'), flag('aux-address', 'map', 'Addresses that the driver uses'), flag('config-from', 'string', 'Copy the configuration of this network'), flag('config-only', 'bool', 'Make only a configuration'),
      flag('driver,d', 'string', 'Network driver', { default: 'bridge' }), flag('gateway', 'strings', 'Gateway of the subnet'), flag('ingress', 'bool', 'Make a routing-mesh network', { hidden: true }), flag('internal', 'bool', 'No way out of it'), flag('ip-range', 'strings', 'Give addresses from this range'),
      flag('ipam-driver', 'string', 'Address management driver', { default: 'default' }), flag('ipam-opt', 'map', 'Option of the address management driver'), flag('ipv4', 'bool', 'Give IPv4 addresses', { default: 'true' }), flag('ipv6', 'bool', 'Give IPv6 addresses'), flag('label', 'label', 'Set a label'), flag('opt,o', 'map', 'Option of the driver'),
      flag('scope', 'string', 'Scope of the network'), flag('subnet', 'strings', 'Subnet (CIDR)'),
    ],
    load: async () => (await import('./commands/networks.ts')).createNetwork,
  },
  { names: ['network disconnect'], usage: '[OPTIONS] NETWORK CONTAINER', summary: 'Disconnect a container from a network', args: [2, 2], completes: 'networks', completeArgs: 1, flags: () => [flag('force,f', 'bool', 'Even when the container is gone')], load: async () => (await import('./commands/networks.ts')).disconnectNetwork },
  {
    names: ['network dns'], usage: '[OPTIONS]', summary: 'Show what containers ask their resolver', args: [0, 0], naru: true,
    flags: () => [FORMAT], load: async () => (await import('./commands/network-dns.ts')).networkDns,
  },
  {
    names: ['network graph'], usage: '[OPTIONS] [NETWORK...]', summary: 'Draw what is connected to what', args: [0, MANY], completes: 'networks', naru: true,
    flags: () => [flag('all,a', 'bool', 'Stopped containers and unused networks too'), flag('format', 'string', 'text, svg or json', { default: 'text' })], load: async () => (await import('./commands/network-graph.ts')).graphNetworks,
  },
  { names: ['network inspect'], usage: '[OPTIONS] NETWORK [NETWORK...]', summary: 'Show everything about networks', args: [1, MANY], completes: 'networks', flags: () => [FORMAT_F, flag('verbose,v', 'bool', 'More, for looking for faults')], load: async () => (await import('./commands/inspect.ts')).inspectNetworks },
  { names: ['network ls', 'network list'], usage: '[OPTIONS]', summary: 'List networks', args: [0, 0], flags: () => [FILTER, FORMAT, flag('no-trunc', 'bool', 'Print in full length'), flag('quiet,q', 'bool', 'Only ids')], load: async () => (await import('./commands/networks.ts')).listNetworks },
  { names: ['network prune'], usage: '[OPTIONS]', summary: 'Remove unused networks', args: [0, 0], flags: () => [flag('filter', 'filter', 'Only what matches (until=<timestamp>)'), FORCE], load: async () => (await import('./commands/prune.ts')).pruneNetworks },
  { names: ['network rm', 'network remove'], usage: 'NETWORK [NETWORK...]', summary: 'Remove networks', args: [1, MANY], completes: 'networks', flags: () => [flag('force,f', 'bool', 'Say nothing of those that are not there')], load: async () => (await import('./commands/networks.ts')).removeNetworks },
  { names: ['system check'], usage: '[OPTIONS]', summary: 'Check all that is stored against its digests', args: [0, 0], naru: true, flags: () => [flag('repair', 'bool', 'Delete what nothing knows; remove and pull again what is damaged')], load: async () => (await import('./commands/check-system.ts')).checkSystem },
  { names: ['system df'], usage: '[OPTIONS]', summary: 'Show what takes up the disk', args: [0, 0], flags: () => [FORMAT, flag('verbose,v', 'bool', 'One by one')], load: async () => (await import('./commands/disk-usage.ts')).diskUsage },
  { names: ['system dial-stdio'], usage: '', summary: 'Carry stdin and stdout to the daemon', args: [0, 0], hidden: true, flags: noFlags, load: async () => (await import('./commands/dial-stdio.ts')).dialStdio },
  {
    names: ['events', 'system events'], usage: '[OPTIONS]', summary: 'Watch what the daemon does', args: [0, 0],
    flags: () => [FILTER, FORMAT, flag('since', 'string', 'From this time on'), flag('until', 'string', 'Up to this time')], load: async () => (await import('./commands/events.ts')).events,
  },
  { names: ['info', 'system info'], usage: '[OPTIONS]', summary: 'Show facts about the daemon and its machine', args: [0, 0], common: true, flags: () => [FORMAT_F], load: async () => (await import('./commands/info.ts')).info },
  {
    names: ['system prune'], usage: '[OPTIONS]', summary: 'Remove everything unused', args: [0, 0],
    flags: () => [flag('all,a', 'bool', 'All unused images, not only those without a name'), flag('filter', 'filter', 'Only what matches (label=<key>=<value>)'), FORCE, flag('volumes', 'bool', 'Anonymous volumes too')],
    load: async () => (await import('./commands/prune.ts')).pruneSystem,
  },
  { names: ['builder prune'], usage: '', summary: 'Remove the build cache', args: [0, 0], flags: () => [flag('all,a', 'bool', 'All that is unused'), flag('filter', 'filter', 'Only what matches (until=24h)'), FORCE, flag('keep-storage', 'bytes', 'Keep so much of it')], load: async () => (await import('./commands/prune.ts')).pruneBuildCache },
  {
    names: ['inspect'], usage: '[OPTIONS] NAME|ID [NAME|ID...]', summary: 'Show everything about anything', args: [1, MANY], completes: 'containers',
    flags: () => [FORMAT_F, flag('size,s', 'bool', 'Show sizes of containers too'), flag('type', 'string', 'Only this kind: container, image, network or volume')], load: async () => (await import('./commands/inspect.ts')).inspect,
  },
  { names: ['version'], usage: '[OPTIONS]', summary: 'Show the versions of client and daemon', args: [0, 0], common: true, flags: () => [FORMAT_F], load: async () => (await import('./commands/version.ts')).version },
  {
    names: ['login'], usage: '[OPTIONS] [SERVER]', summary: 'Log in to a registry', args: [0, 1], common: true,
    flags: () => [flag('password,p', 'string', 'Password or access token'), flag('password-stdin', 'bool', 'Read the password from stdin'), flag('username,u', 'string', 'User name')], load: async () => (await import('./commands/login.ts')).login,
  },
  { names: ['logout'], usage: '[SERVER]', summary: 'Log out from a registry', args: [0, 1], common: true, flags: noFlags, load: async () => (await import('./commands/login.ts')).logout },
  {
    names: ['search'], usage: '[OPTIONS] TERM', summary: 'Search Docker Hub for images', args: [1, 1],
    flags: () => [FILTER, flag('format', 'string', 'Print each with a Go template'), flag('limit', 'int', 'At most so many'), flag('no-trunc', 'bool', 'Print in full length')], load: async () => (await import('./commands/search.ts')).search,
  },
  { names: ['plan run'], usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]', summary: 'Show what run would do, operation by operation', args: [1, MANY], flagsFirst: true, completes: 'images', completeArgs: 1, naru: true, flags: runFlags, load: async () => (await import('./commands/plan-run.ts')).planRun },
  { names: ['completion'], usage: 'bash|zsh|fish', summary: 'Print the completion script of a shell', args: [1, 1], naru: true, flags: noFlags, load: async () => (await import('./commands/completion.ts')).completion },
];
