import { NaruError } from '#spec/errors.ts';
import type { CommandRunner } from '../command.ts';
import { changeConfigFile } from '../config-file.ts';
import { readLine, readSecret } from '../prompt.ts';
import { HUB_KEY } from '../registry-auth.ts';

const keyOf = (server: string | undefined): string => (server === undefined || server === '' || server === 'docker.io' ? HUB_KEY : server.replace(/^https?:\/\//, '').replace(/\/.*$/, ''));

/** `login`: asks the daemon to check the credentials, then keeps them in config.json. */
export const login: CommandRunner = async ({ client, flags, args, io, env, config, configDirectory }) => {
  const server = keyOf(args[0]);
  let username = flags.string('username');
  let password = flags.string('password');
  if (flags.bool('password-stdin')) {
    if (flags.changed('password')) throw new NaruError('invalid', '--password and --password-stdin are mutually exclusive');
    if (username === '') throw new NaruError('invalid', 'Must provide --username with --password-stdin');
    let text = '';
    for await (const chunk of io.input()) text += new TextDecoder().decode(chunk);
    password = text.replace(/\r?\n$/, '');
  } else if (flags.changed('password')) io.err('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
  if ((username === '' || password === '') && !io.isTerminal(0)) throw new NaruError('invalid', 'Error: Cannot perform an interactive login from a non TTY device');
  if (username === '') username = (await readLine(io, 'Username: ')).trim();
  if (password === '') password = await readSecret(io, 'Password: ');
  if (username === '' || password === '') throw new NaruError('invalid', 'Error: username and password are required');
  const answer = await client().system.auth({ username, password, serveraddress: server });
  const token = answer.IdentityToken !== undefined && answer.IdentityToken !== '' ? answer.IdentityToken : undefined;
  const { helperFor, keepInHelper } = await import('../credential-store.ts');
  const helper = helperFor(config(), server);
  if (helper !== undefined) keepInHelper(helper, server, { username, secret: token ?? password, token: token !== undefined });
  // With a helper only a mark stays here: who looks at the file sees where there is a login.
  const kept = helper !== undefined ? {} : token !== undefined ? { identitytoken: token } : { auth: Buffer.from(`${username}:${password}`).toString('base64') };
  changeConfigFile(configDirectory, env, (file) => {
    file.auths = { ...file.auths, [server]: kept };
  });
  io.out(`${answer.Status}\n`);
  return 0;
};

/** `logout`. */
export const logout: CommandRunner = async ({ args, io, env, config, configDirectory }) => {
  const server = keyOf(args[0]);
  const { eraseFromHelper, helperFor } = await import('../credential-store.ts');
  const helper = helperFor(config(), server);
  if (helper === undefined && config().auths?.[server] === undefined) {
    io.out(`Not logged in to ${server}\n`);
    return 0;
  }
  io.out(`Removing login credentials for ${server}\n`);
  if (helper !== undefined) eraseFromHelper(helper, server);
  changeConfigFile(configDirectory, env, (file) => {
    delete file.auths?.[server];
  });
  return 0;
};
